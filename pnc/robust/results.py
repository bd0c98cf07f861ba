"""`AttackResult` and its kin: what became of every sample, and the accuracy that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pnc.curves import json_ready
from pnc.robust.attacks.spec import AttackSpec
from pnc.statistics import share_interval

__all__ = ["Accuracy", "AttackResult", "NoiseResult"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Accuracy:
    """Which samples are classified correctly.

    Args:
        correct: (N,) sample by sample.

    >>> result = Accuracy(correct=np.array([True, True, False, True]))
    >>> result.accuracy, [round(end, 3) for end in result.interval()]
    (0.75, [0.194, 0.994])
    """

    correct: Bool[np.ndarray, " N"]

    @property
    def samples(self) -> int:
        """N."""
        return len(self.correct)

    @property
    def accuracy(self) -> float:
        """Share of correct samples."""
        return float(self.correct.mean())

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Of the accuracy, Clopper–Pearson."""
        return share_interval(int(self.correct.sum()), self.samples, confidence=confidence)

    def to_dict(self) -> dict[str, Any]:
        """The accuracy with its 95 % interval; the samples stay behind."""
        return {"accuracy": self.accuracy, "interval": list(self.interval()), "samples": self.samples}


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackResult(Accuracy):
    """What an attack did to every sample.

    Args:
        spec: the attack.
        correct: (N,) whether a sample is given its own label, as it is and after every try.
        success: (N,) whether the attack reached its aim: another class than the label, or the target.
        distance: (N,) ‖x' - x‖ in the norm of the attack; 0 for what was at the aim from the start.
        targets: (N,) of a targeted attack.
        draws: of a random network, that the attack's gradients were averaged over; 1 of others.
        perturbed: (N, …) the images x' of the last try, where they were asked for.
    """

    spec: AttackSpec
    success: Bool[np.ndarray, " N"]
    distance: Float[np.ndarray, " N"]
    targets: Int[np.ndarray, " N"] | None = None
    draws: int = 1
    perturbed: Float[np.ndarray, "N ..."] | None = None

    @property
    def success_rate(self) -> float:
        """Share of samples for which the attack reached its aim."""
        return float(self.success.mean())

    def to_dict(self) -> dict[str, Any]:
        """The attack, accuracy under it, and its success; the samples stay behind."""
        return json_ready(
            {
                **self.spec.to_dict(),
                **super().to_dict(),
                "success_rate": self.success_rate,
                "draws": self.draws,
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseResult(Accuracy):
    """What random pixels did to every sample.

    Args:
        probability: with which each pixel was replaced.
        correct: (N,) whether a sample is still given its own label.
    """

    probability: float

    def to_dict(self) -> dict[str, Any]:
        return {"probability": self.probability, **super().to_dict()}
