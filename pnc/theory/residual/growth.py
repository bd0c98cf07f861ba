"""R1 and R6: the factor g by which one residual block multiplies a signal direction of the Gram matrix."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["block_growth", "embedded_growth", "growth_excess"]


def block_growth(values: Float[np.ndarray, " r"], *, blocks: int, block_scale: float = 1.0) -> Float[np.ndarray, " r"]:
    """The Gram factor g of a block in each signal direction: `g^m (g - 1) = β² s²` (theory note, R1).

    Args:
        values: (r,) singular values s of the end-to-end map; s² are the eigenvalues of H.
        blocks: m.
        block_scale: β.

    Returns:
        (r,) of g > 1, dimensionless.

    Raises:
        InvalidInputError: no block, or a value or scale that is not a finite number above 0.

    >>> g = block_growth(np.array([2.0]), blocks=3)
    >>> bool(np.isclose(g[0] ** 3 * (g[0] - 1), 4.0))
    True
    """
    return 1 + growth_excess(values, blocks=blocks, block_scale=block_scale)


def embedded_growth(
    values: Float[np.ndarray, " r"], *, blocks: int, block_scale: float = 1.0, embedding_scale: float
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """Gram factors of a trained embedding and of a block behind it (theory note, R6).

        e = γ² + (x-1)/β²,     e ((x-1)/β²) x^m = s²

    Args:
        values: (r,) singular values s of the end-to-end map.
        blocks: m.
        block_scale: β.
        embedding_scale: γ.

    Returns:
        e (r,), what the embedding makes of a unit of the signal Gram matrix, and x (r,), what each block does.

    Raises:
        InvalidInputError: as `block_growth`.

    >>> e, x = embedded_growth(np.array([2.0]), blocks=3, embedding_scale=0.5)
    >>> bool(np.isclose(e[0] * (x[0] - 1) * x[0] ** 3, 4.0))
    True
    """
    excess = growth_excess(values, blocks=blocks, block_scale=block_scale, embedding_scale=embedding_scale)
    return embedding_scale**2 + excess / block_scale**2, 1 + excess


def growth_excess(
    values: Float[np.ndarray, " r"], *, blocks: int, block_scale: float, embedding_scale: float | None = None
) -> Float[np.ndarray, " r"]:
    """g - 1 of R1, or x - 1 of R6 where there is an embedding, to full relative accuracy however small it is.

    Newton's method in v = log(x - 1), where the logarithm of the equation is increasing and convex: it comes down
    from any point above the root, such as the one where the convex terms are left out.

    >>> bool(np.isclose(growth_excess(np.array([1e-9]), blocks=2, block_scale=1.0)[0], 1e-18, atol=0))
    True
    """
    s = np.asarray(values, dtype=np.float64)
    usable = s.ndim == 1 and bool(np.all(np.isfinite(s) & (s > 0)))
    if blocks < 1 or not usable or not block_scale > 0 or (embedding_scale is not None and not embedding_scale > 0):
        raise InvalidInputError(
            got=f"singular values {s.tolist()}, {blocks} blocks, scales {block_scale} and {embedding_scale}",
            expected="finite numbers above 0 and at least one block",
            next_step="leave out directions without signal",
        )
    target = 2 * np.log(s) + 2 * np.log(block_scale)
    v = target.copy()
    if embedding_scale is not None:
        v = target - 2 * np.log(embedding_scale)
    for _ in range(200):
        x1 = np.exp(v)
        value = v + blocks * np.log1p(x1) - target
        slope = 1 + blocks * x1 / (1 + x1)
        if embedding_scale is not None:
            ratio = x1 / (block_scale * embedding_scale) ** 2
            value += 2 * np.log(embedding_scale) + np.log1p(ratio)
            slope += ratio / (1 + ratio)
        step = value / slope
        v = v - step
        if np.all(np.abs(step) <= 4 * np.finfo(np.float64).eps * np.maximum(1, np.abs(v))):
            break
    return np.exp(v)
