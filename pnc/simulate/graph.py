"""CUDA graphs: a step recorded once and launched as a whole.

A step of small matrices is some dozens of kernels of microseconds each, and launching them one by one takes longer than
they do. Recorded as a graph they cost one launch. What a graph reads and writes lies at fixed addresses, so every call
copies its arrays in, replays the step as often as wanted, and copies the result out.

Runs that have ended leave their rows in the buffers, where they count for nothing: only once half of the rows are idle
is the step recorded anew, so that a stack of B runs is recorded at most log2(B) + 1 times.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Generic, TypeVar, cast

import torch
from jaxtyping import Float

from pnc.simulate.networks import Networks

__all__ = ["Record", "Step", "StepGraph", "recorder_of"]

Tensor = torch.Tensor
Arrays = tuple[Tensor, ...]

Fixed = TypeVar("Fixed", bound=Arrays)
State = TypeVar("State", bound=Arrays)

Step = Callable[[Networks, Fixed, State, Float[Tensor, "B c"]], State]
"""(networks, what stays, state, this step's numbers) → the next state; it asks the device for no value."""

Record = Callable[[Callable[[], None], torch.device], Callable[[], None]]
"""Runs some kernels on a device and returns what runs the same kernels again."""

# bytes of weights beyond which the kernels take longer than their launches, which the device then does not wait for;
# copying in and out would only add to them (reckoned from 2 TB/s and 5 µs a launch, not measured)
_LONG_KERNELS = 1 << 27
_WARM_UPS = 3  # libraries choose their algorithms and make their workspaces before a recording, not in it


def recorder_of(like: Tensor, *, parameters: int) -> Record | None:
    """How steps are recorded; `None` where they are launched kernel by kernel.

    Args:
        like: an array of the stack, a row a run.
        parameters: numbers of weights of a run.

    >>> recorder_of(torch.zeros(2, 3), parameters=10) is None
    True
    """
    if like.device.type != "cuda" or len(like) * parameters * like.element_size() > _LONG_KERNELS:
        return None
    return _record_cuda


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all recordings: the workspaces that libraries keep for every stream are never given back."""
    return torch.cuda.Stream(device)


def _record_cuda(launch: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """A graph of the kernels of `launch`; `launch` itself, with a warning, where they cannot be recorded."""
    graph, side, current = torch.cuda.CUDAGraph(), _side_stream(device), torch.cuda.current_stream(device)
    side.wait_stream(current)
    try:
        # the outer block gives the caller's stream back even where a recording ends in an error
        with torch.cuda.device(device), torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                launch()
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                launch()
    except RuntimeError as error:
        warnings.warn(
            f"the step could not be recorded as a CUDA graph ({' '.join(str(error).split())[:120]}); "
            "its kernels are launched one by one, which takes longer and changes no result",
            RuntimeWarning,
            stacklevel=2,
        )
        return launch
    finally:
        current.wait_stream(side)
    return graph.replay


@dataclass(frozen=True, kw_only=True, eq=False)
class _Recording(Generic[State]):
    """Buffers of so many runs, and what replays the step on them."""

    inputs: Arrays
    state: State
    control: Tensor
    replay: Callable[[], None]

    @property
    def rows(self) -> int:
        return len(self.control)


class StepGraph(Generic[Fixed, State]):
    """A step on buffers of its own: copy in, replay, copy out.

    Args:
        step: what is recorded. The state that it returns is written back in its order, so that an array may pass into
            one before it.
        record: such as `recorder_of` gives.
    """

    def __init__(self, step: Step[Fixed, State], record: Record) -> None:
        self._step, self._record = step, record
        self._recording: _Recording[State] | None = None

    def run(self, networks: Networks, fixed: Fixed, state: State, controls: Float[Tensor, "steps B c"]) -> State:
        """The state after a step for each of `controls`.

        Args:
            networks: of the B runs.
            fixed: what no step changes, a row a run.
            state: what every step replaces, a row a run.
            controls: numbers of each step, a row a run.
        """
        inputs, rows = (networks.factor, networks.target, networks.samples, *fixed), len(networks.samples)
        held = self._recording
        if held is None or not held.rows / 2 < rows <= held.rows:
            held = self._recording = None  # an older graph gives its memory back first
            held = self._recording = self._make(networks, fixed, state, controls[0])
        for buffer, value in zip((*held.inputs, *held.state), (*inputs, *state), strict=True):
            buffer[:rows].copy_(value)
        for control in controls:
            held.control[:rows].copy_(control)
            held.replay()
        return _each(held.state, lambda buffer: buffer[:rows].clone())

    def _make(self, networks: Networks, fixed: Fixed, state: State, control: Float[Tensor, "B c"]) -> _Recording[State]:
        """Buffers for as many runs as there are, and the step recorded on them."""
        held = replace(
            networks, factor=networks.factor.clone(), target=networks.target.clone(), samples=networks.samples.clone()
        )
        stay, now, numbers = _each(fixed, Tensor.clone), _each(state, Tensor.clone), control.clone()

        def launch() -> None:
            following = self._step(held, stay, now, numbers)
            for buffer, value in zip(now, following, strict=True):
                buffer.copy_(value)

        return _Recording(
            inputs=(held.factor, held.target, held.samples, *stay),
            state=now,
            control=numbers,
            replay=self._record(launch, networks.factor.device),
        )


def _each(arrays: State, change: Callable[[Tensor], Tensor]) -> State:
    """As many arrays, each changed."""
    return cast("State", tuple(change(array) for array in arrays))  # a tuple made of an iterator has no stated length
