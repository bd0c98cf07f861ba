"""`AttackedImages`: one network and its labelled images; every attack on them is made once."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from pnc.nets.initial import seeded
from pnc.robust.attacks.spec import AttackSpec
from pnc.robust.attacks.within_ball import run_attack
from pnc.robust.network.images import class_labels, pixel_images
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.network.predictions import predicted_classes, predicted_logits
from pnc.robust.results import Accuracy, AttackResult

__all__ = ["AttackedImages"]


class AttackedImages:
    """What attacks and checks share: images, labels, and results that are there already.

    Raises:
        InvalidInputError: images outside [0, 1], labels that do not fit.
    """

    def __init__(self, model: PixelModel, images: Any, labels: Any, *, batch_size: int = 256, seed: int = 0) -> None:
        self.model, self.batch_size, self.seed = model, batch_size, seed
        self.images = pixel_images(images, dtype=model.dtype)
        with seeded(seed):
            classes = predicted_logits(model, self.images[:1]).shape[1]
            found = predicted_classes(model, self.images, batch_size=batch_size)
        self.labels: Int[np.ndarray, " N"] = class_labels(labels, samples=len(self.images), classes=classes)
        self.clean = Accuracy(correct=found == self.labels)
        self._done: dict[AttackSpec, AttackResult] = {}

    def result(self, **options: Any) -> AttackResult:
        """The result of an attack, made when it is first asked for."""
        spec = AttackSpec(seed=self.seed, **options)
        if spec not in self._done:
            self._done[spec] = run_attack(self.model, self.images, self.labels, spec, batch_size=self.batch_size)
        return self._done[spec]

    def fallen(self, **options: Any) -> Bool[np.ndarray, " N"]:
        """Which samples are not classified correctly under an attack."""
        return ~self.result(**options).correct
