"""Y1: how signal singular values, C_l and D_l move in time under gradient flow, and how long the plateau lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.compression import compression
from pnc.theory.discrimination import discrimination
from pnc.theory.layer_statistics import layer_statistics
from pnc.theory.signal import data_modes, signal_modes

__all__ = ["Dynamics", "plateau_time", "predict_dynamics", "signal_growth", "time_to_reach", "unaligned_growth"]

_RELATIVE, _ABSOLUTE = 1e-10, 1e-13  # of numbers of order 1, in ten digits


@dataclass(frozen=True, kw_only=True, eq=False)
class Dynamics:
    """Predicted curves along training.

    Args:
        time: (T,) flow time, in units of 1 / (loss per squared weight).
        amplitudes: (T, r, L+1) ‖W_{l:1} v_i‖ of each signal direction at layers 0…L.
        compression: (T, L) of layers 0…L-1, dimensionless.
        discrimination: (T, L) of layers 0…L-1, dimensionless.
        loss: (T,) loss on the signal directions as a share of its start.
    """

    time: Float[np.ndarray, " T"]
    amplitudes: Float[np.ndarray, "T r layers"]
    compression: Float[np.ndarray, "T L"]
    discrimination: Float[np.ndarray, "T L"]
    loss: Float[np.ndarray, " T"]


def time_to_reach(
    share: float, value: float, *, depth: int, start: float, samples: int, input_scale: float = 1.0
) -> float:
    """The time at which a balanced, aligned signal direction has learned a share of its target (theory note, Y1).

    With `w = σ^L/s` the flow `dσ/dt = (2λ/N) σ^(L-1) (s - σ^L)` separates into

        t = N / (2 λ L s^(2-2/L)) [F(w) - F(w_0)],   F(w) = w^a/a · ₂F₁(1, a; a+1; w),   a = 2/L - 1,

    and `F(w) = log(w/(1-w))` for L = 2. λ is the squared singular value of the data along the direction.

    Args:
        share: w in (w_0, 1).
        value: s, the singular value of M.
        depth: L.
        start: σ at time 0, for orthogonal initial weights ε.
        samples: N.
        input_scale: λ; 1 for orthonormal data.

    Returns:
        Flow time, in units of 1 / (loss per squared weight).

    Raises:
        InvalidInputError: a share that is not between the start and 1.

    >>> t = time_to_reach(0.5, 2.0, depth=2, start=0.1, samples=8)
    >>> bool(np.isclose(t, 8 / (4 * 2.0) * np.log(2.0 / 0.1**2 - 1)))  # the logistic curve
    True
    """
    import scipy.special  # keeps `import pnc` light

    begun = start**depth / value
    if not begun <= share < 1:
        raise InvalidInputError(
            got=f"share = {share:g} for a direction that starts at {begun:.3g} of its target",
            expected="a share between the start and 1",
            next_step="use a smaller start or another share",
        )
    rate = 2 * input_scale * depth * value ** (2 - 2 / depth) / samples
    ends = _primitive(scipy.special.logit(np.array([begun, share])), depth)
    return float(ends[1] - ends[0]) / rate


def _primitive(x: np.ndarray, depth: int) -> np.ndarray:
    """F of `time_to_reach` at `w = 1/(1 + e^-x)`."""
    import scipy.special  # keeps `import pnc` light

    if depth == 2:
        return x
    a = 2 / depth - 1
    w = scipy.special.expit(np.minimum(x, 20))
    # near w = 1 it is -log(1-w) and a constant, and what is neglected moves w by less than rounding
    late = np.logaddexp(0, x) - np.euler_gamma - scipy.special.digamma(a)
    return np.where(x < 20, w**a / a * scipy.special.hyp2f1(1, a, a + 1, w), late)


def signal_growth(
    times: Float[np.ndarray, " T"],
    values: Float[np.ndarray, " r"],
    *,
    depth: int,
    start: float,
    samples: int,
    input_scales: Float[np.ndarray, " r"] | None = None,
) -> Float[np.ndarray, "T r"]:
    """Signal singular values σ_i(t) of balanced, aligned weights, `dσ/dt = (2λ/N) σ^(L-1) (s - σ^L)` (theory note, Y1).

    The inverse of `time_to_reach`, by bisection in `log(w/(1-w))`; for L = 2 the curve is logistic.

    Args:
        times: not negative, in units of 1 / (loss per squared weight).
        values: s of each direction; above `start**depth`.
        depth: L.
        start: σ at time 0.
        samples: N.
        input_scales: λ of each direction; 1 where not given.

    Returns:
        (T, r) of σ.

    >>> t = np.array([0.0, 5.0, 1e4])
    >>> σ = signal_growth(t, np.array([2.0]), depth=3, start=0.1, samples=6)[:, 0]
    >>> bool(np.isclose(σ[0], 0.1)), bool(np.isclose(σ[2], 2.0 ** (1 / 3)))
    (True, True)
    """
    import scipy.special  # keeps `import pnc` light

    times, values = checked_times(times), np.asarray(values, dtype=np.float64)
    scales = np.ones(values.shape) if input_scales is None else np.asarray(input_scales, dtype=np.float64)
    grown = np.empty((times.size, values.size))
    for i, (s, λ) in enumerate(zip(values, scales, strict=True)):
        begun = start**depth / s
        if not 0 < begun < 1:
            raise InvalidInputError(
                got=f"start**depth = {start**depth:.3g} for a target of {s:.3g}",
                expected="a direction that grows to its target",
                next_step="use a smaller start",
            )
        τ = times * (2 * λ * depth * s ** (2 - 2 / depth) / samples)
        low = np.full(times.shape, scipy.special.logit(begun))
        elapsed = _primitive(low, depth) + τ
        high = low + τ  # F grows at least as fast as log(w/(1-w))
        for _ in range(100):
            middle = (low + high) / 2
            early = _primitive(middle, depth) < elapsed
            low, high = np.where(early, middle, low), np.where(early, high, middle)
        w = scipy.special.expit(low)
        grown[:, i] = (s * w) ** (1 / depth)
    return grown


def unaligned_growth(
    times: Float[np.ndarray, " T"],
    values: Float[np.ndarray, " r"],
    *,
    depth: int,
    start: float,
    samples: int,
    input_scales: Float[np.ndarray, " r"] | None = None,
) -> Float[np.ndarray, "T r layers"]:
    """How each signal direction grows from orthogonal initial weights of a wide network (theory note, Y1 and Y2).

    In the rotated coordinates of Y2 the hidden weights start as ε times the identity and the classifier as ε times
    orthonormal rows, which a wide network finds orthogonal to the data. For whitened data the singular directions then
    decouple exactly: what starts along a signal direction v and along its classifier row c stays in their plane. There
    `W_1, …, W_{L-1}` are 2 × 2 matrices that start as ε I, and `W_L` is a row that starts as ε cᵀ; their product has
    to grow from 0 to s on v. Aligned weights start there at ε^L instead, and so leave the plateau sooner.

    Arguments as for `signal_growth`.

    Returns:
        (T, r, L+1): ‖W_{l:1} v‖ at layers l = 0…L-1, and `W_{L:1} v` at layer L.

    >>> t = np.array([0.0, 1e4])
    >>> g = unaligned_growth(t, np.array([2.0]), depth=3, start=0.1, samples=6)[:, 0]
    >>> g[0].round(6).tolist(), bool(np.isclose(g[1, 3], 2.0))
    ([1.0, 0.1, 0.01, 0.0], True)
    """
    times, values = checked_times(times), np.asarray(values, dtype=np.float64)
    scales = np.ones(values.shape) if input_scales is None else np.asarray(input_scales, dtype=np.float64)
    found = np.empty((times.size, values.size, depth + 1))
    initial = plane_start(depth, start)
    for i, (s, λ) in enumerate(zip(values, scales, strict=True)):
        flat = solve_flow(lambda _, y, s=s: plane_flow(y, s, depth), initial, times * (2 * λ / samples))
        for at, y in enumerate(flat):
            hidden, row = plane_weights(y, depth)
            feature = np.array([1.0, 0.0])
            found[at, i, 0] = 1.0
            for l, W in enumerate(hidden, start=1):
                feature = W @ feature
                found[at, i, l] = np.hypot(*feature)
            found[at, i, depth] = row @ feature
    return found


def plane_start(depth: int, start: float) -> np.ndarray:
    return np.concatenate([start * np.tile(np.eye(2).ravel(), depth - 1), [0.0, start]])


def plane_weights(y: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    return y[:-2].reshape(depth - 1, 2, 2), y[-2:]


def plane_flow(y: np.ndarray, s: float, depth: int) -> np.ndarray:
    """Minus half the gradient of (W_L ⋯ W_1 e_1 - s)²."""
    hidden, row = plane_weights(y, depth)
    forward = [np.array([1.0, 0.0])]
    for W in hidden:
        forward.append(W @ forward[-1])
    missing = s - row @ forward[-1]
    slopes, backward = [missing * forward[-1]], row
    for W, feature in zip(hidden[::-1], forward[-2::-1], strict=True):
        slopes.append(missing * np.outer(backward, feature).ravel())
        backward = backward @ W
    return np.concatenate([*slopes[:0:-1], slopes[0]])


def checked_times(times: np.ndarray) -> Float[np.ndarray, " T"]:
    times = np.asarray(times, dtype=np.float64)
    if times.size == 0 or not (np.isfinite(times).all() and times.min() >= 0):
        raise InvalidInputError(
            got=f"{times.size} times" if times.size == 0 else f"times from {times.min()} to {times.max()}",
            expected="finite times, 0 or later",
            next_step="count time from the start of training",
        )
    return times


def solve_flow(slope, initial: np.ndarray, times: np.ndarray) -> Float[np.ndarray, "T n"]:
    """An initial-value problem at increasing or unordered times from 0, to about ten digits."""
    import scipy.integrate  # keeps `import pnc` light

    wanted, back = np.unique(times, return_inverse=True)
    if wanted[-1] == 0:
        return np.tile(initial, (times.size, 1))
    found = scipy.integrate.solve_ivp(
        slope, (0.0, wanted[-1]), initial, method="LSODA", t_eval=wanted, rtol=_RELATIVE, atol=_ABSOLUTE
    )
    return found.y.T[back]


def plateau_time(
    value: float,
    *,
    depth: int,
    start: float,
    samples: int,
    input_scale: float = 1.0,
    aligned: bool = True,
) -> float:
    """The time at which a signal direction has learned half of its target (theory note, Y1).

    About `N/(2 λ s (L-2) ε^(L-2))` for small ε and L > 2, `N/(4 λ s) log(s/ε²)` for L = 2, when aligned.

    Args:
        value: s.
        depth: L.
        start: ε.
        samples: N.
        input_scale: λ.
        aligned: of balanced, aligned weights; otherwise from orthogonal initial weights of a wide network.

    >>> t = plateau_time(np.sqrt(10), depth=5, start=0.01, samples=30)
    >>> bool(np.isclose(t, 30 / (2 * np.sqrt(10) * 3 * 0.01**3), rtol=1e-3))
    True
    """
    import scipy.integrate  # keeps `import pnc` light

    common = {"depth": depth, "start": start, "samples": samples}
    reference = time_to_reach(max(0.5, (1 + start**depth / value) / 2), value, input_scale=input_scale, **common)
    if aligned:
        return reference

    def half(_: float, y: np.ndarray) -> float:
        hidden, row = plane_weights(y, depth)
        return float(row @ np.linalg.multi_dot([*hidden[::-1], np.array([1.0, 0.0])])) - value / 2

    setattr(half, "terminal", True)  # noqa: B010 (so solve_ivp stops there; functions declare no such attribute)
    # time in units of the aligned plateau: the answer is a number between 1 and 2, however long that is
    unit = 2 * input_scale / samples * reference
    found = scipy.integrate.solve_ivp(
        lambda _, y: unit * plane_flow(y, value, depth),
        (0.0, 100.0 + 100.0 / unit),
        plane_start(depth, start),
        method="LSODA",
        events=half,
        rtol=_RELATIVE,
        atol=_ABSOLUTE,
    )
    return float(found.t_events[0][0]) * reference


def predict_dynamics(
    problem: Problem, network: NetworkSpec, times: Sequence[float] | np.ndarray, *, aligned: bool = False
) -> Dynamics:
    """C_l(t) and D_l(t) along gradient flow (theory note, Y1; layers by T2 and T3).

    The residual keeps its scale ε; each signal direction has grown as far as Y1 says. Exact for whitened data;
    otherwise directions are taken one by one, with `λ_i = ‖X v_i‖²`. At the end it is the law of `predict`.

    Args:
        problem: inputs and labels.
        network: depth, ε, α.
        times: (T,) not negative.
        aligned: balanced, aligned initial weights; by default orthogonal ones of a wide network.

    Raises:
        InvalidInputError: negative times.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> found = predict_dynamics(problem, NetworkSpec(depth=3, residual_scale=0.1), [0.0, 1e4])
    >>> found.compression.round(6).tolist()
    [[4.0, 4.0, 4.0], [4.0, 0.027754, 0.000192]]
    """
    times = np.asarray(times, dtype=np.float64)
    statistics, modes, data = layer_statistics(problem, network), signal_modes(problem, network), data_modes(problem)
    along = data.singular_values[:, None] * (data.right.T @ modes.right)
    common = {
        "depth": network.depth,
        "start": network.residual_scale,
        "samples": data.samples,
        "input_scales": np.sum(along**2, axis=0),
    }
    layers = np.arange(network.depth + 1)
    if aligned:
        amplitudes = signal_growth(times, modes.values, **common)[:, :, None] ** layers
    else:
        amplitudes = unaligned_growth(times, modes.values, **common)
    C, D = np.empty((2, times.size, network.depth))
    for at, amplitude in enumerate(amplitudes):
        for l in range(network.depth):
            scales = amplitude[:, l] ** (1 / max(l, 1))  # the statistics raise them to the power l
            grown = replace(statistics, signal_scales=scales)
            C[at, l], D[at, l] = compression(grown)[l], discrimination(grown)[l]
    missing = common["input_scales"] * (modes.values - amplitudes[:, :, -1]) ** 2
    before = modes.values - (network.residual_scale**network.depth if aligned else 0.0)
    return Dynamics(
        time=times,
        amplitudes=amplitudes,
        compression=C,
        discrimination=D,
        loss=missing.sum(axis=1) / np.sum(common["input_scales"] * before**2),
    )
