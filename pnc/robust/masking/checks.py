"""The checks that a claim of robustness has to pass: does the defence remove errors, or hide gradients?

Athalye, Carlini, Wagner, *Obfuscated Gradients Give a False Sense of Security*, ICML 2018 (arXiv:1802.00420);
Carlini et al., *On Evaluating Adversarial Robustness*, 2019 (arXiv:1902.06705).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool

from pnc.curves import json_ready
from pnc.errors import InvalidInputError
from pnc.nets.initial import seeded
from pnc.robust.attacks.spec import AttackSpec, Norm
from pnc.robust.attacks.within_ball import run_attack
from pnc.robust.masking.attacked_images import AttackedImages
from pnc.robust.masking.gradients import gradient_norms, gradient_wins
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.network.predictions import predicted_classes
from pnc.statistics import excess_bound, share_bound

__all__ = ["CHECKS", "Check", "Checks", "check_masking"]

_RESTARTS, _DIRECTIONS = 5, 8

CHECKS = {
    "steps": "more steps never help the defender",
    "radius": "a larger radius never helps the defender",
    "one step": "one step is not stronger than many",
    "unbounded": "with an unbounded budget every image falls",
    "restarts": "more random starts find little that one did not",
    "loss": "a loss that cannot saturate finds little that cross-entropy did not",
    "transfer": "images made for another network are no stronger than those made for this one",
    "gradients": "the gradient does not vanish",
    "surface": "the gradient points uphill better than random directions do",
    "randomness": "averaging over the network's own random numbers does not help the attacker",
}
"""Name of every check → what must hold of a network whose gradients can be trusted."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Args:
        name: one of `CHECKS`.
        statement: what must hold.
        passed: whether it does; `None` where it could not be asked.
        violation: share of samples that contradict it, net of those that speak for it; the worst case tried.
        bound: what the violation exceeds beyond chance: its lower confidence bound.
        tolerance: it fails where the bound is above this.
        detail: the worst case in words, or why it could not be asked.
    """

    name: str
    statement: str
    passed: bool | None
    violation: float | None = None
    bound: float | None = None
    tolerance: float | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        return json_ready(asdict(self))


@dataclass(frozen=True, kw_only=True)
class Checks:
    """All checks of one network.

    Args:
        checks: in the order of `CHECKS`.
        confidence: that no check fails by chance alone, all of them together.
        samples: that they were made on.
    """

    checks: tuple[Check, ...]
    confidence: float
    samples: int

    @property
    def masked(self) -> bool:
        """Whether any check failed: then accuracy under attack means nothing."""
        return any(check.passed is False for check in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(check.name for check in self.checks if check.passed is False)

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def to_dict(self) -> dict[str, Any]:
        return {
            "masked": self.masked,
            "failed": list(self.failed),
            "confidence": self.confidence,
            "samples": self.samples,
            "checks": [check.to_dict() for check in self.checks],
        }


def check_compared(radii: Sequence[float], steps: Sequence[int]) -> None:
    """Refuse radii and numbers of steps that leave the checks nothing to compare.

    Raises:
        InvalidInputError: fewer than two different numbers of steps, or no radius.

    >>> check_compared([0.1], [20])
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got 1 number(s) of steps and 1 radii for the checks; expected at least two ...
    """
    if len(set(steps)) < 2 or not len(radii):
        raise InvalidInputError(
            got=f"{len(set(steps))} number(s) of steps and {len(set(radii))} radii for the checks",
            expected="at least two different numbers of steps, and a radius",
            next_step="pass for instance `steps=7,20`, or `checks=False`",
        )


def check_masking(
    shown: AttackedImages,
    *,
    radii: Sequence[float],
    norm: Norm = "linf",
    steps: Sequence[int] = (7, 20),
    source: PixelModel | None = None,
    tolerance: float = 0.05,
    confidence: float = 0.99,
    progress: Callable[[str, float], None] | None = None,
) -> Checks:
    """Ask the network every question of `CHECKS`, on the same samples.

    A check compares, sample by sample, what must not happen with what may: of b samples that fell to the weaker
    attack alone and c that fell to the stronger alone, (b - c)/n is the violation. It fails where the exact binomial
    lower bound of the violation is above `tolerance`: a difference of a few per cent between two honest attacks says
    nothing, and one of chance less. The confidence is shared out among all comparisons (Bonferroni).

    Attacks are PGD with one random start, untargeted, cross-entropy, with the most steps, except where the check says
    otherwise; each is compared at every radius, of a single one at its half too. Gradients and surface are looked at
    where the network is right; surface at the smallest radius. `unbounded` is radius 1 for ℓ∞ and √d for ℓ2, where
    every image is within reach. Images that the source gets wrong by itself are tried as they are.

    Where a network draws random numbers, those of the CPU's generator are seeded.

    Args:
        shown: network and images.
        radii: of the ball.
        norm: `linf` or `l2`.
        steps: numbers of steps that are compared, at least two.
        source: the network whose adversarial images are tried on this one; by default there is no such check.
        tolerance: share of samples up to which a violation is let pass.
        confidence: that an honest network, whose true violations are within the tolerance, is not called masked.
        progress: called with the name of the check that begins, and the share that is done.

    Raises:
        InvalidInputError: fewer than two numbers of steps, a tolerance or confidence outside (0, 1).
    """
    check_compared(radii, steps)
    radii, steps = sorted(set(radii)), sorted(set(steps))
    for name, value in (("tolerance", tolerance), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InvalidInputError(
                got=f"{name} = {value}", expected="a number between 0 and 1", next_step=f"pass another {name}"
            )
    if len(radii) == 1:
        radii = [radii[0] / 2, *radii]
    asked = _Questions(shown, radii, norm, steps, source)
    found: dict[str, list[_Case] | str] = {}
    for done, name in enumerate(CHECKS):
        if progress is not None:
            progress(name, done / len(CHECKS))
        found[name] = asked.ask(name)
    comparisons = sum(len(cases) for cases in found.values() if not isinstance(cases, str))
    tail = (1 - confidence) / max(1, comparisons)
    return Checks(
        checks=tuple(_judge(name, cases, tail, tolerance) for name, cases in found.items()),
        confidence=confidence,
        samples=len(shown.labels),
    )


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One comparison of a check: `against` should not hold more often than `allowed`, on the same samples."""

    against: Bool[np.ndarray, " n"]
    allowed: Bool[np.ndarray, " n"] | None = None
    detail: str

    def bound(self, tail: float) -> tuple[float, float]:
        """Violation and its lower bound."""
        if self.allowed is not None:
            return excess_bound(self.against, self.allowed, tail=tail)
        hits, samples = int(self.against.sum()), len(self.against)
        return hits / samples, share_bound(hits, samples, tail=tail)


