"""`WeightSummary`: the few numbers of weights and inputs that the certificate reads: docs/certificate.md, section 2."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.theory.certificates.moments import InputMoments, real_matrix
from pnc.theory.certificates.rounding import (
    UNIT_ROUNDOFF,
    gamma,
    orthonormality_defect,
    reduced_factor,
    rounded_up,
    spectral_norm_upper,
)

__all__ = ["WeightSummary", "summarise_weights"]


@dataclass(frozen=True)
class WeightSummary:
    """The few numbers of weights and inputs that the certificate reads, and nothing else.

    With g residual groups, L the depth, H = L-1 hidden layers and k_l <= K the signal's dimension, it holds
    `O(H (K² + g²) + g K²)` numbers, whatever the width, the input dimension and the number of samples. Index
    l of a tuple or leading axis is layer l+1; group 0 holds the residual directions that the hidden layers
    shrink least.

    Args:
        class_counts: samples in each class.
        group_sizes: number of input directions in the signal and in each residual group.
        signal_maps: H signal blocks `S_l`, (k_l, k_{l-1}): the weights between the signal subspaces.
        gain_lower, gain_upper: (H, g) smallest and largest singular value of each group's diagonal block
            `T_l,i`.
        couplings: (H, g, 1+g), entry [l, i, j] bounds the spectral norm of the block that leads from part j
            (0 is the signal, j >= 1 residual group j-1) into residual group i; 0 unless j <= i.
        weight_norms: (H,) spectral norm of each weight matrix, which is how fast a rounding error can grow.
        weight_frobenius_norms: (H,) Frobenius norm of each weight matrix, for the rounding of evaluated
            features.
        widths: d_0 ... d_{L-1}, for the same purpose.
        leaks: (H, 1+g) rounding bound for the block-triangular form, by source (signal, groups).
        within_signal: (k_0, k_0) triangular factor of the within-class scatter on the signal at layer 0.
        within_residual: (g,) norms of the within-class factor on each group at layer 0.
        means_signal: (k_0, K) class means on the signal at layer 0.
        means_residual: per group a triangular factor, column k for class k, with the Gram matrix of the class
            means' residual parts at layer 0.
        within_outside: bound on what of the within-class factor the bases miss (rounding).
        means_outside: (K,) the same for each class mean.
        norm_error: relative rounding bound for `within_residual`.
    """

    class_counts: Int[np.ndarray, " K"]
    group_sizes: tuple[int, ...]
    signal_maps: tuple[np.ndarray, ...]
    gain_lower: Float[np.ndarray, "H g"]
    gain_upper: Float[np.ndarray, "H g"]
    couplings: Float[np.ndarray, "H g parts"]
    weight_norms: Float[np.ndarray, " H"]
    weight_frobenius_norms: Float[np.ndarray, " H"]
    widths: tuple[int, ...]
    leaks: Float[np.ndarray, "H parts"]
    within_signal: Float[np.ndarray, "k k"]
    within_residual: Float[np.ndarray, " g"]
    means_signal: Float[np.ndarray, "k K"]
    means_residual: tuple[np.ndarray, ...]
    within_outside: float
    means_outside: Float[np.ndarray, " K"]
    norm_error: float

    @property
    def depth(self) -> int:
        """Number L of weight matrices, the classifier included."""
        return len(self.signal_maps) + 1

    @property
    def size(self) -> int:
        """How many numbers the summary holds."""
        arrays = [
            self.gain_lower, self.gain_upper, self.couplings, self.weight_norms, self.weight_frobenius_norms,
            self.leaks, self.within_signal, self.within_residual, self.means_signal, self.means_outside,
            self.class_counts, *self.signal_maps, *self.means_residual,
        ]  # fmt: skip
        return sum(np.size(a) for a in arrays) + len(self.group_sizes) + len(self.widths) + 2


def summarise_weights(
    weights: Sequence[np.ndarray], inputs: InputMoments, *, residual_groups: int = 2
) -> WeightSummary:
    """Read the few numbers of `W_1 ... W_{L-1}` and of the inputs that T8 needs (theory note, T8).

    Directions are ordered once, by the singular values of the hidden layers' product on the inputs' span; the
    first K are the signal, the others are cut into `residual_groups` groups. Any order and any cut give a
    valid certificate: this choice only decides how wide it is.

    Args:
        weights: all L weight matrices, (d_l, d_{l-1}); the classifier `W_L` is not used.
        inputs: moments of the inputs; `InputMoments.from_samples(X, y)` makes them.
        residual_groups: number of residual groups, 1 to 4. More are tighter and read more.

    Returns:
        The numbers that `certificate` turns into intervals.

    Raises:
        InvalidInputError: shapes that do not fit together, numbers that are not finite, or too many groups.

    >>> rng = np.random.default_rng(0)
    >>> X, y = np.eye(6), np.repeat([0, 1], 3)
    >>> weights = [rng.standard_normal((6, 6)), rng.standard_normal((2, 6))]
    >>> summarise_weights(weights, InputMoments.from_samples(X, y)).depth
    2
    """
    hidden = _checked_weights(weights, inputs)
    if residual_groups not in (1, 2, 3, 4):
        raise InvalidInputError(
            got=f"residual_groups = {residual_groups}",
            expected="1, 2, 3 or 4: with one group a direction the summary would hold C_l itself",
            next_step="use the default, 2",
        )
    bases = _signal_and_residual(hidden, inputs, residual_groups)
    flag = _Basis(bases)
    count = len(bases) - 1

    within, missed = _coordinates(inputs.within_factor, flag)
    within_signal, error = reduced_factor(within[0].T)
    within_outside = rounded_up(np.linalg.norm(missed), missed.size) + error
    means, means_outside = _coordinates(inputs.class_means, flag)
    means_residual = []
    for part in means[1:]:
        factor, error = reduced_factor(part)
        means_residual.append(factor)
        means_outside = means_outside + error

    signal_maps, lower, upper, couplings, leaks, spectral = [], [], [], [], [], []
    for w in hidden:
        step = _Step(w, flag)
        flag = step.after
        signal_maps.append(step.blocks[0, 0])
        lower.append(step.gain_lower)
        upper.append(step.gain_upper)
        norms = np.zeros((count, count + 1))
        for source, target in itertools.combinations(range(count + 1), 2):
            norms[target - 1, source] = spectral_norm_upper(step.blocks[target, source])
        couplings.append(norms)
        leaks.append(step.leaks)
        spectral.append(step.norm)

    layers = len(hidden)
    return WeightSummary(
        class_counts=inputs.class_counts,
        group_sizes=tuple(b.shape[1] for b in bases),
        signal_maps=tuple(signal_maps),
        gain_lower=np.reshape(lower, (layers, count)),
        gain_upper=np.reshape(upper, (layers, count)),
        couplings=np.reshape(couplings, (layers, count, count + 1)),
        weight_norms=np.array(spectral),
        weight_frobenius_norms=np.array([rounded_up(np.linalg.norm(w), w.size) for w in hidden]),
        widths=(inputs.class_means.shape[1], *(w.shape[0] for w in hidden)),
        leaks=np.reshape(leaks, (layers, count + 1)),
        within_signal=within_signal.T,
        within_residual=np.array([np.linalg.norm(part) for part in within[1:]]),
        means_signal=means[0],
        means_residual=tuple(means_residual),
        within_outside=within_outside + inputs.absolute_error,
        means_outside=means_outside + inputs.absolute_error / np.sqrt(inputs.class_counts),
        norm_error=gamma(inputs.within_factor.size + 8),
    )


class _Basis:
    """Nearly orthonormal bases of the signal and of each group, with a bound on how far from orthonormal."""

    def __init__(self, parts: list[np.ndarray]) -> None:
        self.parts = parts
        self.all = np.hstack(parts)
        self.defect = orthonormality_defect(self.all)


class _Step:
    """One layer in adapted bases: `W B = B' R` with R block-triangular, R's blocks, and a bound on what is
    missed.

    The innermost group (largest index) is carried first, so each group's image lies in the groups inside it
    and itself; the signal comes last. `blocks[i, j]` leads from part j into part i >= j.
    """

    def __init__(self, w: np.ndarray, before: _Basis) -> None:
        count = len(before.parts)
        parts: list[np.ndarray] = [np.zeros((w.shape[0], 0))] * count
        self.blocks: dict[tuple[int, int], np.ndarray] = {}
        self.gain_lower = np.zeros(count - 1)
        self.gain_upper = np.zeros(count - 1)
        self.norm = spectral_norm_upper(w)
        noise = 16 * max(w.shape[0], before.all.shape[1]) * UNIT_ROUNDOFF * self.norm
        inner = np.zeros((w.shape[0], 0))
        for j in reversed(range(count)):
            image = w @ before.parts[j]
            for i in range(j + 1, count):
                self.blocks[i, j] = parts[i].T @ image
            rest = image - inner @ (inner.T @ image)
            rest = rest - inner @ (inner.T @ rest)  # twice is enough for orthogonality to working precision
            u, gains, vt = np.linalg.svd(rest, full_matrices=False)
            kept = int(np.sum(gains > noise))
            parts[j] = u[:, :kept]
            self.blocks[j, j] = gains[:kept, None] * vt[:kept]
            if j > 0 and kept:
                spread = orthonormality_defect(vt[:kept].T) + 4 * UNIT_ROUNDOFF * np.sqrt(vt.shape[1])
                self.gain_upper[j - 1] = gains[:kept].max() * (1 + spread)
                injective = kept == before.parts[j].shape[1]
                self.gain_lower[j - 1] = max(0.0, gains[:kept].min() * (1 - spread)) if injective else 0.0
            inner = np.hstack([inner, parts[j]])
        self.after = _Basis(parts)
        self.leaks = np.array([self._leak(w, before, j) for j in range(count)])

    def _leak(self, w: np.ndarray, before: _Basis, j: int) -> float:
        """Bound on ‖W U_j - U' R_j‖_F, U and U' the orthonormal bases nearest to the computed ones."""
        source = before.parts[j]
        column = [self.blocks[i, j] for i in range(j, len(before.parts))]
        target = np.hstack(self.after.parts[j:])
        r = np.vstack(column)
        gap = np.linalg.norm(w @ source - target @ r)
        gap += gamma(w.shape[1] + 2) * np.linalg.norm(np.abs(w) @ np.abs(source))
        gap += gamma(target.shape[1] + 2) * np.linalg.norm(np.abs(target) @ np.abs(r))
        gap += self.norm * before.defect + self.after.defect * np.linalg.norm(r)
        return rounded_up(gap, source.size + r.size + w.size)


def _signal_and_residual(hidden: list[np.ndarray], inputs: InputMoments, groups: int) -> list[np.ndarray]:
    """Orthonormal bases of the signal and of the residual groups in input space."""
    root = np.sqrt(inputs.class_counts)[:, None]
    centre = inputs.class_counts @ inputs.class_means / inputs.class_counts.sum()
    within, between = inputs.within_factor, root * (inputs.class_means - centre)
    stacked = np.vstack([within, root * inputs.class_means])
    _, scale, vt = np.linalg.svd(stacked, full_matrices=False)
    rank = int(np.sum(scale > max(stacked.shape) * UNIT_ROUNDOFF * scale[0])) if scale.size else 0
    span = vt[:rank].T
    product = span
    for w in hidden:
        product = w @ product
    # each direction counts by its share of the two traces after the last hidden layer, so ask for these first
    ends = [np.sum((product @ (rows @ span).T) ** 2) for rows in (within, between)]
    span = span @ _descending_directions(product)
    classes = inputs.class_counts.size
    signal, residual = span[:, :classes], span[:, classes:]
    if residual.shape[1] == 0:
        return [signal]
    # the residual's own gains, computed apart from the signal's, which would drown them in rounding
    product, basis = np.eye(residual.shape[1]), residual
    for w in hidden:
        basis, triangular = np.linalg.qr(w @ basis)
        product = triangular @ product
    directions = _descending_directions(product)
    residual = residual @ directions
    gains = np.linalg.norm(product @ directions, axis=0)
    mass = np.zeros(gains.size)
    for rows, end in zip((within, between), ends, strict=True):
        if end > 0:
            mass += np.sum((rows @ residual) ** 2, axis=0) / end
    cuts = _cut(gains, mass, min(groups, gains.size))
    return [signal, *(residual[:, a:b] for a, b in itertools.pairwise(cuts))]


def _descending_directions(product: np.ndarray) -> np.ndarray:
    """Right singular vectors, all of them, largest singular value first; columns."""
    return np.linalg.svd(product, full_matrices=True)[2].T


def _cut(gains: np.ndarray, mass: np.ndarray, groups: int) -> list[int]:
    """Cut a descending list into contiguous groups with the least Σ mass (largest gain² - smallest gain²)."""
    size = gains.size
    total = np.concatenate([[0.0], np.cumsum(mass)])
    best = np.full(size + 1, np.inf)
    best[0] = 0.0
    choices = []
    for _ in range(groups):
        following = np.full(size + 1, np.inf)
        choice = np.zeros(size + 1, dtype=int)
        for end in range(1, size + 1):
            cost = best[:end] + (total[end] - total[:end]) * (gains[:end] ** 2 - gains[end - 1] ** 2)
            choice[end] = int(np.argmin(cost))
            following[end] = cost[choice[end]]
        best = following
        choices.append(choice)
    cuts = [size]
    for choice in reversed(choices):
        cuts.append(int(choice[cuts[-1]]))
    return sorted(set(cuts) | {0})


def _coordinates(rows: np.ndarray, flag: _Basis) -> tuple[list[np.ndarray], np.ndarray]:
    """Coordinates of the rows in each part (part dimension x rows), and bounds on what each row misses."""
    parts = [(rows @ basis).T for basis in flag.parts]
    stacked = np.vstack(parts)

    def norms(matrix: np.ndarray) -> np.ndarray:
        return np.linalg.norm(matrix, axis=0)

    missed = norms(rows.T - flag.all @ stacked)
    missed += gamma(stacked.shape[0] + 2) * norms(np.abs(flag.all) @ np.abs(stacked))
    missed += 2 * UNIT_ROUNDOFF * norms(rows.T) + flag.defect * norms(stacked)
    return parts, missed * (1 + 2 * gamma(flag.all.size + 8))


def _checked_weights(weights: Sequence[np.ndarray], inputs: InputMoments) -> list[np.ndarray]:
    if len(weights) == 0:
        raise InvalidInputError(
            got="no weight matrix",
            expected="W_1 ... W_L",
            next_step="pass all layers, the classifier included",
        )
    matrices = [real_matrix(w, f"W_{i + 1}") for i, w in enumerate(weights)]
    fan_in = inputs.class_means.shape[1]
    for i, w in enumerate(matrices):
        if w.shape[1] != fan_in:
            raise InvalidInputError(
                got=f"W_{i + 1} of shape {w.shape} after a layer of width {fan_in}",
                expected=f"(d_{i + 1}, {fan_in})",
                next_step="pass weights as (fan_out, fan_in), first layer first",
            )
        fan_in = w.shape[0]
    return matrices[:-1]
