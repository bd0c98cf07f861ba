"""Singular values of features that are never held together: exact up to a width, sketched above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float

from pnc.curves import LayerRanks, Ranks, SpectrumError
from pnc.errors import InvalidInputError
from pnc.measure.arrays import as_matrix, check_finite
from pnc.measure.quantities.spectrum import Spectrum

__all__ = ["StreamingSpectrum", "spectrum_notes"]

_STATE = ("samples", "squared_error", "missing", "rounding", "_narrow", "_gram", "_factor", "mean")


class StreamingSpectrum:
    """Singular values of features seen batch by batch, centred and not; mergeable.

    Kept are the mean and a factor B with BᵀB = Σ_i (z_i - z̄)(z_i - z̄)ᵀ, to which a batch adds its own centred
    rows and one row for the distance of the two means (Chan, Golub and LeVeque 1979, for matrices). Uncentred
    features add the row sqrt(N) z̄. Nothing is squared, so small singular values keep their digits.

    Up to `width`, B is reduced by QR decompositions to d rows: exact, O(d²) memory. Of float32 and narrower features so
    wide, of which there are 2d or more, BᵀB itself is summed in float64, which is several times faster: eigenvalues σ²
    are then off by at most `rounding`, d units of float64 of the largest, which moves singular values only where the
    features' own rounding has. Above, it is rotated onto
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
        self.rounding = 0.0
        self._narrow = True
        self._gram: torch.Tensor | None = None  # beside the factor, of narrow features
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
        check_finite(x)
        before = vars(self).copy()
        self._narrow = self._narrow and x.dtype != torch.float64
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
            self._narrow = self._narrow and other._narrow
            if other._gram is not None:
                gram = other._gram.to(self.mean.device)
                self._gram = gram if self._gram is None else self._gram + gram
            self._join(other._factor.to(self.mean.device), other.mean.to(self.mean.device), other.samples)
        self.squared_error += other.squared_error
        self.missing += other.missing
        self.rounding += other.rounding
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
        if self._exact and self._narrow:
            gram = self._factor.mT @ self._factor
            self._gram = gram if self._gram is None else self._gram + gram
            self._factor = self._factor[:0]
            return
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

    def _settle(self) -> None:
        """What is summed as BᵀB as rows of the factor, too."""
        if self._gram is None:
            return
        squares, vectors = torch.linalg.eigh(self._gram)
        self.rounding += squares.numel() * torch.finfo(torch.float64).eps * float(squares[-1])
        rows = squares.clamp(min=0).sqrt()[:, None] * vectors.mT
        self._factor, self._gram = torch.cat([rows, self._factor]), None
        if self._factor.shape[0] > self._rows:
            self._factor = torch.linalg.qr(self._factor, mode="r").R

    def state(self) -> dict[str, torch.Tensor | float | None]:
        """All that was seen, for `with_state` of a spectrum with the same sizes."""
        return {name: getattr(self, name) for name in _STATE}

    def with_state(self, state: Mapping[str, torch.Tensor | float | None]) -> StreamingSpectrum:
        """This spectrum with what another one has seen."""
        for name in _STATE:
            setattr(self, name, state[name])
        return self

    @torch.no_grad()
    def factor(self, *, centred: bool = False) -> Float[torch.Tensor, "m d"]:
        """B: BᵀB is the sum of z zᵀ, of centred features where asked, less what the sketch left out."""
        self._settle()
        if centred:
            return self._factor
        return torch.cat([self._factor, self.mean[None] * self.samples**0.5])

    def directions(self) -> tuple[Float[torch.Tensor, " m"], Float[torch.Tensor, "m d"]]:
        """Singular values and right singular vectors of B, of centred features; decreasing."""
        self._settle()
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


def spectrum_notes(spectrum: StreamingSpectrum, classes: int) -> dict[str, Any]:
    """What `LayerNotes` say of a spectrum: ranks, singular values, their error, the share of the top K-1 directions."""
    uncentred, centred = spectrum.value(), spectrum.value(centred=True)
    return {
        "ranks": LayerRanks(uncentred=Ranks.from_dict(uncentred.ranks()), centred=Ranks.from_dict(centred.ranks())),
        "singular_values": uncentred.values,
        "singular_values_centred": centred.values,
        "spectrum_error": SpectrumError(
            exact=uncentred.exact,
            squared_error=uncentred.squared_error,
            missing=uncentred.missing,
            rounding=spectrum.rounding,
        ),
        "leading_variance": centred.variance_share(classes - 1),
    }
