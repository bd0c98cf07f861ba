"""`run_attack`: any attack within a ball on labelled images, sample by sample, in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from pnc.errors import InvalidInputError
from pnc.nets.initial import seeded
from pnc.robust.attacks.auto_attack import art_auto_attack
from pnc.robust.attacks.kinds import AUTO_ATTACK, BIM, attack_named
from pnc.robust.attacks.libraries import load_foolbox
from pnc.robust.attacks.spec import AttackSpec
from pnc.robust.attacks.starts import random_starts, random_targets
from pnc.robust.network.images import check_reach, class_labels, finite_images, pixel_images
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.network.predictions import predicted_classes
from pnc.robust.network.random_numbers import DRAWS, AveragedModel, draws_random_numbers
from pnc.robust.results import AttackResult

__all__ = ["margins", "run_attack"]


def run_attack(
    model: PixelModel,
    images: Any,
    labels: Any,
    spec: AttackSpec,
    *,
    targets: Int[np.ndarray, " N"] | None = None,
    batch_size: int = 256,
    keep: bool = False,
    draws: int | None = None,
) -> AttackResult:
    """Perturb every image within the ball of the attack, and see which are still classified correctly.

    No perturbation is one of those allowed: what is misclassified to begin with counts as fallen, and stays as it
    is unless there is a target to reach. An image that any try moved to another class than its label has fallen,
    whether or not that is the target. So accuracy under attack is never above clean accuracy, and does not rise with
    the restarts. Random starts and targets belong to the sample: they are the same whatever the batch size (which
    changes results by rounding alone).

    A network that draws random numbers at test time would sooner or later err on any image, attacked or not, if it were
    asked until it does. Where two passes differ, gradients are therefore taken of the mean over `draws` draws
    (expectation over transformation), and every image is judged by one draw that is fixed for it: the same as it is
    and attacked, and in every restart. Accuracy under attack is then that of one draw, as clean accuracy is.

    Args:
        model: takes images in [0, 1] and has the standardisation inside.
        images: (N, …) in [0, 1], or unsigned bytes.
        labels: (N,) whole numbers 0…K-1.
        spec: the attack and its budget.
        targets: (N,) of a targeted attack; by default drawn among the other classes, see `random_targets`.
        batch_size: images at a time.
        keep: whether to keep the perturbed images.
        draws: over which gradients are averaged; by default 16 of a network that draws random numbers, and 1 of others.

    Raises:
        InvalidInputError: images outside [0, 1], a radius above √d for ℓ2, labels that do not fit, targets equal to the
            label, the attack library missing.

    >>> net = PixelModel(torch.nn.Identity())  # the class is the larger of two pixels
    >>> images, labels = np.array([[0.6, 0.5], [0.9, 0.1]]), np.array([0, 0])
    >>> result = run_attack(net, images, labels, AttackSpec(attack="fgsm", radius=0.1))
    >>> result.correct.tolist(), result.accuracy
    ([False, True], 0.5)
    """
    images = pixel_images(images, dtype=model.dtype)
    check_reach(images, radius=spec.radius, norm=spec.norm)
    random = draws_random_numbers(model, images, batch_size=batch_size, seed=spec.seed)
    if draws is None:
        draws = DRAWS if random else 1
    attacked = model if draws == 1 else PixelModel(AveragedModel(model, draws))

    def judged(some: torch.Tensor) -> Int[np.ndarray, " n"]:
        with seeded(spec.seed):  # the same random numbers for the same image, every time
            return predicted_classes(model, some, batch_size=batch_size)

    before = judged(images)
    with seeded(spec.seed):
        with torch.no_grad():
            classes = model(images[:1].to(model.device)).shape[1]
        labels = class_labels(labels, samples=len(images), classes=classes)
        targets = _targets(spec, targets, labels, classes)
        perturbed = images.clone()
        after = before.copy()
        fallen = before != labels
        for restart in range(spec.restarts):
            rows = np.flatnonzero(~_at_aim(after, labels, targets))
            if not rows.size:  # every image is where the attack wants it: nothing is left to try
                break
            candidates = perturbed.clone()
            for start in range(0, len(rows), batch_size):
                some = rows[start : start + batch_size]
                x = images[some].to(model.device)
                aims = labels[some] if targets is None else targets[some]
                candidates[some] = finite_images(_perturb(attacked, x, aims, some, spec, restart, classes), x).cpu()
            # of a random network the place in the batch decides which numbers an image meets
            found = judged(candidates)[rows] if random else judged(candidates[rows])
            perturbed[rows], after[rows] = candidates[rows], found
            fallen[rows] |= found != labels[rows]
    order = float("inf") if spec.norm == "linf" else 2
    distance = torch.linalg.vector_norm((perturbed - images).flatten(1), ord=order, dim=1)
    return AttackResult(
        spec=spec,
        correct=~fallen,
        success=_at_aim(after, labels, targets),
        distance=distance.double().numpy(),
        targets=targets,
        draws=draws,
        perturbed=perturbed.numpy() if keep else None,
    )


def _at_aim(
    found: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], targets: Int[np.ndarray, " n"] | None
) -> np.ndarray:
    return found != labels if targets is None else found == targets


def _targets(
    spec: AttackSpec, targets: Any, labels: Int[np.ndarray, " N"], classes: int
) -> Int[np.ndarray, " N"] | None:
    if not spec.targeted:
        if targets is not None:
            raise InvalidInputError(
                got="targets for an untargeted attack",
                expected="none",
                next_step="set targeted=True, or leave them out",
            )
        return None
    if targets is None:
        return random_targets(labels, classes=classes, seed=spec.seed)
    targets = class_labels(targets, samples=len(labels), classes=classes)
    same = np.flatnonzero(targets == labels)
    if same.size:
        raise InvalidInputError(
            got=f"target {targets[same[0]]} for sample {same[0]}, which is its label",
            expected="another class",
            next_step="choose other targets",
        )
    return targets


def _perturb(
    model: PixelModel,
    x: torch.Tensor,
    aims: Int[np.ndarray, " n"],
    indices: Int[np.ndarray, " n"],
    spec: AttackSpec,
    restart: int,
    classes: int,
) -> torch.Tensor:
    """x' of one batch, by the library that has the attack."""
    if spec.attack == AUTO_ATTACK.name:
        return art_auto_attack(model, x, aims, spec, classes=classes)
    foolbox = load_foolbox()
    starts = None
    if attack_named(spec.attack).random_start:
        drawn = random_starts(x.shape[1:], indices, radius=spec.radius, norm=spec.norm, seed=spec.seed, restart=restart)
        starts = torch.from_numpy(drawn).to(x)
    known = torch.from_numpy(aims).to(x.device)
    criterion = foolbox.TargetedMisclassification(known) if spec.targeted else foolbox.Misclassification(known)
    library_model = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
    return _library_attack(spec, starts).run(library_model, x, criterion, epsilon=spec.radius).detach()


