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

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pnc.curves import json_ready
from pnc.errors import InvalidInputError

__all__ = ["Certificate", "InputMoments", "WeightSummary", "certificate", "certify", "summarise_weights"]

UNIT_ROUNDOFF = 2.0**-53

#: what can make an interval wide, and the words used for it in `Certificate.dominant_term`
DOMINANT_TERMS = {
    ("gain", "within"): "spread of the residual gains on the within-class scatter",
    ("gain", "between"): "spread of the residual gains on the class means",
    ("coupling", "within"): "coupling into residual directions on the within-class scatter",
    ("coupling", "between"): "coupling into residual directions on the class means",
    ("rounding", "within"): "rounding on the within-class scatter",
    ("rounding", "between"): "rounding on the class means",
}


# ------------------------------------------------------------------------------------------------------------
# what is read
# ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InputMoments:
    """First and second moments of labelled inputs, all that the certificate needs of the data.

    `within_factor` is any R with `RᵀR = N Σ_W` at layer 0: the class-centred inputs themselves, or a
    triangular factor of them, so that nothing downstream depends on N. `absolute_error` bounds the Frobenius
    error of `within_factor` (up to an isometry from the left) and of `diag(√n_k) class_means`.

    >>> X, y = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]), np.array([0, 0, 1])
    >>> moments = InputMoments.from_samples(X, y)
    >>> moments.class_means.tolist(), moments.class_counts.tolist()
    ([[2.0, 0.0], [0.0, 2.0]], [2, 1])
    """

    class_means: Float[np.ndarray, "K d"]
    class_counts: Int[np.ndarray, " K"]
    within_factor: Float[np.ndarray, "m d"]
    absolute_error: float = 0.0

    def __post_init__(self) -> None:
        means = _real_matrix(self.class_means, "class_means")
        factor = _real_matrix(self.within_factor, "within_factor")
        counts = np.asarray(self.class_counts)
        if means.shape[0] < 2:
            raise InvalidInputError(
                got=f"{means.shape[0]} class mean(s)",
                expected="at least 2 classes",
                next_step="C_l and D_l compare classes: pass data with two or more labels",
            )
        if factor.shape[1] != means.shape[1]:
            raise InvalidInputError(
                got=f"within_factor {factor.shape} and class_means {means.shape}",
                expected="the same dimension d in both",
                next_step="compute both from the same inputs, or call InputMoments.from_samples(X, y)",
            )
        if counts.shape != means.shape[:1] or np.any(counts < 1) or np.any(counts != np.round(counts)):
            raise InvalidInputError(
                got=f"class_counts {counts.tolist()}",
                expected=f"{means.shape[0]} positive whole numbers, one a class",
                next_step="drop empty classes and relabel the others 0, 1, ..., K-1",
            )
        if not (np.isfinite(self.absolute_error) and self.absolute_error >= 0):
            raise InvalidInputError(
                got=f"absolute_error = {self.absolute_error}",
                expected="a finite number, 0 or larger",
                next_step="pass 0.0 if the moments are exact",
            )
        object.__setattr__(self, "class_means", means)
        object.__setattr__(self, "within_factor", factor)
        object.__setattr__(self, "class_counts", counts.astype(np.int64))

    @classmethod
    def from_samples(cls, X: Float[np.ndarray, "N d"], y: Int[np.ndarray, " N"]) -> InputMoments:
        """Moments of N labelled samples; with N > d the within-class factor is the R of a QR decomposition.

        Args:
            X: inputs, one row a sample.
            y: labels 0 ... K-1, each of them present.

        Raises:
            InvalidInputError: shapes that do not match, labels that are not 0 ... K-1, or numbers that are
                not finite.
        """
        X = _real_matrix(X, "X")
        y = np.asarray(y)
        if y.shape != X.shape[:1]:
            raise InvalidInputError(
                got=f"X {X.shape} and y {y.shape}",
                expected="X (N, d) and y (N,)",
                next_step="pass one label for each row of X",
            )
        labels = np.unique(y)
        if labels.size < 2 or not np.array_equal(labels, np.arange(labels.size)):
            raise InvalidInputError(
                got=f"labels {labels[:8].tolist()}",
                expected="0, 1, ..., K-1 with K >= 2, each present",
                next_step="relabel the classes with numpy.unique(y, return_inverse=True)",
            )
        y = y.astype(np.int64)
        counts = np.bincount(y)
        means = np.stack([X[y == k].mean(axis=0) for k in range(counts.size)])
        factor = X - means[y]
        # a sum of n terms is off by at most γ_n Σ|x|, which gives √n_k ‖error of mean k‖ <= γ_n ‖X_k‖_F;
        # subtracting and averaging add a few roundings of the same entries
        error = 2.0 * _gamma(int(counts.max()) + 4) * _upper(np.linalg.norm(X), X.size)
        if factor.shape[0] > factor.shape[1]:
            factor, reduction_error = _reduced_factor(factor)
            error += reduction_error
        return cls(means, counts, factor, error)


