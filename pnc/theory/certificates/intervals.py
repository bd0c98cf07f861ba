"""T8: intervals for C_l and D_l that given real, imperfect weights are guaranteed to obey.

The idea (theory note, T8; full statement and proof in `docs/certificate.md`). Split the inputs' span into the
K directions that the hidden layers amplify most, the *signal*, and a few groups of the remaining, *residual*
directions. Carry the nested residual subspaces through the weights, `F_l = W_l F_{l-1}`. In orthonormal bases
adapted to these flags every weight matrix is block-triangular: residual directions never leak into the
signal, the signal may leak into the residual. So each layer is summarised by a K x K signal block, the
smallest and largest gain of each residual group, and what the signal leaks into each group. From that, and
from the masses of the data in the groups at layer 0, both traces and every cosine of the class means are
enclosed at every hidden layer.

The summary never holds a residual direction, a residual direction's own gain, or a feature of any hidden
layer. Without couplings, some weights with the same summary reach either end of the interval.

Every number is widened by a computed bound on rounding, so that the enclosure holds for the exact C_l, D_l of
the given float64 weights and, unless asked otherwise, for what a float64 evaluation of the features measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pnc.curves import json_ready
from pnc.errors import InvalidInputError
from pnc.theory.certificates.moments import InputMoments
from pnc.theory.certificates.rounding import UNIT_ROUNDOFF, gamma
from pnc.theory.certificates.summary import WeightSummary, summarise_weights

__all__ = ["Certificate", "certificate", "certify"]

#: what can make an interval wide, and the words used for it in `Certificate.dominant_term`
DOMINANT_TERMS = {
    ("gain", "within"): "spread of the residual gains on the within-class scatter",
    ("gain", "between"): "spread of the residual gains on the class means",
    ("coupling", "within"): "coupling into residual directions on the within-class scatter",
    ("coupling", "between"): "coupling into residual directions on the class means",
    ("rounding", "within"): "rounding on the within-class scatter",
    ("rounding", "between"): "rounding on the class means",
}


@dataclass(frozen=True)
class Certificate:
    """Guaranteed intervals for layers 0 ... L-1, and what makes each of them wide.

    `compression_*` and `discrimination_*` are dimensionless; `within_*` and `between_*` enclose `tr Σ_W` and
    `tr Σ_B` (squared feature norm). An upper end is infinite where `tr Σ_B` cannot be kept away from 0.
    """

    layers: Int[np.ndarray, " L"]
    compression_lower: Float[np.ndarray, " L"]
    compression_upper: Float[np.ndarray, " L"]
    discrimination_lower: Float[np.ndarray, " L"]
    discrimination_upper: Float[np.ndarray, " L"]
    within_lower: Float[np.ndarray, " L"]
    within_upper: Float[np.ndarray, " L"]
    between_lower: Float[np.ndarray, " L"]
    between_upper: Float[np.ndarray, " L"]
    dominant_term: tuple[str, ...]

    @property
    def compression_half_width(self) -> Float[np.ndarray, " L"]:
        """Half of the interval for C_l, divided by its middle: 0 is exact, 1 says nothing."""
        return _relative_half_width(self.compression_lower, self.compression_upper)

    def to_dict(self) -> dict[str, Any]:
        """`lower` and `upper` lists by quantity; an infinite end is `None`."""
        intervals = {
            name: {"lower": getattr(self, f"{short}_lower"), "upper": getattr(self, f"{short}_upper")}
            for name, short in _QUANTITIES.items()
        }
        return json_ready({"layers": self.layers, **intervals, "dominant_term": self.dominant_term})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Certificate:
        """The inverse of `to_dict`.

        Raises:
            InvalidInputError: a field is missing or is not a list of numbers.
        """

        def ends(values: Sequence[float | None], missing: float) -> np.ndarray:
            return np.array([missing if value is None else value for value in values], dtype=np.float64)

        try:
            intervals = {
                f"{short}_{end}": ends(data[name][end], -np.inf if end == "lower" else np.inf)
                for name, short in _QUANTITIES.items()
                for end in ("lower", "upper")
            }
            layers, terms = np.array(data["layers"], dtype=np.int64), tuple(data["dominant_term"])
            if any(len(values) != layers.size for values in (terms, *intervals.values())):
                raise ValueError("lists of different lengths")
            return cls(layers=layers, dominant_term=terms, **intervals)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(
                got=f"a certificate that cannot be read ({type(error).__name__}: {error})",
                expected="the field that `pnc simulate --json` writes",
                next_step="write it again, or remove the field",
            ) from error


_QUANTITIES = {
    "compression": "compression",
    "discrimination": "discrimination",
    "within_scatter": "within",
    "between_scatter": "between",
}


def _relative_half_width(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """(upper - lower) / (upper + lower), 1 where the upper end is infinite, 0 where both ends are 0."""
    total = np.where(np.isfinite(upper), upper + lower, 1.0)
    difference = np.where(np.isfinite(upper), upper - lower, 1.0)
    return np.divide(difference, total, out=np.zeros_like(total), where=total > 0)


def certificate(
    summary: WeightSummary, *, evaluation_roundoff: float = UNIT_ROUNDOFF, explain: bool = True
) -> Certificate:
    """Intervals that contain C_l and D_l of the summarised weights at layers 0 ... L-1 (theory note, T8).

    For a factor with signal part s, residual norms m_i and gains in `[α_i, β_i]` (products over the layers),

        ‖S_{l:1} s‖² + Σ_i max(0, α_i m_i - π_i)²  <=  ‖W_{l:1} x‖²  <=  ‖S_{l:1} s‖² + Σ_i (β_i m_i + π_i)²

    where π_i collects what signal and larger groups leak into group i; `docs/certificate.md` proves it.

    Args:
        summary: from `summarise_weights`.
        evaluation_roundoff: unit roundoff of the arithmetic in which the features are evaluated, layer after
            layer; class moments are taken in float64. The default, 2⁻⁵³, covers what float64 features give;
            2⁻²⁴ is float32. 0 gives intervals for the exact C_l, D_l of the given numbers.
        explain: whether to find the dominant terms, which takes a dozen times as long as the intervals.

    Returns:
        Intervals and the dominant term for each layer, an empty one where none was looked for.

    Raises:
        InvalidInputError: a roundoff outside [0, 1).

    >>> X, y = np.eye(4), np.array([0, 0, 1, 1])
    >>> weights = [np.diag([2.0, 2.0, 2.0, 2.0]), np.ones((2, 4))]
    >>> result = certify(weights, X, y)
    >>> bool(result.compression_lower[1] <= 2.0 <= result.compression_upper[1])
    True
    """
    if not 0.0 <= evaluation_roundoff < 1.0:
        raise InvalidInputError(
            got=f"evaluation_roundoff = {evaluation_roundoff}",
            expected="a number in [0, 1)",
            next_step="use 2**-53 for float64, 2**-24 for float32, 0 for exact features",
        )
    if explain:
        return _with_dominant_terms(summary, evaluation_roundoff)
    return Certificate(
        layers=np.arange(summary.depth),
        dominant_term=("",) * summary.depth,
        **_intervals(summary, evaluation_roundoff),
    )


def certify(
    weights: Sequence[np.ndarray],
    X: Float[np.ndarray, "N d"],
    y: Int[np.ndarray, " N"],
    *,
    residual_groups: int = 2,
    evaluation_roundoff: float = UNIT_ROUNDOFF,
    explain: bool = True,
) -> Certificate:
    """Certificate (T8) straight from weights and labelled samples; see `summarise_weights` and `certificate`.

    Raises:
        InvalidInputError: as its two parts do.

    >>> rng = np.random.default_rng(1)
    >>> X, y = rng.standard_normal((8, 5)), np.arange(8) % 2
    >>> result = certify([np.eye(5), np.eye(5), np.ones((2, 5))], X, y)
    >>> bool(np.all(result.compression_lower <= result.compression_upper)), result.layers.tolist()
    (True, [0, 1, 2])
    """
    summary = summarise_weights(weights, InputMoments.from_samples(X, y), residual_groups=residual_groups)
    return certificate(summary, evaluation_roundoff=evaluation_roundoff, explain=explain)


@dataclass(frozen=True)
class _Enclosure:
    """What is known at one layer of a factor whose columns are carried by the weights.

    Norms are of all columns together (shape (1,)) or of each column (shape (K,)).
    """

    signal: np.ndarray  # (k_l, columns), S_{l:1} s up to rounding
    signal_norm: np.ndarray
    lower: np.ndarray  # (g, ...) product of the smallest gains
    upper: np.ndarray  # (g, ...) product of the largest gains
    mass: np.ndarray  # (g, ...) residual norms at layer 0
    leaked: np.ndarray  # (g, ...) π_i
    rounding: np.ndarray  # norm of what the bases miss

    @property
    def residual_upper(self) -> np.ndarray:
        return self.upper * self.mass + self.leaked

    def squared_norms(self, extra: np.ndarray | float, slack: float) -> tuple[np.ndarray, np.ndarray]:
        """Enclosure of the squared norm of the features, `extra` being an additional absolute error."""
        high = np.sqrt(self.signal_norm**2 + np.sum(self.residual_upper**2, axis=0))
        inside = np.maximum(0.0, self.lower * self.mass * (1 - slack) - self.leaked * (1 + slack))
        low = np.sqrt(self.signal_norm**2 + np.sum(inside**2, axis=0))
        error = (self.rounding + extra) * (1 + slack)
        low = np.maximum(0.0, low * (1 - slack) - error)
        return low**2 * (1 - slack), (high * (1 + slack) + error) ** 2 * (1 + slack)


def _carry(
    summary: WeightSummary,
    signal: np.ndarray,
    mass: np.ndarray,
    outside: np.ndarray,
    *,
    together: bool,
    omit: frozenset[str],
) -> list[_Enclosure]:
    """Propagate a factor through the layers: recursions (2), (3) and (8) of docs/certificate.md."""

    def norm(matrix: np.ndarray) -> np.ndarray:
        columns = np.linalg.norm(matrix, axis=0)
        return np.array([np.linalg.norm(columns)]) if together else columns

    slack = _slack(summary, omit)
    lower = np.ones_like(mass)
    upper = np.ones_like(mass)
    leaked = np.zeros_like(mass)
    rounding = np.zeros_like(outside) if "rounding" in omit else outside
    layers = [_Enclosure(signal, norm(signal), lower, upper, mass, leaked, rounding)]
    for l, s in enumerate(summary.signal_maps):
        now = layers[-1]
        low, high = summary.gain_lower[l][:, None], summary.gain_upper[l][:, None]
        if "gain" in omit:
            low = high = (low + high) / 2
        sources = np.vstack([now.signal_norm, now.residual_upper])
        if "coupling" not in omit:
            leaked = (high * now.leaked + summary.couplings[l] @ sources) * (1 + slack)
        signal = s @ now.signal
        if "rounding" not in omit:
            product_error = gamma(s.shape[1] + 2) * norm(np.abs(s) @ np.abs(now.signal))
            rounding = (summary.weight_norms[l] * now.rounding + summary.leaks[l] @ sources + product_error) * (
                1 + slack
            )
        # products of gains are rounded outwards by the slack where they are used
        layers.append(_Enclosure(signal, norm(signal), now.lower * low, now.upper * high, mass, leaked, rounding))
    return layers


def _slack(summary: WeightSummary, omit: frozenset[str]) -> float:
    """Relative allowance for the scalar arithmetic: operation count times unit roundoff."""
    if "rounding" in omit:
        return 0.0
    groups, classes = len(summary.group_sizes), summary.class_counts.size
    return gamma(8 * summary.depth * (groups + 2) ** 2 * (classes + 4) ** 2) + summary.norm_error


def _intervals(
    summary: WeightSummary, evaluation_roundoff: float, omit: frozenset[tuple[str, str]] = frozenset()
) -> dict[str, np.ndarray]:
    """The intervals; `omit` leaves terms out of the bound, for reports and for tests of its power."""
    omit_within = frozenset(term for term, part in omit if part == "within")
    omit_between = frozenset(term for term, part in omit if part == "between")
    counts = summary.class_counts
    samples = int(counts.sum())
    slack = _slack(summary, omit_within & omit_between)

    within = _carry(
        summary, summary.within_signal, summary.within_residual[:, None], np.array([summary.within_outside]),
        together=True, omit=omit_within,
    )  # fmt: skip
    groups = len(summary.means_residual)
    mean_mass = np.array([np.linalg.norm(f, axis=0) for f in summary.means_residual]).reshape(groups, counts.size)
    means = _carry(summary, summary.means_signal, mean_mass, summary.means_outside, together=False, omit=omit_between)
    # rows √n_k (μ_k - μ): the factor whose squared norm is N tr Σ_B; centring is a contraction for these
    # weights
    root = np.sqrt(counts)
    centre = lambda a: (a - (a @ (counts / samples))[:, None]) * root  # noqa: E731
    centred_mass = np.array([np.linalg.norm(centre(f)) for f in summary.means_residual]).reshape(groups, 1)
    # centring in floating point is wrong by a few roundings of the uncentred columns
    weighted = [summary.means_signal * root, *(f * root for f in summary.means_residual)]
    centring_error = 4 * gamma(counts.size + 8) * np.sqrt(sum(np.sum(f**2) for f in weighted))
    between_outside = np.array([np.sqrt(np.sum(counts * summary.means_outside**2)) + centring_error])
    between = _carry(
        summary, centre(summary.means_signal), centred_mass, between_outside, together=True, omit=omit_between
    )
    grams = [f.T @ f for f in summary.means_residual]

    rows: dict[str, list[float]] = {name: [] for name in _FIELDS}
    evaluation = 0.0
    for l in range(summary.depth):
        high = _feature_norm(within[l], means[l], counts, slack)
        extra_within = extra_between = extra_mean = sums = cosines = 0.0
        if evaluation_roundoff > 0:
            # means over at most N samples, then sums of N d_l squares and inner products of d_l terms, in
            # float64
            extra = evaluation + (evaluation + high) * 2 * gamma(samples + 8)
            extra_within = 0.0 if "rounding" in omit_within else extra
            extra_between = 0.0 if "rounding" in omit_between else extra
            extra_mean = extra_between / np.sqrt(counts)
            if "rounding" not in omit_within & omit_between:
                sums, cosines = 2 * gamma(samples * summary.widths[l] + 8), 4 * gamma(summary.widths[l] + 8)
        w_low, w_high = (float(v[0]) / samples for v in within[l].squared_norms(extra_within, slack + sums))
        b_low, b_high = (float(v[0]) / samples for v in between[l].squared_norms(extra_between, slack + sums))
        cos_low, cos_high = _largest_cosine(means[l], grams, extra_mean, slack)
        rows["within_lower"].append(w_low)
        rows["within_upper"].append(w_high)
        rows["between_lower"].append(b_low)
        rows["between_upper"].append(b_high)
        rows["compression_lower"].append(w_low / b_high * (1 - slack) if b_high > 0 else 0.0)
        rows["compression_upper"].append(w_high / b_low * (1 + slack) if b_low > 0 else np.inf)
        rows["discrimination_lower"].append(1.0 - cos_high - slack - cosines)
        rows["discrimination_upper"].append(1.0 - cos_low + slack + cosines)
        if l < summary.depth - 1:
            # evaluating one more layer: the error so far is carried by W, a new one of γ |W||Z| is added
            product = summary.weight_frobenius_norms[l] * (high + evaluation)
            fresh = gamma(summary.widths[l] + 2, evaluation_roundoff) * product
            evaluation = (summary.weight_norms[l] * evaluation + fresh) * (1 + slack)
    return {name: np.array(values) for name, values in rows.items()}


_FIELDS = (
    "compression_lower", "compression_upper", "discrimination_lower", "discrimination_upper",
    "within_lower", "within_upper", "between_lower", "between_upper",
)  # fmt: skip


def _feature_norm(within: _Enclosure, means: _Enclosure, counts: np.ndarray, slack: float) -> float:
    """Upper bound on ‖Z_l‖_F: within-class part and class means are orthogonal."""
    high_within = within.squared_norms(0.0, slack)[1][0]
    high_means = means.squared_norms(0.0, slack)[1]
    return float(np.sqrt(high_within + np.sum(counts * high_means)) * (1 + slack))


def _largest_cosine(
    means: _Enclosure, grams: list[np.ndarray], extra: np.ndarray | float, slack: float
) -> tuple[float, float]:
    """Enclosure of the largest cosine between two class means: (6)-(7) of docs/certificate.md."""
    signal_gram = means.signal.T @ means.signal
    low, high = means.squared_norms(extra, slack)
    scale = np.sqrt(high)
    total = means.rounding + extra
    # (βᵀβ + α²)/2 times the Gram matrix at layer 0, give or take (β² - α²)/2 times the product of the norms
    middle = signal_gram
    radius = np.zeros_like(signal_gram)
    for i, gram in enumerate(grams):
        bottom, top = means.lower[i], means.upper[i]  # the same for every class
        middle = middle + gram * (top**2 + bottom**2) / 2
        radius += np.outer(means.mass[i], means.mass[i]) * (top**2 - bottom**2) / 2
        straight = top * means.mass[i]
        leaked = means.leaked[i]
        radius += np.outer(straight, leaked) + np.outer(leaked, straight) + np.outer(leaked, leaked)
    radius = radius * (1 + slack) + np.outer(scale, total) + np.outer(total, scale) + np.outer(total, total)
    radius += slack * np.outer(scale, scale)
    pairs = ~np.eye(scale.size, dtype=bool)
    upper = _cosine_bound(middle + radius, low, high, 1.0)[pairs]
    lower = -_cosine_bound(radius - middle, low, high, 1.0)[pairs]
    return float(lower.max()), float(upper.max())


def _cosine_bound(inner: np.ndarray, low: np.ndarray, high: np.ndarray, cap: float) -> np.ndarray:
    """Largest value of inner / (‖a‖ ‖b‖) with squared norms in [low, high]; `cap` where a norm may be 0."""
    small, large = np.sqrt(np.outer(low, low)), np.sqrt(np.outer(high, high))
    norms = np.where(inner >= 0, small, large)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.where(small > 0, inner / norms, cap)
    return np.clip(bound, -cap, cap)


def _with_dominant_terms(summary: WeightSummary, evaluation_roundoff: float) -> Certificate:
    """Name, for each layer, the term whose removal narrows the interval of C_l most."""
    full = _intervals(summary, evaluation_roundoff)
    width = _relative_half_width(full["compression_lower"], full["compression_upper"])
    everything = frozenset(DOMINANT_TERMS)
    scores = []
    for term in DOMINANT_TERMS:
        without = _intervals(summary, evaluation_roundoff, frozenset({term}))
        alone = _intervals(summary, evaluation_roundoff, everything - {term})
        # `alone` decides where several terms are each enough to make the interval say nothing
        scores.append(
            width
            - _relative_half_width(without["compression_lower"], without["compression_upper"])
            + _relative_half_width(alone["compression_lower"], alone["compression_upper"])
        )
    names = list(DOMINANT_TERMS.values())
    dominant = tuple(names[int(i)] for i in np.argmax(np.array(scores), axis=0))
    return Certificate(layers=np.arange(summary.depth), dominant_term=dominant, **full)
