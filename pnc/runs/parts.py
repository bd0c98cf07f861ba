"""The verdict on a nonlinear network by parts: what was predicted or proved of it, and how well each of them held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import nn

from pnc.compare import UniversalChecks, Verdict
from pnc.curves import json_ready
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.measure import attribute_compression
from pnc.runs.epoch_zero import EpochZero, some_of_each_class
from pnc.runs.tail_law import hold_linear_tail
from pnc.train import Batches, Samples

__all__ = ["Part", "line_part", "parts_of"]

Outcome = Literal["held", "not held", "not tested"]

_SUM = 1e-12  # of log C, to which the attribution has to add up


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that theory says of a network.

    Args:
        name: initialisation, linear tail, inequalities, attribution, straight line.
        statement: of the theory note.
        outcome: held, not held, not tested.
        told: how well, or why not, in a sentence.
        details: the numbers, ready for JSON.
    """

    name: str
    statement: str
    outcome: Outcome
    told: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return json_ready({**vars(self), "details": dict(self.details)})


def parts_of(
    model: nn.Module, samples: Samples, *, before: EpochZero, universal: UniversalChecks, batch_size: int = 512
) -> list[Part]:
    """What holds of a trained network without a fitted constant: before training, at its linear end, at every layer.

    The tail and the attribution are looked at on up to 1,000 samples, the first of every class.

    Args:
        model: trained.
        samples: of the training split.
        before: the network before training.
        universal: U1–U4 at every layer.
        batch_size: samples at a time.

    >>> from pnc.runs.parts import Part
    >>> Part(name="straight line", statement="", outcome="not tested", told="two layers").to_dict()["outcome"]
    'not tested'
    """
    parameter = next(model.parameters())
    batches = some_of_each_class(samples).to(parameter.device).batches(batch_size, dtype=parameter.dtype)
    attributed, broken = _attribution(model, batches, classes=samples.classes)
    return [_before(before), _tail(model, batches), _inequalities(universal, broken), attributed]


def line_part(verdict: str, advice: str) -> Part:
    """Whether the curves are straight lines, which no theorem says of a nonlinear network; the last of the parts.

    Args:
        verdict: name of the verdict of `pnc.compare.follow`.
        advice: its sentence.

    >>> line_part("DEPARTS", "an alternative explains them better").outcome
    'not held'
    """
    outcomes: dict[str, Outcome] = {"FOLLOWS": "held", "DEPARTS": "not held"}
    return Part(
        name="straight line",
        statement="log C and D against the layer",
        outcome=outcomes.get(verdict, "not tested"),
        told=f"{verdict}: {advice}",
    )


def _before(before: EpochZero) -> Part:
    outcomes: dict[Verdict | None, Outcome] = {Verdict.AGREES: "held", Verdict.DISAGREES: "not held"}
    return Part(
        name="initialisation",
        statement="N1",
        outcome=outcomes.get(before.verdict, "not tested"),
        told=before.told if before.verdict is None else f"{before.verdict.name}: {before.told}",
    )


def _tail(model: nn.Module, batches: Batches) -> Part:
    try:
        law = hold_linear_tail(model, batches)
    except (NotApplicableError, InvalidInputError) as error:
        return Part(name="linear tail", statement="E1, T8", outcome="not tested", told=str(error))
    errors = np.abs(law.relative_error)
    worst = int(np.nanargmax(errors)) if np.isfinite(errors).any() else 0
    inside = "inside" if law.inside else "NOT inside"
    return Part(
        name="linear tail",
        statement="E1, T8",
        outcome="held" if law.inside else "not held",
        told=f"{len(law.names)} layers from {law.names[0]} on: C predicted to {errors[worst]:.2g} at worst (at "
        f"{law.names[worst]}) from the features that enter and the measured map; {inside} the certificate",
        details=law.to_dict(),
    )


def _inequalities(universal: UniversalChecks, broken: Sequence[str]) -> Part:
    violations = [*map(str, universal.violations), *broken]
    checked = sum(map(len, universal.checks.values()))
    return Part(
        name="inequalities",
        statement="U1-U5",
        outcome="not held" if violations else "held" if checked else "not tested",
        told="; ".join(violations) or f"{checked} inequalities that hold for every network, none violated",
    )


def _attribution(model: nn.Module, batches: Batches, *, classes: int) -> tuple[Part, tuple[str, ...]]:
    try:
        found = attribute_compression(model, batches, classes=classes)
    except InvalidInputError as error:
        return Part(name="attribution", statement="U5", outcome="not tested", told=str(error)), ()
    before, after = found.compression
    whole = float(np.log(after / before)) if before > 0 and after > 0 else float("nan")
    total = sum(effect.compression for effect in found.effects)
    if not np.isfinite(whole):
        told = f"C from {before:.4g} to {after:.4g}, which has no logarithm"
        return Part(name="attribution", statement="U5", outcome="not tested", told=told), found.violations
    shares = ", ".join(f"{kind} {share:+.3f}" for kind, share in found.by_kind().items())
    part = Part(
        name="attribution",
        statement="U5",
        outcome="held" if abs(total - whole) <= _SUM * max(1.0, abs(whole)) else "not held",
        told=f"log C from input to output {whole:+.3f}: {shares}",
        details=found.to_dict(),
    )
    return part, found.violations
