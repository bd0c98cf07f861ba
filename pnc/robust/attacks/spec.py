"""`AttackSpec`: one attack with its budget; frozen, validated once."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pnc.errors import InvalidInputError
from pnc.fields import nearest
from pnc.robust.attacks.kinds import attack_named

__all__ = ["AttackSpec", "Loss", "Norm"]

Norm = Literal["linf", "l2"]
Loss = Literal["cross-entropy", "margin"]


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
    radius: float = 8 / 255
    norm: Norm = "linf"
    steps: int = 20
    restarts: int = 1
    targeted: bool = False
    step_ratio: float = 2.5
    loss: Loss = "cross-entropy"
    seed: int = 0

    def __post_init__(self) -> None:
        kind = attack_named(self.attack)
        for name, choices in (("norm", get_args(Norm)), ("loss", get_args(Loss))):
            if getattr(self, name) not in choices:
                raise nearest(name, getattr(self, name), choices)
        if kind.one_step:
            object.__setattr__(self, "steps", 1)
            object.__setattr__(self, "step_ratio", 1.0)
        for name, least in (("steps", 1), ("restarts", 1), ("seed", 0)):
            try:
                value = operator.index(getattr(self, name))
            except TypeError:
                value = least - 1
            if isinstance(getattr(self, name), bool) or value < least:
                raise InvalidInputError(
                    got=f"{name} = {getattr(self, name)!r}",
                    expected=f"a whole number, {least} or more",
                    next_step=f"pass another `{name}`",
                )
            object.__setattr__(self, name, value)
        largest = 1 if self.norm == "linf" else math.inf
        if not (_is_number(self.radius) and 0 < self.radius <= largest and math.isfinite(self.radius)):
            raise InvalidInputError(
                got=f"radius = {self.radius} for {self.norm}",
                expected="a number above 0"
                + (" and at most 1, since pixels are in [0, 1]" if self.norm == "linf" else ""),
                next_step="pass for instance `radius=8/255`",
            )
        if not (_is_number(self.step_ratio) and 0 < self.step_ratio < math.inf):
            raise InvalidInputError(
                got=f"step_ratio = {self.step_ratio}", expected="a number above 0", next_step="pass for instance 2.5"
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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
