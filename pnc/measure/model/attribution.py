"""Where the compression of a network happens: its change attributed to the modules of a path, exactly (U5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.nn.modules import activation
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd

from pnc.curves import json_ready
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.running import BatchLabels, RunningMoments
from pnc.measure.model.batches import BatchSource, count_classes
from pnc.measure.model.hooks import call_model, call_name, evaluating, unwrapped
from pnc.measure.model.memory import bytes_needed, free_memory, groups_within
from pnc.measure.model.samples import batch_size, first_tensor, rows_of

__all__ = ["Attribution", "Kind", "ModuleEffect", "attribute_compression", "module_path"]

Kind = Literal["linear", "activation", "norm", "pooling", "attention", "between modules", "other"]

_ACTIVATIONS = tuple(
    kind
    for kind in vars(activation).values()
    if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == activation.__name__
)
_KINDS: tuple[tuple[Kind, tuple[type[nn.Module], ...]], ...] = (
    ("linear", (nn.Linear, _ConvNd, nn.Bilinear, nn.Embedding)),
    ("norm", (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)),
    ("pooling", (_AvgPoolNd, _MaxPoolNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd)),
    ("attention", (nn.MultiheadAttention,)),
    ("activation", tuple(kind for kind in _ACTIVATIONS if kind is not nn.MultiheadAttention)),
)
_CONTRACTIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.Softplus, nn.Hardsigmoid)
_ROUNDING = 1e-5  # relative, of float32 sums


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleEffect:
    """What one module does to the scatters, as differences of logarithms.

    Args:
        name: of the call; of what lies between two modules, `a → b`.
        kind: what the module is; `between modules` where features change outside of any, as in a skip connection.
        within: change of log tr Σ_W.
        between: change of log tr Σ_B.
        class_within: (K,) change of log of the trace of each class's own scatter; NaN for a class without any.
    """

    name: str
    kind: Kind
    within: float
    between: float
    class_within: Float[np.ndarray, " K"]

    @property
    def compression(self) -> float:
        """Change of log C."""
        return self.within - self.between


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """The change of log C from the input of a network to its output, module by module.

    Args:
        effects: along the path, in order.
        compression: (before, after): C of the input and of the end of the path.
        samples: N.
        classes: K.
        violations: inequalities of U5 that are broken, which must not happen.
        notes: what a reader of the numbers should know.
    """

    effects: tuple[ModuleEffect, ...]
    compression: tuple[float, float]
    samples: int
    classes: int
    violations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def by_kind(self) -> dict[str, float]:
        """Kind of module → its share of the change of log C; they add up to the whole."""
        found: dict[str, float] = {}
        for effect in self.effects:
            found[effect.kind] = found.get(effect.kind, 0.0) + effect.compression
        return found

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return json_ready(
            {
                "names": [effect.name for effect in self.effects],
                "kinds": [effect.kind for effect in self.effects],
                "log_within": [effect.within for effect in self.effects],
                "log_between": [effect.between for effect in self.effects],
                "log_compression": [effect.compression for effect in self.effects],
                "log_class_within": [effect.class_within for effect in self.effects],
                "by_kind": self.by_kind(),
                "compression": list(self.compression),
                "samples": self.samples,
                "classes": self.classes,
                "violations": list(self.violations),
                "notes": list(self.notes),
            }
        )


@dataclass(eq=False)
class _Call:
    """One call of a module that calls no other module."""

    name: str
    module: nn.Module
    given: torch.Tensor
    output: torch.Tensor
    before: _Call | None = None  # the call whose output this one is given, or the last one behind a gap
    gap: bool = False  # whether features change between the two outside of modules
    length: int = 1


@dataclass(eq=False)
class _Place:
    """Where scatters are taken: at the input, before a call or after it."""

    name: str
    call: _Call | None = None
    after: bool = True
    running: RunningMoments | None = field(default=None, repr=False)
    rounding: float = 0.0  # of one unit in the features' arithmetic, relative
    found: _Scatters | None = None

    @property
    def entries(self) -> int:
        """Features of a sample, 0 where the input does not say."""
        tensor = None if self.call is None else self.call.output if self.after else self.call.given
        return 0 if tensor is None or tensor.ndim == 0 else tensor.numel() // max(tensor.shape[0], 1)

    @property
    def scatters(self) -> _Scatters:
        """Of all samples."""
        assert self.found is not None
        return self.found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scatters:
    """What is kept of a place's moments."""

    within: float
    between: float
    compression: float
    class_squares: Float[np.ndarray, " K"]
    mean_square: float  # of a sample's features, with their mean

    @classmethod
    def of(cls, running: RunningMoments) -> _Scatters:
        moments = running.moments()
        squares = moments.squares.cpu().numpy()
        counts = moments.counts.cpu().numpy()
        norms = torch.linalg.vecdot(moments.means, moments.means).cpu().numpy()
        return cls(
            within=moments.within_scatter(),
            between=moments.between_scatter(),
            compression=moments.compression(),
            class_squares=squares,
            mean_square=float((squares + counts * norms).sum() / max(counts.sum(), 1)),
        )


