"""Singular values of features that are never held together: exact up to a width, sketched above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.measure.arrays import as_matrix, first_nonfinite
from pnc.measure.quantities.rank import effective_rank, threshold_rank

__all__ = ["Spectrum", "StreamingSpectrum"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Singular values σ_i of (N, d) features, and how far off they can be.

    With s the values kept, E = ZᵀZ - BᵀB what the sketch left out (positive semidefinite, 0 where exact):

        s_i² ≤ σ_i² ≤ s_i² + squared_error,     Σ σ_i² = Σ s_i² + missing

    Args:
        values: (r,) s, decreasing, feature norm.
        squared_error: a bound on ‖E‖₂, squared feature norm.
        missing: tr E, squared feature norm.
        most: min(N, d), how many singular values there can be.
        centred: whether the mean over samples was subtracted.

    Rounding comes on top, about max(N, d) units of float64 relative to σ_1.
    """

    values: Float[np.ndarray, " r"]
    squared_error: float
    missing: float
    most: int
    centred: bool

    @property
    def exact(self) -> bool:
        """Whether nothing was left out."""
        return self.missing == 0.0

    def numerical_rank(self, share: float = 0.95) -> tuple[int, int]:
        """Bounds on the fewest singular values with a share of Σσ, the paper's rank (of uncentred features).

        Σσ is at most Σs + sqrt(most · missing) (Cauchy–Schwarz on σ_i - s_i ≤ sqrt(σ_i² - s_i²)).

        >>> Spectrum(values=np.array([4.0, 3, 2, 1]), squared_error=0, missing=0, most=4,
        ...          centred=False).numerical_rank(0.7)
        (2, 2)
        """
        least = np.cumsum(self.values)
        i = np.arange(1, least.size + 1)
        most = np.minimum(np.cumsum(np.sqrt(self.values**2 + self.squared_error)), least + np.sqrt(i * self.missing))
        return self._share_bounds(least, most, least[-1] + np.sqrt(self.most * self.missing), share)

    def variance_rank(self, share: float = 0.95) -> tuple[int, int]:
        """Bounds on the fewest singular values with a share of Σσ² (theory note, U1, for centred features).

        >>> Spectrum(values=np.array([2.0, 1.0]), squared_error=0.5, missing=1.0, most=9,
        ...          centred=True).variance_rank(0.9)
        (2, 9)
        """
        least = np.cumsum(self.values**2)
        i = np.arange(1, least.size + 1)
        most = least + np.minimum(i * self.squared_error, self.missing)
        return self._share_bounds(least, most, least[-1] + self.missing, share, total=least[-1] + self.missing)

    def _share_bounds(
        self, least: np.ndarray, most: np.ndarray, largest: float, share: float, total: float | None = None
    ) -> tuple[int, int]:
        if not 0 < share <= 1:
            raise InvalidInputError(
                got=f"share = {share}", expected="a share in (0, 1]", next_step="pass for instance 0.95"
            )
        if largest == 0:
            return 0, 0
        # a share that is met exactly must not be missed by the rounding of the cumulative sum
        slack = 1 - least.size * np.finfo(np.float64).eps
        low = most >= share * (least[-1] if total is None else total) * slack
        high = least >= share * largest * slack
        return (
            int(np.argmax(low)) + 1 if low.any() else least.size + 1,
            int(np.argmax(high)) + 1 if high.any() else self.most,
        )

    def variance_share(self, directions: int) -> tuple[float, float]:
        """Bounds on the share of Σσ² that the leading directions hold (theory note, U1); NaN where all are zero.

        >>> Spectrum(values=np.array([2.0, 1.0]), squared_error=0, missing=0, most=2, centred=True).variance_share(1)
        (0.8, 0.8)
        """
        total, top = float(np.sum(self.values**2)) + self.missing, float(np.sum(self.values[:directions] ** 2))
        if total == 0:
            return float("nan"), float("nan")
        return top / total, min(1.0, (top + min(directions * self.squared_error, self.missing)) / total)

    def stable_rank(self) -> tuple[float, float]:
        """Bounds on Σσ²/σ_1² (theory note, U2, for centred features); NaN where all are zero.

        >>> Spectrum(values=np.array([2.0]), squared_error=1.0, missing=1.0, most=3, centred=True).stable_rank()
        (1.0, 1.25)
        """
        total, top = np.sum(self.values**2) + self.missing, self.values[0] ** 2
        if top == 0:
            return float("nan"), float("nan")
        return float(total / (top + self.squared_error)), float(total / top)

    def threshold_rank(self, threshold: float = 1e-3) -> tuple[int, int]:
        """Bounds on the number of singular values above a share of the largest.

        >>> Spectrum(values=np.array([1.0, 0.5, 1e-4]), squared_error=0, missing=0, most=3,
        ...          centred=False).threshold_rank()
        (2, 2)
        """
        exact = threshold_rank(self.values, threshold=threshold)
        if self.exact:
            return exact, exact
        top = self.values[0]
        low = np.count_nonzero(self.values > threshold * np.sqrt(top**2 + self.squared_error))
        high = np.count_nonzero(np.sqrt(self.values**2 + self.squared_error) > threshold * top)
        return int(low), self.most if high == self.values.size else int(high)

    def effective_rank(self) -> float:
        """exp(-Σ q log q), q = σ/Σσ (Roy and Vetterli 2007); NaN where the spectrum is not exact."""
        return effective_rank(self.values) if self.exact else float("nan")

    def ranks(self, *, share: float = 0.95, threshold: float = 1e-3) -> dict[str, Any]:
        """Every definition by its name: a number where it is known, [least, most] where it is bounded."""

        def settled(bounds: tuple[float, float]) -> Any:
            return bounds[0] if bounds[0] == bounds[1] else list(bounds)

        return {
            "numerical_rank": settled(self.numerical_rank(share)),
            "variance_rank": settled(self.variance_rank(share)),
            "stable_rank": settled(self.stable_rank()),
            "effective_rank": self.effective_rank(),
            "threshold_rank": settled(self.threshold_rank(threshold)),
        }


