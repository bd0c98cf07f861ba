"""The minimum-norm map and its singular modes: the machinery that every statement about a layer starts from.

Two directions of the input matter differently: the *signal*, where the minimum-norm map M = (Y/α) X⁺ (theory
note, section 1) is larger than what the initial weights leave there, and the *residual*, everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

from pnc.data import GramProblem, Inputs, Problem, StreamedProblem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.class_factor import class_factor, class_sums
from pnc.theory.gram_modes import GramModes, gram_modes

__all__ = [
    "SIGNAL_MARGIN",
    "DataModes",
    "SignalModes",
    "SignalSpectrum",
    "chunks",
    "data_modes",
    "deviations",
    "fitted_modes",
    "input_modes",
    "modes_of_map",
    "signal_modes",
    "signal_spectrum",
]

UNIT_ROUNDOFF = float(np.finfo(np.float64).eps)

SIGNAL_MARGIN = 2.0
"""A singular value s of M counts as signal when s > SIGNAL_MARGIN · ε^L: below, the initial weights hide
it."""

_CHUNK = 4096  # rows of X at a time: what is kept beside X is O(d K + d²), never O(N d)
_MANY = 512  # samples from which on a well-conditioned Gram matrix is decomposed in place of the inputs
_EVEN = 1e-2  # smallest over largest eigenvalue of such a one


@dataclass(frozen=True, kw_only=True, eq=False)
class DataModes:
    """The economical singular value decomposition X = P Σ Vᵀ of the inputs and what the labels look like in
    it.

    Args:
        singular_values: (rank,) of X, those above rounding, descending.
        right: (d, rank) right singular vectors V, a basis of the span of the samples.
        class_sums_left: (K, rank) `Y P`, the left singular vectors summed over each class.
        sample_sums_left: (rank,) `Pᵀ 1`, the left singular vectors summed over all samples.
        ones_off_span: ‖(I - P Pᵀ) 1‖²/N; 0 where the left singular vectors span all of sample space.
        class_means: (K, d) means of the inputs.
        counts: (K,) class sizes.
        interpolates: whether a linear map can send every sample to its label: `Y P Pᵀ = Y` up to rounding.
        within_factor: (m, d) R with `RᵀR = Σ_i (x_i - μ_{y_i})(x_i - μ_{y_i})ᵀ` where N > 2d; `None`: X itself is
            small enough to be looked at again.
    """

    singular_values: Float[np.ndarray, " rank"]
    right: Float[np.ndarray, "d rank"]
    class_sums_left: Float[np.ndarray, "K rank"]
    sample_sums_left: Float[np.ndarray, " rank"]
    ones_off_span: float
    class_means: Float[np.ndarray, "K d"]
    counts: np.ndarray
    interpolates: bool
    within_factor: Float[np.ndarray, "m d"] | None = None

    @property
    def samples(self) -> int:
        """N."""
        return int(self.counts.sum())

    @property
    def dimension(self) -> int:
        """d."""
        return self.right.shape[0]

    @property
    def rank(self) -> int:
        """Rank of X, hence of G."""
        return self.singular_values.size

    @property
    def gram_invertible(self) -> bool:
        """Whether G = X Xᵀ (N, N) is invertible: the samples are linearly independent."""
        return self.rank == self.samples

    @property
    def condition(self) -> float:
        """Largest over smallest nonzero singular value of X."""
        return float(self.singular_values[0] / self.singular_values[-1])

    @property
    def gram_smallest(self) -> float:
        """Smallest eigenvalue of G, squared feature norm; 0 where G is singular."""
        return float(self.singular_values[-1] ** 2) if self.gram_invertible else 0.0

    @property
    def gram_largest(self) -> float:
        """Largest eigenvalue of G."""
        return float(self.singular_values[0] ** 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalSpectrum:
    """Singular values and left vectors of the minimum-norm map `M = Σ_i s_i u_i v_iᵀ`, split into signal and hidden.

    Args:
        values: (r,) signal singular values s, descending.
        left: (K, r) left singular vectors u.
        truncated: singular values of M that do not exceed `SIGNAL_MARGIN · ε^L` (or rounding): residual
            directions.
        threshold: what a singular value must exceed to be signal.
    """

    values: Float[np.ndarray, " r"]
    left: Float[np.ndarray, "K r"]
    truncated: Float[np.ndarray, " t"]
    threshold: float

    @property
    def directions(self) -> int:
        """r, the number of signal directions."""
        return self.values.size


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalModes(SignalSpectrum):
    """The same with the right singular vectors, which only the inputs themselves tell.

    Args:
        right: (d, r) right singular vectors v.
    """

    right: Float[np.ndarray, "d r"]

    @property
    def map(self) -> Float[np.ndarray, "K d"]:
        """The signal part of M, (K, d)."""
        return (self.left * self.values) @ self.right.T


_MODES: WeakKeyDictionary[Problem | StreamedProblem, DataModes] = WeakKeyDictionary()


def chunks(samples: int) -> Iterator[slice]:
    """Slices of at most a few thousand rows that cover 0…N-1."""
    for start in range(0, samples, _CHUNK):
        yield slice(start, min(start + _CHUNK, samples))


def data_modes(problem: Problem | StreamedProblem) -> DataModes:
    """The singular modes of the inputs, computed once a problem (theory note, section 1).

    No N × N matrix is formed. Where N > 2d the inputs are read once, in blocks of rows, and O(d² + Kd) numbers are kept
    (`class_factor`); otherwise the cost is that of an economical singular value decomposition. Singular values below
    `max(N, d) u σ_1` are rounding and left out.

    Returns:
        `DataModes` of X (N, d), in units of the features.

    Raises:
        InvalidInputError: every sample is zero.

    >>> data_modes(Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])).gram_invertible
    True
    """
    if problem not in _MODES:
        tall = 2 * problem.dimension < problem.samples
        _MODES[problem] = _of_class_factor(problem) if tall or not isinstance(problem, Problem) else _of_inputs(problem)
    return _MODES[problem]


def input_modes(problem: Inputs) -> DataModes | GramModes:
    """What is known of the inputs: of their singular modes, or of their Gram matrix where that is all there is."""
    return gram_modes(problem) if isinstance(problem, GramProblem) else data_modes(problem)


def deviations(problem: Problem | StreamedProblem) -> Iterator[Float[np.ndarray, "rows d"]]:
    """Blocks of rows whose Gram matrices over d add up to that of the samples about their class means."""
    data = data_modes(problem)
    if data.within_factor is not None:
        yield data.within_factor
        return
    for rows, X in problem.blocks(_CHUNK):
        yield X - data.class_means[problem.y[rows]]


def _kept(sigma: np.ndarray, samples: int, dimension: int) -> np.ndarray:
    if sigma[0] == 0:
        raise InvalidInputError(
            got="inputs that are all zero",
            expected="at least one sample that is not zero",
            next_step="check how X was read",
        )
    return sigma > max(samples, dimension) * UNIT_ROUNDOFF * sigma[0]


def _of_inputs(problem: Problem) -> DataModes:
    X, K = problem.X, problem.classes
    sigma, right = _decomposed(X)
    sums = class_sums(X, problem.y, K)
    modes = DataModes(
        singular_values=sigma,
        right=right,
        class_sums_left=(sums @ right) / sigma,
        sample_sums_left=(sums.sum(axis=0) @ right) / sigma,
        ones_off_span=0.0,
        class_means=sums / problem.counts[:, None],
        counts=problem.counts,
        interpolates=True,
    )
    return modes if modes.gram_invertible else _completed(problem, modes)


def _decomposed(X: Float[np.ndarray, "N d"]) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of X, decreasing, and its right singular vectors (d, rank).

    From `X Xᵀ` where that is well conditioned, which is faster; two digits are lost at most.
    """
    N, d = X.shape
    if _MANY <= N < d:
        squares, left = np.linalg.eigh(X @ X.T)
        if squares[0] >= _EVEN * squares[-1]:
            sigma = np.sqrt(squares[::-1])
            return sigma, X.T @ (left[:, ::-1] / sigma)
    _, sigma, right = np.linalg.svd(X, full_matrices=False)
    keep = _kept(sigma, N, d)
    return sigma[keep], right[keep].T


