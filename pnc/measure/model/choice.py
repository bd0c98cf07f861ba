"""Which calls of modules are layers where nobody names them: by what each module does to a few samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from pnc.measure.model.outputs import Place, tensors_in
from pnc.measure.model.samples import first_tensor, map_tensors, own_copy

__all__ = ["Call", "Choice", "choose_layers", "is_activation", "mixes"]

_MIXING = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase, nn.Embedding, nn.EmbeddingBag,
           nn.MultiheadAttention)  # fmt: skip
_NORMS = (
    nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, nn.CrossMapLRN2d
)  # fmt: skip
_TRANSFORMER_LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


@dataclass(eq=False)
class Call:
    """One call of one module on the samples that are tried.

    Args:
        name: of the call.
        module: name of the module.
        number: 1 for the first call in a pass.
        given: a copy of the first tensor that it was given, or None.
        output: a copy of what it returned.
        memory: where the first tensor that it was given, and the first that it returned, lie.
        place: where the features of the output are.
    """

    name: str
    module: str
    number: int
    given: torch.Tensor | None
    output: Any
    memory: tuple[int, int]
    place: Place = field(default_factory=Place)
    held: Any = None  # what was returned itself, so that its memory is given to no other tensor

    @classmethod
    def of(cls, name: str, module: str, number: int, given: Any, output: Any) -> Call:
        taken = first_tensor(given)
        returned = next((tensor for _, tensor in tensors_in(output)), None)
        return cls(
            name=name,
            module=module,
            number=number,
            given=None if taken is None else taken.detach().clone(),
            output=map_tensors(output, lambda tensor: tensor.detach().clone()),
            memory=(_address(taken), _address(returned)),
            held=(taken, output),
        )


def _address(tensor: torch.Tensor | None) -> int:
    try:
        return 0 if tensor is None else tensor.data_ptr()
    except RuntimeError:  # nested and sparse tensors lie in several places
        return 0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What `choose_layers` found.

    Args:
        layers: calls that are layers, in order; those without features among them.
        inside: names of modules that are parts of a layer.
        left_out: name of a module with weights that is no layer → why.
        notes: what a reader should know.
    """

    layers: list[Call]
    inside: set[str]
    left_out: dict[str, str]
    notes: tuple[str, ...]


def mixes(module: nn.Module) -> bool:
    """Whether a module by itself makes entries of its output from several entries of its input, by a weight.

    Known classes and their subclasses, parametrised and quantised ones; of others those that own a weight of two axes
    or more and are no normalisation.

    >>> mixes(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))), mixes(nn.LayerNorm((2, 2))), mixes(nn.PReLU())
    (True, False, False)
    """
    if isinstance(module, _MIXING):
        return True
    if isinstance(module, _NORMS):
        return False
    if hasattr(module, "_packed_params") or (is_parametrized(module) and not isinstance(module, nn.PReLU)):
        return True
    return _owns_matrix(module) and not any(module.children())


def _owns_matrix(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))


def _is_own(module: nn.Module) -> bool:
    """Of a class that is not torch's."""
    return not type(module).__module__.startswith(("torch.nn.", "torch.ao."))


def is_activation(module: nn.Module, given: torch.Tensor | None) -> bool:
    """Whether a module is an activation: torch's, or one that changes each entry by itself and is not affine.

    >>> class Swish(nn.Module):
    ...     def forward(self, x):
    ...         return x * x.sigmoid()
    >>> is_activation(Swish(), torch.randn(2, 3)), is_activation(nn.LayerNorm(3), torch.randn(2, 3))
    (True, False)
    """
    if not _is_own(module):
        known = type(module).__module__ == "torch.nn.modules.activation"
        return known and not isinstance(module, nn.MultiheadAttention)
    if any(parameter.ndim > 1 for parameter in module.parameters()) or any(module.children()):
        return False
    if given is None or not given.is_floating_point() or not given.numel():
        return False
    with suppress(Exception):  # whatever the forward of anybody's module may raise
        return _elementwise(module, given) and not _affine(module, given)
    return False


