"""Running a model so that its modules hand over what they return, and nothing of it is changed afterwards."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import torch
from torch import nn

from pnc.measure.model.samples import own_copy

__all__ = ["call_model", "call_name", "evaluating", "keeps_randomness", "same_randomness", "tapped", "unwrapped"]

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
# their `train()` sets modes and kernels, which is undone without a copy of all weights
_SETS_MODES_ONLY = ("torch.", "transformers.modeling_utils")


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside what `torch.compile` and data parallelism wrap around it."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in ("DistributedDataParallel", "DataParallel"):
            inner = cast(nn.Module, model.module)  # any attribute of a module may be a tensor to the checker
        if inner is None:
            return model
        model = inner


def call_model(model: nn.Module, inputs: Any) -> Any:
    """`model(inputs)`, a mapping as keywords and a tuple or list as positional arguments.

    The model is given a copy: what it writes to it reaches neither the caller's data nor a later pass.

    >>> x = torch.ones(1, 1)
    >>> call_model(nn.ReLU(inplace=True), -x).item(), x.item()
    (0.0, 1.0)
    """
    inputs = own_copy(inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if type(inputs) in (tuple, list):
        return model(*inputs)
    return model(inputs)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, without gradients; modes, buffers and weights are as before afterwards.

    Every buffer is put back, since modules may count or observe in any mode. Of modules whose own `train()` or
    `eval()` does more than set modes (low-rank adapters that merge their weights) all attributes and weights are put
    back too, bit for bit, at the price of a copy of these weights.

    >>> net = nn.Sequential(nn.Dropout())
    >>> with evaluating(net):
    ...     net.training, net[0].training
    (False, False)
    >>> net.training
    True
    """
    modules = list(model.modules())
    modes = [(module, module.training) for module in modules]
    acting = {id(part) for module in modules if _acts_on_modes(module) for part in module.modules()}
    kept = [_Kept(module, whole=id(module) in acting) for module in modules]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for before in kept:
            before.restore()
        for module, training in modes:
            module.training = training


def _acts_on_modes(module: nn.Module) -> bool:
    """Whether a module's `train` or `eval` may do more than set modes."""
    for name in ("train", "eval"):
        if name in vars(module):
            return True
        owner = next(kind for kind in type(module).__mro__ if name in vars(kind))
        if not owner.__module__.startswith(_SETS_MODES_ONLY):
            return True
    return False


class _Kept:
    """The buffers of one module or, of a whole one, its attributes and weights."""

    def __init__(self, module: nn.Module, *, whole: bool) -> None:
        self._module, self._whole = module, whole
        attributes = vars(module) if whole else {"_buffers": module._buffers}
        # dictionaries, lists and sets one level deep: those of parameters, buffers and flags
        self._before = {
            name: (value, value.copy() if type(value) in (dict, list, set) or isinstance(value, dict) else None)
            for name, value in attributes.items()
        }
        values = [
            item
            for value, copied in self._before.values()
            for item in (copied.values() if isinstance(copied, dict) else copied or [value])
        ]
        # `.data` is the same memory under a version counter of its own: putting it back disturbs no one's graph
        self._tensors = [
            (tensor, tensor.data, tensor.data.clone())
            for tensor in values
            if torch.is_tensor(tensor) and not nn.parameter.is_lazy(tensor)
        ]

    def restore(self) -> None:
        if self._whole:
            for name in set(vars(self._module)) - set(self._before):
                del vars(self._module)[name]
        for name, (value, copied) in self._before.items():
            if copied is not None:
                value.clear()
                value.extend(copied) if isinstance(value, list) else value.update(copied)
            vars(self._module)[name] = value
        for tensor, memory, content in self._tensors:
            if tensor.data_ptr() != memory.data_ptr() or tensor.shape != memory.shape or tensor.dtype != memory.dtype:
                tensor.data = memory
            if not content.is_meta:
                memory.copy_(content)


@contextmanager
def same_randomness(*loaders: Any) -> Iterator[None]:
    """Random numbers drawn inside are drawn again afterwards: those of torch, NumPy and Python, and of the loaders.

    >>> before = torch.get_rng_state()
    >>> with same_randomness():
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    holders = [
        holder
        for loader in loaders
        for holder in (
            loader,
            getattr(loader, "sampler", None),
            getattr(getattr(loader, "batch_sampler", None), "sampler", None),
        )
    ]
    generators = [g for holder in holders if isinstance(g := getattr(holder, "generator", None), torch.Generator)]
    states = [(generator, generator.get_state()) for generator in generators]
    here, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002  data sets and networks of others draw from it
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        torch.set_rng_state(here)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
        for generator, state in states:
            generator.set_state(state)


def keeps_randomness(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """A function inside `same_randomness`, with the loaders among its arguments."""

    @wraps(function)
    def inside(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        with same_randomness(*args, *kwargs.values()):
            return function(*args, **kwargs)

    return inside


def call_name(module: str, call: int, modules: Mapping[str, nn.Module]) -> str:
    """The name of one call of a module, `relu` or `relu#2`; with more `#` where a module is called that itself.

    >>> call_name("a", 2, {"a": nn.ReLU()}), call_name("a", 2, {"a": nn.ReLU(), "a#2": nn.ReLU()})
    ('a#2', 'a##2')
    """
    if call == 1:
        return module
    marks = "#"
    while f"{module}{marks}{call}" in modules:
        marks += "#"
    return f"{module}{marks}{call}"


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
    inner = unwrapped(model)
    parts = dict(inner.named_modules())

    def hook(name: str) -> Callable[..., None]:
        def record(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            calls[name] += 1
            given = args[0] if args else next(iter(kwargs.values()), None)
            consume(call_name(name, calls[name], parts), (given, output) if with_inputs else output)

        return record

    def run(inputs: Any) -> Any:
        calls.clear()
        return call_model(inner, inputs)

    # torch's fused attention turns padded batches into nested tensors, and rounds otherwise than training does
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        for name, module in parts.items():
            if name and (modules is None or name in modules):
                handles.append(module.register_forward_hook(hook(name), with_kwargs=True))
        yield run
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for handle in handles:
            handle.remove()
