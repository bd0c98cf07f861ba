"""`AttackSpec`: one attack with its budget; frozen, validated once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pnc.errors import InvalidInputError
from pnc.fields import Number, Whole, check_fields
from pnc.robust.attacks.kinds import attack_named

__all__ = ["AttackSpec", "Loss", "Norm"]

Norm = Literal["linf", "l2"]
Loss = Literal["cross-entropy", "margin"]

_RADIUS = "pass for instance `radius=8/255`"


@dataclass(frozen=True, kw_only=True)
class AttackSpec:
    """One attack within a ball ‖x' - x‖ ≤ radius, x' in [0, 1].

    Args:
        attack: name of it, see `pnc.robust.ATTACKS`.
        radius: of the ball, in units of the pixels' range [0, 1]; for ℓ∞ at most 1, which reaches every image;
            for ℓ2 likewise at most √d, which `run_attack` checks.
        norm: `linf` or `l2`.
        steps: gradient steps; of FGSM always 1.
        restarts: tries, each from its own random point; a sample that fell once is not tried again. Above 1 only where
            the attack starts at random.
        targeted: towards a class instead of away from the label.
        step_ratio: a step is step_ratio · radius / steps long; 2.5 lets it cross the ball and come back (Madry et
            al. 2018). Of FGSM always 1.
        loss: what is raised (or, towards a target, lowered): `cross-entropy`, or `margin`, the largest other logit
            less the label's, which no scaling of the logits saturates.
        seed: of random starts and targets, drawn for each sample alone.

    Raises:
        InvalidInputError: an unknown name, a number out of range, a radius outside the range of the data.

    >>> AttackSpec(attack="fgsm", radius=8 / 255).steps
    1
    >>> AttackSpec(attack="pgd", radius=8)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got radius = 8 for linf; expected a number above 0 and at most 1, ...
    """

    attack: str = "pgd"
    radius: Annotated[float, Number(above=0, advice=_RADIUS)] = 8 / 255
    norm: Norm = "linf"
    steps: Annotated[int, Whole(1)] = 20
    restarts: Annotated[int, Whole(1)] = 1
    targeted: bool = False
    step_ratio: Annotated[float, Number(above=0)] = 2.5
    loss: Loss = "cross-entropy"
    seed: Annotated[int, Whole(0)] = 0

    def __post_init__(self) -> None:
        kind = attack_named(self.attack)
        if kind.one_step:
            object.__setattr__(self, "steps", 1)
            object.__setattr__(self, "step_ratio", 1.0)
        check_fields(self)
        if self.norm == "linf" and self.radius > 1:
            raise InvalidInputError(
                got=f"radius = {self.radius} for linf",
                expected="a number above 0 and at most 1, since pixels are in [0, 1]",
                next_step=_RADIUS,
            )
        if self.restarts > 1 and not kind.random_start:
            raise InvalidInputError(
                got=f"{self.restarts} restarts of {self.attack}",
                expected="1: it starts at the image, so every try is the same",
                next_step="use pgd",
            )

    @property
    def step(self) -> float:
        """Length of one step, in the attack's norm."""
        return self.step_ratio * self.radius / self.steps

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "step": self.step}
