"""The singular values of features, with bounds on what a sketch left out: ranks, shares of the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure.quantities.rank import effective_rank, threshold_rank

__all__ = ["Spectrum", "curve_spectra", "variance_curve"]


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


def variance_curve(spectrum: Spectrum) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """Bounds on the share of Σσ² that the largest m singular values hold, m = 1…r (theory note, U1, where centred).

        Σ_{i≤m} s_i² / T  ≤  Σ_{i≤m} σ_i² / Σ σ_i²  ≤  (Σ_{i≤m} s_i² + min(m · squared_error, missing)) / T

    with T = Σ s_i² + missing = Σ σ_i², which a sketch knows exactly. The two coincide where the spectrum is exact.

    Returns:
        Lower and upper bounds, dimensionless; NaN where all singular values are zero.

    >>> variance_curve(Spectrum(values=np.array([3.0, 4.0])[::-1], squared_error=0, missing=0, most=2, centred=True))
    (array([0.64, 1.  ]), array([0.64, 1.  ]))
    """
    held = np.cumsum(spectrum.values**2)
    total = held[-1] + spectrum.missing
    if total == 0:
        return np.full(held.size, np.nan), np.full(held.size, np.nan)
    left_out = np.minimum(np.arange(1, held.size + 1) * spectrum.squared_error, spectrum.missing)
    return held / total, np.minimum((held + left_out) / total, 1.0)


def curve_spectra(curve: LayerCurve, *, centred: bool = True) -> list[Spectrum]:
    """The spectrum of every layer of a curve that `measure_model` made with `spectra`, also after JSON.

    Args:
        centred: about the global mean of the layer's features, as U1 and U2 are; otherwise as they are, as the
            paper's numerical rank is.

    Raises:
        InvalidInputError: a curve without spectra.

    >>> bare = LayerCurve(layers=[0], compression=[1.0], discrimination=[1.0], within_scatter=[1.0],
    ...                   between_scatter=[1.0], separation_fuzziness=[1.0])
    >>> curve_spectra(bare)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got a curve without singular values; expected one measured with spectra; ...
    """
    spectra = []
    for note in curve.notes:
        values, error = note.singular_values_centred if centred else note.singular_values, note.spectrum_error
        if values is None or error is None or note.dimension is None or curve.origin.samples is None:
            raise InvalidInputError(
                got="a curve without singular values",
                expected="one measured with spectra",
                next_step="call measure_model(…, spectra=True)",
            )
        spectra.append(
            Spectrum(
                values=values,
                squared_error=error.squared_error,
                missing=error.missing,
                most=min(curve.origin.samples, note.dimension),
                centred=centred,
            )
        )
    return spectra
