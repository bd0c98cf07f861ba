"""`ClassSummary`: class means and a within-class factor, all that a linear network's curves need of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.curves import LayerCurve, LayerNotes, Origin
from pnc.data import check_labels
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.fuzziness import between_whitening
from pnc.measure.arrays import as_matrix, check_finite, dtype_name
from pnc.measure.quantities.class_pairs import discrimination
from pnc.measure.quantities.noise_floor import noise_floor, rounding_unit
from pnc.measure.quantities.scatter import ClassWeights, between_scatter, class_weights, compression

__all__ = ["ClassSummary", "measure_linear"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassSummary:
    """Class means μ_k and a factor R_w of the within-class scatter, R_wᵀR_w = N Σ_W.

    Linear maps act on both (`linear_image`), so what a layer W_{l:1} makes of any number of samples is
    measured on at most d + K vectors. Scatters are sums of squares of the factors: nothing cancels however
    small C_l is.

    Args:
        means: (…, K, d) float64 tensor; leading dimensions are a batch, of weights along training for
            instance.
        factor: (…, m, d) float64 tensor, m ≤ min(d, N-K) where made by `of`; no rows where each class has one
            sample.
        counts: (K,) samples of each class.
        dtype: name of the dtype that the samples had.

    The numbers that it returns are NumPy float64, with the batch's shape.

    >>> summary = ClassSummary.of([[0.0, 1.0], [2.0, 1.0], [4.0, 0.0], [6.0, 0.0]], [0, 0, 1, 1])
    >>> float(summary.compression()), summary.factor.shape
    (0.23..., torch.Size([2, 2]))
    >>> round(float(summary.linear_image([[1.0, 0.0]]).compression()), 12)
    0.25
    """

    means: Float[torch.Tensor, "*batch K d"]
    factor: Float[torch.Tensor, "*batch m d"]
    counts: Int[torch.Tensor, " K"]
    dtype: str = "float64"

    @classmethod
    @torch.no_grad()
    def of(
        cls, features: Any, y: Any, *, classes: int | None = None, device: torch.device | str | None = None
    ) -> ClassSummary:
        """The summary of (N, …) samples, flattened to (N, d), and (N,) labels.

        The rows of the factor are Helmert contrasts within each class, sqrt(j/(j+1)) (z_{j+1} - mean of
        z_1…z_j): n_k - 1 rows a class without any residue of the mean. More than d of them are reduced to d
        by QR decompositions.

        Args:
            features: NumPy array or torch tensor.
            y: labels; gaps are closed where `classes` is not stated.
            classes: K where it is stated; every class must then have a sample.
            device: where to compute; by default where the features are.

        Raises:
            InvalidInputError: features that are not (N, …) finite real numbers, labels that do not fit.
        """
        x = as_matrix(features, device=device)
        check_finite(x)
        dtype = dtype_name(features) if hasattr(features, "dtype") else "float64"
        labels, _ = check_labels(y.cpu().numpy() if torch.is_tensor(y) else y, samples=x.shape[0], classes=classes)
        counts = torch.from_numpy(np.bincount(labels)).to(x.device)
        dimension = x.shape[1]
        means = torch.empty((counts.numel(), dimension), dtype=torch.float64, device=x.device)
        blocks: list[torch.Tensor] = []
        for k in range(counts.numel()):
            rows = x[torch.from_numpy(np.flatnonzero(labels == k)).to(x.device)].to(torch.float64)
            offset = rows - rows[0]
            sums = offset.cumsum(0)
            means[k] = rows[0] + sums[-1] / rows.shape[0]
            j = torch.arange(1, rows.shape[0], dtype=torch.float64, device=x.device)[:, None]
            blocks.append((offset[1:] - sums[:-1] / j) * torch.sqrt(j / (j + 1)))
            if sum(block.shape[0] for block in blocks) > 4 * dimension:
                blocks = [torch.linalg.qr(torch.cat(blocks), mode="r").R]
        factor = torch.cat(blocks)
        if factor.shape[0] > dimension:
            factor = torch.linalg.qr(factor, mode="r").R
        return cls(means=means, factor=factor, counts=counts, dtype=dtype)

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return int(self.counts.sum())

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.counts.numel()

    @torch.no_grad()
    def linear_image(self, W: Any) -> ClassSummary:
        """The summary of the features W z: means and factor times Wᵀ, in float64.

        Args:
            W: (…, d', d) NumPy array or tensor; leading dimensions are broadcast against the summary's.

        Raises:
            InvalidInputError: W does not act on dimension d.
        """
        W = torch.as_tensor(W, dtype=torch.float64, device=self.means.device)
        if W.ndim < 2 or W.shape[-1] != self.means.shape[-1]:
            raise InvalidInputError(
                got=f"weights of shape {tuple(W.shape)} for features of dimension {self.means.shape[-1]}",
                expected=f"shape (…, d', {self.means.shape[-1]})",
                next_step="apply the layers in order, each to the image of the one before",
            )
        return ClassSummary(means=self.means @ W.mT, factor=self.factor @ W.mT, counts=self.counts, dtype=self.dtype)

    def _within(self) -> torch.Tensor:
        return self.factor.square().sum((-2, -1)) / self.samples

    def within_scatter(self) -> Float[np.ndarray, "*batch"]:
        """tr Σ_W = ‖R_w‖²_F/N (theory note, section 1); squared feature norm."""
        return _numpy(self._within())

    def between_scatter(self, weights: ClassWeights = "samples") -> Float[np.ndarray, "*batch"]:
        """tr Σ_B = Σ_k p_k ‖μ_k - μ‖² (theory note, section 1); squared feature norm."""
        return _numpy(between_scatter(self.means, class_weights(self.counts, weights)))

    def compression(self, weights: ClassWeights = "samples") -> Float[np.ndarray, "*batch"]:
        """C = tr Σ_W / tr Σ_B (theory note, section 1), dimensionless; NaN where the class means coincide."""
        between = between_scatter(self.means, class_weights(self.counts, weights))
        return _numpy(compression(self._within(), between, self.means))

    def discrimination(self) -> Float[np.ndarray, "*batch"]:
        """D = 1 - max_{k≠k'} cos(μ_k, μ_k') (theory note, section 1), dimensionless.

        NaN where a mean is zero.
        """
        spread = torch.sqrt(self._within()[..., None] * self.samples / self.counts)
        return _numpy(discrimination(self.means, spread))

    def separation_fuzziness(self) -> Float[np.ndarray, "*batch"]:
        """tr(Σ_W Σ_B⁺) = ‖R_w Bᵀ R⁺‖²_F/N (theory note, T4), dimensionless.

        NaN where the class means coincide.
        """
        # the image of rounded samples is exact, but the rounding of the samples is still in it
        unit = rounding_unit(self.dtype)
        whitening, rank = between_whitening(self.means, self.counts, self._within(), rounding=unit)
        total = (self.factor @ whitening.mT).square().sum((-2, -1)) / self.samples
        return _numpy(torch.where(rank > 0, total, torch.nan))

    def noise_floor(self) -> Float[np.ndarray, "*batch"]:
        """C below which float64 arithmetic on the summary is rounding (theory note, section 6)."""
        largest = torch.linalg.vector_norm(self.means, dim=-1).amax(-1)
        between = between_scatter(self.means, class_weights(self.counts))
        floors = [
            noise_floor(
                dtype="float64",
                dimension=self.means.shape[-1],
                largest_mean=mean,
                between_scatter=scatter,
                repeated=self.samples > self.classes,
            )
            for mean, scatter in zip(largest.flatten().tolist(), between.flatten().tolist(), strict=True)
        ]
        return np.array(floors).reshape(tuple(between.shape))


def _numpy(value: torch.Tensor) -> np.ndarray:
    return value.cpu().numpy()


def measure_linear(summary: ClassSummary, weights: Sequence[Any], *, fuzziness: bool = True) -> LayerCurve:
    """What the layers of a linear network make of the samples: layer 0 and one layer for each of the weights.

    Args:
        summary: of the input, not a batch.
        weights: W_1, W_2, … of shapes (d_l, d_{l-1}), NumPy or torch; leave the classifier out for layers
            0…L-1.
        fuzziness: whether to compute tr(Σ_W Σ_B⁺).

    Raises:
        InvalidInputError: a weight that does not fit the layer before it.

    >>> summary = ClassSummary.of([[0.0, 1.0], [2.0, 1.0], [4.0, 0.0], [6.0, 0.0]], [0, 0, 1, 1])
    >>> curve = measure_linear(summary, [[[1.0, 0.0]]])
    >>> curve.layers.tolist(), round(curve.compression[1].item(), 12)
    ([0, 1], 0.25)
    """
    images = [summary]
    for W in weights:
        images.append(images[-1].linear_image(W))
    return LayerCurve(
        layers=np.arange(len(images)),
        compression=np.array([image.compression() for image in images]),
        discrimination=np.array([image.discrimination() for image in images]),
        within_scatter=np.array([image.within_scatter() for image in images]),
        between_scatter=np.array([image.between_scatter() for image in images]),
        separation_fuzziness=np.array([image.separation_fuzziness() if fuzziness else np.nan for image in images]),
        notes=[
            LayerNotes(dtype="float64", dimension=image.means.shape[-1], noise_floor=float(image.noise_floor()))
            for image in images
        ],
        origin=Origin(
            source="measured on class means and a within-class factor",
            device=str(summary.means.device),
            samples=summary.samples,
            classes=summary.classes,
        ),
    )
