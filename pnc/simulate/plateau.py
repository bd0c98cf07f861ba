"""Over a plateau at once: while what is learned is at rest and nothing else has any output, the force is constant.

Small initial weights wait `~ ε^-(L-2)` before the first direction is learned, and again before each further one. On
such a plateau the flow (Y5) splits: directions that are learned rest, exactly, and for all others the outputs are too
small to be felt, so that `D = (2/N)(W_{L:1} G - YXᵀ)` is constant. What moves is then homogeneous in ε: with `w = εŵ`,
`τ = ε^{L-2} t` and ε = 1 in A it is the same flow for every ε, of at most 3K dimensions, and in the time in which it
grows like an exponential a plateau of any length is a few steps of a method of order 8 (SciPy's DOP853). It ends where
the outputs reach `reach` of the largest singular value of the map to be learned; from there the whole flow goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.integrate
import torch
from jaxtyping import Float

from pnc.simulate.balanced import BalancedNetworks, Spectrum, motion, spectrum_of

__all__ = ["Plateau", "plateau"]

_WORTH_IT = 1 / 30  # share of its outputs' size at the end that a plateau begins with, at most
_AT_REST = 1e-3  # share of the force that may act on what is learned
_TOLERANCE = 1e-7  # relative, of a step
_LONGEST = 200.0  # orders of e that the slowest measure of size may grow by


@dataclass(frozen=True, kw_only=True, eq=False)
class Plateau:
    """A plateau, from one end to the other.

    Args:
        points: (T, P) weights at the ends of the integrator's steps; the last is the end.
        times: (T,) flow time since the beginning.
        evaluations: right-hand sides computed.
        growth: flow time in which what moves would grow by its own size at the end.
    """

    points: Float[np.ndarray, "T P"]
    times: Float[np.ndarray, " T"]
    evaluations: int
    growth: float


def plateau(networks: BalancedNetworks, y: Float[torch.Tensor, "1 P"], *, reach: float) -> Plateau | None:
    """The plateau that begins at y; `None` where none does that is worth a leap.

    Args:
        networks: of one run.
        y: its weights.
        reach: share of the largest singular value of the least-squares map that outputs may reach.
    """
    arrays = networks.arrays
    K, m = arrays.target.shape[1:]
    at, ε, n = networks.spectrum(y), float(arrays.scale[0]), float(arrays.power[0])
    gain, last = at.gain[0], at.rows[0, :K]
    largest = np.linalg.norm(arrays.target[0] / arrays.factor[0], 2)
    outputs = np.linalg.norm(last, axis=0) * gain**n
    learned = outputs > reach * largest
    if learned.all() or np.linalg.norm(outputs[~learned]) > _WORTH_IT * reach * largest:
        return None
    frame = at.frame[0][:, learned]
    force = np.zeros((K, networks.size))
    force[:, :m] = networks.error(y).numpy()[0] * arrays.share[0]
    rows = np.linalg.svd(last[:, learned], full_matrices=False)[0]
    within = force - rows @ (rows.T @ force)
    within = within - (within @ frame) @ frame.T
    if not np.linalg.norm(force - within) <= _AT_REST * np.linalg.norm(within):
        return None
    pair = y.numpy().reshape(2, K, networks.size)
    resting = (pair @ frame) @ frame.T
    moving = pair - resting
    left, values, _ = np.linalg.svd(np.vstack([within, *moving]).T, full_matrices=False)
    basis = left[:, values > 1e-14 * values[0]]
    start = np.stack([moving[0] / ε, moving[1]]) @ basis
    constant, strength = (within @ basis)[None], np.linalg.norm(within, 2)
    one, power = np.ones(1), np.array([n])

    def spectrum(flat: np.ndarray) -> tuple[Spectrum, float]:
        there = spectrum_of(flat[:-1].reshape(1, 2 * K, -1), one)
        size = np.linalg.norm(np.linalg.norm(there.rows[0, :K], axis=0) * there.gain[0] ** n)
        return there, float(size)

    def slope(_: float, flat: np.ndarray) -> np.ndarray:
        there, size = spectrum(flat)
        rate = strength * size ** ((n - 1) / (n + 1))
        return np.append(-motion(there, one, power, constant).ravel() / rate, 1 / rate)

    def arrives(_: float, flat: np.ndarray) -> float:
        return np.log(spectrum(flat)[1]) + (n + 1) * np.log(ε) - np.log(reach * largest)

    cast("Any", arrives).terminal = True  # of a function SciPy reads this, and no type of functions has it
    found = scipy.integrate.solve_ivp(
        slope,
        (0, _LONGEST),
        np.append(start.ravel(), 0.0),
        method="DOP853",
        rtol=_TOLERANCE,
        atol=1e-3 * _TOLERANCE,
        events=arrives,
    )
    if found.status != 1:
        return None
    paths = found.y[:-1].T.reshape(len(found.t), 2, K, -1) @ basis.T
    paths[:, 0] *= ε
    scaling = ε ** (1 - n)
    end = found.y[:, -1]
    speed = slope(0.0, end)
    growth = np.linalg.norm(end[: start[0].size]) / np.linalg.norm(speed[: start[0].size]) * speed[-1]
    return Plateau(
        points=(paths + resting).reshape(len(found.t), -1)[1:],
        times=found.y[-1, 1:] * scaling,
        evaluations=found.nfev,
        growth=float(growth * scaling),
    )
