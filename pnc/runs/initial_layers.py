"""What the law at initialisation (N1) needs to know of a torch network: its layers, weights by their variance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import nn

from pnc.errors import NotApplicableError
from pnc.nets.initial import parse_initial
from pnc.nets.network import Body, Network
from pnc.nets.projection_head import ProjectionHead
from pnc.nets.resnet import ResidualBlock
from pnc.theory import initialisation as law

__all__ = ["describe_layers"]

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.GELU: "gelu",
    nn.ELU: "elu",
    nn.SiLU: "silu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def describe_layers(network: nn.Module, *, initial: str = "default") -> tuple[law.Layer, ...]:
    """The layers of a network that is called one module after another, each `Named` as in `named_modules()`.

    Read are sequences, the built-in bodies, heads and residual blocks, linear layers and convolutions, activations,
    average pooling, and batch norm, which at its first values and in evaluation mode only divides by √(1 + eps).

    Args:
        network: built, not trained.
        initial: the law of its weights, see `pnc.nets.parse_initial`. `orthogonal` weights act as independent ones
            as long as the data span few of their dimensions.

    Raises:
        NotApplicableError: a module without a closed form, named, with its type.

    >>> describe_layers(nn.Sequential(nn.Linear(3, 5), nn.ReLU()))[1]
    Named(name='0')
    """
    kind, scale = parse_initial(initial)

    def variance(module: nn.Linear | nn.Conv2d) -> tuple[float, float]:
        """Gain (variance of a weight times the fan-in) and variance of the bias."""
        fan_in, outputs = module.weight[0].numel(), len(module.weight)
        if kind == "default":
            return 1 / 3, 0.0 if module.bias is None else 1 / (3 * fan_in)
        if kind == "he":
            return 2.0, 0.0
        return scale**2 * fan_in / max(fan_in, outputs), 0.0

    return tuple(_described(network, "", variance))


def _described(
    module: nn.Module, name: str, variance: Callable[[nn.Linear | nn.Conv2d], tuple[float, float]]
) -> Iterator[law.Layer]:
    if isinstance(module, ResidualBlock):
        yield from _residual(module, name, variance)
    elif isinstance(module, nn.Sequential | Network | Body | ProjectionHead):
        for child, inner in module.named_children():
            yield from _described(inner, f"{name}.{child}" if name else child, variance)
        if isinstance(module, ProjectionHead | Body | Network) or not len(module):
            return
    else:
        yield from _single(module, name, variance)
    if name:
        yield law.Named(name=name)


def _residual(
    block: ResidualBlock, name: str, variance: Callable[[nn.Linear | nn.Conv2d], tuple[float, float]]
) -> Iterator[law.Layer]:
    branch, last = [], block.size
    for index in range(1, last + 1):
        for part in ("conv", "norm", "activation"):
            if (part, index) != ("activation", last):
                branch += _described(getattr(block, f"{part}{index}"), "", variance)
    shortcut = [step for step in _described(block.shortcut, "", variance) if not isinstance(step, law.Named)]
    yield law.Residual(branch=tuple(branch), shortcut=tuple(shortcut))
    yield from _described(getattr(block, f"activation{last}"), f"{name}.activation{last}", variance)


def _single(
    module: nn.Module, name: str, variance: Callable[[nn.Linear | nn.Conv2d], tuple[float, float]]
) -> Iterator[law.Layer]:
    kind = type(module)
    if kind in _ACTIVATIONS and not (kind is nn.GELU and module.approximate != "none"):
        yield law.Activation(name=_ACTIVATIONS[kind])
    elif kind is nn.LeakyReLU and module.negative_slope == 0.01:
        yield law.Activation(name="leaky-relu")
    elif type(module) is nn.Linear:
        gain, bias = variance(module)
        yield law.Dense(width=module.out_features, gain=gain, bias=bias)
    elif (
        type(module) is nn.Conv2d
        and module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
    ):
        yield _convolution(module, variance)
    elif isinstance(module, _NORMS) and module.running_var is not None:
        yield law.Scale(factor=1 / math.sqrt(1 + module.eps))
    elif kind is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
        yield law.Average()
    elif type(module) is nn.AvgPool2d and module.padding in (0, (0, 0)) and not module.ceil_mode:
        yield law.Average(kernel=_pair(module.kernel_size), stride=_pair(module.stride))
    elif kind is nn.Flatten and module.start_dim == 1 and module.end_dim == -1:
        yield law.Flatten()
    elif kind is nn.MaxPool2d:
        yield law.MaxPool()
    elif kind is not nn.Identity and kind is not nn.Dropout:
        raise NotApplicableError(
            statement="N1",
            assumption=f"modules whose law is known, and {name or 'the network'} is a {kind.__name__}",
            instead="measure fresh draws of the network before training",
        )


def _convolution(
    module: nn.Conv2d, variance: Callable[[nn.Linear | nn.Conv2d], tuple[float, float]]
) -> law.Convolution:
    gain, bias = variance(module)
    if module.padding == "valid":
        padding = (0, 0)
    elif module.padding == "same":
        padding = (module.kernel_size[0] // 2, module.kernel_size[1] // 2)
    else:
        padding = (int(module.padding[0]), int(module.padding[1]))
    return law.Convolution(
        width=module.out_channels,
        gain=gain,
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=padding,
        bias=bias,
    )


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
