"""Variance-ratio curves: how much of the variance of features lies in their first m directions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.spectrum import Spectrum

__all__ = ["curve_spectra", "variance_curve"]


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
    found = curve.provenance
    key = "singular_values_centred" if centred else "singular_values"
    if key not in found:
        raise InvalidInputError(
            got="a curve without singular values",
            expected="one measured with spectra",
            next_step="call measure_model(…, spectra=True)",
        )
    return [
        Spectrum(
            values=np.asarray(values, dtype=np.float64),
            squared_error=error["squared_error"],
            missing=error["missing"],
            most=min(found["samples"], dimension),
            centred=centred,
        )
        for values, error, dimension in zip(found[key], found["spectrum_error"], found["dimensions"], strict=True)
    ]
