"""R8: the classifier of a residual network starts as random orthonormal rows; whitened data."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.theory.numerics import StopAtZero

__all__ = ["random_classifier_images"]

_LOSS = 1e-18  # share of the initial loss at which the flow has arrived


def random_classifier_images(
    value: float, *, blocks: int, block_scale: float = 1.0, classifier_scale: float, span_share: float
) -> Float[np.ndarray, "layers 3 2"]:
    """Images of a signal direction and of the classifier's row after each block (theory note, R8).

    Whitened data decouple: signal direction v_i and the classifier's row c_i stay in the three dimensions of v_i, of
    the row's part inside span X and of its part outside. There the blocks are `I + βW_l`, W_l 3 × 3 from zero, the
    classifier starts as `κ (0, √f, √(1-f))`, and gradient flow on `(w A_{m-1}⋯A_0 e₁ - s)² + (w A_{m-1}⋯A_0 e₂)²` is
    integrated to its end.

    Args:
        value: s, the singular value of the end-to-end map.
        blocks: m.
        block_scale: β.
        classifier_scale: κ.
        span_share: f, the share of the dimensions off the signal that the samples span, `(N - K)/(d - K)`, in (0, 1].

    Returns:
        (m+1, 3, 2): `A_{l-1}⋯A_0 e₁` and `A_{l-1}⋯A_0 e₂`, l = 0…m, dimensionless.

    Raises:
        InvalidInputError: a number out of range, or a flow that does not arrive.

    >>> images = random_classifier_images(2.0, blocks=3, classifier_scale=0.5, span_share=0.6)
    >>> images[0].tolist(), bool(np.linalg.norm(images[3, :, 0]) > 1)
    ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], True)
    """
    import scipy.integrate  # keeps `import pnc` light

    fits = blocks >= 1 and 0 < span_share <= 1 and all(0 < x < math.inf for x in (value, block_scale, classifier_scale))
    if not fits:
        raise InvalidInputError(
            got=f"value {value}, {blocks} blocks, scales {block_scale} and {classifier_scale}, share {span_share}",
            expected="numbers above 0, a share of at most 1 and at least one block",
            next_step="leave out directions without signal",
        )
    start = np.zeros(9 * blocks + 3)
    start[-2:] = classifier_scale * np.sqrt([span_share, 1 - span_share])
    first = float(np.sum(_forward(start, blocks, block_scale, value)[2] ** 2))

    def slope(_: float, y: np.ndarray) -> np.ndarray:
        return _slope(y, blocks, block_scale, value)

    def left(y: np.ndarray) -> float:
        return math.log(float(np.sum(_forward(y, blocks, block_scale, value)[2] ** 2)) / first + 1e-300) - math.log(
            _LOSS
        )

    found = scipy.integrate.solve_ivp(
        slope, (0.0, 1e9), start, method="LSODA", events=StopAtZero(left), rtol=1e-10, atol=1e-12
    )
    if found.status != 1:
        raise InvalidInputError(
            got=f"a flow that does not arrive at s = {value:g} from a classifier of scale {classifier_scale:g}",
            expected="a classifier scale not far above s",
            next_step="lower `classifier_scale`, or simulate",
        )
    return np.array(_forward(found.y[:, -1], blocks, block_scale, value)[1])


def _forward(
    y: np.ndarray, blocks: int, block_scale: float, value: float
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    A = np.eye(3) + block_scale * y[:-3].reshape(blocks, 3, 3)
    images = [np.eye(3, 2)]
    for block in A:
        images.append(block @ images[-1])
    return A, images, y[-3:] @ images[-1] - np.array([value, 0.0])


def _slope(y: np.ndarray, blocks: int, block_scale: float, value: float) -> np.ndarray:
    """Minus half the gradient."""
    A, images, error = _forward(y, blocks, block_scale, value)
    row, slopes = y[-3:], [-images[-1] @ error]
    for block, image in zip(A[::-1], images[-2::-1], strict=True):
        slopes.append(-block_scale * np.outer(row, image @ error).ravel())
        row = row @ block
    return np.concatenate([*slopes[:0:-1], slopes[0]])
