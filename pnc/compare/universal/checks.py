"""U1–U4 at every layer: they hold for the features of every network, so a violation is a bug."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

import numpy as np

from pnc.compare.universal.variance_floors import layer_floors, rounding_of_moments, rounding_of_sums
from pnc.curves import LayerCurve, json_ready
from pnc.theory import nearest_centre_error_bound

__all__ = ["BoundCheck", "UniversalChecks", "check_universal"]

_UNIT = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True)
class BoundCheck:
    """One inequality at one layer.

    Args:
        layer: l.
        value: what was measured: where only an interval is known, the end that is on the safe side of the inequality.
        bound: what it may be at least (U1) or at most (U2–U4).
        slack: by how far it is kept, in units of the quantity, rounding allowed for; below 0: violated.
    """

    layer: int
    value: float
    bound: float
    slack: float


@dataclass(frozen=True, kw_only=True)
class UniversalChecks:
    """What U1–U4 say of a measured curve.

    Args:
        checks: `U1`, `U2`, `U3`, `U3 from C and D`, `U4` → one check for each layer where the inequality says
            something and both of its sides were measured.
        not_computed: statement → why it was checked at no layer.
    """

    checks: Mapping[str, tuple[BoundCheck, ...]]
    not_computed: Mapping[str, str]

    @property
    def violations(self) -> tuple[str, ...]:
        """One line each; empty where all hold, as they must."""
        return tuple(
            f"{name} fails at layer {check.layer}: {check.value:.6g} against the bound {check.bound:.6g}"
            for name, checks in self.checks.items()
            for check in checks
            if check.slack < 0
        )

    def to_dict(self) -> dict[str, Any]:
        return json_ready(
            {
                "checks": {name: [asdict(check) for check in checks] for name, checks in self.checks.items()},
                "not_computed": dict(self.not_computed),
                "violations": list(self.violations),
            }
        )


def check_universal(curve: LayerCurve) -> UniversalChecks:
    """Hold every layer to the inequalities that are true of any features (theory note, section 4).

    U1: the top K-1 principal components hold at least 1/(1+C) of the variance. U2: the stable rank of centred features
    is at most (1+C)(K-1). U3: the error of the nearest class centre is at most 4 tr Σ_W/Δ², and at most
    2 (C/D) Σ_k p_k ‖μ_k‖²/min_k ‖μ_k‖². U4: after projection to the top K-1 components it is at most 4 tr Σ_W over the
    smallest [‖μ_k-μ_k'‖² - tr Σ_W (1/p_k+1/p_k')]. Bounds of 1 and more on an error say nothing and are left out.

    A sketched spectrum gives bounds: U1 is violated where even the largest share that it allows is too small, U2 where
    even the smallest stable rank is too large. Rounding: sums over N samples of d entries in float64 are off by
    γ = (N + d) u at most, singular values by γ σ_1, and a distance of means by γ max_k ‖μ_k‖. Of features narrower than
    float64 the sums are taken in float32 (`RunningMoments`): tr Σ_W is then off by a relative η = 1e-6, a class mean by
    η √tr Σ_W, and so C by a relative τ = 3η (1 + √C).

    Args:
        curve: of `measure_model`, with `probes` for U3 and `spectra` for U1 and U2, both for U4.

    >>> from pnc.curves import LayerNotes, LayerRanks, Origin, Ranks
    >>> ranks = Ranks.from_dict({"stable_rank": 3.5})
    >>> note = LayerNotes(dimension=4, leading_variance=(0.7, 0.7), ranks=LayerRanks(uncentred=ranks, centred=ranks))
    >>> curve = LayerCurve(layers=[1], compression=[0.5], discrimination=[1.0], within_scatter=[0.5],
    ...                    between_scatter=[1.0], notes=[note], origin=Origin(classes=3, samples=30))
    >>> check_universal(curve).violations
    ('U2 fails at layer 1: 3.5 against the bound 3',)
    """
    checks: dict[str, list[BoundCheck]] = {name: [] for name in ("U1", "U2", "U3", "U3 from C and D", "U4")}
    samples = curve.origin.samples
    if curve.origin.classes is None or samples is None:
        return UniversalChecks(checks={}, not_computed=dict.fromkeys(checks, "the curve was not measured on features"))
    for floor in layer_floors(curve):
        if floor is not None:
            at, share, rank = floor.layer, floor.share[1], floor.stable_rank[0]
            checks["U1"].append(BoundCheck(layer=at, value=share, bound=floor.share_floor, slack=floor.share_margin))
            checks["U2"].append(
                BoundCheck(layer=at, value=rank, bound=floor.stable_rank_ceiling, slack=floor.stable_rank_margin)
            )

    for i, note in enumerate(curve.notes):
        separation, largest = note.smallest_separation, note.largest_mean_square
        if separation is None or largest is None or not min(separation, largest) >= 0:
            continue

        def add(name: str, accuracy: float, bound: float, layer: int = int(curve.layers[i])) -> None:
            if bound < 1:
                slack = bound - (1 - accuracy) + _UNIT
                checks[name].append(BoundCheck(layer=layer, value=1 - accuracy, bound=bound, slack=slack))

        γ, η = rounding_of_sums(curve, note), rounding_of_moments(note)
        within = float(curve.within_scatter[i]) * (1 + γ + η)
        shaken = γ * math.sqrt(largest) + 2 * η * math.sqrt(within)  # of a distance of two means
        lost = 2 * shaken * math.sqrt(separation) + shaken**2
        if _known(centre := note.nearest_centre_accuracy):
            near = max(math.sqrt(separation) - shaken, 0.0)
            add("U3", centre, nearest_centre_error_bound(within, np.array([[0.0], [near]])))
            C, D = float(curve.compression[i]), float(curve.discrimination[i])
            mean, smallest = note.mean_square, note.smallest_mean_square
            if D > 0 and smallest and mean:  # the same in terms of C, D, norms; D as far below as rounding may have it
                γ += 3 * η * (1 + math.sqrt(C))
                low = D - 4 * γ * largest / smallest
                add("U3 from C and D", centre, 2 * C / low * mean / smallest * (1 + 4 * γ) if low > 0 else math.inf)
        if _known(projected := note.projected_centre_accuracy) and _known(bracket := note.projected_separation):
            left = bracket - lost - 8 * γ * samples * within  # 1/p_k + 1/p_k' is at most 2N
            add("U4", projected, 4 * within / left if left > 0 else math.inf)

    silent = "the bound is 1 or more at every layer"
    spectra = any(note.leading_variance is not None for note in curve.notes)
    probed, projected = (
        any(_known(getattr(note, name)) for note in curve.notes)
        for name in ("nearest_centre_accuracy", "projected_centre_accuracy")
    )
    missing = {
        **dict.fromkeys(("U1", "U2"), "C is undefined" if spectra else "no spectra were measured"),
        "U3": silent if probed else "no probes were measured",
        "U4": silent if projected else "no probes with exact spectra were measured",
    }
    missing["U3 from C and D"] = missing["U3"]
    return UniversalChecks(
        checks={name: tuple(found) for name, found in checks.items() if found},
        not_computed={name: missing[name] for name, found in checks.items() if not found},
    )


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and not math.isnan(value)
