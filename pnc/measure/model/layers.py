"""Which modules of a torch model count as layers, found by what they do to a few samples."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from pnc.errors import InvalidInputError, PncError
from pnc.measure.model.choice import Call, choose_layers, mixes
from pnc.measure.model.hooks import call_name, evaluating, same_randomness, tapped, unwrapped
from pnc.measure.model.memory import out_of_memory
from pnc.measure.model.outputs import Place, find_place, part_of
from pnc.measure.model.samples import batch_size, first_tensor, rows_of

__all__ = ["Layer", "LayerList", "capture", "layer_output", "list_layers"]

# two sizes, so that what changes between them is the axis of the samples; the last where memory is too small for three
_FEW, _MORE, _FEWER = 2, 3, 1
_MOST_NAMED = 3


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
        part: the key or index that is measured of an output that is not one tensor, a tuple of them where it is nested;
            None where it is one.
        axis: the axis of the output that counts the samples.
    """

    name: str
    module: str
    call: int
    kind: str
    shape: tuple[int, ...]
    part: Any = None
    axis: int = 0


@dataclass(frozen=True, kw_only=True)
class LayerList:
    """The layers that were picked, in the order in which the model computes them.

    Args:
        layers: those to measure.
        skipped: name → why it is not measured.
        notes: what a reader of the numbers should know about the choice.
        whole_batches: whether what a layer makes of a sample depends on the rest of its batch, or the model takes
            batches of one size only: batches must then not be cut.
    """

    layers: tuple[Layer, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()
    whole_batches: bool = False


def list_layers(model: nn.Module, inputs: Any, *, patterns: Sequence[str] | None = None) -> LayerList:
    """The layers to measure, found by running the model on two and on three samples.

    By default they are what the model itself names in an attribute `block_names`, as those of `pnc.nets` do,
    and for other models, by what their modules do,

    * blocks: the outermost modules of a class of the model's own that occurs at least twice and has weights in its
      parts (residual blocks, transformer layers), and torch's own transformer layers, with the activation that is
      applied to what they return;
    * outside blocks, one layer for each module that mixes entries by a weight (linear, convolutional, recurrent,
      attention, embedding, parametrised, quantised, or of a class of the model's own): the last activation that
      follows it before the next one, or the module itself where none does. A module whose parts act side by side
      (a linear module with a low-rank adapter, a sum of embeddings) is one layer.

    An activation is a module that changes each entry by itself and is not affine. One that is called as a function
    (`torch.relu`) is seen by no hook: what the linear module returns is measured there, which a note says.

    Args:
        model: torch module.
        inputs: a batch: a tensor, or a tuple or mapping of tensors.
        patterns: shell patterns of module names (`layer?.*`, `relu`) or of single calls (`relu#2`) instead of
            the default. A pattern without `#` means every call.

    Raises:
        InvalidInputError: a model that fails on the inputs or shows no hook what it does, a pattern that matches no
            module that the model calls, or nothing to measure.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> [layer.name for layer in list_layers(net, torch.zeros(5, 3)).layers]
    ['1', '3', '4']
    >>> [layer.shape for layer in list_layers(net, torch.zeros(5, 3), patterns=["0", "4"]).layers]
    [(4,), (2,)]
    """
    inner = unwrapped(model)
    _check_model(inner)
    modules = dict(inner.named_modules())
    with same_randomness(), evaluating(inner):
        probe = _probe(inner, inputs, modules)
        calls = probe.calls
        own = getattr(inner, "block_names", None) if patterns is None else patterns
        if own is None:
            choice = choose_layers(calls, modules)
            chosen, parts, said, left_out = choice.layers, choice.inside, choice.notes, choice.left_out
        else:
            chosen, parts, said, left_out = _matching(calls, modules, own), set(), (), {}
    layers = tuple(_layer(call, modules) for call in chosen if not call.place.reason)
    skipped = {call.name: call.place.reason for call in chosen if call.place.reason}
    if patterns is None:
        picked = {call.module for call in (*chosen, *calls)}
        skipped |= {
            name: "never called in the forward pass"
            for name, module in modules.items()
            if mixes(module) and name not in picked | parts and not _within(name, picked, modules)
        }
    skipped |= left_out
    if not layers:
        raise InvalidInputError(
            got="no layer to measure" + "".join(f"; {name}: {why}" for name, why in list(skipped.items())[:3]),
            expected="at least one module whose output is a tensor with a row a sample",
            next_step=f"choose among {_shown([call.name for call in calls if not call.place.reason])}",
        )
    return LayerList(
        layers=layers, skipped=skipped, notes=(*probe.notes, *_notes(chosen), *said), whole_batches=probe.whole_batches
    )


def _layer(call: Call, modules: Mapping[str, nn.Module]) -> Layer:
    return Layer(
        name=call.name,
        module=call.module,
        call=call.number,
        kind=type(modules[call.module]).__name__,
        shape=call.place.shape,
        part=call.place.part,
        axis=call.place.axis,
    )


def _within(name: str, called: set[str], modules: Mapping[str, nn.Module]) -> bool:
    """Inside a called module that mixes itself and may use its parts without calling them, as attention does."""
    return any(name.startswith(f"{other}.") and mixes(modules[other]) for other in called)


def _check_model(model: nn.Module) -> None:
    """Refuse what hooks cannot look into, or what has no weights yet.

    Raises:
        InvalidInputError: a scripted or exported model, lazy modules, weights on the meta device.
    """
    got = step = ""
    if isinstance(model, torch.jit.ScriptModule):
        got, step = "a TorchScript model, which runs as one program", "measure the model that it was scripted from"
    elif isinstance(model, torch.fx.GraphModule) and not _calls_modules(model):
        got, step = "an exported graph, which calls no module", "measure the model that it was exported from"
    elif any(nn.parameter.is_lazy(p) for p in (*model.parameters(), *model.buffers())):
        got, step = "a model with lazy modules, whose weights have no shape yet", "run it once on a batch first"
    elif any(p.is_meta for p in model.parameters()):
        got, step = "a model on the meta device, which has no weights", "load its weights first"
    if got:
        raise InvalidInputError(
            got=got, expected="a model whose modules are called one by one, with weights", next_step=step
        )


def _calls_modules(graph: torch.fx.GraphModule) -> bool:
    called = [str(node.target) for node in graph.graph.nodes if node.op == "call_module"]
    return any(not name.startswith("_guards") for name in called)  # an exported graph checks its inputs by one


@dataclass(frozen=True, kw_only=True)
class _Probe:
    calls: list[Call]
    notes: tuple[str, ...] = ()
    whole_batches: bool = False


def _probe(model: nn.Module, inputs: Any, modules: Mapping[str, nn.Module]) -> _Probe:
    """What every module makes of two samples, held against what it makes of three."""
    whole = batch_size(inputs)

    def run(samples: int) -> list[Call]:
        return _run(model, rows_of(inputs, torch.arange(samples) % whole), modules)

    other_size = _MORE
    try:
        first, again = run(_FEW), run(_FEW)
        try:
            second = run(_MORE)
        except Exception as error:
            if not out_of_memory(error):
                raise
            other_size, second = _FEWER, run(_FEWER)
    except InvalidInputError as error:
        try:  # it may take batches of one size only
            calls = _run(model, inputs, modules)
        except InvalidInputError:
            raise error from error.__cause__
        for call in calls:
            call.place = find_place(call.output, whole)
        return _Probe(
            calls=_checked(calls, model),
            notes=(f"the model takes batches of {whole} samples only: {error.got}",),
            whole_batches=True,
        )
    found = {call.name: call for call in second}
    random = coupled = ""
    repeated = {call.name: call for call in again}
    for call in first:
        other = found.get(call.name)
        call.place = find_place(
            call.output,
            _FEW,
            None if other is None else other.output,
            None if other is None else other_size,
        )
        if call.place.reason or other is None:
            continue
        parts = (call, other, repeated.get(call.name, call))
        rows, among_others, once_more = (_rows(part.output, call.place) for part in parts)
        if rows is None or among_others is None or once_more is None:
            continue
        both = min(_FEW, other_size)
        if not _alike(rows, once_more):
            random = random or call.name
        elif not _alike(rows[:both], among_others[:both]):
            coupled = coupled or call.name
    notes = []
    if random:
        notes.append(
            f"the model is random in evaluation mode: {random} differs between two passes over the same samples, so "
            "every number holds for one draw"
        )
    elif coupled:
        notes.append(
            f"what {coupled} makes of a sample depends on the rest of its batch (its statistics, for instance), so the "
            "numbers hold for these batches"
        )
    return _Probe(calls=_checked(first, model), notes=tuple(notes), whole_batches=bool(random or coupled))


def _rows(output: Any, place: Place) -> torch.Tensor | None:
    value = part_of(output, place.part)
    if not torch.is_tensor(value) or value.ndim <= place.axis:
        return None
    return _dense(value).movedim(place.axis, 0)


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal but for the rounding of another order of summation, far below what another batch would change."""
    if one.shape != other.shape:
        return True  # of other sizes, for instance for padding; it is not the batch's doing
    if not one.is_floating_point():
        return torch.equal(one, other)
    limit = min(1e3 * torch.finfo(one.dtype).eps, 0.05)
    gap = (one.to(torch.float64) - other.to(torch.float64)).nan_to_num(0.0, 0.0, 0.0).abs().max()
    return float(gap) <= limit * float(one.to(torch.float64).nan_to_num(0.0, 0.0, 0.0).abs().max())


def _checked(calls: list[Call], model: nn.Module) -> list[Call]:
    if calls:
        return calls
    # a model without parts is a layer itself, but has no name: its output is all there is
    raise InvalidInputError(
        got=f"a {type(model).__name__} that calls no module of its own",
        expected="a model made of modules",
        next_step="wrap it, for instance nn.Sequential(model)",
    )


def _run(model: nn.Module, inputs: Any, modules: Mapping[str, nn.Module]) -> list[Call]:
    """Every call of every module in one pass, with copies of what went in and came out."""
    calls: list[Call] = []
    numbers: dict[str, int] = {}

    def consume(name: str, pair: Any) -> None:
        module = _module_of(name, modules, numbers)
        calls.append(Call.of(name, module, numbers[module], *pair))

    with tapped(model, consume, with_inputs=True) as run:
        try:
            run(inputs)
        except PncError:
            raise
        except Exception as error:  # whatever the forward of anybody's network may raise
            if out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [""])[0]
            given = first_tensor(inputs)
            shape = "" if given is None else f" of shape {tuple(given.shape[1:])}"
            raise InvalidInputError(
                got=f"{type(model).__name__}, which fails on samples{shape}: "
                + (f"{type(error).__name__}: {reason}" if reason else type(error).__name__),
                expected="a network that takes such samples",
                next_step="build it for samples of this shape, or reshape them in its forward",
            ) from error
    return calls


def _module_of(name: str, modules: Mapping[str, nn.Module], numbers: dict[str, int]) -> str:
    """The module of a call, which is counted; its name may hold a `#` of its own."""
    module = name
    while module not in modules or (module in numbers and call_name(module, numbers[module] + 1, modules) != name):
        module = module.rpartition("#")[0]
    numbers[module] = numbers.get(module, 0) + 1
    return module


def _notes(chosen: Sequence[Call]) -> list[str]:
    notes = []
    for call in chosen:
        place = call.place
        if place.reason:
            continue
        if place.part is not None:
            others = ", ".join(map(repr, place.others[:_MOST_NAMED]))
            more = f" ({others} has a row a sample too)" if others else ""
            notes.append(f"{call.name}: its output is not one tensor; entry {place.part!r} of it is measured{more}")
        if place.ambiguous:
            notes.append(
                f"{call.name}: axes {list(place.ambiguous)} are all as long as the batch; {place.axis} is taken"
            )
        elif place.axis:
            notes.append(f"{call.name}: axis {place.axis} counts the samples")
    return notes


def _matching(called: Sequence[Call], modules: Mapping[str, nn.Module], patterns: Sequence[str]) -> list[Call]:
    def matches(call: Call, pattern: str) -> bool:
        if fnmatchcase(call.name, pattern) or (call.number == 1 and fnmatchcase(f"{call.module}#1", pattern)):
            return True
        return ("#" not in pattern or "#" in call.module) and fnmatchcase(call.module, pattern)

    for pattern in patterns:
        if any(matches(call, pattern) for call in called):
            continue
        silent = [name for name in modules if name and fnmatchcase(name, pattern)]
        names = list(dict.fromkeys(call.name for call in called))
        near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4)
        raise InvalidInputError(
            got=f"layer pattern {pattern!r}, which matches "
            + (f"only modules that the model never calls ({_shown(silent)})" if silent else "no module"),
            expected="the name of a module that the model calls, or a pattern such as 'layer*'",
            next_step="did you mean " + " or ".join(map(repr, near)) + "?" if near else f"choose among {_shown(names)}",
        )
    return [call for call in called if any(matches(call, pattern) for pattern in patterns)]


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def _dense(value: torch.Tensor) -> torch.Tensor:
    if value.is_quantized:
        return value.dequantize()
    return value if value.layout == torch.strided else value.to_dense()


def layer_output(layer: Layer, output: Any) -> torch.Tensor | None:
    """What is measured of a module's output, samples first: the part that `list_layers` chose; None: it has none."""
    value = part_of(output, layer.part)
    if not torch.is_tensor(value) or value.is_nested or value.ndim <= layer.axis:
        return None
    return _dense(value).movedim(layer.axis, 0)


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
    with same_randomness(), evaluating(model), tapped(model, consume, list(names)) as run:
        run(inputs)
    return kept
