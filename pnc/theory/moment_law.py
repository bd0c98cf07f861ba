"""T7: what balance alone asks of the two scatters, whatever the residual spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.theory.signal import chunks

__all__ = ["MomentLaw", "SpectralMeasures", "jensen_lower_bound", "moment_law", "spectral_measures"]


_HANKEL_LAYERS = 128  # of a sequence whose Hankel matrices are decomposed


@dataclass(frozen=True, kw_only=True, eq=False)
class MomentLaw:
    """How far a sequence of traces is from violating the moment law; every number is ≥ 0 where it holds.

    Args:
        ratios: (L-1,) per-layer ratios m_{l+1}/m_l.
        ratio_increases: (L-2,) differences of successive ratios, relative to the ratio: they never fall.
        log_convexity: (L-2,) `log m_{l-1} + log m_{l+1} - 2 log m_l`, l = 1…L-2.
        hankel: smallest eigenvalue of each Hankel matrix `(m_{i+j})` and `(m_{i+j+1})`, of unit diagonal, by
            size from 2.
        jensen_excess: (L,) `log(m_l/m_0) - l log(m_1/m_0)`.
    """

    ratios: Float[np.ndarray, " a"]
    ratio_increases: Float[np.ndarray, " b"]
    log_convexity: Float[np.ndarray, " b"]
    hankel: Float[np.ndarray, " c"]
    jensen_excess: Float[np.ndarray, " L"]

    def violation(self) -> float:
        """The most by which any inequality fails; 0 where all hold."""
        parts = (self.ratio_increases, self.log_convexity, self.hankel, self.jensen_excess)
        return max(0.0, *(-float(part.min()) for part in parts if part.size))

    def holds(self, *, allowance: float) -> bool:
        """Whether every inequality holds up to `allowance`, a relative error of the traces."""
        return self.violation() <= allowance


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectralMeasures:
    """Atoms of `A = W_1ᵀW_1` with the within- and between-class weight that the data put on each.

    Args:
        atoms: (d,) eigenvalues λ of A, descending.
        within: (d,) weights of ω: within-class sum of squares along each eigenvector.
        between: (d,) weights of β: between-class sum of squares.
        samples: N.
    """

    atoms: Float[np.ndarray, " d"]
    within: Float[np.ndarray, " d"]
    between: Float[np.ndarray, " d"]
    samples: int

    def within_scatter(self, depth: int) -> Float[np.ndarray, " L"]:
        """(L,) `tr Σ_W^l = ∫ λ^l dω / N`, l = 0…L-1 (theory note, T7)."""
        return np.array([self.within @ self.atoms**l for l in range(depth)]) / self.samples

    def between_scatter(self, depth: int) -> Float[np.ndarray, " L"]:
        """(L,) `tr Σ_B^l = ∫ λ^l dβ / N`, l = 0…L-1 (theory note, T7)."""
        return np.array([self.between @ self.atoms**l for l in range(depth)]) / self.samples


def moment_law(traces: Sequence[float] | Float[np.ndarray, " L"]) -> MomentLaw:
    """Test a trace, layer by layer, as a Stieltjes moment sequence (theory note, T7).

    For weights balanced up to layer L-2, `m_l = ∫ λ^l dω(λ)` with ω ≥ 0 on [0, ∞): m is log-convex, its
    ratios never fall, all Hankel matrices are positive semidefinite, and `m_l/m_0 ≥ (m_1/m_0)^l` (Jensen). It
    holds for `tr Σ_W` and for `tr Σ_B`, not for their ratio C. Of more than 128 layers the Hankel matrices are those of
    the first 128 and of every k-th, which are moments as well (of λ^k).

    Args:
        traces: (L,) of layers 0…L-1, above 0, squared feature norm.

    Raises:
        InvalidInputError: fewer than two layers, or a trace that is not finite and above 0.

    >>> moment_law([1.0, 0.5, 0.25]).holds(allowance=1e-12), moment_law([1.0, 0.5, 0.1]).holds(allowance=0.1)
    (True, False)
    """
    m = np.asarray(traces, dtype=np.float64)
    if m.ndim != 1 or m.size < 2 or not np.all(np.isfinite(m) & (m > 0)):
        raise InvalidInputError(
            got=f"traces {m.tolist()}",
            expected="at least two finite numbers above 0, one a layer from layer 0",
            next_step="leave out layers below the noise floor",
        )
    logs = np.log(m)
    ratios = m[1:] / m[:-1]
    # scaling m_l by c^l and a constant changes no verdict; unit diagonals keep the smallest eigenvalues
    # comparable
    parts = [logs]
    if m.size > _HANKEL_LAYERS:
        parts = [logs[:_HANKEL_LAYERS], logs[:: -(-m.size // _HANKEL_LAYERS)]]
    hankel = [
        float(np.linalg.eigvalsh(_unit_hankel(part, size, shift))[0])
        for part in parts
        for size in range(2, part.size // 2 + 2)
        for shift in (0, 1)
        if 2 * (size - 1) + shift < part.size
    ]
    return MomentLaw(
        ratios=ratios,
        ratio_increases=np.diff(ratios) / ratios[1:],
        log_convexity=logs[:-2] + logs[2:] - 2 * logs[1:-1],
        hankel=np.array(hankel),
        jensen_excess=logs - logs[0] - np.arange(m.size) * (logs[1] - logs[0]),
    )


def _unit_hankel(logs: np.ndarray, size: int, shift: int) -> np.ndarray:
    i = np.arange(size)
    diagonal = logs[2 * i + shift]
    return np.exp(logs[i[:, None] + i + shift] - (diagonal[:, None] + diagonal) / 2)


def jensen_lower_bound(traces: Sequence[float] | Float[np.ndarray, " layers"], depth: int) -> Float[np.ndarray, " L"]:
    """Least that a trace can be at each layer, from its first two: `m_0 (m_1/m_0)^l` (theory note, T7).

    Args:
        traces: the trace at layers 0 and 1 (more are ignored), squared feature norm.
        depth: L.

    >>> jensen_lower_bound([2.0, 1.0], 4).tolist()
    [2.0, 1.0, 0.5, 0.25]
    """
    return traces[0] * (traces[1] / traces[0]) ** np.arange(depth)


def spectral_measures(first_weights: Float[np.ndarray, "h d"], problem: Problem) -> SpectralMeasures:
    """Spectral measures ω and β of `A = W_1ᵀW_1`, from which T7 gives both traces of every layer (theory
    note, T7).

    Args:
        first_weights: W_1, (d_1, d).

    Raises:
        InvalidInputError: W_1 does not act on inputs of this dimension.

    >>> problem = Problem(X=np.eye(4), y=[0, 0, 1, 1])
    >>> spectral_measures(0.5 * np.eye(4), problem).within_scatter(3).tolist()
    [0.5, 0.125, 0.03125]
    """
    W = np.asarray(first_weights, dtype=np.float64)
    if W.ndim != 2 or W.shape[1] != problem.dimension:
        raise InvalidInputError(
            got=f"W_1 of shape {W.shape}",
            expected=f"shape (d_1, {problem.dimension})",
            next_step="pass the first weight matrix of a network for this problem",
        )
    # all d right singular vectors: the kernel of W_1 carries the atom 0, which layer 0 sees
    _, s, eigenvectors = np.linalg.svd(W, full_matrices=True)
    atoms = np.zeros(problem.dimension)
    atoms[: s.size] = s**2
    counts = problem.counts
    K = problem.classes
    sums = np.zeros((K, problem.dimension))
    for rows in chunks(problem.samples):
        sums += (problem.y[rows] == np.arange(K)[:, None]).astype(np.float64) @ problem.X[rows]
    means = sums / counts[:, None]
    within = np.zeros(problem.dimension)
    for rows in chunks(problem.samples):
        within += np.sum(((problem.X[rows] - means[problem.y[rows]]) @ eigenvectors.T) ** 2, axis=0)
    offsets = means - (counts / counts.sum()) @ means
    return SpectralMeasures(
        atoms=atoms,
        within=within,
        between=counts @ (offsets @ eigenvectors.T) ** 2,
        samples=problem.samples,
    )