@dataclass(frozen=True)
class WeightSummary:
    """The few numbers of weights and inputs that the certificate reads, and nothing else.

    With g residual groups, L the depth, H = L-1 hidden layers and k_l <= K the signal's dimension, it holds
    `O(H (K² + g²) + g K²)` numbers, whatever the width, the input dimension and the number of samples. Index
    l of a tuple or leading axis is layer l+1; group 0 holds the residual directions that the hidden layers
    shrink least.

    Args:
        class_counts: samples in each class.
        group_sizes: number of input directions in the signal and in each residual group.
        signal_maps: H signal blocks `S_l`, (k_l, k_{l-1}): the weights between the signal subspaces.
        gain_lower, gain_upper: (H, g) smallest and largest singular value of each group's diagonal block
            `T_l,i`.
        couplings: (H, g, 1+g), entry [l, i, j] bounds the spectral norm of the block that leads from part j
            (0 is the signal, j >= 1 residual group j-1) into residual group i; 0 unless j <= i.
        weight_norms: (H,) spectral norm of each weight matrix, which is how fast a rounding error can grow.
        weight_frobenius_norms: (H,) Frobenius norm of each weight matrix, for the rounding of evaluated
            features.
        widths: d_0 ... d_{L-1}, for the same purpose.
        leaks: (H, 1+g) rounding bound for the block-triangular form, by source (signal, groups).
        within_signal: (k_0, k_0) triangular factor of the within-class scatter on the signal at layer 0.
        within_residual: (g,) norms of the within-class factor on each group at layer 0.
        means_signal: (k_0, K) class means on the signal at layer 0.
        means_residual: per group a triangular factor, column k for class k, with the Gram matrix of the class
            means' residual parts at layer 0.
        within_outside: bound on what of the within-class factor the bases miss (rounding).
        means_outside: (K,) the same for each class mean.
        norm_error: relative rounding bound for `within_residual`.
    """

    class_counts: Int[np.ndarray, " K"]
    group_sizes: tuple[int, ...]
    signal_maps: tuple[np.ndarray, ...]
    gain_lower: Float[np.ndarray, "H g"]
    gain_upper: Float[np.ndarray, "H g"]
    couplings: Float[np.ndarray, "H g parts"]
    weight_norms: Float[np.ndarray, " H"]
    weight_frobenius_norms: Float[np.ndarray, " H"]
    widths: tuple[int, ...]
    leaks: Float[np.ndarray, "H parts"]
    within_signal: Float[np.ndarray, "k k"]
    within_residual: Float[np.ndarray, " g"]
    means_signal: Float[np.ndarray, "k K"]
    means_residual: tuple[np.ndarray, ...]
    within_outside: float
    means_outside: Float[np.ndarray, " K"]
    norm_error: float

    @property
    def depth(self) -> int:
        """Number L of weight matrices, the classifier included."""
        return len(self.signal_maps) + 1

    @property
    def size(self) -> int:
        """How many numbers the summary holds."""
        arrays = [
            self.gain_lower, self.gain_upper, self.couplings, self.weight_norms, self.weight_frobenius_norms,
            self.leaks, self.within_signal, self.within_residual, self.means_signal, self.means_outside,
            self.class_counts, *self.signal_maps, *self.means_residual,
        ]  # fmt: skip
        return sum(np.size(a) for a in arrays) + len(self.group_sizes) + len(self.widths) + 2


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