def _elementwise(function: Callable[[torch.Tensor], Any], x: torch.Tensor) -> bool:
    """Whether changing one entry of the input changes that entry of the output at most."""
    before = function(x.clone())
    if not torch.is_tensor(before) or before.shape != x.shape:
        return False
    for place in {0, x.numel() // 2, x.numel() - 1}:
        moved = x.clone()
        moved.view(-1)[place] += 1 + moved.view(-1)[place].abs()
        changed = (function(moved) != before).flatten()
        changed[place] = False
        if bool(changed.any()):
            return False
    return True


def _affine(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> bool:
    x = x.to(torch.float32) if x.dtype in (torch.float16, torch.bfloat16) else x
    # large entries too: what clips is affine in the middle
    x = torch.cat([x, 100 * x / x.abs().max().clamp(min=1e-30)])
    zero, once, twice, less = (function(scale * x) for scale in (0.0, 1.0, 2.0, -1.0))
    size = float(torch.stack([part.abs().max() for part in (zero, once, twice, less)]).max())
    limit = 1e-4 * size if x.dtype == torch.float32 else 1e-8 * size
    return bool(((twice - 2 * once + zero).abs().max() <= limit) & ((once + less - 2 * zero).abs().max() <= limit))


def choose_layers(calls: Sequence[Call], modules: Mapping[str, nn.Module]) -> Choice:
    """The layers among all calls of one pass (see `list_layers`)."""
    blocks = _blocks(calls, modules)
    acting = {
        call.name: is_activation(modules[call.module], call.given)
        for call in calls
        if not _inside_any(call.module, blocks)
    }
    whole = {call.module for call in calls if mixes(modules[call.module])}
    units = _units(calls, modules, blocks | whole, acting)
    holders = blocks | whole | units
    chosen: list[Call] = []
    left_out: dict[str, str] = {}
    hidden: list[str] = []
    pending: Call | None = None  # what the latest weights have become so far
    latest: Call | None = None  # the call that `pending` was last
    seen: list[Call] = []
    for call in calls:
        module = modules[call.module]
        if _inside_any(call.module, holders):
            seen.append(call)
            continue
        if call.module in holders:
            if pending is not None:
                chosen.append(pending)
                if _hidden_between(pending, call, seen):
                    hidden.append(pending.name)
            pending, seen = call, []
            if isinstance(module, nn.MultiheadAttention):
                chosen.append(call)
                pending = None
        elif acting.get(call.name) and pending is not None:
            # a block ends where it ends: only what is applied to its own output belongs to it
            if latest is None or latest.module not in blocks or call.memory[0] == latest.memory[1]:
                pending = call if not call.place.reason else pending
        elif _is_own(module) and any(True for _ in module.parameters(recurse=False)) and not _contains(call, holders):
            left_out[call.module] = "its weights scale or shift entries and mix none: measured with what follows it"
        latest = call if pending is call else latest
        seen.append(call)
    chosen += [pending] if pending is not None else []
    inside = {name for name in modules if _inside_any(name, holders)}
    notes = ()
    if hidden:
        names = ", ".join(hidden[:3]) + (", …" if len(hidden) > 3 else "")
        notes = (
            f"{names}: what comes next is not given what this returns; an operation called as a function, an "
            "activation for instance, is seen by no hook, and it is measured before that",
        )
    return Choice(layers=chosen, inside=inside, left_out=left_out, notes=notes)


def _contains(call: Call, holders: set[str]) -> bool:
    return any(_inside(name, call.module) for name in holders)


def _blocks(calls: Sequence[Call], modules: Mapping[str, nn.Module]) -> set[str]:
    """The outermost modules of a class that occurs at least twice and has weights in its parts, and of torch's own."""
    usable = {call.module for call in calls if not call.place.reason}
    candidates = [
        name
        for name in dict.fromkeys(call.module for call in calls)
        if _is_own(modules[name])
        and not mixes(modules[name])
        and any(modules[name].children())
        and any(mixes(part) or _owns_matrix(part) for part in modules[name].modules())
    ]
    own = Counter(type(modules[name]) for name in candidates)
    repeated = {name for name in candidates if own[type(modules[name])] > 1 and name in usable}
    repeated |= {name for name in usable if isinstance(modules[name], _TRANSFORMER_LAYERS)}
    return {name for name in repeated if not any(_inside(name, other) for other in repeated)}


def _units(
    calls: Sequence[Call], modules: Mapping[str, nn.Module], holders: set[str], acting: Mapping[str, bool]
) -> set[str]:
    """Modules whose weights act side by side, so that they are one layer together.

    A linear module with an adapter, a sum of embeddings: some weight in it is given what the whole is given, and what
    it returns reaches the output of the whole through no other weight. Nothing in it is an activation or a block.
    """
    found: set[str] = set()
    for call in reversed(calls):  # the outermost come last
        module = modules[call.module]
        if call.number > 1 or not _is_own(module) or call.module in holders or isinstance(module, nn.Sequential):
            continue
        if _inside_any(call.module, found | holders) or call.place.reason:
            continue
        parts = [part for part in calls if _inside(part.module, call.module)]
        weights = list(dict.fromkeys(part.module for part in parts if part.module in holders))
        simple = all(mixes(modules[name]) for name in weights)
        if len(weights) < 2 or not simple or any(acting.get(part.name) for part in parts):
            continue
        with suppress(Exception):  # whatever the forward of anybody's module may raise
            if _side_by_side(module, {name: modules[name] for name in weights}, call):
                found.add(call.module)
    return found


def _side_by_side(module: nn.Module, weights: Mapping[str, nn.Module], call: Call) -> bool:
    if call.given is None:
        return False

    def run(moved: str | None = None) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        given: dict[str, torch.Tensor] = {}

        def watch(name: str) -> Callable[..., Any]:
            def hook(part: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
                taken = first_tensor(args[0] if args else next(iter(kwargs.values()), None))
                if taken is not None:
                    given.setdefault(name, taken.detach().clone())
                return None if name != moved else map_tensors(output, lambda x: x + 1 + x.abs())

            return hook

        handles = [part.register_forward_hook(watch(name), with_kwargs=True) for name, part in weights.items()]
        try:
            result = first_tensor(module(own_copy(call.given)))
        finally:
            for handle in handles:
                handle.remove()
        if result is None:
            raise ValueError
        return given, result

    before, whole = run()
    for name, taken in before.items():
        if taken.shape != call.given.shape or not torch.equal(taken, call.given.to(taken.dtype)):
            continue
        after, changed = run(name)
        others = [other for other in before if other != name]
        if all(torch.equal(before[other], after[other]) for other in others) and not torch.equal(whole, changed):
            return True
    return False


def _hidden_between(one: Call, following: Call, seen: Sequence[Call]) -> bool:
    """Whether the next module is given what no module before it returned."""
    value = following.given
    if value is None or one.place.reason:
        return False
    for call in (one, *seen):
        for _, tensor in tensors_in(call.output):
            if tensor.numel() == value.numel() and torch.equal(tensor.flatten().to(value.dtype), value.flatten()):
                return False
    first = next((tensor for _, tensor in tensors_in(one.output)), None)
    return first is not None and first.numel() == value.numel()


def _inside(name: str, block: str) -> bool:
    return name.startswith(block + ".")


def _inside_any(name: str, blocks: set[str]) -> bool:
    return any(_inside(name, block) for block in blocks)