def _judge(name: str, cases: list[_Case] | str, tail: float, tolerance: float) -> Check:
    if isinstance(cases, str):
        return Check(name=name, statement=CHECKS[name], passed=None, detail=cases)
    violation, bound, case = max(((*case.bound(tail), case) for case in cases), key=lambda item: item[1])
    return Check(
        name=name, statement=CHECKS[name], passed=bound <= tolerance, violation=violation, bound=bound,
        tolerance=tolerance, detail=case.detail,
    )  # fmt: skip


class _Questions:
    """How each check is made; every method gives its comparisons, or why there are none."""

    def __init__(
        self, shown: AttackedImages, radii: list[float], norm: Norm, steps: list[int], source: PixelModel | None
    ) -> None:
        self.shown, self.radii, self.steps, self.source = shown, radii, steps, source
        self.norm: Norm = norm

    @cached_property
    def repeatable(self) -> bool:
        """Whether the network gives the same logits twice."""
        return not self.shown.random

    def ask(self, name: str) -> list[_Case] | str:
        if not self.shown.clean.correct.any():
            return "no image is classified correctly, so there is nothing to attack"
        return getattr(self, "_" + name.replace(" ", "_"))()

    def _pgd(self, radius: float, steps: int | None = None, **options: Any) -> Bool[np.ndarray, " N"]:
        return self.shown.fallen(attack="pgd", radius=radius, steps=steps or self.steps[-1], norm=self.norm, **options)

    def _steps(self) -> list[_Case]:
        return [
            _compared(self._pgd(r, few), self._pgd(r, many), f"radius {r:.4g}: {few} steps against {many}")
            for r in self.radii
            for few, many in itertools.pairwise(self.steps)
        ]

    def _radius(self) -> list[_Case]:
        return [
            _compared(self._pgd(small), self._pgd(large), f"radius {small:.4g} against {large:.4g}")
            for small, large in itertools.pairwise(self.radii)
        ]

    def _one_step(self) -> list[_Case]:
        return [
            _compared(
                self.shown.fallen(attack="fgsm", radius=r, norm=self.norm),
                self._pgd(r),
                f"radius {r:.4g}: FGSM against {self.steps[-1]} steps",
            )
            for r in self.radii
        ]

    def _unbounded(self) -> list[_Case]:
        all_of_it = 1.0 if self.norm == "linf" else math.sqrt(self.shown.images[0].numel())
        stands = ~self._pgd(all_of_it)
        return [_Case(against=stands, detail=f"radius {all_of_it:.4g}: accuracy {stands.mean():.1%}")]

    def _restarts(self) -> list[_Case] | str:
        if not self.repeatable:
            return "the network draws random numbers, so that several tries are several draws of it: see randomness"
        return [
            _compared(self._pgd(r, restarts=_RESTARTS), self._pgd(r), f"radius {r:.4g}: {_RESTARTS} starts against 1")
            for r in self.radii
        ]

    def _loss(self) -> list[_Case]:
        return [
            _compared(self._pgd(r, loss="margin"), self._pgd(r), f"radius {r:.4g}: margin against cross-entropy")
            for r in self.radii
        ]

    def _transfer(self) -> list[_Case] | str:
        if self.source is None:
            return "no other network was given: pass `source`"
        cases = []
        for r in self.radii:
            spec = AttackSpec(attack="pgd", radius=r, steps=self.steps[-1], norm=self.norm, seed=self.shown.seed)
            carried = _fallen_to(self.shown, self.source, spec)
            cases.append(_compared(carried, self._pgd(r), f"radius {r:.4g}: transferred against own"))
        return cases

    def _gradients(self) -> list[_Case]:
        norms = gradient_norms(self.shown)[self.shown.clean.correct]
        gone = ~((norms > 0) & np.isfinite(norms))
        return [
            _Case(against=gone, detail=f"none at {gone.mean():.1%} of the images, median norm {np.median(norms):.2g}")
        ]

    def _surface(self) -> list[_Case]:
        wins = gradient_wins(self.shown, radius=self.radii[0], norm=self.norm, directions=_DIRECTIONS)
        wins = wins[self.shown.clean.correct]
        detail = (
            f"radius {self.radii[0]:.4g}: wins against {_DIRECTIONS} random directions at {wins.mean():.1%} of images"
        )
        return [_Case(against=~wins, allowed=wins, detail=detail)]

    def _randomness(self) -> list[_Case]:
        shown = self.shown
        if self.repeatable:
            nothing = np.zeros(len(shown.labels), dtype=bool)
            return [_Case(against=nothing, detail="the network gives the same logits twice")]
        cases = []
        for r in self.radii:
            averaged = ~shown.result(attack="pgd", radius=r, steps=self.steps[-1], norm=self.norm).correct
            detail = f"radius {r:.4g}: gradients averaged over {shown.draws} draws against single ones"
            cases.append(_compared(averaged, self._pgd(r), detail))
        return cases


def _compared(against: Bool[np.ndarray, " n"], allowed: Bool[np.ndarray, " n"], detail: str) -> _Case:
    shares = f"{against.mean():.1%} fall against {allowed.mean():.1%}"
    return _Case(against=against, allowed=allowed, detail=f"{detail}: {shares}")


def _fallen_to(shown: AttackedImages, source: PixelModel, spec: AttackSpec) -> Bool[np.ndarray, " N"]:
    """Which images the network gets wrong when they were made for another one."""
    made = run_attack(source, shown.images, shown.labels, spec, batch_size=shown.batch_size, keep=True)
    with seeded(shown.seed):
        found = predicted_classes(shown.model, made.perturbed, batch_size=shown.batch_size)
    # as in every attack, the image itself is one of those allowed
    return (found != shown.labels) | ~shown.clean.correct