# ------------------------------------------------------------------------------------------------------------
# the public functions
# ------------------------------------------------------------------------------------------------------------


def summarise_weights(
    weights: Sequence[np.ndarray], inputs: InputMoments, *, residual_groups: int = 2
) -> WeightSummary:
    """Read the few numbers of `W_1 ... W_{L-1}` and of the inputs that T8 needs (theory note, T8).

    Directions are ordered once, by the singular values of the hidden layers' product on the inputs' span; the
    first K are the signal, the others are cut into `residual_groups` groups. Any order and any cut give a
    valid certificate: this choice only decides how wide it is.

    Args:
        weights: all L weight matrices, (d_l, d_{l-1}); the classifier `W_L` is not used.
        inputs: moments of the inputs; `InputMoments.from_samples(X, y)` makes them.
        residual_groups: number of residual groups, 1 to 4. More are tighter and read more.

    Returns:
        The numbers that `certificate` turns into intervals.

    Raises:
        InvalidInputError: shapes that do not fit together, numbers that are not finite, or too many groups.

    >>> rng = np.random.default_rng(0)
    >>> X, y = np.eye(6), np.repeat([0, 1], 3)
    >>> weights = [rng.standard_normal((6, 6)), rng.standard_normal((2, 6))]
    >>> summarise_weights(weights, InputMoments.from_samples(X, y)).depth
    2
    """
    hidden = _checked_weights(weights, inputs)
    if residual_groups not in (1, 2, 3, 4):
        raise InvalidInputError(
            got=f"residual_groups = {residual_groups}",
            expected="1, 2, 3 or 4: with one group a direction the summary would hold C_l itself",
            next_step="use the default, 2",
        )
    bases = _signal_and_residual(hidden, inputs, residual_groups)
    flag = _Basis(bases)
    count = len(bases) - 1

    within, missed = _coordinates(inputs.within_factor, flag)
    within_signal, error = _reduced_factor(within[0].T)
    within_outside = _upper(np.linalg.norm(missed), missed.size) + error
    means, means_outside = _coordinates(inputs.class_means, flag)
    means_residual = []
    for part in means[1:]:
        factor, error = _reduced_factor(part)
        means_residual.append(factor)
        means_outside = means_outside + error

    signal_maps, lower, upper, couplings, leaks, spectral = [], [], [], [], [], []
    for w in hidden:
        step = _Step(w, flag)
        flag = step.after
        signal_maps.append(step.blocks[0, 0])
        lower.append(step.gain_lower)
        upper.append(step.gain_upper)
        norms = np.zeros((count, count + 1))
        for source, target in itertools.combinations(range(count + 1), 2):
            norms[target - 1, source] = _spectral_norm_upper(step.blocks[target, source])
        couplings.append(norms)
        leaks.append(step.leaks)
        spectral.append(step.norm)

    layers = len(hidden)
    return WeightSummary(
        class_counts=inputs.class_counts,
        group_sizes=tuple(b.shape[1] for b in bases),
        signal_maps=tuple(signal_maps),
        gain_lower=np.reshape(lower, (layers, count)),
        gain_upper=np.reshape(upper, (layers, count)),
        couplings=np.reshape(couplings, (layers, count, count + 1)),
        weight_norms=np.array(spectral),
        weight_frobenius_norms=np.array([_upper(np.linalg.norm(w), w.size) for w in hidden]),
        widths=(inputs.class_means.shape[1], *(w.shape[0] for w in hidden)),
        leaks=np.reshape(leaks, (layers, count + 1)),
        within_signal=within_signal.T,
        within_residual=np.array([np.linalg.norm(part) for part in within[1:]]),
        means_signal=means[0],
        means_residual=tuple(means_residual),
        within_outside=within_outside + inputs.absolute_error,
        means_outside=means_outside + inputs.absolute_error / np.sqrt(inputs.class_counts),
        norm_error=_gamma(inputs.within_factor.size + 8),
    )


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


