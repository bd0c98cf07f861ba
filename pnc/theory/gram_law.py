"""T1 and T3: the Gram matrix of the features of a layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.signal import data_modes, signal_modes

__all__ = ["layer_features", "layer_gram"]


def layer_features(problem: Problem, network: NetworkSpec, layer: int) -> Float[np.ndarray, "N d"]:
    """Features of a layer up to a rotation of feature space: `X (V S^{l/L} Vᵀ + ε^l (I - V Vᵀ))` (theory
    note, T1 and T3).

    They are what the symmetric choice of weights `W_{l:1} = (W_1ᵀW_1)^{l/2}` computes; every Gram matrix,
    distance and scatter is that of layer `layer`. For G invertible the scores are `X V = Yᵀ U S⁻¹/α` (T1). No
    N × N matrix is formed.

    Args:
        layer: 0…L-1. The width is taken to be at least d.

    Returns:
        (N, d), units of the inputs times a power of the scales.

    Raises:
        InvalidInputError: a layer outside 0…L-1.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> layer_features(problem, NetworkSpec(depth=3), 2).shape
    (4, 6)
    """
    if not 0 <= layer < network.depth:
        raise InvalidInputError(
            got=f"layer {layer}",
            expected=f"a layer 0…{network.depth - 1} of depth {network.depth}",
            next_step="layer L is the output: M X by A1",
        )
    modes = signal_modes(problem, network)
    V = modes.right
    if data_modes(problem).interpolates:
        scores = (modes.left / (network.label_scale * modes.values))[problem.y]
    else:
        scores = problem.X @ V
    residual = problem.X - scores @ V.T
    residual -= (residual @ V) @ V.T
    scales = modes.values ** (layer / network.depth)
    return (scores * scales) @ V.T + network.residual_scale**layer * residual


def layer_gram(problem: Problem, network: NetworkSpec, layer: int) -> Float[np.ndarray, "N N"]:
    """Gram matrix `Z_lᵀZ_l = Ŷᵀ H^{l/L-1} Ŷ + ε^{2l} (G - Ŷᵀ H⁺ Ŷ)` of a layer (theory note, T1; T3 with Ŷ =
    M X).

    Args:
        layer: 0…L-1. The width is taken to be at least d.

    Returns:
        (N, N), squared feature norm. For large N use `layer_features`, whose Gram matrix it is.

    Raises:
        InvalidInputError: a layer outside 0…L-1.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> np.allclose(layer_gram(problem, NetworkSpec(depth=3), 0), np.eye(4))
    True
    """
    features = layer_features(problem, network, layer)
    return features @ features.T
