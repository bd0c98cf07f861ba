"""The assumptions of the theory as data: measured on inputs and on weights, and what they leave
applicable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

from pnc.data import Inputs, Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.gram_modes import GramModes
from pnc.theory.signal import data_modes, input_modes, signal_modes, signal_spectrum
from pnc.threads import threads_by_inputs

_ROWS = 1024  # rows of G at a time

__all__ = [
    "Applicability",
    "DataAssumptions",
    "WeightAssumptions",
    "applicable_statements",
    "measure_data",
    "measure_weights",
]


@dataclass(frozen=True, kw_only=True)
class DataAssumptions:
    """What a statement may ask of the inputs (theory note, section 1).

    Args:
        theta_entrywise: least θ with |G_ii - 1| ≤ θ/N and |G_ij| ≤ θ/N; ∞ where G is singular (then θ < 1 is
            impossible).
        theta_spectral: ‖G - I‖₂ ≤ θ, at most the entrywise one; 1 or more where G is singular.
        gram_smallest: smallest eigenvalue of G, (N, N); 0 where it is singular.
        gram_largest: largest eigenvalue of G.
        condition: ratio of the largest to the smallest nonzero singular value of X.
        rank: rank of X.
        samples: N.
        dimension: d.
        balanced: whether all classes have the same number of samples.
        labels_interpolated: whether a linear map sends every sample to its label.
    """

    theta_entrywise: float
    theta_spectral: float
    gram_smallest: float
    gram_largest: float
    condition: float
    rank: int
    samples: int
    dimension: int
    balanced: bool
    labels_interpolated: bool

    @property
    def gram_invertible(self) -> bool:
        """Whether the samples are linearly independent."""
        return self.rank == self.samples

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightAssumptions:
    """How far weights are from A1–A3 (theory note, section 1).

    Args:
        map_error: ν = ‖Uᵀ(W_{L:1} - M)X‖_F on the signal directions U.
        map_error_relative: ν / ‖Uᵀ M X‖_F.
        imbalance: (L-1,) δ_l, spectral norm of `(W_{l+1}ᵀW_{l+1} - W_lW_lᵀ) B`, B an orthonormal basis of the
            range of W_{l:1} for l ≤ L-2, of the image of the signal directions for l = L-1; l = 1…L-1.
        residual_smallest: (L-1,) smallest residual singular value of W_l on the reachable space, l = 1…L-1;
            NaN where there is none.
        residual_largest: (L-1,) largest.
        residual_mean: (L-1,) mean of the residual singular values of W_l.
        residual_variance: (L-1,) their variance.
    """

    map_error: float
    map_error_relative: float
    imbalance: Float[np.ndarray, " H"]
    residual_smallest: Float[np.ndarray, " H"]
    residual_largest: Float[np.ndarray, " H"]
    residual_mean: Float[np.ndarray, " H"]
    residual_variance: Float[np.ndarray, " H"]

    def residual_distance(self, residual_scale: float) -> Float[np.ndarray, " H"]:
        """(L-1,) root-mean-square distance of the residual singular values from ε (theory note, A3)."""
        return np.sqrt(self.residual_variance + (self.residual_mean - residual_scale) ** 2)

    def without_layer(self, layer: int) -> WeightAssumptions:
        """The same without the residual singular values of W_layer (NaN), where they are not what A3 speaks of."""
        fields = {}
        for name in ("residual_smallest", "residual_largest", "residual_mean", "residual_variance"):
            fields[name] = getattr(self, name).copy()
            fields[name][layer - 1] = np.nan
        return replace(self, **fields)

    @property
    def residual_interval(self) -> tuple[float, float]:
        """[ε_min, ε_max] over all hidden layers; NaN where no layer has a residual."""
        if np.isnan(self.residual_smallest).all():
            return float("nan"), float("nan")
        return float(np.nanmin(self.residual_smallest)), float(np.nanmax(self.residual_largest))

    def to_dict(self) -> dict[str, Any]:
        plain = {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in vars(self).items()}
        return plain | {"residual_interval": list(self.residual_interval)}


@dataclass(frozen=True, kw_only=True)
class Applicability:
    """Whether a statement applies, and why or why not."""

    applies: bool
    reason: str


_MEASURED: WeakKeyDictionary[Inputs, DataAssumptions] = WeakKeyDictionary()


@threads_by_inputs
def measure_data(problem: Inputs) -> DataAssumptions:
    """Measure what the statements ask of the inputs, `‖G - I‖₂` and `N max|G - I|` among it, once a problem (theory
    note, section 1).

    G is formed only in strips and only where it is invertible (then N ≤ d).

    >>> measure_data(Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])).theta_entrywise
    0.0
    """
    if problem not in _MEASURED:
        _MEASURED[problem] = _measured(problem)
    return _MEASURED[problem]


def _measured(problem: Inputs) -> DataAssumptions:
    data = input_modes(problem)
    N, smallest, largest = data.samples, data.gram_smallest, data.gram_largest
    entrywise = np.inf
    if isinstance(data, GramModes):
        entrywise = N * data.largest_deviation
    elif data.gram_invertible and isinstance(problem, Problem):
        entrywise = N * _largest_deviation(problem.X)
    return DataAssumptions(
        theta_entrywise=entrywise,
        theta_spectral=max(abs(largest - 1), abs(1 - smallest)),
        gram_smallest=smallest,
        gram_largest=largest,
        condition=data.condition,
        rank=data.rank,
        samples=N,
        dimension=data.dimension,
        balanced=problem.balanced,
        labels_interpolated=data.interpolates,
    )


def _largest_deviation(X: Float[np.ndarray, "N d"]) -> float:
    """`max |X Xᵀ - I|`, a few strips of rows at a time and each pair of samples once."""
    largest = 0.0
    for start in range(0, len(X), _ROWS):
        rows = slice(start, start + _ROWS)
        strip = X[rows] @ X[start:].T
        strip[np.arange(len(strip)), np.arange(len(strip))] -= 1
        largest = max(largest, float(np.abs(strip, out=strip).max()))
    return largest


def measure_weights(weights: Sequence[np.ndarray], problem: Problem, network: NetworkSpec) -> WeightAssumptions:
    """Measure ν, δ_l and the residual spectrum of weights W_1…W_L (theory note, section 1, A1–A3).

    ν leaves out the directions of M that are not signal, which decay only algebraically. Balance is asked for
    on the reachable space alone, the image of the span of the samples under W_{l:1}. The residual singular values of
    W_l are those of its restriction to that space besides its r largest.

    Args:
        weights: L arrays of shapes (d_l, d_{l-1}), d_0 = d, d_L = K.

    Raises:
        InvalidInputError: the shapes do not chain from d to K, or there are not L of them.

    >>> from pnc.theory import exact_weights
    >>> problem, network = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1]), NetworkSpec(depth=3, residual_scale=0.1)
    >>> measured = measure_weights(exact_weights(problem, network, seed=0), problem, network)
    >>> [round(v, 12) for v in measured.residual_interval], bool(measured.map_error < 1e-14)
    ([0.1, 0.1], True)
    """
    weights = _checked_weights(weights, problem, network)
    data, modes = data_modes(problem), signal_modes(problem, network)
    L, r = network.depth, modes.directions

    on_data = data.right * data.singular_values  # (d, rank), same Gram as X without its N rows
    product = on_data
    for W in weights:
        product = W @ product
    wanted = modes.left.T @ modes.map @ on_data
    error = float(np.linalg.norm(modes.left.T @ product - wanted))
    target = float(np.linalg.norm(wanted))

    imbalance, smallest, largest, mean, variance = (np.full(L - 1, np.nan) for _ in range(5))
    # the network that the samples see: W_1 on their span. With A2 and A3 asked on all of R^d, a fit on the samples
    # would not imply the law (ledger, T1). But a layer narrower than the input lets a projection of R^d through, whose
    # scale is ε only before it meets the samples.
    signal = modes.right
    if min(W.shape[0] for W in weights[:-1]) >= data.dimension:
        weights = [weights[0] @ data.right, *weights[1:]]
        signal = data.right.T @ signal
    reachable = np.eye(weights[0].shape[1])
    for l, (W, following) in enumerate(pairwise(weights)):
        image, values, _ = np.linalg.svd(W @ reachable, full_matrices=False)
        residual = values[r:]
        if residual.size:
            smallest[l], largest[l] = residual[-1], residual[0]
            mean[l], variance[l] = residual.mean(), residual.var()
        # directions that rounding alone reaches are not reachable
        reachable = image[:, values > max(W.shape) * np.finfo(np.float64).eps * values[0]]
        signal = np.linalg.qr(W @ signal)[0]
        basis = reachable if l < L - 2 else signal
        # one-sided: compressed with the basis on both sides, balance would not imply the law (ledger, T1)
        difference = following.T @ (following @ basis) - W @ (W.T @ basis)
        imbalance[l] = np.linalg.norm(difference, 2) if difference.size else 0.0
    return WeightAssumptions(
        map_error=error,
        map_error_relative=error / target if target > 0 else float("nan"),
        imbalance=imbalance,
        residual_smallest=smallest,
        residual_largest=largest,
        residual_mean=mean,
        residual_variance=variance,
    )


def _checked_weights(weights: Sequence[np.ndarray], problem: Problem, network: NetworkSpec) -> list[np.ndarray]:
    arrays = [np.asarray(W, dtype=np.float64) for W in weights]
    shapes = [W.shape for W in arrays]
    chained = all(len(s) == 2 for s in shapes) and all(a[0] == b[1] for a, b in pairwise(shapes))
    ends = chained and bool(shapes) and shapes[0][1] == problem.dimension and shapes[-1][0] == problem.classes
    if len(arrays) != network.depth or not ends:
        raise InvalidInputError(
            got=f"{len(arrays)} weights of shapes {shapes}",
            expected=f"{network.depth} matrices (d_l, d_(l-1)) from {problem.dimension} to {problem.classes}",
            next_step="pass W_1…W_L of a network for this problem",
        )
    return arrays


def applicable_statements(problem: Inputs, network: NetworkSpec) -> Mapping[str, Applicability]:
    """Which statements of the theory note apply to a problem, each with its reason.

    Returns:
        `T1` (with T2 and T4's first form), `T3`, `T5`, `T6` and `T6-explicit`, `T7`, `spectrum`, each an
        `Applicability`.

    >>> duplicated = Problem(X=[[1.0, 0.0], [1.0, 0.0]], y=[0, 1])
    >>> statements = applicable_statements(duplicated, NetworkSpec(depth=3, residual_scale=0.1))
    >>> statements["T1"].applies, statements["T1"].reason
    (False, 'G is singular: rank 1 for N = 2 samples (linearly dependent or duplicated samples)')
    """
    data, modes = measure_data(problem), signal_spectrum(problem, network)
    narrow = network.width is not None and network.width < data.dimension
    obstacles: list[str] = []
    if not data.gram_invertible:
        cause = (
            f"N = {data.samples} > d = {data.dimension}"
            if data.samples > data.dimension
            else "linearly dependent or duplicated samples"
        )
        obstacles.append(f"G is singular: rank {data.rank} for N = {data.samples} samples ({cause})")
    if modes.truncated.size:
        obstacles.append(
            f"{modes.truncated.size} singular value(s) of M, the largest {modes.truncated[0]:.3g}, "
            f"do not exceed the signal threshold {modes.threshold:.3g}"
        )
    t1 = "; ".join(obstacles)
    # the bounds rest on T2, and T2 on every direction passing
    t2 = "; ".join(
        [*obstacles, *([f"width {network.width} < d = {data.dimension}: T2 needs d_h ≥ d"] if narrow else [])]
    )
    unequal = "" if data.balanced else f"class sizes {_shown(problem.counts)} differ"
    t6 = "; ".join(filter(None, [t2, unequal]))
    above = f"entrywise θ = {data.theta_entrywise:.3g}, not below 1/2"
    t6_explicit = "; ".join(filter(None, [t6, "" if data.theta_entrywise < 0.5 else above]))
    invertible = "G is invertible and every singular value of M is signal"
    return {
        "T1": _applicability(t1, invertible),
        "T3": Applicability(applies=True, reason=t1 or "holds for any data; T1 is its case of invertible G"),
        "T5": _applicability(t2, f"{invertible}; spectral θ = {data.theta_spectral:.3g} before rescaling"),
        "T6": _applicability(t6, f"{invertible}; equal classes"),
        "T6-explicit": _applicability(t6_explicit, f"equal classes, entrywise θ = {data.theta_entrywise:.3g}"),
        "T7": Applicability(applies=True, reason="needs balanced weights only"),
        "spectrum": _applicability(
            "; ".join(filter(None, [t6, "" if data.theta_spectral < 1e-9 else "the data are not orthonormal"])),
            "orthonormal data, equal classes",
        ),
    }


def _applicability(obstacle: str, reason: str) -> Applicability:
    return Applicability(applies=not obstacle, reason=obstacle or reason)


def _shown(counts: np.ndarray) -> str:
    return f"{counts.min()}…{counts.max()}"