# ------------------------------------------------------------------------------------------------------------
# from the summary to intervals: docs/certificate.md, section 3
# ------------------------------------------------------------------------------------------------------------


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
            product_error = _gamma(s.shape[1] + 2) * norm(np.abs(s) @ np.abs(now.signal))
            rounding = (summary.weight_norms[l] * now.rounding + summary.leaks[l] @ sources + product_error) * (
                1 + slack
            )
        # products of gains are rounded outwards by the slack where they are used
        layers.append(_Enclosure(signal, norm(signal), now.lower * low, now.upper * high, mass, leaked, rounding))
    return layers


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
    centring_error = 4 * _gamma(counts.size + 8) * np.sqrt(sum(np.sum(f**2) for f in weighted))
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
            extra = evaluation + (evaluation + high) * 2 * _gamma(samples + 8)
            extra_within = 0.0 if "rounding" in omit_within else extra
            extra_between = 0.0 if "rounding" in omit_between else extra
            extra_mean = extra_between / np.sqrt(counts)
            if "rounding" not in omit_within & omit_between:
                sums, cosines = 2 * _gamma(samples * summary.widths[l] + 8), 4 * _gamma(summary.widths[l] + 8)
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
            fresh = _gamma(summary.widths[l] + 2, evaluation_roundoff) * product
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


# ------------------------------------------------------------------------------------------------------------
# from weights to the summary: docs/certificate.md, section 2
# ------------------------------------------------------------------------------------------------------------


class _Basis:
    """Nearly orthonormal bases of the signal and of each group, with a bound on how far from orthonormal."""

    def __init__(self, parts: list[np.ndarray]) -> None:
        self.parts = parts
        self.all = np.hstack(parts)
        self.defect = _orthonormality_defect(self.all)


class _Step:
    """One layer in adapted bases: `W B = B' R` with R block-triangular, R's blocks, and a bound on what is
    missed.

    The innermost group (largest index) is carried first, so each group's image lies in the groups inside it
    and itself; the signal comes last. `blocks[i, j]` leads from part j into part i >= j.
    """

    def __init__(self, w: np.ndarray, before: _Basis) -> None:
        count = len(before.parts)
        parts: list[np.ndarray] = [np.zeros((w.shape[0], 0))] * count
        self.blocks: dict[tuple[int, int], np.ndarray] = {}
        self.gain_lower = np.zeros(count - 1)
        self.gain_upper = np.zeros(count - 1)
        self.norm = _spectral_norm_upper(w)
        noise = 16 * max(w.shape[0], before.all.shape[1]) * UNIT_ROUNDOFF * self.norm
        inner = np.zeros((w.shape[0], 0))
        for j in reversed(range(count)):
            image = w @ before.parts[j]
            for i in range(j + 1, count):
                self.blocks[i, j] = parts[i].T @ image
            rest = image - inner @ (inner.T @ image)
            rest = rest - inner @ (inner.T @ rest)  # twice is enough for orthogonality to working precision
            u, gains, vt = np.linalg.svd(rest, full_matrices=False)
            kept = int(np.sum(gains > noise))
            parts[j] = u[:, :kept]
            self.blocks[j, j] = gains[:kept, None] * vt[:kept]
            if j > 0 and kept:
                spread = _orthonormality_defect(vt[:kept].T) + 4 * UNIT_ROUNDOFF * np.sqrt(vt.shape[1])
                self.gain_upper[j - 1] = gains[:kept].max() * (1 + spread)
                injective = kept == before.parts[j].shape[1]
                self.gain_lower[j - 1] = max(0.0, gains[:kept].min() * (1 - spread)) if injective else 0.0
            inner = np.hstack([inner, parts[j]])
        self.after = _Basis(parts)
        self.leaks = np.array([self._leak(w, before, j) for j in range(count)])

    def _leak(self, w: np.ndarray, before: _Basis, j: int) -> float:
        """Bound on ‖W U_j - U' R_j‖_F, U and U' the orthonormal bases nearest to the computed ones."""
        source = before.parts[j]
        column = [self.blocks[i, j] for i in range(j, len(before.parts))]
        target = np.hstack(self.after.parts[j:])
        r = np.vstack(column)
        gap = np.linalg.norm(w @ source - target @ r)
        gap += _gamma(w.shape[1] + 2) * np.linalg.norm(np.abs(w) @ np.abs(source))
        gap += _gamma(target.shape[1] + 2) * np.linalg.norm(np.abs(target) @ np.abs(r))
        gap += self.norm * before.defect + self.after.defect * np.linalg.norm(r)
        return _upper(gap, source.size + r.size + w.size)


