"""Probes: what a simple classifier reads out of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.arrays import as_labels, as_matrix
from pnc.measure.readout.scikit_learn import fitted_accuracy, needs_scikit_learn

__all__ = [
    "LinearProbe",
    "fit_linear_probe",
    "logistic_probe_accuracy",
    "nearest_centre_probe",
    "projected_centre_probe",
]

_ENTRIES = 2**21  # float64 entries of features at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProbe:
    """A linear classifier of features: the class with the largest (z - origin)·w_k + b_k.

    Args:
        weights: (d, K) float64.
        intercept: (K,) float64.
        origin: (d,) float64, a point among the features, so that a large common mean costs no digits.
    """

    weights: Float[torch.Tensor, "d K"]
    intercept: Float[torch.Tensor, " K"]
    origin: Float[torch.Tensor, " d"]

    @torch.no_grad()
    def predict(self, features: Any) -> Int[torch.Tensor, " N"]:
        """The class of each of (N, …) samples, flattened to (N, d); of equal scores the lowest class.

        Raises:
            InvalidInputError: another dimension.
        """
        return self.scores(features).argmax(1)

    @torch.no_grad()
    def scores(self, features: Any) -> Float[torch.Tensor, "N K"]:
        """(z - origin)·w_k + b_k of each of (N, …) samples, in float64.

        Raises:
            InvalidInputError: another dimension.
        """
        x = as_matrix(features, device=self.weights.device)
        if x.shape[1] != self.origin.numel():
            raise InvalidInputError(
                got=f"features of dimension {x.shape[1]}",
                expected=f"dimension {self.origin.numel()}, as the probe was fitted to",
                next_step="probe the layer that the probe was fitted to",
            )
        rows = max(1, _ENTRIES // x.shape[1])
        return torch.cat(
            [(part.to(torch.float64) - self.origin) @ self.weights + self.intercept for part in x.split(rows)]
        )

    def to(self, device: torch.device | str) -> LinearProbe:
        """The same probe on a device."""
        return LinearProbe(
            weights=self.weights.to(device), intercept=self.intercept.to(device), origin=self.origin.to(device)
        )

    def lifted(self, directions: Float[torch.Tensor, "r d"]) -> LinearProbe:
        """The probe of features whose coordinates along orthonormal directions this probe was fitted to."""
        return LinearProbe(
            weights=directions.mT @ self.weights, intercept=self.intercept, origin=directions.mT @ self.origin
        )

    def accuracy(self, features: Any, labels: Any) -> float:
        """The share of samples whose class is predicted.

        Raises:
            InvalidInputError: another dimension, or labels that do not fit.
        """
        predicted = self.predict(features)
        y = as_labels(labels, samples=predicted.numel(), classes=self.intercept.numel(), device=predicted.device)
        return float((predicted == y).to(torch.float64).mean())


def nearest_centre_probe(moments: ClassMoments) -> LinearProbe:
    """The class with the nearest class mean (theory note, U3), as a linear probe.

    ‖z - μ_k‖² is smallest where (z - μ)·(μ_k - μ) - ‖μ_k - μ‖²/2 is largest.

    Raises:
        InvalidInputError: a class without samples.

    >>> moments = ClassMoments(classes=2, dimension=1).update([[0.0], [2.0], [6.0]], [0, 0, 1])
    >>> nearest_centre_probe(moments).predict([[3.0], [4.0]]).tolist()
    [0, 1]
    """
    _all_present(moments)
    origin = moments.means.mean(0)
    centred = moments.means - origin
    return LinearProbe(weights=centred.mT, intercept=-centred.square().sum(1) / 2, origin=origin)


def projected_centre_probe(
    spectrum: StreamingSpectrum,
    moments: ClassMoments,
    *,
    directions: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> LinearProbe:
    """The nearest class mean after projection to the top K-1 principal components (theory note, U4), as a linear probe.

    With V (d × m), m = K-1, the leading right singular vectors of the centred features, ‖Vᵀ(z - μ_k)‖² is smallest
    where (z - μ)·VVᵀ(μ_k - μ) - ‖Vᵀ(μ_k - μ)‖²/2 is largest.

    Args:
        spectrum: of the features.
        moments: of the same.
        directions: `spectrum.directions()`, where it is known.

    Raises:
        InvalidInputError: a class without samples, or a spectrum that is sketched, whose leading vectors are not those
            of the features.

    >>> x, y = torch.tensor([[0.0, 0.1], [2.0, -0.1], [6.0, 0.1], [9.0, -0.1]]), [0, 0, 1, 1]
    >>> projected_centre_probe(StreamingSpectrum(dimension=2).update(x),
    ...                        ClassMoments(classes=2, dimension=2).update(x, y)).accuracy(x, y)
    1.0
    """
    _all_present(moments)
    if spectrum.missing > 0:
        raise InvalidInputError(
            got="a sketched spectrum", expected="an exact one", next_step="raise the width up to which it is exact"
        )
    rows = (spectrum.directions() if directions is None else directions)[1][: moments.classes - 1]
    centred = (moments.means - spectrum.mean) @ rows.mT
    return LinearProbe(weights=rows.mT @ centred.mT, intercept=-centred.square().sum(1) / 2, origin=spectrum.mean)


def fit_linear_probe(
    spectrum: StreamingSpectrum,
    moments: ClassMoments,
    *,
    ridge: float = 1e-6,
    directions: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> LinearProbe:
    """The least-squares fit of one-hot labels by the features, in closed form, from sums alone.

        min Σ_i ‖Wᵀ(z_i - z̄) + p - y_i‖² + λ‖W‖²,     W = (S + λI)⁻¹ [n_k (μ_k - z̄)]_k

    S = Σ_i (z_i - z̄)(z_i - z̄)ᵀ = BᵀB from the spectrum's factor B, λ = ridge · σ_1²; solved through B's singular
    values, so no d × d matrix is formed. Where B is a sketch, so is the probe.

    Args:
        spectrum: of the training features.
        moments: of the same.
        ridge: λ/σ_1², at least 0; with 0 singular values at rounding are left out (minimum norm).
        directions: `spectrum.directions()`, where it is known.

    Raises:
        InvalidInputError: sums of different samples, a negative ridge, or a class without samples.

    >>> x, y = torch.tensor([[0.0], [2.0], [6.0], [9.0]]), [0, 0, 1, 1]
    >>> probe = fit_linear_probe(StreamingSpectrum(dimension=1).update(x),
    ...                          ClassMoments(classes=2, dimension=1).update(x, y))
    >>> probe.accuracy(x, y)
    1.0
    """
    _all_present(moments)
    if spectrum.samples != moments.samples or spectrum.dimension != moments.dimension:
        raise InvalidInputError(
            got=f"a spectrum of {spectrum.samples} samples in dimension {spectrum.dimension} and moments of "
            f"{moments.samples} in dimension {moments.dimension}",
            expected="both of the same features",
            next_step="update both with the same batches",
        )
    if not ridge >= 0:
        raise InvalidInputError(got=f"ridge = {ridge}", expected="at least 0", next_step="leave ridge out")
    singular, rows = spectrum.directions() if directions is None else directions
    unit = torch.finfo(torch.float64).eps
    counted = singular > max(moments.samples, moments.dimension) * unit * singular.max()
    gain = torch.where(counted, 1 / (singular**2 + ridge * singular.max() ** 2).clamp(min=1e-300), 0)
    counts = moments.counts.to(torch.float64)
    targets = (counts[:, None] * (moments.means - spectrum.mean)).mT
    weights = rows.mT @ (gain[:, None] * (rows @ targets))
    return LinearProbe(weights=weights, intercept=counts / counts.sum(), origin=spectrum.mean)


def logistic_probe_accuracy(
    train: Any, train_labels: Any, test: Any, test_labels: Any, *, strength: float = 1.0, iterations: int = 1000
) -> float:
    """Accuracy on test features of scikit-learn's logistic regression, fitted to standardised training features.

    Args:
        train: (N, …) features, flattened.
        train_labels: (N,) labels.
        test: (M, …) features.
        test_labels: (M,) labels.
        strength: scikit-learn's C, the inverse of its ℓ2 penalty.
        iterations: the most steps.

    Raises:
        InvalidInputError: scikit-learn is not installed, or the fit has not converged.

    >>> logistic_probe_accuracy([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1], [[0.5], [4.5]], [0, 1])
    1.0
    """
    with needs_scikit_learn("a logistic probe", instead=", or use fit_linear_probe, which needs nothing"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=iterations))
    return fitted_accuracy(
        model, (train, train_labels), (test, test_labels),
        got=f"a logistic probe that has not converged in {iterations} steps",
        next_step="allow more iterations or a smaller strength",
    )  # fmt: skip


def _all_present(moments: ClassMoments) -> None:
    empty = torch.nonzero(moments.counts == 0).flatten().tolist()
    if empty:
        raise InvalidInputError(
            got=f"no sample in class {empty[0]}",
            expected="at least 1 sample in every class",
            next_step="finish the pass over the training samples first",
        )