class StreamingSpectrum:
    """Singular values of features seen batch by batch, centred and not; mergeable.

    Kept are the mean and a factor B with BᵀB = Σ_i (z_i - z̄)(z_i - z̄)ᵀ, to which a batch adds its own centred
    rows and one row for the distance of the two means (Chan, Golub and LeVeque 1979, for matrices). Uncentred
    features add the row sqrt(N) z̄. Nothing is squared, so small singular values keep their digits.

    Up to `width`, B is reduced by QR decompositions to d rows: exact, O(d²) memory. Above, it is rotated onto
    its principal directions and cut to `sketch` rows, O(sketch · d) memory; the energy cut off is added up,
    which bounds the error of every singular value without any probability (see `Spectrum`).

    Args:
        dimension: d.
        width: the largest d that is treated exactly.
        sketch: rows kept above it.
        device: where to work.

    Raises:
        InvalidInputError: a size below 1.

    >>> z = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> spectrum = StreamingSpectrum(dimension=2).update(z[:1]).update(z[1:])
    >>> spectrum.value().values.round(12).tolist(), spectrum.value(centred=True).values.round(12).tolist()
    ([4.0, 3.0], [3.535533905933, 0.0])
    """

    def __init__(
        self, *, dimension: int, width: int = 1024, sketch: int = 128, device: torch.device | str = "cpu"
    ) -> None:
        if min(dimension, sketch) < 1:
            raise InvalidInputError(
                got=f"dimension {dimension}, a sketch of {sketch} rows",
                expected="at least 1 of each",
                next_step="leave sketch out",
            )
        self._exact = dimension <= width
        self._rows = dimension if self._exact else min(sketch, dimension)
        self.samples = 0
        self.squared_error = 0.0
        self.missing = 0.0
        self._factor = torch.zeros((0, dimension), dtype=torch.float64, device=device)
        self.mean = torch.zeros(dimension, dtype=torch.float64, device=device)

    @property
    def dimension(self) -> int:
        """d, entries of a sample."""
        return self.mean.numel()

    @torch.no_grad()
    def update(self, features: Any) -> StreamingSpectrum:
        """Add a batch, (N, …) flattened to (N, d).

        Raises:
            InvalidInputError: another dimension, or entries that are not finite.
        """
        x = as_matrix(features, device=self.mean.device)
        if x.shape[1] != self.dimension:
            raise InvalidInputError(
                got=f"features of dimension {x.shape[1]}",
                expected=f"dimension {self.dimension}, as before",
                next_step="give each layer a spectrum of its own",
            )
        position = first_nonfinite(x)
        if position is not None:
            raise InvalidInputError(
                got=f"sample {position[0]}, entry {position[1]} is {x[position].item()}",
                expected="finite numbers",
                next_step="remove these samples",
            )
        before = vars(self).copy()
        try:
            for rows in x.split(max(64, self._rows)):
                t = rows.to(torch.float64)
                offset = t[0].clone()
                t = t - offset
                mean = t.mean(0)  # the mean of differences: a large common mean costs no digits
                self._join(t.sub_(mean), mean + offset, t.shape[0])
        except RuntimeError:  # out of memory half way: tensors are replaced, never overwritten, so this undoes it
            vars(self).update(before)
            raise
        return self

    @torch.no_grad()
    def merge(self, other: StreamingSpectrum) -> StreamingSpectrum:
        """Add what another accumulator has seen; either may be empty.

        Raises:
            InvalidInputError: another dimension.
        """
        if other.dimension != self.dimension:
            raise InvalidInputError(
                got=f"a spectrum in dimension {other.dimension}",
                expected=f"dimension {self.dimension}",
                next_step="merge spectra of the same layer only",
            )
        if other.samples:
            self._join(other._factor.to(self.mean.device), other.mean.to(self.mean.device), other.samples)
        self.squared_error += other.squared_error
        self.missing += other.missing
        return self

    def _join(self, rows: torch.Tensor, mean: torch.Tensor, samples: int) -> None:
        n, m = self.samples, samples
        delta = mean - self.mean
        parts = [self._factor, rows] + ([delta[None] * (n * m / (n + m)) ** 0.5] if n else [])
        self._factor = torch.cat(parts)
        self.mean = self.mean + delta * (m / (n + m)) if n else mean.clone()
        self.samples = n + m
        if self._factor.shape[0] >= 2 * self._rows:
            self._reduce()

    def _reduce(self) -> None:
        if self._exact:
            self._factor = torch.linalg.qr(self._factor, mode="r").R
            return
        values, vectors = torch.linalg.eigh(self._factor @ self._factor.mT)
        rotated = vectors.mT @ self._factor  # BᵀB is unchanged by it, whatever eigh rounded
        cut, self._factor = rotated[: -self._rows], rotated[-self._rows :].clone()
        energy = float(cut.square().sum())
        self.missing += energy
        # ‖cut‖₂² by its largest eigenvalue and eigh's rounding, never more than all of it
        unit = torch.finfo(torch.float64).eps
        largest = float(values[-self._rows - 1]) + 8 * values.numel() * unit * float(values[-1])
        self.squared_error += min(energy, largest)

    @torch.no_grad()
    def factor(self, *, centred: bool = False) -> Float[torch.Tensor, "m d"]:
        """B: BᵀB is the sum of z zᵀ, of centred features where asked, less what the sketch left out."""
        if centred:
            return self._factor
        return torch.cat([self._factor, self.mean[None] * self.samples**0.5])

    def directions(self) -> tuple[Float[torch.Tensor, " m"], Float[torch.Tensor, "m d"]]:
        """Singular values and right singular vectors of B, of centred features; decreasing."""
        _, values, rows = torch.linalg.svd(self._factor, full_matrices=False)
        return values, rows

    def value(self, *, centred: bool = False) -> Spectrum:
        """The singular values so far.

        Raises:
            InvalidInputError: no samples yet.
        """
        if self.samples == 0:
            raise InvalidInputError(got="no samples", expected="at least 1", next_step="update with a batch first")
        values = torch.linalg.svdvals(self.factor(centred=centred)).cpu().numpy()
        most = min(self.samples, self.dimension)
        return Spectrum(
            values=values[:most],
            squared_error=self.squared_error,
            missing=self.missing,
            most=most,
            centred=centred,
        )
