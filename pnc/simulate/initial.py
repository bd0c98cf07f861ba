"""Initial weights, and the exact reduction of deep linear networks with orthogonal ones (Y2).

Orthogonal initial weights are `W_l = ε O_l`. In coordinates rotated by `O_l ⋯ O_1` the hidden weights are `ε` times the
identity and the classifier is `ε` times K Haar-random orthonormal rows `c_1 … c_K`. Training leaves everything outside
`span(X) + span(c)` untouched, so the network of any width is the same computation as one of width `r = rank(X) + K`.

Both forms are made from one draw: the part of the classifier inside `span(X)` and the triangular factor of the rest are
drawn first, by their own law (Gaussian and, by Bartlett's decomposition, chi); the reduced form needs nothing else, so
its cost does not depend on the width. The full form then draws the rotations and the rest of the classifier's frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.simulate.economical import EconomicalData, orthogonal_triangular
from pnc.spec import NetworkSpec

__all__ = [
    "ReducedClassifier",
    "classifier_overlap",
    "default_weights",
    "first_factor",
    "full_orthogonal_weights",
    "haar",
    "orthogonal_weights_of",
    "reduced_classifier",
    "reduced_orthogonal_weights",
]


def haar(rng: np.random.Generator, rows: int, columns: int) -> Float[np.ndarray, "rows columns"]:
    """A Haar-random matrix with orthonormal columns (rows ≥ columns) or orthonormal rows.

    >>> q = haar(np.random.default_rng(0), 5, 3)
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True
    """
    if rows < columns:
        return haar(rng, columns, rows).T
    q, r = orthogonal_triangular(rng.standard_normal((rows, columns)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def first_factor(data: EconomicalData, network: NetworkSpec, *, seed: int) -> Float[np.ndarray, "width d"]:
    """`W_1/ε` of a network narrower than its inputs, with orthonormal rows: the first thing that is drawn."""
    return haar(np.random.default_rng([seed, 0]), network.stated_width, data.basis.shape[0])


@dataclass(frozen=True, eq=False)
class ReducedClassifier:
    """The classifier's rows in the reduced coordinates: `[inside, outside]` has orthonormal rows.

    Args:
        inside: (K, m) components in the image of span(X).
        outside: (K, p) components in an orthonormal frame of the rest, `p = min(K, d_h - m)`.
    """

    inside: Float[np.ndarray, "K m"]
    outside: Float[np.ndarray, "K p"]

    @property
    def rows(self) -> Float[np.ndarray, "K r"]:
        """All of them."""
        return np.hstack([self.inside, self.outside])


def _draw_classifier(rng: np.random.Generator, *, classes: int, inside: int, width: int) -> ReducedClassifier:
    """K Haar-random orthonormal rows in `width` dimensions, seen from `inside` fixed ones (Bartlett)."""
    gaussian = rng.standard_normal((classes, inside))
    rest = width - inside
    if rest > classes:
        outside = np.tril(rng.standard_normal((classes, classes)), -1)
        outside += np.diag(np.sqrt(rng.chisquare(rest - np.arange(classes))))
    else:
        outside = rng.standard_normal((classes, rest))
    rows = np.hstack([gaussian, outside])
    # the polar factor (g gᵀ)^{-1/2} g of a Gaussian matrix is Haar
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    rows = left @ right
    return ReducedClassifier(inside=rows[:, :inside], outside=rows[:, inside:])


def _draw(
    data: EconomicalData, network: NetworkSpec, seed: int
) -> tuple[np.random.Generator, np.ndarray | None, np.ndarray, ReducedClassifier]:
    """The shared draw: generator, first factor `W_1/ε` (narrow nets only), image of span(X), classifier."""
    rng = np.random.default_rng([seed, 0])
    dimension, rank = data.basis.shape
    classes, width = data.target.shape[0], network.stated_width
    first = None
    if width < dimension:
        first = haar(rng, width, dimension)
        image = first @ data.basis
        frame = np.linalg.svd(image, full_matrices=False)[0]  # d_h × min(d_h, m)
        inside = frame.shape[1]
    else:
        frame, inside = np.empty((0, 0)), rank
    classifier = _draw_classifier(rng, classes=classes, inside=inside, width=width)
    return rng, first, frame, classifier


def reduced_classifier(data: EconomicalData, network: NetworkSpec, *, seed: int) -> ReducedClassifier:
    """`W_L/ε` in the reduced coordinates, of the draw that `reduced_orthogonal_weights` makes."""
    return _draw(data, network, seed)[-1]


def orthogonal_weights_of(
    rows: Float[np.ndarray, "K r"], inputs: int, network: NetworkSpec
) -> list[Float[np.ndarray, "_ _"]]:
    """Orthogonal initial weights of a network no narrower than its inputs, in rotated coordinates (theory note, Y2).

    Args:
        rows: of the classifier, over ε.
        inputs: coordinates of the inputs, the first of the r.
    """
    size = rows.shape[1]
    weights = [np.eye(size, inputs), *(np.eye(size) for _ in range(network.depth - 2)), rows]
    return [network.residual_scale * w for w in weights]


def reduced_orthogonal_weights(
    data: EconomicalData, network: NetworkSpec, *, seed: int
) -> list[Float[np.ndarray, "_ _"]]:
    """Orthogonal initial weights in the reduced coordinates (theory note, Y2).

    Shapes: W_1 (r, m), hidden (r, r), W_L (K, r), with m = rank(X) and r = min(d_h, m + K) (r = min(d_h, m) + K at most
    for d_h < d). W_1 acts on the coordinates `Uᵀ x` of the inputs.
    """
    _, first, frame, classifier = _draw(data, network, seed)
    weights = orthogonal_weights_of(classifier.rows, data.scale.size, network)
    if first is not None:
        weights[0] = np.zeros_like(weights[0])
        weights[0][: frame.shape[1]] = network.residual_scale * (frame.T @ (first @ data.basis))
    return weights


def full_orthogonal_weights(data: EconomicalData, network: NetworkSpec, *, seed: int) -> list[Float[np.ndarray, "_ _"]]:
    """The same draw as `reduced_orthogonal_weights` with every weight matrix written out.

    Shapes: W_1 (d_h, d), hidden (d_h, d_h), W_L (K, d_h).
    """
    rng, first, frame, classifier = _draw(data, network, seed)
    dimension, width = data.basis.shape[0], network.stated_width
    rotations = [haar(rng, width, dimension) if first is None else first]
    rotations += [haar(rng, width, width) for _ in range(network.depth - 2)]
    # an orthonormal basis of R^d_h: the image of span(X) first, then a random frame of the rest
    image = rotations[0] @ data.basis if first is None else frame
    rest = _frame_off(image, rng.standard_normal((width, classifier.outside.shape[1])))
    rows = classifier.inside @ image.T + classifier.outside @ rest.T
    for rotation in rotations[1:]:
        rows = rows @ rotation.T
    return [network.residual_scale * w for w in [*rotations, rows]]


def _frame_off(image: Float[np.ndarray, "width m"], columns: Float[np.ndarray, "width p"]) -> np.ndarray:
    """Orthonormal columns that span `columns` without their part in the range of `image`."""
    for _ in range(2):  # twice is enough for orthogonality to rounding
        columns = columns - image @ (image.T @ columns)
    return orthogonal_triangular(columns)[0]


def classifier_overlap(data: EconomicalData, network: NetworkSpec, *, seed: int) -> Float[np.ndarray, "p off"]:
    """How inputs off the data's span enter the reduced coordinates of a network no narrower than its inputs.

    The (p, d - m) product of the frame of the classifier's rows outside the image of the span, and the image, under
    `O_1`, of an orthonormal basis of the span's complement; from the draw of `full_orthogonal_weights`, whose hidden
    rotations are drawn but not built.
    """
    rng, _, _, classifier = _draw(data, network, seed)
    (dimension, rank), width = data.basis.shape, network.stated_width
    rotation = haar(rng, width, dimension)
    for _ in range(network.depth - 2):
        rng.standard_normal((width, width))
    rest = rng.standard_normal((width, classifier.outside.shape[1]))
    complement = orthogonal_triangular(data.basis, mode="full")[0][:, rank:]
    return _frame_off(rotation @ data.basis, rest).T @ (rotation @ complement)


def default_weights(data: EconomicalData, network: NetworkSpec, *, seed: int) -> list[Float[np.ndarray, "_ _"]]:
    """PyTorch's `nn.Linear` law: entries uniform in ±1/√(fan in), so their variance is 1/(3 fan in) (T9).

    Shapes: W_1 (d_h, d), hidden (d_h, d_h), W_L (K, d_h).
    """
    rng = np.random.default_rng([seed, 1])
    sizes = [data.basis.shape[0], *[network.stated_width] * (network.depth - 1), data.target.shape[0]]
    return [
        rng.uniform(-1, 1, (rows, columns)) / np.sqrt(columns)
        for columns, rows in zip(sizes[:-1], sizes[1:], strict=True)
    ]
