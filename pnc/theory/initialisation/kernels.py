"""N1: the Gram matrix of every layer of a wide network at initialisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.initialisation.architecture import (
    Activation,
    Average,
    Convolution,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Named,
    Residual,
    Scale,
)
from pnc.theory.initialisation.duals import apply, dual_moment

__all__ = ["kernels", "needs_sampling"]

Map = Float[np.ndarray, "height width N N"]
Offset = tuple[int, int]
Draw = Callable[[int, int, np.random.Generator, int], np.ndarray]
Cross = Callable[[Offset], np.ndarray]

INPUT = "input"


@dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """What is known of one place in the network.

    Args:
        moments: (height, width, N, N) `E[z_i(p) z_j(p)]` of one channel, p a pixel; dense layers have one pixel.
        width: number of channels.
        gaussian: whether the channels are centred Gaussians, so that an activation has a closed form.
        draw: (row, column, generator, samples) → (samples, N) draws of a channel at a pixel.
        cross: offset Δ → (height, width, N, N) `E[z_i(p) z_j(p + Δ)]`, 0 where p + Δ lies outside.
    """

    moments: Map
    width: int
    gaussian: bool
    draw: Draw
    cross: Cross

    @property
    def variances(self) -> Float[np.ndarray, "height width N"]:
        return np.diagonal(self.moments, axis1=2, axis2=3)


def kernels(
    layers: Sequence[Layer],
    X: Float[np.ndarray, "N ..."],
    *,
    samples: int = 1024,
    seed: int = 0,
) -> Iterator[tuple[str, Float[np.ndarray, "N N"]]]:
    """The Gram matrix of the input and of every `Named` place, for width → ∞ (theory note, N1).

    A linear layer: `H = gain · mean over its inputs of E[z zᵀ] + bias`; an activation: `E[φ(u)φ(v)]` (`dual_moment`).
    Convolutions with any stride close on pairs of equal pixels; average pooling needs pairs at a distance, which obey
    the same recursion. An identity shortcut before an activation adds a rectified value to a Gaussian one, whose moment
    has no closed form: it is estimated from `samples` draws of a channel at each pixel.

    Args:
        layers: of the network, in order; weights by their variance.
        X: (N, d) or (N, channels, height, width).
        samples: draws at each pixel, where they are needed (`needs_sampling`).
        seed: of these draws.

    Yields:
        (name, (N, N) Gram matrix of the flattened features, summed over channels and pixels); first that of the input,
        whose name is `"input"`.

    Raises:
        NotApplicableError: max-pooling, or average pooling behind an identity shortcut.
        InvalidInputError: a layer that does not fit what comes before it.

    >>> layers = (Dense(width=8, gain=2.0), Activation(name="relu"), Named(name="1"))
    >>> dict(kernels(layers, np.eye(2)))["1"].round(4).tolist()
    [[4.0, 1.2732], [1.2732, 4.0]]
    """
    X = np.asarray(X, dtype=np.float64)
    state = _input(X)
    yield INPUT, _gram(state)
    generator = np.random.default_rng(seed)
    linked = _has_average(layers)
    for layer in layers:
        if isinstance(layer, Named):
            yield layer.name, _gram(state)
        else:
            state = _after(layer, state, samples, generator)
            if not linked:  # the maps of earlier layers are needed by average pooling alone
                state = replace(state, cross=_unlinked)


def needs_sampling(layers: Sequence[Layer]) -> bool:
    """Whether an identity shortcut is followed by an activation, so that `kernels` estimates moments from draws.

    >>> needs_sampling((Dense(width=4, gain=2.0), Activation(name="relu")))
    False
    """
    return _scan(layers, False)[0]


def _scan(layers: Sequence[Layer], gaussian: bool) -> tuple[bool, bool]:
    """Whether draws are needed, and whether what comes out is Gaussian, given whether what goes in is."""
    sampled = False
    for layer in layers:
        if isinstance(layer, Dense | Convolution):
            gaussian = True
        elif isinstance(layer, Activation):
            sampled, gaussian = sampled or not gaussian, False
        elif isinstance(layer, Residual):
            in_branch, _ = _scan(layer.branch, gaussian)
            in_shortcut, gaussian = _scan(layer.shortcut, gaussian)
            sampled = sampled or in_branch or in_shortcut
        elif isinstance(layer, Flatten):
            gaussian = False
    return sampled, gaussian


def _has_average(layers: Sequence[Layer]) -> bool:
    return any(
        isinstance(layer, Average)
        or (isinstance(layer, Residual) and (_has_average(layer.branch) or _has_average(layer.shortcut)))
        for layer in layers
    )


def _unlinked(offset: Offset) -> np.ndarray:
    raise AssertionError("only average pooling asks for pairs of pixels")


def _gram(state: _State) -> np.ndarray:
    return state.width * state.moments.sum(axis=(0, 1))


def _input(X: np.ndarray) -> _State:
    if X.ndim not in (2, 4) or 0 in X.shape or not np.isfinite(X).all():
        raise InvalidInputError(
            got=f"inputs of shape {X.shape}" + ("" if np.isfinite(X).all() else " with NaN or infinite entries"),
            expected="finite (N, d) rows or (N, channels, height, width) images",
            next_step="flatten other inputs to rows",
        )
    pixels = X.reshape(len(X), X.shape[1], 1, 1) if X.ndim == 2 else X
    at = np.ascontiguousarray(pixels.transpose(2, 3, 0, 1))  # (height, width, N, channels)

    def cross(offset: Offset) -> np.ndarray:
        shifted = _shift(at, offset)
        return at @ shifted.swapaxes(-1, -2) / X.shape[1]

    def draw(row: int, column: int, generator: np.random.Generator, samples: int) -> np.ndarray:
        return at[row, column][:, generator.integers(X.shape[1], size=samples)].T

    return _State(moments=cross((0, 0)), width=X.shape[1], gaussian=False, draw=draw, cross=cross)


def _shift(array: np.ndarray, offset: Offset) -> np.ndarray:
    """`array[p + offset]`, 0 outside."""
    if offset == (0, 0):
        return array
    result = np.zeros_like(array)
    height, width = array.shape[:2]
    dy, dx = offset
    if abs(dy) < height and abs(dx) < width:
        to_y, to_x = slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx))
        from_y, from_x = slice(max(0, dy), min(height, height + dy)), slice(max(0, dx), min(width, width + dx))
        result[to_y, to_x] = array[from_y, from_x]
    return result


def _gaussian_draw(moments: Map) -> Draw:
    def draw(row: int, column: int, generator: np.random.Generator, samples: int) -> np.ndarray:
        values, vectors = np.linalg.eigh(moments[row, column])
        root = vectors * np.sqrt(np.maximum(values, 0))
        return generator.standard_normal((samples, len(values))) @ root.T

    return draw


def _linear_state(moments: Map, width: int, cross: Cross) -> _State:
    return _State(moments=moments, width=width, gaussian=True, draw=_gaussian_draw(moments), cross=cross)


def _after(layer: Layer, state: _State, samples: int, generator: np.random.Generator) -> _State:
    match layer:
        case Dense():
            return _dense(layer, state)
        case Convolution():
            return _convolution(layer, state)
        case Activation():
            return _activation(layer, state, samples, generator)
        case Scale(factor=factor):
            square = factor**2
            return _State(
                moments=square * state.moments,
                width=state.width,
                gaussian=state.gaussian,
                draw=lambda row, column, g, n: factor * state.draw(row, column, g, n),
                cross=lambda offset: square * state.cross(offset),
            )
        case Average():
            return _average(layer, state)
        case Flatten():
            return _flatten(state)
        case Residual():
            return _residual(layer, state, samples, generator)
        case MaxPool():
            raise NotApplicableError(
                statement="N1",
                assumption="layers whose moments have a closed form, and max-pooling has none",
                instead="predict the layers before it, or measure fresh draws of the network",
            )
        case _:
            raise InvalidInputError(
                got=f"a layer {layer!r}",
                expected="a layer of pnc.theory.initialisation",
                next_step="describe the network with these",
            )


def _dense(layer: Dense, state: _State) -> _State:
    if state.moments.shape[:2] != (1, 1):
        raise InvalidInputError(
            got=f"a dense layer on a map of {state.moments.shape[0]} × {state.moments.shape[1]} pixels",
            expected="one pixel",
            next_step="put Flatten() or Average() before it",
        )
    return _linear_state(
        layer.gain * state.moments + layer.bias,
        layer.width,
        lambda offset: (layer.gain * state.cross(offset) + layer.bias) * (offset == (0, 0)),
    )


def _convolution(layer: Convolution, state: _State) -> _State:
    height, width = state.moments.shape[:2]
    sizes = [
        (side + 2 * pad - kernel) // step + 1
        for side, pad, kernel, step in zip((height, width), layer.padding, layer.kernel, layer.stride)
    ]
    if min(sizes) < 1:
        raise InvalidInputError(
            got=f"a convolution of kernel {layer.kernel} on a map of {height} × {width} pixels",
            expected="a map at least as large as the kernel",
            next_step="raise the padding or take larger images",
        )
    share = layer.gain / (layer.kernel[0] * layer.kernel[1])

    def applied(before: Map) -> Float[np.ndarray, "rows columns N N"]:
        result = np.zeros((*sizes, *before.shape[2:]))
        for dy, dx in product(range(layer.kernel[0]), range(layer.kernel[1])):
            rows, lines = _taken(dy - layer.padding[0], layer.stride[0], height, sizes[0])
            columns, places = _taken(dx - layer.padding[1], layer.stride[1], width, sizes[1])
            result[rows, columns] += before[lines, places]
        result *= share
        return result

    def cross(offset: Offset) -> Map:
        before = state.cross((offset[0] * layer.stride[0], offset[1] * layer.stride[1]))
        result = applied(before) + layer.bias
        inside = _shift(np.ones((*sizes, 1, 1)), offset)
        return result * inside

    return _linear_state(applied(state.moments) + layer.bias, layer.width, cross)


def _taken(start: int, step: int, side: int, size: int) -> tuple[slice, slice]:
    """Outputs whose input `start + step · output` lies inside, and these inputs."""
    first = max(0, -(start // step))
    last = min(size - 1, (side - 1 - start) // step)
    return slice(first, last + 1), slice(start + step * first, start + step * last + 1, step)


def _activation(layer: Activation, state: _State, samples: int, generator: np.random.Generator) -> _State:
    def draw(row: int, column: int, own: np.random.Generator, number: int) -> np.ndarray:
        return apply(layer.name, state.draw(row, column, own, number))

    def cross(offset: Offset) -> Map:
        if not state.gaussian:
            raise NotApplicableError(
                statement="N1",
                assumption="Gaussian pre-activations before average pooling; here an identity shortcut adds a "
                "rectified value",
                instead="predict the layers before the pooling",
            )
        variances = state.variances
        return dual_moment(layer.name, variances, state.cross(offset), _shift(variances, offset))

    if state.gaussian:
        moments = np.empty_like(state.moments)
        for row in range(len(moments)):  # a row at a time: the temporaries stay small
            moments[row] = dual_moment(layer.name, state.variances[row], state.moments[row])
    else:
        moments = np.empty_like(state.moments)
        for row, column in product(*map(range, moments.shape[:2])):
            drawn = draw(row, column, generator, samples)
            moments[row, column] = drawn.T @ drawn / samples
    return _State(moments=moments, width=state.width, gaussian=False, draw=draw, cross=cross)


def _average(layer: Average, state: _State) -> _State:
    height, width = state.moments.shape[:2]
    kernel = layer.kernel or (height, width)
    stride = layer.stride or kernel
    sizes = [(side - k) // step + 1 for side, k, step in zip((height, width), kernel, stride)]
    if min(sizes) < 1:
        raise InvalidInputError(
            got=f"average pooling of {kernel} on a map of {height} × {width} pixels",
            expected="a map at least as large as the kernel",
            next_step="leave the pooling out",
        )

    def cross(offset: Offset) -> Map:
        result = np.zeros((*sizes, *state.moments.shape[2:]))
        reach = [range(1 - k, k) for k in kernel]
        for dy, dx in product(*reach):
            between = (offset[0] * stride[0] + dy, offset[1] * stride[1] + dx)
            pairs = state.cross(between)
            # first pixels δ of the window whose partner δ + (dy, dx) lies in the partner's window
            for y, x in product(range(max(0, -dy), kernel[0] - max(0, dy)), range(max(0, -dx), kernel[1] - max(0, dx))):
                rows = slice(y, y + stride[0] * (sizes[0] - 1) + 1, stride[0])
                columns = slice(x, x + stride[1] * (sizes[1] - 1) + 1, stride[1])
                result += pairs[rows, columns]
        return result / (kernel[0] * kernel[1]) ** 2 * _shift(np.ones((*sizes, 1, 1)), offset)

    def draw(row: int, column: int, own: np.random.Generator, number: int) -> np.ndarray:
        raise NotApplicableError(
            statement="N1",
            assumption="no identity shortcut around average pooling",
            instead="predict the layers before the pooling",
        )

    return _State(moments=cross((0, 0)), width=state.width, gaussian=state.gaussian, draw=draw, cross=cross)


def _flatten(state: _State) -> _State:
    pixels = state.moments.shape[0] * state.moments.shape[1]
    moments = state.moments.mean(axis=(0, 1), keepdims=True)

    def draw(row: int, column: int, own: np.random.Generator, number: int) -> np.ndarray:
        at = own.integers(pixels, size=number)
        counts = np.bincount(at, minlength=pixels)
        columns = state.moments.shape[1]
        drawn = [state.draw(p // columns, p % columns, own, int(n)) for p, n in enumerate(counts) if n]
        return own.permutation(np.concatenate(drawn))

    return _State(
        moments=moments,
        width=state.width * pixels,
        gaussian=state.gaussian and pixels == 1,
        draw=draw,
        cross=lambda offset: moments * (offset == (0, 0)),
    )


def _residual(layer: Residual, state: _State, samples: int, generator: np.random.Generator) -> _State:
    ends = []
    for path in (layer.branch, layer.shortcut):
        end = state
        for inner in path:
            end = _after(inner, end, samples, generator)
        ends.append(end)
    branch, shortcut = ends
    if branch.moments.shape != shortcut.moments.shape or branch.width != shortcut.width:
        raise InvalidInputError(
            got=f"a branch of {branch.width} channels and {branch.moments.shape[:2]} pixels beside a shortcut of "
            f"{shortcut.width} and {shortcut.moments.shape[:2]}",
            expected="equal shapes",
            next_step="give the shortcut a convolution or a dense layer",
        )
    if not branch.gaussian:
        raise NotApplicableError(
            statement="N1",
            assumption="a residual branch that ends in a linear layer, so that it is independent of the shortcut",
            instead="measure fresh draws of the network",
        )
    return _State(
        moments=branch.moments + shortcut.moments,
        width=branch.width,
        gaussian=shortcut.gaussian,
        draw=lambda row, column, own, n: branch.draw(row, column, own, n) + shortcut.draw(row, column, own, n),
        cross=lambda offset: branch.cross(offset) + shortcut.cross(offset),
    )
