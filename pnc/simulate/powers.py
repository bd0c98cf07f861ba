"""Curves of a network whose hidden layers are powers of one matrix (Y5), without a product of matrices a layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from pnc.curves import LayerCurve, LayerNotes
from pnc.measure import ClassSummary, measure_linear
from pnc.simulate.balanced import Spectrum

__all__ = ["measure_powers"]

_BLOCK = 1 << 23  # numbers of the images of a block of layers


def measure_powers(
    summary: ClassSummary,
    at: Spectrum,
    *,
    residual_scale: float,
    layers: int,
    beside: bool = False,
    fuzziness: bool = True,
) -> LayerCurve:
    """What `A^{l/2}`, l = 0 … layers-1, make of the samples: `measure_linear` of as many layers, all the root of A.

    In A's own basis a layer multiplies every coordinate by its singular value. With `beside` the last coordinate of the
    samples is none of A's: each layer multiplies it by ε.

    Args:
        summary: of the inputs, in the first of A's coordinates.
        at: of one run.
        residual_scale: ε, the singular value of every direction that `at` does not hold.
        layers: L.
        beside: whether the samples have a coordinate more.
        fuzziness: whether to compute tr(Σ_W Σ_B⁺).
    """
    whole = torch.from_numpy(at.frame[0])
    inputs = summary.means.shape[-1] - beside
    frame = whole[:inputs]
    gain = torch.from_numpy(np.concatenate([at.gain[0], np.full(len(whole) + beside, residual_scale)]))

    def coordinates(rows: torch.Tensor) -> torch.Tensor:
        inside = rows[:, :inputs] @ frame
        residual = -inside @ whole.mT  # of the frame, which may lead out of the inputs' span
        residual[:, :inputs] += rows[:, :inputs]
        return torch.cat([inside, residual, rows[:, inputs:]], dim=1)

    start = replace(summary, means=coordinates(summary.means), factor=coordinates(summary.factor))
    parts = [image for block in _blocks(layers, start) for image in [_images(start, gain, block)]]
    tangled = [part.separation_fuzziness() if fuzziness else np.full(len(part.means), np.nan) for part in parts]
    floors = np.concatenate([part.noise_floor() for part in parts]).tolist()
    notes = [
        LayerNotes(dtype="float64", dimension=len(whole) + beside if l else inputs + beside, noise_floor=floor)
        for l, floor in enumerate(floors)
    ]
    return LayerCurve(
        layers=np.arange(layers),
        compression=np.concatenate([part.compression() for part in parts]),
        discrimination=np.concatenate([part.discrimination() for part in parts]),
        within_scatter=np.concatenate([part.within_scatter() for part in parts]),
        between_scatter=np.concatenate([part.between_scatter() for part in parts]),
        separation_fuzziness=np.concatenate(tangled),
        notes=notes,
        origin=measure_linear(summary, [], fuzziness=False).origin,
    )


def _blocks(layers: int, start: ClassSummary) -> Iterator[range]:
    size = max(1, _BLOCK // (start.means.numel() + start.factor.numel()))
    for first in range(0, layers, size):
        yield range(first, min(first + size, layers))


def _images(start: ClassSummary, gain: torch.Tensor, layers: range) -> ClassSummary:
    powers = gain ** torch.arange(layers.start, layers.stop, dtype=gain.dtype)[:, None, None]
    return replace(start, means=start.means * powers, factor=start.factor * powers)