def _completed(problem: Problem, modes: DataModes) -> DataModes:
    """What only a second pass can tell when the samples are dependent: do labels and constants lie in the
    span?

    Labels may do so all the same, duplicates within a class for instance.
    """
    to_labels = modes.right @ (modes.class_sums_left / modes.singular_values).T  # αMᵀ, (d, K)
    to_ones = modes.right @ (modes.sample_sums_left / modes.singular_values)
    worst = off = 0.0
    for rows, X in problem.blocks(_CHUNK):
        missed = X @ to_labels
        missed[np.arange(len(X)), problem.y[rows]] -= 1
        worst = max(worst, float(np.abs(missed).max()))
        off += float(np.sum((1 - X @ to_ones) ** 2))
    return replace(
        modes,
        interpolates=bool(worst <= 64 * UNIT_ROUNDOFF * modes.condition * np.sqrt(modes.rank)),
        ones_off_span=off / modes.samples,
    )


def _of_class_factor(problem: Problem | StreamedProblem) -> DataModes:
    """From deviations and means of the classes alone: `X = Q R + E diag(√n) μ` with orthonormal columns in (Q, E), E
    the indicators of the classes, so the small matrix of R over diag(√n) μ has the singular values of X.

    What is left of labels and constants off the span of the samples is computed there as it is, never as a difference
    of two norms: no second pass is needed.
    """
    R, means = class_factor(problem)
    roots = np.sqrt(problem.counts)
    P, sigma, right = np.linalg.svd(np.vstack([R, roots[:, None] * means]), full_matrices=False)
    keep = _kept(sigma, problem.samples, problem.dimension)
    P, sigma, right = P[:, keep], sigma[keep], right[keep].T
    of_classes = P[len(R) :]
    labels = -P @ (of_classes * roots[:, None]).T  # of every class, the part of its indicator off the span: (m + K, K)
    labels[len(R) + np.arange(roots.size), np.arange(roots.size)] += roots
    modes = DataModes(
        singular_values=sigma,
        right=right,
        class_sums_left=roots[:, None] * of_classes,
        sample_sums_left=roots @ of_classes,
        ones_off_span=float(np.sum(labels.sum(axis=1) ** 2)) / problem.samples,
        class_means=means,
        counts=problem.counts,
        interpolates=False,
        within_factor=R,
    )
    allowed = 64 * UNIT_ROUNDOFF * modes.condition * np.sqrt(modes.rank) * roots
    return replace(modes, interpolates=bool(np.all(np.linalg.norm(labels, axis=0) <= allowed)))