def _signal_and_residual(hidden: list[np.ndarray], inputs: InputMoments, groups: int) -> list[np.ndarray]:
    """Orthonormal bases of the signal and of the residual groups in input space."""
    root = np.sqrt(inputs.class_counts)[:, None]
    centre = inputs.class_counts @ inputs.class_means / inputs.class_counts.sum()
    within, between = inputs.within_factor, root * (inputs.class_means - centre)
    stacked = np.vstack([within, root * inputs.class_means])
    _, scale, vt = np.linalg.svd(stacked, full_matrices=False)
    rank = int(np.sum(scale > max(stacked.shape) * UNIT_ROUNDOFF * scale[0])) if scale.size else 0
    span = vt[:rank].T
    product = span
    for w in hidden:
        product = w @ product
    # each direction counts by its share of the two traces after the last hidden layer, so ask for these first
    ends = [np.sum((product @ (rows @ span).T) ** 2) for rows in (within, between)]
    span = span @ _descending_directions(product)
    classes = inputs.class_counts.size
    signal, residual = span[:, :classes], span[:, classes:]
    if residual.shape[1] == 0:
        return [signal]
    # the residual's own gains, computed apart from the signal's, which would drown them in rounding
    product, basis = np.eye(residual.shape[1]), residual
    for w in hidden:
        basis, triangular = np.linalg.qr(w @ basis)
        product = triangular @ product
    directions = _descending_directions(product)
    residual = residual @ directions
    gains = np.linalg.norm(product @ directions, axis=0)
    mass = np.zeros(gains.size)
    for rows, end in zip((within, between), ends, strict=True):
        if end > 0:
            mass += np.sum((rows @ residual) ** 2, axis=0) / end
    cuts = _cut(gains, mass, min(groups, gains.size))
    return [signal, *(residual[:, a:b] for a, b in itertools.pairwise(cuts))]


def _descending_directions(product: np.ndarray) -> np.ndarray:
    """Right singular vectors, all of them, largest singular value first; columns."""
    return np.linalg.svd(product, full_matrices=True)[2].T


def _cut(gains: np.ndarray, mass: np.ndarray, groups: int) -> list[int]:
    """Cut a descending list into contiguous groups with the least Σ mass (largest gain² - smallest gain²)."""
    size = gains.size
    total = np.concatenate([[0.0], np.cumsum(mass)])
    best = np.full(size + 1, np.inf)
    best[0] = 0.0
    choices = []
    for _ in range(groups):
        following = np.full(size + 1, np.inf)
        choice = np.zeros(size + 1, dtype=int)
        for end in range(1, size + 1):
            cost = best[:end] + (total[end] - total[:end]) * (gains[:end] ** 2 - gains[end - 1] ** 2)
            choice[end] = int(np.argmin(cost))
            following[end] = cost[choice[end]]
        best = following
        choices.append(choice)
    cuts = [size]
    for choice in reversed(choices):
        cuts.append(int(choice[cuts[-1]]))
    return sorted(set(cuts) | {0})


def _coordinates(rows: np.ndarray, flag: _Basis) -> tuple[list[np.ndarray], np.ndarray]:
    """Coordinates of the rows in each part (part dimension x rows), and bounds on what each row misses."""
    parts = [(rows @ basis).T for basis in flag.parts]
    stacked = np.vstack(parts)

    def norms(matrix: np.ndarray) -> np.ndarray:
        return np.linalg.norm(matrix, axis=0)

    missed = norms(rows.T - flag.all @ stacked)
    missed += _gamma(stacked.shape[0] + 2) * norms(np.abs(flag.all) @ np.abs(stacked))
    missed += 2 * UNIT_ROUNDOFF * norms(rows.T) + flag.defect * norms(stacked)
    return parts, missed * (1 + 2 * _gamma(flag.all.size + 8))


# ------------------------------------------------------------------------------------------------------------
# rounding: docs/certificate.md, section 4
# ------------------------------------------------------------------------------------------------------------


def _gamma(terms: int, roundoff: float = UNIT_ROUNDOFF) -> float:
    """γ_n = n u / (1 - n u), the relative error bound of an inner product of n terms (Higham, Lemma 3.1)."""
    product = terms * roundoff
    return product / (1 - product) if product < 1 else np.inf


