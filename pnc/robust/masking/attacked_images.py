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
from pnc.robust.network.random_numbers import DRAWS, draws_random_numbers
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
        with seeded(seed):  # the draw by which every image is judged under attack, too
            found = predicted_classes(model, self.images, batch_size=batch_size)
        self.random = draws_random_numbers(model, self.images, batch_size=batch_size, seed=seed)
        self.labels: Int[np.ndarray, " N"] = class_labels(labels, samples=len(self.images), classes=classes)
        self.clean = Accuracy(correct=found == self.labels)
        self._done: dict[tuple[AttackSpec, int], AttackResult] = {}

    @property
    def draws(self) -> int:
        """Over which an attack averages the gradients: 1 of a network that gives the same logits twice."""
        return DRAWS if self.random else 1

    def result(self, *, draws: int | None = None, **options: Any) -> AttackResult:
        """The result of an attack, made when it is first asked for."""
        spec, draws = AttackSpec(seed=self.seed, **options), self.draws if draws is None else draws
        if (spec, draws) not in self._done:
            self._done[spec, draws] = run_attack(
                self.model, self.images, self.labels, spec, batch_size=self.batch_size, draws=draws
            )
        return self._done[spec, draws]

    def fallen(self, **options: Any) -> Bool[np.ndarray, " N"]:
        """Which samples are not classified correctly under an attack by single gradients, which the checks question."""
        return ~self.result(draws=1, **options).correct