def signal_spectrum(problem: Inputs, network: NetworkSpec) -> SignalSpectrum:
    """Singular values of `M = (Y/α) X⁺` that count as signal, `s > 2 ε^L` (theory note, T3).

    Raises:
        InvalidInputError: the hidden width is smaller than the number of signal directions.

    >>> problem = GramProblem(gram=None, dimension=6, y=[0, 0, 1, 1])
    >>> signal_spectrum(problem, NetworkSpec(depth=3, residual_scale=0.1)).values.round(12).tolist()
    [1.414213562373, 1.414213562373]
    """
    if not isinstance(problem, GramProblem):
        return signal_modes(problem, network)
    data = gram_modes(problem)
    squares, left = np.linalg.eigh(data.label_gram)
    s = np.sqrt(squares[::-1].clip(min=0)) / network.label_scale
    rounding = 8 * data.samples * UNIT_ROUNDOFF * data.condition * s[0]
    threshold = max(SIGNAL_MARGIN * network.residual_scale**network.depth, float(rounding))
    r = int(np.count_nonzero(s > threshold))
    modes = SignalSpectrum(values=s[:r], left=left[:, ::-1][:, :r], truncated=s[r:], threshold=threshold)
    _require_width(modes, network, classes=problem.counts.size)
    return modes


