"""U1–U4 at every layer: they hold for the features of every network, so a violation is a bug."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pnc.compare.noted import noted_numbers, noted_pairs, noted_stable_ranks, noted_words
from pnc.curves import LayerCurve, json_ready
from pnc.theory import nearest_centre_error_bound, stable_rank_bound, variance_share_bound

__all__ = ["BoundCheck", "UniversalChecks", "check_universal"]

_UNIT = float(np.finfo(np.float64).eps)
_SINGLE = 1e-6
"""Of tr Σ_W and, relative to √tr Σ_W, of the class means: their error where features are narrower than float64."""


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

    Raises:
        InvalidInputError: a provenance that no measurement has written.

    >>> curve = LayerCurve(layers=[1], compression=[0.5], discrimination=[1.0], within_scatter=[0.5],
    ...                    between_scatter=[1.0], provenance={"classes": 3, "samples": 30, "dimensions": [4],
    ...                    "ranks": [{"centred": {"stable_rank": 3.5}}], "leading_variance": [[0.7, 0.7]]})
    >>> check_universal(curve).violations
    ('U2 fails at layer 1: 3.5 against the bound 3',)
    """
    known = curve.provenance
    layers = curve.layers.tolist()
    classes, samples = known.get("classes"), known.get("samples")
    checks: dict[str, list[BoundCheck]] = {name: [] for name in ("U1", "U2", "U3", "U3 from C and D", "U4")}
    if not (isinstance(classes, int) and isinstance(samples, int)):
        return UniversalChecks(checks={}, not_computed=dict.fromkeys(checks, "the curve was not measured on features"))

    def add(name: str, i: int, value: float, bound: float, slack: float) -> None:
        checks[name].append(BoundCheck(layer=layers[i], value=value, bound=bound, slack=slack))

    coarse = [0.0 if kind in (None, "float64") else _SINGLE for kind in noted_words(curve, "dtype")]
    spectra = noted_pairs(curve, "leading_variance"), noted_stable_ranks(curve), noted_numbers(curve, "dimensions")
    for i, (leading, least, dimension) in enumerate(zip(*spectra, strict=True)):
        C = float(curve.compression[i])
        γ = (samples + (dimension or 0)) * _UNIT
        if not math.isfinite(C):
            continue
        lost = 3 * coarse[i] * (1 + math.sqrt(C)) * C / (1 + C)  # of 1 + C, relative
        if leading is not None:
            bound = float(variance_share_bound(C))
            add("U1", i, leading[1], bound, leading[1] - bound * (1 - lost) + 4 * γ)
        if least is not None:
            bound = float(stable_rank_bound(C, classes))
            add("U2", i, least, bound, bound * (1 + 4 * γ + lost) - least)

    geometry = (
        "smallest_separation", "projected_separation", "smallest_mean_square", "mean_square", "largest_mean_square",
        "nearest_centre_accuracy", "projected_centre_accuracy", "dimensions",
    )  # fmt: skip
    for i, row in enumerate(zip(*(noted_numbers(curve, name) for name in geometry), strict=True)):
        separation, bracket, smallest, mean, largest, centre, projected, dimension = row
        if separation is None or largest is None or min(separation, largest) < 0:
            continue
        γ = (samples + (dimension or 0)) * _UNIT
        η = coarse[i]
        within = float(curve.within_scatter[i]) * (1 + γ + η)
        shaken = γ * math.sqrt(largest) + 2 * η * math.sqrt(within)  # of a distance of two means
        lost = 2 * shaken * math.sqrt(separation) + shaken**2
        if centre is not None:
            near = max(math.sqrt(separation) - shaken, 0.0)
            bound = nearest_centre_error_bound(within, np.array([[0.0], [near]]))
            if bound < 1:
                add("U3", i, 1 - centre, bound, bound - (1 - centre) + _UNIT)
            C, D = float(curve.compression[i]), float(curve.discrimination[i])
            if D > 0 and smallest:  # the same in terms of C, D and the norms; D as far below as rounding may have it
                γ += 3 * η * (1 + math.sqrt(C))
                low = D - 4 * γ * largest / smallest
                bound = 2 * C / low * mean / smallest * (1 + 4 * γ) if low > 0 else math.inf
                if bound < 1:
                    add("U3 from C and D", i, 1 - centre, bound, bound - (1 - centre) + _UNIT)
        if projected is not None and bracket is not None:
            left = bracket - lost - 8 * γ * samples * within  # 1/p_k + 1/p_k' is at most 2N
            bound = 4 * within / left if left > 0 else math.inf
            if bound < 1:
                add("U4", i, 1 - projected, bound, bound - (1 - projected) + _UNIT)

    silent = "the bound is 1 or more at every layer"
    missing = {
        "U1": "no spectra were measured" if "leading_variance" not in known else "C is undefined",
        "U2": "no spectra were measured" if "ranks" not in known else "C is undefined",
        "U3": "no probes were measured" if "nearest_centre_accuracy" not in known else silent,
        "U4": "no probes with exact spectra were measured" if "projected_centre_accuracy" not in known else silent,
    }
    missing["U3 from C and D"] = missing["U3"]
    return UniversalChecks(
        checks={name: tuple(found) for name, found in checks.items() if found},
        not_computed={name: missing[name] for name, found in checks.items() if not found},
    )
