"""The spectrum of the features of each layer, and the ranks that it implies."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec
from pnc.theory.signal import data_modes, signal_modes

__all__ = [
    "layer_spectrum",
    "orthonormal_spectrum",
    "predicted_effective_rank",
    "predicted_numerical_rank",
    "predicted_stable_rank",
]


def orthonormal_spectrum(
    classes: int, samples_per_class: int, network: NetworkSpec, layer: int, *, centred: bool = False
) -> list[tuple[float, int]]:
    """Eigenvalues of `Z_lᵀZ_l` for orthonormal data and equal classes (theory note, section 4, Spectrum).

    K eigenvalues `(n/α²)^{l/L}`, of which centring about the global mean leaves K-1, and N-K equal to
    `ε^{2l}`.

    Args:
        layer: 0…L-1.
        centred: about the global mean.

    Returns:
        (eigenvalue, multiplicity) pairs of those that are not zero, in this order; squared feature norm.

    Raises:
        InvalidInputError: a layer outside 0…L-1.

    >>> orthonormal_spectrum(3, 16, NetworkSpec(depth=4, residual_scale=0.5), 2)
    [(4.0, 3), (0.0625, 45)]
    """
    _check_layer(layer, network)
    signal = (samples_per_class / network.label_scale**2) ** (layer / network.depth)
    return [
        (signal, classes - 1 if centred else classes),
        (network.residual_scale ** (2 * layer), classes * (samples_per_class - 1)),
    ]


def layer_spectrum(
    problem: Problem,
    network: NetworkSpec,
    layer: int,
    *,
    centred: bool = False,
    residual_projection: Float[np.ndarray, "m d"] | None = None,
) -> Float[np.ndarray, " rank"]:
    """Eigenvalues of the Gram matrix `Z_lᵀZ_l` of a layer for any data (theory note, T1 and T3).

    Singular values squared of `Σ Vᵀ [V_s S^{l/L}, ε^l Πᵀ]`, whose size is the rank of X and not N.
    Eigenvalues below about `u²` times the largest are rounding.

    Args:
        layer: 0…L-1.
        centred: about the global mean of the features.
        residual_projection: (m, d) rows of Π, needed where the width is below d (`residual_projection_of`).

    Returns:
        (rank,) descending, squared feature norm.

    Raises:
        InvalidInputError: a layer outside 0…L-1.
        NotApplicableError: a width below d without `residual_projection`: the spectrum depends on it.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> layer_spectrum(problem, NetworkSpec(depth=3, residual_scale=0.1), 1).round(9).tolist()
    [1.25992105, 1.25992105, 0.01, 0.01]
    """
    _check_layer(layer, network)
    data, modes = data_modes(problem), signal_modes(problem, network)
    if residual_projection is None and network.width is not None and network.width < data.dimension:
        raise NotApplicableError(
            statement="T1",
            assumption=f"width ≥ d = {data.dimension} for the spectrum, or the residual directions that pass",
            instead="pass residual_projection=residual_projection_of(weights, problem, network)",
        )
    on_data = data.right.T * data.singular_values[:, None]  # (rank, d), the Gram matrix of X up to a rotation
    if centred:
        # Pᵀ(I - 11ᵀ/N)P = I - p pᵀ, whose square root is I - γ p pᵀ
        p = data.sample_sums_left / np.sqrt(data.samples)
        length = float(p @ p)
        if length > 0:  # 1 - ‖p‖² from its own sum: the square root of a difference would lose half the digits
            on_data = on_data - (1 - np.sqrt(data.ones_off_span)) / length * np.outer(p, p @ on_data)
    scores = on_data @ modes.right
    residual = on_data - scores @ modes.right.T
    if residual_projection is not None and layer > 0:
        residual = residual @ np.asarray(residual_projection, dtype=np.float64).T
    factor = np.hstack(
        [
            scores * modes.values ** (layer / network.depth),
            network.residual_scale**layer * residual,
        ]
    )
    return np.linalg.svd(factor, compute_uv=False) ** 2


def predicted_numerical_rank(eigenvalues: Float[np.ndarray, " r"], *, share: float = 0.95) -> int:
    """Fewest singular values σ = √λ whose sum is a share of Σσ: the paper's numerical rank (theory note,
    section 4).

    Args:
        eigenvalues: (r,) of `Z_lᵀZ_l`, any order, not centred for the paper's definition.
        share: in (0, 1].

    >>> predicted_numerical_rank(np.array([16.0, 9.0, 4.0, 1.0]), share=0.7)
    2
    """
    σ = np.sort(np.sqrt(eigenvalues))[::-1]
    reached = np.cumsum(σ) >= share * σ.sum() * (1 - σ.size * np.finfo(np.float64).eps)
    return int(np.argmax(reached)) + 1


def predicted_stable_rank(eigenvalues: Float[np.ndarray, " r"]) -> float:
    """Stable rank `Σλ/λ_1` of features with these Gram eigenvalues (theory note, U2 for centred ones).

    >>> predicted_stable_rank(np.array([4.0, 1.0, 1.0]))
    1.5
    """
    return float(np.sum(eigenvalues) / np.max(eigenvalues))


def predicted_effective_rank(eigenvalues: Float[np.ndarray, " r"]) -> float:
    """Effective rank `exp(-Σ q log q)`, `q = √λ/Σ√λ` (Roy and Vetterli 2007; theory note, section 4).

    >>> round(predicted_effective_rank(np.array([1.0, 1.0, 1.0, 0.0])), 12)
    3.0
    """
    σ = np.sqrt(eigenvalues)
    q = σ[σ > 0] / σ.sum()
    return float(np.exp(-np.sum(q * np.log(q))))


def _check_layer(layer: int, network: NetworkSpec) -> None:
    if not 0 <= layer < network.depth:
        raise InvalidInputError(
            got=f"layer {layer}",
            expected=f"a layer 0…{network.depth - 1} of depth {network.depth}",
            next_step="choose a layer between the input and the last hidden one",
        )
