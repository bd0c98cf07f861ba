"""AutoAttack: four attacks, two of them gradient descent that chooses its steps, one without gradients."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.robust.attacks.libraries import load_art
from pnc.robust.attacks.spec import AttackSpec
from pnc.robust.network.pixel_model import PixelModel

__all__ = ["art_auto_attack"]


def art_auto_attack(
    model: PixelModel,
    x: Float[torch.Tensor, "n ..."],
    labels: Int[np.ndarray, " n"],
    spec: AttackSpec,
    *,
    classes: int,
) -> Float[torch.Tensor, "n ..."]:
    """x' of one batch.

    Raises:
        InvalidInputError: the toolbox is not installed; a targeted attack, the margin loss or restarts, of which it has
            its own.
    """
    if spec.targeted or spec.loss != "cross-entropy":
        raise InvalidInputError(
            got="AutoAttack with targets or with another loss",
            expected="an untargeted attack with its own losses",
            next_step="leave out `targeted`, or use pgd",
        )
    attacks = load_art()
    estimator = importlib.import_module("art.estimators.classification").PyTorchClassifier(
        model,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="cpu" if x.device.type == "cpu" else "gpu",
    )
    norm = np.inf if spec.norm == "linf" else 2
    attack = attacks.AutoAttack(
        estimator=estimator, norm=norm, eps=spec.radius, eps_step=2 * spec.radius, batch_size=len(x)
    )
    if x.ndim != 4:  # Square changes squares of an image
        attack.attacks = [one for one in attack.attacks if not isinstance(one, attacks.SquareAttack)]
    for one in attack.attacks:
        one.verbose = False
        if isinstance(one, attacks.SquareAttack):
            one.nb_restarts = 1  # as published; the toolbox tries five times
        elif hasattr(one, "loss_type"):
            one.max_iter = spec.steps
    before = np.random.get_state()  # noqa: NPY002 - the toolbox knows no other generator
    np.random.seed(spec.seed)  # noqa: NPY002
    try:
        with warnings.catch_warnings():  # it divides by norms that may be 0
            warnings.simplefilter("ignore")
            moved = attack.generate(x.float().cpu().numpy(), labels)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    return torch.from_numpy(moved).to(x)