def signal_modes(problem: Problem | StreamedProblem, network: NetworkSpec) -> SignalModes:
    """Singular modes of `M = (Y/α) X⁺` that count as signal, `s > 2 ε^L` (theory note, T3).

    A direction that is not signal is residual: scale ε in W_1…W_{L-1}, nothing in W_L, and M is truncated
    there.

    Returns:
        `SignalModes` with values (r,) in labels per feature, left (K, r), right (d, r).

    Raises:
        InvalidInputError: the hidden width is smaller than the number of signal directions.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> signal_modes(problem, NetworkSpec(depth=3, residual_scale=0.1)).values.round(12).tolist()
    [1.414213562373, 1.414213562373]
    """
    floor = SIGNAL_MARGIN * network.residual_scale**network.depth
    modes = fitted_modes(problem, label_scale=network.label_scale, floor=floor)
    _require_width(modes, network, classes=problem.counts.size)
    return modes


def _require_width(modes: SignalSpectrum, network: NetworkSpec, *, classes: int) -> None:
    if network.width is not None and network.width < modes.directions:
        raise InvalidInputError(
            got=f"width = {network.width} with {modes.directions} signal directions",
            expected=f"a width of at least {modes.directions}, or the labels cannot pass",
            next_step=f"pass `width={max(modes.directions, classes)}` or more",
        )


def fitted_modes(problem: Problem | StreamedProblem, *, label_scale: float = 1.0, floor: float = 0.0) -> SignalModes:
    """Singular modes of the minimum-norm map `M = (Y/α) X⁺` above a floor (theory note, section 1).

    Args:
        label_scale: α.
        floor: a singular value counts as signal above this; never below rounding.

    Returns:
        `SignalModes` with values (r,) in labels per feature, left (K, r), right (d, r).

    >>> fitted_modes(Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])).directions
    2
    """
    data = data_modes(problem)
    core = data.class_sums_left / (label_scale * data.singular_values)  # M V, (K, rank)
    left, s, right = np.linalg.svd(core, full_matrices=False)
    rounding = 8 * max(core.shape) * UNIT_ROUNDOFF * data.condition * s[0]
    return _split(left, s, data.right @ right.T, threshold=max(floor, float(rounding)))


def modes_of_map(problem: Problem, map: Float[np.ndarray, "K d"], *, floor: float = 0.0) -> SignalModes:
    """Singular modes of a given end-to-end map on the span of the samples, `W_{L:1} P_X` (theory note, E1).

    Args:
        map: (K, d) W_{L:1}, measured or predicted.
        floor: a singular value counts as signal above this; never below rounding.

    Raises:
        InvalidInputError: a map that does not act on the problem's inputs, or not finite.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> modes_of_map(problem, np.eye(2, 6) * 3.0).values.tolist()
    [3.0, 3.0]
    """
    map = np.asarray(map, dtype=np.float64)
    if map.ndim != 2 or map.shape[1] != problem.dimension or not np.isfinite(map).all():
        raise InvalidInputError(
            got=f"an end-to-end map of shape {map.shape}" + ("" if np.isfinite(map).all() else " that is not finite"),
            expected=f"finite numbers of shape (outputs, {problem.dimension}), which act on the inputs",
            next_step="pass W_L ⋯ W_1 of the network that the samples went through",
        )
    data = data_modes(problem)
    left, s, right = np.linalg.svd(map @ data.right, full_matrices=False)
    rounding = 8 * max(map.shape) * UNIT_ROUNDOFF * s[0]
    return _split(left, s, data.right @ right.T, threshold=max(floor, float(rounding)))


def _split(left: np.ndarray, s: np.ndarray, right: np.ndarray, *, threshold: float) -> SignalModes:
    r = int(np.count_nonzero(s > threshold))
    return SignalModes(values=s[:r], left=left[:, :r], right=right[:, :r], truncated=s[r:], threshold=threshold)
