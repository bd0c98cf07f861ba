"""Which modules of a torch model count as layers, and hooks that hand over their outputs."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from pnc.errors import InvalidInputError, PncError
from pnc.measure.model.memory import out_of_memory

__all__ = ["Layer", "LayerList", "capture", "evaluating", "list_layers", "tapped"]

_PROBE_SAMPLES = 2  # one would hide an axis that is not the batch, and some models squeeze it away


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One call of one module: what counts as a layer.

    Args:
        name: the module's name in `named_modules()`, with `#2`, `#3`, … for its later calls in one forward
            pass.
        module: that name without the call.
        call: 1 for the first.
        kind: the module's class.
        shape: of one sample's output.
        part: the key or index that is measured of an output that is not one tensor; None where it is one.
    """

    name: str
    module: str
    call: int
    kind: str
    shape: tuple[int, ...]
    part: Any = None


@dataclass(frozen=True, kw_only=True)
class LayerList:
    """The layers that were picked, in the order in which the model computes them.

    Args:
        layers: those to measure.
        skipped: name → why it is not measured.
        notes: what a reader of the numbers should know about the choice.
    """

    layers: tuple[Layer, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside what `torch.compile` and data parallelism wrap around it."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in ("DistributedDataParallel", "DataParallel"):
            inner = model.module
        if inner is None:
            return model
        model = inner


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, without gradients; each module's own mode is restored whatever happens.

    >>> net = nn.Sequential(nn.Dropout())
    >>> with evaluating(net):
    ...     net.training, net[0].training
    (False, False)
    >>> net.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def call_model(model: nn.Module, inputs: Any) -> Any:
    """`model(inputs)`, a mapping as keywords and a tuple or list as positional arguments."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, tuple | list):
        return model(*inputs)
    return model(inputs)


def rows_of(inputs: Any, rows: slice | torch.Tensor) -> Any:
    """Some samples of a batch: of every tensor in it whose first axis is as long as the batch's.

    >>> rows_of({"a": torch.arange(4), "scale": 2.0}, slice(1, 3))
    {'a': tensor([1, 2]), 'scale': 2.0}
    """
    samples = batch_size(inputs)

    def cut(value: Any) -> Any:
        if torch.is_tensor(value) and value.ndim and value.shape[0] == samples:
            return value[rows if isinstance(rows, slice) else rows.to(value.device)]
        if isinstance(value, Mapping):
            return {key: cut(item) for key, item in value.items()}
        return type(value)(cut(item) for item in value) if type(value) in (tuple, list) else value

    return cut(inputs)


def batch_size(inputs: Any) -> int:
    """The length of the first axis of the first tensor in a batch.

    Raises:
        InvalidInputError: no tensor in it.
    """
    tensor = first_tensor(inputs)
    if tensor is None or tensor.ndim == 0:
        raise InvalidInputError(
            got=f"inputs of type {type(inputs).__name__} without a tensor that has a sample axis",
            expected="a tensor, or a tuple or mapping of tensors, one row a sample",
            next_step="let the loader yield (inputs, labels)",
        )
    return tensor.shape[0]


def first_tensor(value: Any) -> torch.Tensor | None:
    """The first tensor in a tensor, mapping, tuple or list; None where there is none."""
    if torch.is_tensor(value):
        return value
    values = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((found for item in values if (found := first_tensor(item)) is not None), None)


def _part(output: Any, samples: int) -> tuple[torch.Tensor | None, Any, str]:
    """The tensor of an output that is measured, where in the output it is, and why there is none."""
    if torch.is_tensor(output):
        part, tensor = None, output
    elif isinstance(output, Mapping | tuple | list):
        # the first entry that has a row a sample: hidden states come before what is kept for other uses
        pairs = output.items() if isinstance(output, Mapping) else enumerate(output)
        tensors = [(key, item) for key, item in pairs if torch.is_tensor(item)]
        fitting = [(key, item) for key, item in tensors if item.ndim and item.shape[0] == samples]
        if not tensors:
            return None, None, f"its output is a {type(output).__name__} without a tensor"
        part, tensor = (fitting or tensors)[0]
    else:
        return None, None, f"its output is of type {type(output).__name__}, not a tensor"
    if tensor.ndim == 0 or tensor.shape[0] != samples:
        return None, part, f"its output has shape {tuple(tensor.shape)} for {samples} samples: no row a sample"
    if tensor.numel() == 0:
        return None, part, f"its output has shape {tuple(tensor.shape)}: nothing in it"
    if tensor.is_complex() or tensor.dtype == torch.bool:
        return None, part, f"its output has dtype {str(tensor.dtype).removeprefix('torch.')}: not real numbers"
    return tensor, part, ""


@contextmanager
def tapped(
    model: nn.Module,
    consume: Callable[[str, Any], None],
    modules: Sequence[str] | None = None,
    *,
    with_inputs: bool = False,
) -> Iterator[Callable[[Any], Any]]:
    """A callable that runs the model and hands each chosen module's output to `consume(name, output)`.

    The output is handed over the moment the module returns it, before any later module, in-place or not, can
    overwrite it: `consume` must use or copy it before it returns. All hooks are gone when the block is left,
    by an exception too.

    Args:
        model: torch module.
        consume: receives the name of the call (`relu`, `relu#2`, …) and what the module returned.
        modules: names in `named_modules()`; by default all but the model itself.
        with_inputs: hand over the pair of the module's first argument and its output.

    >>> seen = []
    >>> relu = nn.ReLU(inplace=True)
    >>> with tapped(nn.Sequential(relu, nn.Flatten(), relu), lambda name, x: seen.append(name)) as run:
    ...     _ = run(torch.zeros(1, 2))
    >>> seen
    ['0', '1', '0#2']
    """
    calls: Counter[str] = Counter()
    handles = []

    def hook(name: str) -> Callable[..., None]:
        def record(module: nn.Module, args: Any, output: Any) -> None:
            calls[name] += 1
            value = (args[0] if args else None, output) if with_inputs else output
            consume(name if calls[name] == 1 else f"{name}#{calls[name]}", value)

        return record

    def run(inputs: Any) -> Any:
        calls.clear()
        return call_model(inner, inputs)

    inner = unwrapped(model)
    try:
        for name, module in inner.named_modules():
            if name and (modules is None or name in modules):
                handles.append(module.register_forward_hook(hook(name)))
        yield run
    finally:
        for handle in handles:
            handle.remove()


def list_layers(model: nn.Module, inputs: Any, *, patterns: Sequence[str] | None = None) -> LayerList:
    """The layers to measure, found by one forward pass over two samples.

    By default they are what the model itself names in an attribute `block_names`, as those of `pnc.nets` do,
    and for other models

    * blocks: the outermost modules of a class of the model's own that occurs at least twice and has parts
      (residual blocks, transformer layers);
    * outside blocks, one layer for each linear or convolutional module: the last activation that follows it
      before the next one, or the module itself where none does.

    Hooks cannot see an activation that is called as a function (`torch.relu`): what the linear module returns
    is measured there.

    Args:
        model: torch module.
        inputs: a batch: a tensor, or a tuple or mapping of tensors.
        patterns: shell patterns of module names (`layer?.*`, `relu`) or of single calls (`relu#2`) instead of
            the default. A pattern without `#` means every call.

    Raises:
        InvalidInputError: a model that fails on the inputs, a pattern that matches no module that the model calls,
            or nothing to measure.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> [layer.name for layer in list_layers(net, torch.zeros(5, 3)).layers]
    ['1', '3', '4']
    >>> [layer.shape for layer in list_layers(net, torch.zeros(5, 3), patterns=["0", "4"]).layers]
    [(4,), (2,)]
    """
    inner = unwrapped(model)
    inputs = rows_of(inputs, slice(0, _PROBE_SAMPLES))
    samples = batch_size(inputs)
    modules = dict(inner.named_modules())
    called: list[Layer] = []
    reasons: dict[str, str] = {}

    def consume(name: str, output: Any) -> None:
        tensor, part, reason = _part(output, samples)
        module, _, call = name.partition("#")
        called.append(
            Layer(
                name=name,
                module=module,
                call=int(call or 1),
                kind=type(modules[module]).__name__,
                shape=() if tensor is None else tuple(tensor.shape[1:]),
                part=part,
            )
        )
        if reason:
            reasons[name] = reason

    with evaluating(inner), tapped(inner, consume) as run:
        try:
            run(inputs)
        except PncError:
            raise
        except Exception as error:  # whatever the forward of anybody's network may raise
            if out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [""])[0]
            raise InvalidInputError(
                got=f"{type(inner).__name__}, which fails on samples of shape {tuple(first_tensor(inputs).shape[1:])}: "
                + (f"{type(error).__name__}: {reason}" if reason else type(error).__name__),
                expected="a network that takes such samples",
                next_step="build it for samples of this shape, or reshape them in its forward",
            ) from error
    if not called:  # a model without parts is a layer itself, but has no name: its output is all there is
        raise InvalidInputError(
            got=f"a {type(inner).__name__} that calls no module of its own",
            expected="a model made of modules",
            next_step="wrap it, for instance nn.Sequential(model)",
        )
    own = getattr(inner, "block_names", None) if patterns is None else patterns
    chosen = _default(called, modules) if own is None else _matching(called, modules, own)
    layers = tuple(layer for layer in chosen if layer.name not in reasons)
    skipped = {layer.name: reasons[layer.name] for layer in chosen if layer.name in reasons}
    if patterns is None:
        picked = {layer.module for layer in chosen}
        skipped |= {
            name: "never called in the forward pass"
            for name, module in modules.items()
            if isinstance(module, _WEIGHTS) and name not in {layer.module for layer in called} | picked
        }
    if not layers:
        raise InvalidInputError(
            got="no layer to measure" + "".join(f"; {name}: {why}" for name, why in list(skipped.items())[:3]),
            expected="at least one module whose output is a tensor with a row a sample",
            next_step=f"choose among {_shown([layer.name for layer in called if layer.name not in reasons])}",
        )
    notes = tuple(
        f"{layer.name}: its output is not one tensor; entry {layer.part!r} of it is measured"
        for layer in layers
        if layer.part is not None
    )
    return LayerList(layers=layers, skipped=skipped, notes=notes)


_WEIGHTS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.Embedding, nn.MultiheadAttention)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, nn.MultiheadAttention)


def _default(called: Sequence[Layer], modules: Mapping[str, nn.Module]) -> list[Layer]:
    own = Counter(
        type(modules[name])
        for name in dict.fromkeys(layer.module for layer in called)
        if not type(modules[name]).__module__.startswith("torch.nn.") and any(modules[name].children())
    )
    repeated = {layer.module for layer in called if own[type(modules[layer.module])] > 1}
    blocks = {name for name in repeated if not any(_inside(name, other) for other in repeated)}
    chosen: list[Layer] = []
    pending: Layer | None = None  # what the latest weights outside blocks have become so far
    for layer in called:
        if any(_inside(layer.module, block) for block in blocks):
            continue
        module = modules[layer.module]
        if layer.module in blocks or (isinstance(module, _WEIGHTS) and not any(module.children())):
            chosen += [pending] if pending else []
            pending = layer
            if layer.module in blocks:
                chosen.append(layer)
                pending = None
        elif isinstance(module, nn.MultiheadAttention):
            chosen += [pending, layer] if pending else [layer]
            pending = None
        elif _is_activation(module) and pending is not None:
            pending = layer
    return chosen + ([pending] if pending else [])


def _inside(name: str, block: str) -> bool:
    return name.startswith(block + ".")


def _matching(called: Sequence[Layer], modules: Mapping[str, nn.Module], patterns: Sequence[str]) -> list[Layer]:
    def matches(layer: Layer, pattern: str) -> bool:
        name = layer.name if "#" in pattern else layer.module
        return fnmatchcase(name, pattern) or (layer.call == 1 and pattern == f"{layer.module}#1")

    for pattern in patterns:
        if any(matches(layer, pattern) for layer in called):
            continue
        silent = [name for name in modules if name and fnmatchcase(name, pattern)]
        names = list(dict.fromkeys(layer.name for layer in called))
        near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4)
        raise InvalidInputError(
            got=f"layer pattern {pattern!r}, which matches "
            + (f"only modules that the model never calls ({_shown(silent)})" if silent else "no module"),
            expected="the name of a module that the model calls, or a pattern such as 'layer*'",
            next_step="did you mean " + " or ".join(map(repr, near)) + "?" if near else f"choose among {_shown(names)}",
        )
    return [layer for layer in called if any(matches(layer, pattern) for pattern in patterns)]


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def layer_output(layer: Layer, output: Any) -> torch.Tensor | None:
    """What is measured of a module's output: the part that `list_layers` chose; None where it has none."""
    try:
        value = output if layer.part is None else output[layer.part]
    except (KeyError, IndexError, TypeError):
        return None
    return value if torch.is_tensor(value) else None


def capture(model: nn.Module, inputs: Any, *, layers: Sequence[str] | None = None) -> dict[str, torch.Tensor]:
    """The outputs of the layers for one batch, each a copy that no in-place module can have overwritten.

    For more than one batch use `measure_model`, which keeps no features.

    Args:
        model: torch module; evaluated in evaluation mode, which is undone afterwards.
        inputs: a batch: a tensor, or a tuple or mapping of tensors.
        layers: patterns of module names, as in `list_layers`.

    Returns:
        Name of the layer → (N, …) tensor, in the order of computation.

    Raises:
        InvalidInputError: a pattern that matches nothing, or nothing to measure.

    >>> net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(inplace=True))
    >>> _ = nn.init.constant_(net[0].weight, -1.0)
    >>> {name: x.item() for name, x in capture(net, torch.ones(1, 1), layers=["*"]).items()}
    {'0': -1.0, '1': 0.0}
    """
    chosen = {layer.name: layer for layer in list_layers(model, inputs, patterns=layers).layers}
    kept: dict[str, torch.Tensor] = {}

    def consume(name: str, output: Any) -> None:
        tensor = layer_output(chosen[name], output) if name in chosen else None
        if tensor is not None:
            kept[name] = tensor.detach().clone()

    names = {layer.module for layer in chosen.values()}
    with evaluating(model), tapped(model, consume, list(names)) as run:
        run(inputs)
    return kept
