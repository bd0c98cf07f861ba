"""Exact rational instances: labels, nearly orthonormal Gram matrices, and networks that satisfy A1-A3 exactly.

Everything is a rational matrix, so an identity can be checked without any rounding. Orthogonal matrices come from
Cayley's transform; networks are built from rational L-th roots of the singular values, so that H^{l/L} is rational too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import fmpq, fmpq_mat

from .balls import identity, rational, zeros

__all__ = [
    "ExactNetwork",
    "GramInstance",
    "averaging",
    "columns",
    "diagonal",
    "exact_network",
    "gram_instances",
    "labels",
    "nearly_orthonormal",
    "orthogonal",
    "random_features",
    "random_matrix",
    "spectral_gram",
    "within_projection",
]


def random_matrix(rows: int, cols: int, rng: random.Random, *, size: int = 5, denominator: int = 4) -> fmpq_mat:
    """Random rational entries in [-size, size]/denominator."""
    return fmpq_mat(rows, cols, [fmpq(rng.randint(-size, size), denominator) for _ in range(rows * cols)])


def diagonal(values: Sequence[fmpq | int | Fraction | str]) -> fmpq_mat:
    """A diagonal matrix."""
    size = len(values)
    return fmpq_mat(size, size, [rational(values[i]) if i == j else fmpq(0) for i in range(size) for j in range(size)])


def columns(matrix: fmpq_mat, start: int, stop: int) -> fmpq_mat:
    """Columns start … stop-1."""
    kept = [[matrix[i, j] for j in range(start, stop)] for i in range(matrix.nrows())]
    return fmpq_mat(matrix.nrows(), stop - start, [entry for row in kept for entry in row])


def orthogonal(size: int, rng: random.Random) -> fmpq_mat:
    """A random rational orthogonal matrix: Cayley's (I - A)(I + A)⁻¹ of a sparse skew matrix A.

    >>> q = orthogonal(4, random.Random(0)); q.transpose() * q == identity(4)
    True
    """
    entries = [[fmpq(0)] * size for _ in range(size)]
    for i in range(size):
        for j in range(i):
            if rng.random() < 0.6 or j == i - 1:
                entries[i][j] = fmpq(rng.choice((-2, -1, 1, 2)), rng.choice((1, 2)))
                entries[j][i] = -entries[i][j]
    skew = fmpq_mat(size, size, [entry for row in entries for entry in row])
    return (identity(size) - skew) * (identity(size) + skew).inv()


def labels(counts: Sequence[int]) -> fmpq_mat:
    """One-hot Y, K × N, classes in blocks."""
    samples = sum(counts)
    matrix = zeros(len(counts), samples)
    start = 0
    for k, size in enumerate(counts):
        for i in range(start, start + size):
            matrix[k, i] = 1
        start += size
    return matrix


def averaging(counts: Sequence[int]) -> fmpq_mat:
    """Ȳ = diag(n)⁻¹ Y."""
    return diagonal([Fraction(1, n) for n in counts]) * labels(counts)


def within_projection(counts: Sequence[int]) -> fmpq_mat:
    """P_W = I - YᵀȲ."""
    return identity(sum(counts)) - labels(counts).transpose() * averaging(counts)


@dataclass(frozen=True, kw_only=True)
class GramInstance:
    """An exact Gram matrix with its class sizes and the θ it satisfies.

    `entrywise`: |G_ij - δ_ij| ≤ θ/N; otherwise only ‖G - I‖₂ ≤ θ.
    """

    name: str
    gram: fmpq_mat
    counts: tuple[int, ...]
    theta: fmpq
    entrywise: bool = True


def _classes(counts: Sequence[int]) -> list[int]:
    return [k for k, size in enumerate(counts) for _ in range(size)]


def nearly_orthonormal(
    counts: Sequence[int], theta: str | Fraction | fmpq, entry: Callable[[int, int, int, int], Fraction | int]
) -> fmpq_mat:
    """G = I + (θ/N) E, where `entry(i, j, class_i, class_j)` in [-1, 1] gives E for i ≤ j.

    >>> nearly_orthonormal((1, 1), "1/2", lambda i, j, a, b: 1)[0, 1]
    1/4
    """
    samples, kinds = sum(counts), _classes(counts)
    scale = rational(theta) / samples
    gram = identity(samples)
    for i in range(samples):
        for j in range(i, samples):
            change = rational(entry(i, j, kinds[i], kinds[j])) * scale
            gram[i, j] += change
            if i != j:
                gram[j, i] += change
    return gram


def gram_instances(
    thetas: Sequence[str], shapes: Sequence[tuple[int, ...]], rng: random.Random, *, randoms: int
) -> list[GramInstance]:
    """Random and extreme Gram matrices under the entrywise condition: every entry at ±θ/N in class patterns."""
    patterns: dict[str, Callable[[int, int, int, int], int | Fraction]] = {
        "all classes pushed together": lambda i, j, a, b: 1,
        "classes tightened, others pushed apart": lambda i, j, a, b: 1 if a == b else -1,
        "classes loosened, others pulled together": lambda i, j, a, b: -1 if a == b else 1,
        "one pair of classes pulled together": lambda i, j, a, b: 1 if {a, b} == {0, 1} else -1,
        "alternating within classes": lambda i, j, a, b: 1 if (i + j) % 2 == 0 else -1,
    }
    found = []
    for counts in shapes:
        for theta in thetas:
            value = rational(theta)
            for name, pattern in patterns.items():
                gram = nearly_orthonormal(counts, value, pattern)
                found.append(
                    GramInstance(name=f"{name}, n = {counts}, θ = {theta}", gram=gram, counts=counts, theta=value)
                )
            for number in range(randoms):
                extreme = number % 2 == 1

                def drawn(i: int, j: int, a: int, b: int, extreme: bool = extreme) -> int | Fraction:
                    return rng.choice((-1, 1)) if extreme else Fraction(rng.randint(-8, 8), 8)

                gram = nearly_orthonormal(counts, value, drawn)
                found.append(
                    GramInstance(
                        name=f"random {number}, n = {counts}, θ = {theta}", gram=gram, counts=counts, theta=value
                    )
                )
    return found


def spectral_gram(
    per_class: int, classes: int, theta: str, *, means: Sequence[int | Fraction], within: Sequence[int | Fraction]
) -> GramInstance:
    """G whose eigenvectors respect the classes: eigenvalue 1 + θ m_k on class k's indicator, 1 + θ w on the rest.

    Only ‖G - I‖₂ ≤ θ holds. With m ≠ w the within-class part of a class is isotropic; `within` cycles over classes.
    """
    value = rational(theta)
    counts = (per_class,) * classes
    gram = identity(per_class * classes)
    for k in range(classes):
        inside = 1 + value * rational(within[k % len(within)])
        mean = 1 + value * rational(means[k % len(means)])
        for i in range(per_class):
            for j in range(per_class):
                entry = (mean - inside) / per_class + (inside if i == j else 0)
                gram[k * per_class + i, k * per_class + j] = entry
    return GramInstance(
        name=f"class-aligned spectrum, n = {per_class}, K = {classes}, θ = {theta}",
        gram=gram,
        counts=counts,
        theta=value,
        entrywise=False,
    )


@dataclass(frozen=True, kw_only=True)
class ExactNetwork:
    """Weights that satisfy A1-A3 in rational numbers, with the data they fit.

    Args:
        weights: W_1, …, W_L.
        data: X, d × N.
        targets: Y/α, K × N (one-hot divided by α, unless the network was built for T3).
        counts: class sizes.
        depth: L.
        residual_scale: ε.
        signal_root: U diag(s_k^{1/L}) Uᵀ, whose square is H^{1/L}.
        right: V, d × K, orthonormal basis of the row space of M.
        left: U.
        roots: the numbers s_k^{1/L}.
        name: for reports.
    """

    weights: tuple[fmpq_mat, ...]
    data: fmpq_mat
    targets: fmpq_mat
    counts: tuple[int, ...]
    depth: int
    residual_scale: fmpq
    signal_root: fmpq_mat
    right: fmpq_mat
    left: fmpq_mat
    roots: tuple[fmpq, ...]
    label_scale: fmpq
    name: str

    def product(self, layer: int) -> fmpq_mat:
        """W_{l:1}."""
        total = identity(self.data.nrows())
        for weight in self.weights[:layer]:
            total = weight * total
        return total

    def h_power(self, numerator: int) -> fmpq_mat:
        """H^{numerator/L}, exact."""
        return self.left * diagonal([r ** (2 * numerator) for r in self.roots]) * self.left.transpose()


def exact_network(
    rng: random.Random,
    *,
    counts: Sequence[int],
    dimension: int,
    depth: int,
    residual_scale: str = "3/10",
    width: int | None = None,
    roots: Sequence[str] | None = None,
    label_scale: str = "1",
    explained: bool = True,
) -> ExactNetwork:
    """A deep linear network with W_{L:1} = M = (Y/α) X⁺, exact balance and residual scale ε, in rational numbers.

    M = U S Vᵀ is chosen first; X = M⁺ Y/α + (I - VVᵀ) C with C vanishing on K directions, so that the rows of M lie in
    span(X) (minimum norm) and M X = Y/α. Width above d adds arbitrary weights on directions that no input reaches.
    `explained=False` builds N > d data with M X ≠ Y instead (for T3): Y = M X + R with R Xᵀ = 0, and Y not one-hot;
    fewer roots than classes then give a map M of lower rank.
    """
    classes, samples = len(counts), sum(counts)
    width = dimension if width is None else width
    scale, alpha = rational(residual_scale), rational(label_scale)
    chosen = [rational(r) for r in (roots or [str(Fraction(7 + 2 * k, 5)) for k in range(classes)])]
    signals = len(chosen)
    basis = orthogonal(dimension, rng)
    right = columns(basis, 0, signals)
    left = columns(orthogonal(classes, rng), 0, signals)
    projector = right * right.transpose()
    rest = identity(dimension) - projector
    core = right * diagonal(chosen) * right.transpose() + scale * rest
    weights, frame = [], identity(dimension)
    for layer in range(1, depth):
        rotation = orthogonal(width, rng)
        after = columns(rotation, 0, dimension)
        weight = after * core * frame.transpose()
        if layer > 1 and width > dimension:
            unreachable = identity(width) - frame * frame.transpose()
            outside = columns(rotation, dimension, width)
            weight = weight + outside * random_matrix(width - dimension, width, rng) * unreachable
        weights.append(weight)
        frame = after
    weights.append(left * diagonal(chosen) * right.transpose() * frame.transpose())
    map_to_labels = left * diagonal([r**depth for r in chosen]) * right.transpose()
    inverse = right * diagonal([1 / r**depth for r in chosen]) * left.transpose()
    while True:  # random data are dependent now and then
        if explained:
            targets = labels(counts) * (1 / alpha)
            selector = averaging(counts).transpose() + random_matrix(samples, classes, rng, denominator=9)
            if (labels(counts) * selector).rank() < classes:
                continue
            kill = identity(samples) - selector * (labels(counts) * selector).inv() * labels(counts)
            data = inverse * targets + rest * random_matrix(dimension, samples, rng) * kill
        else:
            data = random_matrix(dimension, samples, rng)
            if data.rank() < dimension:
                continue
            null = identity(samples) - data.transpose() * (data * data.transpose()).inv() * data
            targets = map_to_labels * data + random_matrix(classes, samples, rng) * null
        if data.rank() == min(samples, dimension):
            break
    return ExactNetwork(
        weights=tuple(weights),
        data=data,
        targets=targets,
        counts=tuple(counts),
        depth=depth,
        residual_scale=scale,
        signal_root=left * diagonal(chosen) * left.transpose(),
        right=right,
        left=left,
        roots=tuple(chosen),
        label_scale=alpha,
        name=f"network K = {classes}, n = {tuple(counts)}, d = {dimension}, width = {width}, L = {depth}",
    )


def random_features(rng: random.Random, *, counts: Sequence[int], dimension: int, spread: str = "1") -> fmpq_mat:
    """Features d × N: random class means, not all equal, plus `spread` times random rational noise."""
    means = random_matrix(dimension, len(counts), rng, size=8, denominator=3)
    while all(means[r, k] == means[r, 0] for r in range(dimension) for k in range(len(counts))):
        means = random_matrix(dimension, len(counts), rng, size=8, denominator=3)
    noise = random_matrix(dimension, sum(counts), rng, size=8, denominator=8)
    return means * labels(counts) + rational(spread) * noise