def attribute_compression(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    classes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Attribution:
    """Attribute the change of log C from input to output to the modules of the longest path (theory note, U5).

    For modules one after another `log C_out - log C_in = Σ (Δ log tr Σ_W - Δ log tr Σ_B)`, exactly. Where features
    change outside of modules (a skip connection's sum, a functional call), the change is listed as one of its own,
    `a → b`. Of branches that join, the one with more modules is followed. Each sample's features are flattened.

    Args:
        model: torch module; run in evaluation mode, left as it was.
        batches: of (inputs, labels), see `measure_model`.
        classes: K; by default counted.
        progress: called with the number of samples before each batch.

    Raises:
        InvalidInputError: as `measure_model`; a model whose output does not come from its input module by module.

    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> x = torch.arange(60.0).reshape(20, 3).cos()
    >>> found = attribute_compression(net, [(x, torch.arange(20) % 2)])
    >>> before, after = found.compression
    >>> bool(abs(sum(effect.compression for effect in found.effects) - np.log(after / before)) < 1e-12)
    True
    """
    number = count_classes(batches) if classes is None else classes
    source = BatchSource(batches, model, again=True)
    first = source.first()
    if first is None:
        raise InvalidInputError(got="no batches", expected="at least one batch", next_step="check the data")
    inner = unwrapped(model)
    path, output = _path(inner, first)
    places, notes = _places(path, output)
    samples = 0
    groups = _groups(places, number, source.device)
    for group in groups:
        samples = 0
        with evaluating(model), torch.no_grad(), _taken(inner, group, number) as run:
            for inputs, labels in source:
                if progress is not None:
                    progress(samples)
                samples += run(inputs, labels, samples)
        for place in group:
            assert place.running is not None
            place.found, place.running = _Scatters.of(place.running), None
    if len(groups) > 1:
        notes.append(f"the class means of all modules do not fit into memory at once: {len(groups)} passes")
    effects = tuple(_effect(one, other) for one, other in zip(places, places[1:]))
    return Attribution(
        effects=effects,
        compression=(places[0].scatters.compression, places[-1].scatters.compression),
        samples=samples,
        classes=number,
        violations=tuple(_violations(places)),
        notes=tuple(notes),
    )


def module_path(model: nn.Module, inputs: Any) -> list[tuple[str, nn.Module, bool]]:
    """The calls of the longest path from input to output: name, module, whether features change in between before it.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> [(name, gap) for name, _, gap in module_path(net, torch.zeros(4, 2))]
    [('0', False), ('1', False)]
    """
    return [(call.name, call.module, call.gap) for call in _path(unwrapped(model), inputs)[0]]


def _kind(module: nn.Module) -> Kind:
    for kind, types in _KINDS:
        if isinstance(module, types):
            return kind
    return "other"


def _path(model: nn.Module, inputs: Any) -> tuple[list[_Call], torch.Tensor | None]:
    """The calls from the input to the output, and the output, found by a pass over a few samples."""
    calls: list[_Call] = []
    numbers: dict[str, int] = {}
    inside: list[list[int]] = []  # for each module under way, whether it has called another
    parts = dict(model.named_modules())

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        if inside:
            inside[-1][0] = 1
        inside.append([0])

    def leave(name: str) -> Callable[..., None]:
        def record(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if inside.pop()[0]:
                return
            numbers[name] = numbers.get(name, 0) + 1
            given, made = first_tensor([*args, *kwargs.values()]), first_tensor(output)
            if given is not None and made is not None:
                calls.append(_Call(call_name(name, numbers[name], parts), module, given, made))

        return record

    handles = []
    few = rows_of(inputs, slice(0, min(3, batch_size(inputs))))
    given: list[torch.Tensor | None] = []  # of the model, as it sees it
    try:
        handles.append(
            model.register_forward_pre_hook(
                lambda module, args, kwargs: given.append(first_tensor([*args, *kwargs.values()])), with_kwargs=True
            )
        )
        for name, module in parts.items():
            if name:
                handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
                handles.append(module.register_forward_hook(leave(name), with_kwargs=True, always_call=True))
        with evaluating(model), torch.no_grad():
            output = first_tensor(call_model(model, few))
    finally:
        for handle in handles:
            handle.remove()
    if not calls:
        raise InvalidInputError(
            got="a model without modules inside", expected="modules that call no others", next_step="wrap its layers"
        )
    for index, call in enumerate(calls):
        _link(call, calls[:index], given[0])
    path: list[_Call] = []
    call = next((one for one in reversed(calls) if output is not None and _same(one.output, output)), calls[-1])
    while call is not None:
        path.append(call)
        call = call.before
    return path[::-1], output


def _link(call: _Call, earlier: Sequence[_Call], given: torch.Tensor | None) -> None:
    """Find the call that a call goes on from: the one that made its input, or else the end of the longest branch."""
    if given is not None and _same(call.given, given):
        return
    made = next((one for one in reversed(earlier) if _same(one.output, call.given)), None)
    if made is None:
        loose = [
            one for one in earlier if not any(_same(one.output, other.given) for other in earlier if other is not one)
        ]
        made = max(loose or earlier, key=lambda one: one.length, default=None)
        call.gap = True
    call.before = made
    call.length = 1 if made is None else made.length + 1


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one is other or (one.numel() == other.numel() and one.numel() > 0 and one.data_ptr() == other.data_ptr())


def _places(path: Sequence[_Call], output: torch.Tensor | None) -> tuple[list[_Place], list[str]]:
    """Where scatters are taken, from the input to the output, and what cannot be looked at."""
    places = [_Place("input")]
    for call in path:
        if call.gap:
            places.append(_Place(f"{places[-1].name} → {call.name}", call, after=False))
        places.append(_Place(call.name, call))
    last = path[-1]
    if output is None or _same(output, last.output):
        return places, []
    if output.ndim and output.shape[0] == last.output.shape[0]:
        return [*places, _Place(f"{last.name} → output")], []
    return places, [f"the output has no row for each sample: the path ends at {last.name}"]


def _groups(places: Sequence[_Place], classes: int, device: torch.device) -> list[list[_Place]]:
    """The places in as few groups as fit into memory, each for a pass of its own."""
    needed = {
        str(index): bytes_needed(classes, place.entries or 1, fuzziness=False, probes=False, spectra=None)
        for index, place in enumerate(places)
    }
    return [[places[int(index)] for index in group] for group in groups_within(needed, free_memory(device))]


@contextmanager
def _taken(
    model: nn.Module, places: Sequence[_Place], classes: int
) -> Iterator[Callable[[Any, torch.Tensor, int], int]]:
    """A callable that runs the model on a batch and adds its features to the moments of every place."""
    wanted: dict[tuple[str, bool], _Place] = {
        (place.call.name, place.after): place for place in places if place.call is not None
    }
    ends = {place.name == "input": place for place in places if place.call is None}
    numbers: dict[str, int] = {}
    parts = dict(model.named_modules())
    batch: dict[str, Any] = {}

    def take(place: _Place, tensor: torch.Tensor | None) -> None:
        size = batch["size"]
        if tensor is None or tensor.ndim == 0 or tensor.shape[0] != size:
            shape = None if tensor is None else tuple(tensor.shape)
            raise InvalidInputError(
                got=f"features of {place.name} of shape {shape} for {size} samples",
                expected="one row of features for each sample",
                next_step="attribute the part of the network whose features have one",
            )
        rows = tensor.detach().reshape(size, -1)
        rows = rows if rows.is_floating_point() else rows.to(torch.float64)
        if place.running is None:
            place.running = RunningMoments(classes=classes, dimension=rows.shape[1], device=rows.device)
            place.rounding = torch.finfo(rows.dtype).eps
        place.running.update(rows, batch["labels"], name=place.name, first_sample=batch["first"])

    def before(name: str) -> Callable[..., None]:
        def record(module: nn.Module, args: Any, kwargs: Any) -> None:
            call = call_name(name, numbers.get(name, 0) + 1, parts)
            if (call, False) in wanted:
                take(wanted[call, False], first_tensor([*args, *kwargs.values()]))

        return record

    def behind(name: str) -> Callable[..., None]:
        def record(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            numbers[name] = numbers.get(name, 0) + 1
            call = call_name(name, numbers[name], parts)
            if (call, True) in wanted:
                take(wanted[call, True], first_tensor(output))

        return record

    def run(inputs: Any, labels: torch.Tensor, first: int) -> int:
        numbers.clear()
        size = batch_size(inputs)
        given = first_tensor(inputs)
        device = "cpu" if given is None else given.device
        batch.update(size=size, first=first)
        batch["labels"] = BatchLabels.of(labels, samples=size, classes=classes, device=device, first_sample=first)
        if True in ends:
            take(ends[True], given)
        output = call_model(model, inputs)
        if False in ends:
            take(ends[False], first_tensor(output))
        return size

    handles = []
    modules = {id(place.call.module) for place in places if place.call is not None}
    try:
        for name, module in parts.items():
            if id(module) in modules:
                handles.append(module.register_forward_pre_hook(before(name), with_kwargs=True))
                handles.append(module.register_forward_hook(behind(name), with_kwargs=True))
        yield run
    finally:
        for handle in handles:
            handle.remove()


def _effect(one: _Place, other: _Place) -> ModuleEffect:
    a, b = one.scatters, other.scatters
    with np.errstate(divide="ignore", invalid="ignore"):
        return ModuleEffect(
            name=other.name,
            kind=_kind(other.call.module) if other.after and other.call is not None else "between modules",
            within=float(np.log(b.within) - np.log(a.within)),
            between=float(np.log(b.between) - np.log(a.between)),
            class_within=np.log(b.class_squares) - np.log(a.class_squares),
        )


def _violations(places: Sequence[_Place]) -> Iterator[str]:
    """U5's inequalities: no activation with slopes up to 1 raises tr Σ_W, a linear map by ‖W‖² at most."""
    for one, other in zip(places, places[1:]):
        if other.call is None or not other.after:
            continue
        before, after = one.scatters.within, other.scatters.within
        module = other.call.module
        if isinstance(module, _CONTRACTIONS):
            most, noise = 1.0, other.rounding**2 * other.scatters.mean_square
        elif type(module) is nn.Linear and other.call.output.ndim == 2:
            weight = module.weight.detach().to(torch.float64)
            most = float(torch.linalg.matrix_norm(weight, 2)) ** 2
            # of a sum of d_in products, each rounded
            noise = other.rounding**2 * weight.shape[1] * float(weight.square().sum()) * one.scatters.mean_square
        else:
            continue
        if math.sqrt(after) > math.sqrt(most * before) * (1 + _ROUNDING) + math.sqrt(noise):
            yield f"{other.name}: tr Σ_W times {after / before:.6g}, and at most {most:.6g} is possible"
