"""Of T8: exact block-triangular weights and, written on their own, the bounds of its theorems for them, enclosed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, fmpq, fmpq_mat

from .balls import ball, eigenvalues, frobenius_square, identity
from .instances import diagonal, labels, random_matrix
from .ledger import Scope

__all__ = ["Blocks", "Bounds", "attaining", "factors", "gains", "instances", "norm"]


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Weights in adapted orthonormal coordinates: blocks[l][i][j] maps part j to part i; part 0 is the signal."""

    name: str
    layers: tuple[tuple[tuple[fmpq_mat, ...], ...], ...]
    data: fmpq_mat
    counts: tuple[int, ...]
    sizes: tuple[int, ...]

    def part(self, matrix: fmpq_mat, index: int) -> fmpq_mat:
        """Rows of one part."""
        start = sum(self.sizes[:index])
        rows = matrix.tolist()[start : start + self.sizes[index]]
        return fmpq_mat(self.sizes[index], matrix.ncols(), [x for row in rows for x in row])

    def apply(self, layer: int, matrix: fmpq_mat) -> fmpq_mat:
        """W_l times a matrix."""
        rows: list[fmpq] = []
        for i in range(len(self.sizes)):
            total = self.layers[layer][i][0] * self.part(matrix, 0)
            for j in range(1, i + 1):
                total = total + self.layers[layer][i][j] * self.part(matrix, j)
            rows += total.entries()
        return fmpq_mat(sum(self.sizes), matrix.ncols(), rows)


def _random_blocks(rng: random.Random, *, coupled: Fraction, counts: tuple[int, ...], depth: int) -> Blocks:
    """Random triangular weights: signal gains about 2, residual about 1/3 and 1/6, leaks of size `coupled`."""
    classes = len(counts)
    sizes = (classes, 3, 2)
    layers = []
    for _ in range(depth - 1):
        rows = []
        for i, gain in enumerate((fmpq(2), fmpq(1, 3), fmpq(1, 6))):
            row = []
            for j in range(i + 1):
                block = random_matrix(sizes[i], sizes[j], rng, denominator=40 if i == j else 5)
                if i == j:
                    block = (block + identity(sizes[i])) * gain
                else:
                    block = block * fmpq(coupled.numerator, coupled.denominator)
                row.append(block)
            rows.append(tuple(row))
        layers.append(tuple(rows))
    data = random_matrix(sum(sizes), sum(counts), rng)
    centre = random_matrix(sum(sizes), classes, rng, size=6) * labels(counts)
    return Blocks(
        name=f"triangular weights, leak {coupled}, n = {counts}, L = {depth}",
        layers=tuple(layers),
        data=data + centre,
        counts=counts,
        sizes=sizes,
    )


def instances(scope: Scope) -> list[Blocks]:
    rng = scope.rng("T8 blocks")
    shapes = [((2, 2), 3), ((1, 3), 4), ((2, 2, 2), 4)]
    leaks = (Fraction(0), Fraction(1, 10), Fraction(1))
    return [
        _random_blocks(
            rng, coupled=leaks[number % 3], counts=shapes[number // 3 % 3][0], depth=shapes[number // 3 % 3][1]
        )
        for number in range(scope.count(18, 360, 1440))
    ]


def norm(matrix: fmpq_mat) -> arb:
    return ball(frobenius_square(matrix)).sqrt()


def gains(block: fmpq_mat) -> tuple[arb, arb]:
    values = eigenvalues(block.transpose() * block)
    return values[0].max(arb(0)).sqrt(), values[-1].sqrt()


@dataclass
class Bounds:
    """The recursion (2)-(3) for one matrix x whose columns are coordinates in the adapted bases."""

    blocks: Blocks
    start: fmpq_mat
    couple: bool = True
    lower_gain: bool = True

    def __post_init__(self) -> None:
        parts = range(1, len(self.blocks.sizes))
        self.signal = self.blocks.part(self.start, 0)
        self.masses = {i: norm(self.blocks.part(self.start, i)) for i in parts}
        self.low = {i: arb(1) for i in parts}
        self.high = {i: arb(1) for i in parts}
        self.leak = {i: arb(0) for i in parts}

    def advance(self, layer: int) -> None:
        blocks = self.blocks.layers[layer]
        before = dict(self.leak)
        for i in self.masses:
            low, high = gains(blocks[i][i])
            total = high * before[i]
            if self.couple:
                total += gains(blocks[i][0])[1] * norm(self.signal)
                for j in range(1, i):
                    total += gains(blocks[i][j])[1] * (self.high[j] * self.masses[j] + before[j])
            self.leak[i] = total
        for i in self.masses:
            low, high = gains(blocks[i][i])
            self.low[i], self.high[i] = self.low[i] * (low if self.lower_gain else high), self.high[i] * high
        self.signal = blocks[0][0] * self.signal

    def interval(self) -> tuple[arb, arb]:
        """Bounds (4) on the squared norm."""
        base = ball(frobenius_square(self.signal))
        low = high = base
        for i, mass in self.masses.items():
            least = (self.low[i] * mass - self.leak[i]).max(arb(0))
            most = self.high[i] * mass + self.leak[i]
            low, high = low + least * least, high + most * most
        return low, high


def factors(blocks: Blocks) -> tuple[fmpq_mat, fmpq_mat, fmpq_mat]:
    """(R_wᵀ, centred class means times √n_k absorbed as n_k-fold columns, class means), all exact."""
    y = labels(blocks.counts)
    ybar = diagonal([Fraction(1, n) for n in blocks.counts]) * y
    samples = sum(blocks.counts)
    means = blocks.data * ybar.transpose()
    spread = means * y
    ones = fmpq_mat(samples, samples, [fmpq(1, samples)] * samples**2)
    return blocks.data - spread, spread - blocks.data * ones, means


def attaining(which: str) -> Blocks:
    """No leaks, every residual group half at its largest and half at its smallest gain, all of its mass on one half."""
    sizes = (2, 2, 2)
    gains = ((fmpq(1, 2), fmpq(1, 4)), (fmpq(1, 5), fmpq(1, 10)))
    zero = fmpq_mat(2, 2, [0] * 4)
    layer = (
        (diagonal([2, 3]),),
        (zero, diagonal(gains[0])),
        (zero, zero, diagonal(gains[1])),
    )
    place = 0 if which == "high" else 1
    data = [[fmpq(0)] * 4 for _ in range(6)]
    data[0][0] = data[0][1] = data[1][2] = data[1][3] = fmpq(1)
    for group in (1, 2):
        data[2 * group + place] = [fmpq(1, group), -fmpq(1, group), fmpq(0), fmpq(0)]
    return Blocks(
        name=f"mass on the {'largest' if which == 'high' else 'smallest'} gains",
        layers=(layer, layer, layer),
        data=fmpq_mat(6, 4, [x for row in data for x in row]),
        counts=(2, 2),
        sizes=sizes,
    )