def _upper(value: float | np.floating, operations: int) -> float:
    """Round a computed non-negative number up, past the error of the sums and products behind it."""
    return float(value * (1 + 2 * _gamma(operations + 8)))


def _slack(summary: WeightSummary, omit: frozenset[str]) -> float:
    """Relative allowance for the scalar arithmetic: operation count times unit roundoff."""
    if "rounding" in omit:
        return 0.0
    groups, classes = len(summary.group_sizes), summary.class_counts.size
    return _gamma(8 * summary.depth * (groups + 2) ** 2 * (classes + 4) ** 2) + summary.norm_error


def _orthonormality_defect(basis: np.ndarray) -> float:
    """Bound on ‖B - U‖_F with U exactly orthonormal: ‖BᵀB - I‖_F, as |σ - 1| <= |σ² - 1| for σ >= 0."""
    size = basis.shape[1]
    if size == 0:
        return 0.0
    defect = np.linalg.norm(basis.T @ basis - np.eye(size))
    defect += _gamma(basis.shape[0] + 2) * np.linalg.norm(np.abs(basis).T @ np.abs(basis))
    return _upper(defect, basis.size)


def _reduced_factor(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Triangular R and error e with ‖A - U R‖_F <= e for an exactly orthonormal U, checked after the fact."""
    q, r = np.linalg.qr(matrix)
    if r.size == 0:
        return r, 0.0
    error = np.linalg.norm(matrix - q @ r) + _gamma(q.shape[1] + 2) * np.linalg.norm(np.abs(q) @ np.abs(r))
    error += UNIT_ROUNDOFF * np.linalg.norm(matrix) + _orthonormality_defect(q) * np.linalg.norm(r)
    return r, _upper(error, matrix.size + r.size)


def _spectral_norm_upper(matrix: np.ndarray) -> float:
    """Upper bound on the largest singular value, from a decomposition that is checked after the fact."""
    if matrix.size == 0:
        return 0.0
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    scaled = s[:, None] * vt
    gap = np.linalg.norm(matrix - u @ scaled) + _gamma(s.size + 4) * np.linalg.norm(np.abs(u) @ np.abs(scaled))
    gap += UNIT_ROUNDOFF * np.linalg.norm(matrix)
    return _upper(s.max() * (1 + _orthonormality_defect(u)) * (1 + _orthonormality_defect(vt.T)) + gap, matrix.size)


def _relative_half_width(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """(upper - lower) / (upper + lower), 1 where the upper end is infinite, 0 where both ends are 0."""
    total = np.where(np.isfinite(upper), upper + lower, 1.0)
    difference = np.where(np.isfinite(upper), upper - lower, 1.0)
    return np.divide(difference, total, out=np.zeros_like(total), where=total > 0)


# ------------------------------------------------------------------------------------------------------------
# input checks
# ------------------------------------------------------------------------------------------------------------


def _real_matrix(value: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "iuf" or not np.all(np.isfinite(array)):
        raise InvalidInputError(
            got=f"{name} of shape {array.shape}, dtype {array.dtype}, finite: "
            f"{bool(array.dtype.kind in 'iuf' and np.all(np.isfinite(array)))}",
            expected="a matrix of finite real numbers",
            next_step=f"check {name} for nan, inf and for a missing axis",
        )
    return array.astype(np.float64)


def _checked_weights(weights: Sequence[np.ndarray], inputs: InputMoments) -> list[np.ndarray]:
    if len(weights) == 0:
        raise InvalidInputError(
            got="no weight matrix",
            expected="W_1 ... W_L",
            next_step="pass all layers, the classifier included",
        )
    matrices = [_real_matrix(w, f"W_{i + 1}") for i, w in enumerate(weights)]
    fan_in = inputs.class_means.shape[1]
    for i, w in enumerate(matrices):
        if w.shape[1] != fan_in:
            raise InvalidInputError(
                got=f"W_{i + 1} of shape {w.shape} after a layer of width {fan_in}",
                expected=f"(d_{i + 1}, {fan_in})",
                next_step="pass weights as (fan_out, fan_in), first layer first",
            )
        fan_in = w.shape[0]
    return matrices[:-1]
