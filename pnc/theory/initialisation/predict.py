"""N1 as a curve: C_l and D_l of every layer before training, with intervals where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pnc.curves import LayerCurve, Origin
from pnc.errors import NotApplicableError
from pnc.theory.gram_curve import curve_of_grams
from pnc.theory.initialisation.architecture import Layer
from pnc.theory.initialisation.finite_width import FiniteWidth, finite_width
from pnc.theory.initialisation.kernels import kernels, needs_sampling

__all__ = ["InitialPrediction", "predict_initialisation"]


@dataclass(frozen=True, kw_only=True, eq=False)
class InitialPrediction:
    """The law of a network before training.

    Args:
        names: of the layers, the input first.
        curve: in the limit of infinite width.
        finite_width: first correction and spread of layers 1, 2, …; `None` where the network is not dense.
        sampling_error: (layers,) standard error of log C_l from the draws that identity shortcuts need, 0 where none.
    """

    names: tuple[str, ...]
    curve: LayerCurve
    finite_width: FiniteWidth | None
    sampling_error: Float[np.ndarray, " layers"]

    def compression_interval(self, deviations: float = 3.0) -> Float[np.ndarray, "layers 2"]:
        """(layers, 2) interval of C_l over draws of the weights; NaN where the spread is not known.

        The input's is its value. `deviations` standard deviations on each side of the corrected mean of log C_l.
        """
        width = self._padded("log_compression_spread")
        centre = np.log(self.curve.compression) + self._padded("log_compression_shift")
        reach = deviations * np.sqrt(width**2 + self.sampling_error**2)
        return np.exp(np.stack([centre - reach, centre + reach], axis=1))

    def discrimination_interval(self, deviations: float = 3.0) -> Float[np.ndarray, "layers 2"]:
        """(layers, 2) interval of D_l over draws of the weights, within [0, 2]; NaN where the spread is not known."""
        centre = self.curve.discrimination + self._padded("discrimination_shift")
        reach = deviations * self._padded("discrimination_spread")
        return np.clip(np.stack([centre - reach, centre + reach], axis=1), 0.0, 2.0)

    def _padded(self, field: str) -> np.ndarray:
        if self.finite_width is None:
            return np.array([0.0] + [np.nan] * (len(self.names) - 1))
        return np.concatenate([[0.0], getattr(self.finite_width, field)])


def predict_initialisation(
    layers: Sequence[Layer],
    X: Float[np.ndarray, "N ..."],
    y: Int[np.ndarray, " N"],
    *,
    samples: int = 1024,
    directions: int = 64,
    seed: int = 0,
) -> InitialPrediction:
    """C_l, D_l, scatters and fuzziness of the input and of every named layer before training (theory note, N1).

    Args:
        layers: of the network.
        X: (N, d) or (N, channels, height, width).
        y: (N,) integer labels 0…K-1.
        samples: draws at each pixel where an identity shortcut needs them; they are made twice, and the difference is
            the sampling error.
        directions: of the spread, see `finite_width`.
        seed: of both.

    Raises:
        NotApplicableError: a layer without a closed form, named.
        InvalidInputError: layers that do not fit together or the inputs.

    >>> from pnc.theory.initialisation import Activation, Dense, Named
    >>> layers = (Dense(width=64, gain=1 / 3), Activation(name="relu"), Named(name="1"))
    >>> law = predict_initialisation(layers, np.eye(6), np.array([0, 0, 0, 1, 1, 1]))
    >>> law.names, law.curve.compression.round(9).tolist()
    (('input', '1'), [4.0, 4.0])
    """
    y = np.asarray(y)
    repeats = 2 if needs_sampling(layers) else 1
    curves = []
    names: tuple[str, ...] = ()
    for repeat in range(repeats):
        found: list[str] = []
        grams = (
            (found.append(name), gram)[1] for name, gram in kernels(layers, X, samples=samples, seed=seed + repeat)
        )
        curves.append(curve_of_grams(grams, y, origin=Origin(kind="theory", statement="N1", samples=int(y.size))))
        names = tuple(found)
    try:
        spread = finite_width(layers, X, y, directions=directions, seed=seed)
    except NotApplicableError:
        spread = None
    logs = np.log([curve.compression for curve in curves])
    error = np.zeros(len(names)) if repeats == 1 else np.abs(logs[0] - logs[1]) / 2
    return InitialPrediction(names=names, curve=_mean(curves), finite_width=spread, sampling_error=error)


def _mean(curves: list[LayerCurve]) -> LayerCurve:
    if len(curves) == 1:
        return curves[0]
    within = np.mean([curve.within_scatter for curve in curves], axis=0)
    between = np.mean([curve.between_scatter for curve in curves], axis=0)
    return LayerCurve(
        layers=curves[0].layers,
        compression=within / between,
        discrimination=np.mean([curve.discrimination for curve in curves], axis=0),
        within_scatter=within,
        between_scatter=between,
        separation_fuzziness=np.mean([curve.separation_fuzziness for curve in curves], axis=0),
        origin=curves[0].origin,
    )