def _library_attack(spec: AttackSpec, starts: torch.Tensor | None) -> Any:
    """foolbox's attack, with starts from outside, the loss of the spec, and gradients that may be tiny."""
    foolbox = load_foolbox()
    from eagerpy.astensor import astensor

    kind = attack_named(spec.attack)
    # foolbox's one-step attacks know no targets; one step of the iterated ones is the same
    classes = BIM.classes if kind.one_step and spec.targeted else kind.classes

    class Attack(getattr(foolbox.attacks, classes[spec.norm])):
        def get_random_start(self, x0: Any, epsilon: float) -> Any:
            return x0 + astensor(starts)

        def get_loss_fn(self, model: Any, labels: Any) -> Any:
            if spec.loss == "cross-entropy":
                return super().get_loss_fn(model, labels)
            return lambda inputs: astensor(-margins(model(inputs).raw, labels.raw).sum())

        def normalize(self, gradients: Any, **options: Any) -> Any:
            # foolbox divides by no less than 1e-12 in ℓ2: the steps of a saturated network would shrink with it
            found = gradients.raw.nan_to_num(0.0, 0.0, 0.0)
            largest = found.flatten(1).abs().amax(1).reshape(-1, *(1,) * (found.ndim - 1))
            return super().normalize(astensor(found / torch.where(largest > 0, largest, 1)), **options)

    if kind.one_step and not spec.targeted:
        return Attack(random_start=False)
    return Attack(abs_stepsize=spec.step, steps=spec.steps, random_start=starts is not None)


def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """z_y - max_{k ≠ y} z_k of every row: above 0 where the class is y.

    >>> margins(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0])).tolist()
    [1.0]
    """
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own[:, 0] - others.amax(1)
