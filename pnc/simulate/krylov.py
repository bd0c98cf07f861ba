"""Y4: the directions that training moves, which a Krylov space of the data's Gram matrix holds.

In reduced coordinates (Y2) the weights move in `V = S + GS + G²S + …` alone, S being spanned by the class sums `XYᵀ`
and what the initial classifier has of the inputs' span. Everywhere else a hidden layer stays ε times the identity.
Where the Gram matrix `G = XXᵀ` is close to a multiple of the identity few terms are enough: its distance from one is
what every further block is smaller by. The network is then one of 3K dimensions and a little more, whatever N, d and
the width.

What is left out of V is known afterwards (`cut_off_of`): the part of the gradient that leads out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Int

from pnc.measure import ClassSummary
from pnc.simulate.economical import EconomicalData

__all__ = ["CutOff", "KrylovCoordinates", "krylov_coordinates", "summary_inside"]

_WORTH_IT = 0.8  # share of the reduced dimensions above which nothing is gained
_ROUNDING = 8 * float(np.finfo(np.float64).eps)  # of a block of unit norm: what is smaller is nothing
_MARGIN = 1e-2  # a block is left out once it is as much smaller than what may be cut off


@dataclass(frozen=True, kw_only=True, eq=False)
class KrylovCoordinates:
    """An orthonormal basis of V, in which G is diagonal.

    Args:
        frame: (m, q) the basis, in the coordinates of the inputs' span.
        leak: (t, q) triangular factor of what G leads out of V: `leakᵀleak = VᵀG(I - VVᵀ)GV`.
        data: economical data of the inputs' part in V.
        generous: whether the initial classifier counts for as much as the labels.
    """

    frame: Float[np.ndarray, "m q"]
    leak: Float[np.ndarray, "t q"]
    data: EconomicalData
    generous: bool


def krylov_coordinates(
    data: EconomicalData, rows: Float[np.ndarray, "K m"], *, product_scale: float | None, share: float
) -> KrylovCoordinates | None:
    """The Krylov space that holds all but about a `share` of the update; `None` where it is not much smaller.

    A block that starts from the initial classifier counts by how small its output is, ε^L, beside the labels'.

    Args:
        data: of the whole span.
        rows: the initial classifier's, over ε.
        product_scale: ε^L; `None` where the initial classifier is to count for as much as the labels.
        share: of the update that may be left out.
    """
    size, classes = data.scale.size, len(rows)
    gram = data.scale**2
    mean = gram.mean()
    sums = data.scale[:, None] * data.target.T  # XYᵀ
    largest = np.linalg.norm(sums, 2)
    weight = 1.0 if product_scale is None else min(1.0, product_scale * mean / largest)
    block = np.hstack([sums / largest, weight * rows.T])
    basis = scipy.linalg.orth(np.hstack([sums / largest, rows.T]), rcond=1e-14)
    most = int(_WORTH_IT * (size + classes)) - classes
    while True:
        if basis.shape[1] > most:
            return None
        following = (gram / mean)[:, None] * block
        for _ in range(2):  # twice is enough for orthogonality to rounding
            following = following - basis @ (basis.T @ following)
        left, values, _ = np.linalg.svd(following, full_matrices=False)
        kept = values > max(_MARGIN * share, _ROUNDING)
        if not kept.any():
            break
        block = left[:, kept] * values[kept]
        basis = np.linalg.qr(np.hstack([basis, left[:, kept]]))[0]
    moved = gram[:, None] * basis
    values, vectors = np.linalg.eigh(basis.T @ moved)
    frame, moved = basis @ vectors, moved @ vectors
    # NumPy's types know one result of `qr`, not the triangle alone
    leak = cast("np.ndarray", np.linalg.qr(moved - frame @ (frame.T @ moved), mode="r"))
    inside = replace(
        data,
        basis=data.basis @ frame,
        scale=np.sqrt(values),
        target=(sums.T @ frame) / np.sqrt(values),
    )
    return KrylovCoordinates(frame=frame, leak=leak, data=inside, generous=product_scale is None)


class CutOff:
    """Follows what the gradient of W_1 leads out of V while training goes on, a posteriori.

    Along each left singular direction of `W_{L:2}`, of value σ, the part e of W_1 outside V obeys to first order

        de/dt = (2/N) σ ‖uᵀ W_{L:1} G⊥‖ - (2/N) σ² g e,        G⊥ = VᵀG(I - VVᵀ),   g = λ_min(G):

    what leads out of V pushes it, and what is learned is held where it belongs. The larger end of an interval counts
    for all of it. Later layers have less outside: ε^{l-1} of it (theory note, Y4).

    Args:
        leaving: weights in one row → `W_{L:2}` (K, r) and `W_{L:1}` (K, q).
        leak: (t, q), as `KrylovCoordinates` has it.
        samples: N.
        least: λ_min(G) on the inputs' span.
    """

    def __init__(
        self,
        leaving: Callable[[torch.Tensor], tuple[np.ndarray, np.ndarray]],
        leak: Float[np.ndarray, "t q"],
        *,
        samples: int,
        least: float,
    ) -> None:
        self._leaving, self._leak, self._share, self._least = leaving, leak, 2 / samples, least
        self._time, self._before = 0.0, 0.0
        self._outside: float | np.ndarray = 0.0

    def look(self, y: torch.Tensor, time: float) -> None:
        """Count the time since the last look."""
        before, product = self._leaving(y)
        values, vectors = np.linalg.eigh(before @ before.T)
        gains = np.sqrt(np.maximum(values, 0))
        pushed = self._share * gains * np.linalg.norm(vectors.T @ product @ self._leak.T, axis=1)
        step, held = time - self._time, self._share * gains**2 * self._least
        self._outside = (self._outside + step * np.maximum(pushed, self._before)) / (1 + step * held)
        self._time, self._before = time, pushed

    @property
    def outside(self) -> float:
        """Norm of the part of W_1 outside V."""
        return float(np.linalg.norm(self._outside))


def summary_inside(
    X: Float[np.ndarray, "N d"], y: Int[np.ndarray, " N"], basis: Float[np.ndarray, "d q"]
) -> tuple[ClassSummary, Float[np.ndarray, "N c"]]:
    """The class summary of samples in V, and the samples there with one coordinate more.

    The class means lie in V. The last coordinate carries the within-class scatter of all directions outside: one
    direction of the samples, of their Frobenius norm, uncorrelated with all others.
    """
    inside = X @ basis
    outside = X - inside @ basis.T
    norm = np.linalg.norm(outside)
    column = outside @ outside[np.argmax(np.einsum("ij,ij->i", outside, outside))]
    length = np.linalg.norm(column)
    column = column * (norm / length) if length > 0 else column
    samples = np.hstack([inside, column[:, None]])
    summary = ClassSummary.of(inside, y)
    factor = torch.block_diag(summary.factor, torch.tensor([[norm]], dtype=torch.float64))
    means = torch.nn.functional.pad(summary.means, (0, 1))
    return replace(summary, means=means, factor=factor), samples
