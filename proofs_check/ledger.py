"""What a proof is made of here: statements, their steps, the evidence for each step, and wrong variants.

A step is never believed: its `check` runs something and returns `Evidence`. Whatever is not shown true is `OPEN`;
what is shown false, by an exact instance or by a ball that excludes the claim, is `REFUTED`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

__all__ = [
    "Depth",
    "Evidence",
    "Kind",
    "Report",
    "Scope",
    "Statement",
    "StatementResult",
    "Status",
    "Step",
    "StepResult",
    "VariantResult",
    "WrongVariant",
    "both",
    "check_statement",
    "check_variants",
    "discharged",
    "refuted",
    "undecided",
]

Depth = Literal["quick", "standard", "deep"]


class Status(StrEnum):
    """What is known of a step; a statement is as good as its worst step."""

    DISCHARGED = "DISCHARGED"
    OPEN = "OPEN"
    REFUTED = "REFUTED"


class Kind(StrEnum):
    """How a step is discharged."""

    IDENTITY = "identity"
    INEQUALITY = "scalar inequality"
    CLASSICAL = "classical"
    BALL = "ball check"
    MEASURED = "measured"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What running a check showed.

    Args:
        status: DISCHARGED only if what was run proves the step.
        text: what was run and what came out, deterministic for a given seed and depth.
        slack: smallest (bound - value) / |bound| met, for inequalities; 0 is an equality.
    """

    status: Status
    text: str
    slack: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the step is discharged."""
        return self.status is Status.DISCHARGED


def discharged(text: str, *, slack: float | None = None) -> Evidence:
    """Evidence that proves a step.

    >>> discharged("both sides have one normal form").holds
    True
    """
    return Evidence(status=Status.DISCHARGED, text=text, slack=slack)


def undecided(text: str) -> Evidence:
    """Evidence that proves nothing: the step stays OPEN."""
    return Evidence(status=Status.OPEN, text=text)


def refuted(text: str) -> Evidence:
    """A counter-example."""
    return Evidence(status=Status.REFUTED, text=text)


def both(*parts: Evidence) -> Evidence:
    """All of several pieces of evidence: the worst status, the texts in order, the smallest slack.

    >>> both(discharged("a", slack=0.5), discharged("b", slack=0.1)).slack
    0.1
    >>> both(discharged("a"), undecided("b")).status.value
    'OPEN'
    """
    bad = [part for part in parts if part.status is Status.REFUTED]
    bad += [part for part in parts if part.status is Status.OPEN]
    slacks = [part.slack for part in parts if part.slack is not None]
    return Evidence(
        status=bad[0].status if bad else Status.DISCHARGED,
        text="; ".join(dict.fromkeys(part.text for part in (bad or parts))),
        slack=min(slacks) if slacks else None,
    )


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How hard to check, and the source of every random choice.

    >>> Scope(depth="quick").count(2, 10, 50)
    2
    >>> Scope(seed=1).rng("T5").random() == Scope(seed=1).rng("T5").random()
    True
    """

    depth: Depth = "standard"
    seed: int = 0

    def count(self, quick: int, standard: int, deep: int) -> int:
        """How many instances to try at this depth."""
        return {"quick": quick, "standard": standard, "deep": deep}[self.depth]

    def rng(self, purpose: str) -> random.Random:
        """A generator that depends on the seed and the purpose alone."""
        return random.Random(f"{self.seed}/{purpose}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a proof.

    Args:
        key: its number inside the statement, such as `"2a"`.
        kind: how it is discharged.
        claim: the mathematics.
        because: why it follows, in words.
        check: runs the evidence.
        references: BibTeX keys of the classical results used.
    """

    key: str
    kind: Kind
    claim: str
    because: str
    check: Callable[[Scope], Evidence]
    references: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WrongVariant:
    """A statement or step made wrong on purpose; the machinery has to refute it."""

    name: str
    claim: str
    check: Callable[[Scope], Evidence]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of the theory note with its proof.

    Args:
        number: `"T5"`.
        title: a few words.
        text: the statement, in full.
        assumptions: what it needs, by name.
        steps: the proof, in logical order.
        wrong_variants: at least three.
        rests_on: numbers of the statements that the proof uses.
        tightness: keys of the steps whose slack says how tight the statement itself is.
        remarks: corrections to the note, scope, what is not claimed.
    """

    number: str
    title: str
    text: str
    assumptions: tuple[str, ...]
    steps: tuple[Step, ...]
    wrong_variants: tuple[WrongVariant, ...]
    rests_on: tuple[str, ...] = ()
    tightness: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """A step after its check has run."""

    key: str
    kind: Kind
    claim: str
    because: str
    status: Status
    evidence: str
    slack: float | None
    seconds: float
    references: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StatementResult:
    """A statement after all of its steps have run."""

    number: str
    title: str
    text: str
    assumptions: tuple[str, ...]
    remarks: tuple[str, ...]
    rests_on: tuple[str, ...]
    tightness: tuple[str, ...]
    steps: tuple[StepResult, ...]

    @property
    def status(self) -> Status:
        """The worst status of the steps."""
        found = {step.status for step in self.steps}
        return next((s for s in (Status.REFUTED, Status.OPEN) if s in found), Status.DISCHARGED)

    @property
    def seconds(self) -> float:
        """Time of all checks."""
        return sum(step.seconds for step in self.steps)

    @property
    def slack(self) -> float | None:
        """Smallest relative slack met in the steps that check the statement itself; None for equalities."""
        found = [s.slack for s in self.steps if s.slack is not None and s.key in self.tightness]
        return min(found) if found else None

    @property
    def references(self) -> tuple[str, ...]:
        """BibTeX keys of its steps."""
        return tuple(dict.fromkeys(key for step in self.steps for key in step.references))


@dataclass(frozen=True, kw_only=True)
class VariantResult:
    """What the machinery made of a wrong variant; only REFUTED counts as rejected."""

    statement: str
    name: str
    claim: str
    status: Status
    evidence: str

    @property
    def rejected(self) -> bool:
        """Whether a counter-example was found."""
        return self.status is Status.REFUTED


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that one run of the ledger found."""

    statements: tuple[StatementResult, ...]
    depth: Depth
    seed: int
    seconds: float = field(compare=False)

    @property
    def status(self) -> Status:
        """The worst status of any statement."""
        found = {self.effective_status(item.number) for item in self.statements}
        return next((s for s in (Status.REFUTED, Status.OPEN) if s in found), Status.DISCHARGED)

    def effective_status(self, number: str) -> Status:
        """A statement's own status, made OPEN if one that its proof rests on was run and is not discharged."""
        known = {item.number: item for item in self.statements}
        own = known[number].status
        if own is not Status.DISCHARGED:
            return own
        below = [self.effective_status(name) for name in known[number].rests_on if name in known]
        return Status.DISCHARGED if all(s is Status.DISCHARGED for s in below) else Status.OPEN

    @property
    def open_steps(self) -> tuple[str, ...]:
        """Every step that is not discharged, as `T8 step 3`."""
        return tuple(
            f"{item.number} step {step.key}"
            for item in self.statements
            for step in item.steps
            if step.status is not Status.DISCHARGED
        )

    @property
    def steps(self) -> int:
        """Number of steps run."""
        return sum(len(item.steps) for item in self.statements)

    def to_dict(self) -> dict[str, Any]:
        """Plain data with sorted meaning: what `pnc verify --json` prints."""
        return {
            "depth": self.depth,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "status": self.status.value,
            "open_steps": list(self.open_steps),
            "statements": [
                {
                    "number": item.number,
                    "title": item.title,
                    "text": item.text,
                    "assumptions": list(item.assumptions),
                    "remarks": list(item.remarks),
                    "rests_on": list(item.rests_on),
                    "status": self.effective_status(item.number).value,
                    "slack": item.slack,
                    "seconds": round(item.seconds, 3),
                    "steps": [
                        {
                            "key": step.key,
                            "kind": step.kind.value,
                            "claim": step.claim,
                            "because": step.because,
                            "status": step.status.value,
                            "evidence": step.evidence,
                            "slack": step.slack,
                            "seconds": round(step.seconds, 3),
                            "references": list(step.references),
                        }
                        for step in item.steps
                    ],
                }
                for item in self.statements
            ],
        }


def check_statement(
    statement: Statement, scope: Scope, progress: Callable[[str], None] | None = None
) -> StatementResult:
    """Runs every step; a check that fails to run leaves its step OPEN, with the reason."""
    results = []
    for step in statement.steps:
        start = time.perf_counter()
        evidence = _run(step.check, scope)
        results.append(
            StepResult(
                key=step.key,
                kind=step.kind,
                claim=step.claim,
                because=step.because,
                status=evidence.status,
                evidence=evidence.text,
                slack=evidence.slack,
                seconds=time.perf_counter() - start,
                references=step.references,
            )
        )
        if progress is not None:
            progress(f"{statement.number} step {step.key}: {evidence.status.value}")
    return StatementResult(
        number=statement.number,
        title=statement.title,
        text=statement.text,
        assumptions=statement.assumptions,
        remarks=statement.remarks,
        rests_on=statement.rests_on,
        tightness=statement.tightness,
        steps=tuple(results),
    )


def check_variants(statement: Statement, scope: Scope) -> tuple[VariantResult, ...]:
    """Runs every wrong variant of a statement through the machinery that is to refute it."""
    results = []
    for variant in statement.wrong_variants:
        evidence = _run(variant.check, scope)
        results.append(
            VariantResult(
                statement=statement.number,
                name=variant.name,
                claim=variant.claim,
                status=evidence.status,
                evidence=evidence.text,
            )
        )
    return tuple(results)


def _run(check: Callable[[Scope], Evidence], scope: Scope) -> Evidence:
    try:
        return check(scope)
    except Exception as error:  # a proof step that cannot be run is not a proof
        return undecided(f"the check did not run: {type(error).__name__}: {error}")
