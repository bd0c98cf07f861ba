"""A network that is trained step by step: the batch of a step, its gradients, and what they are computed with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.model.memory import out_of_memory
from pnc.spec import LowRankSpec
from pnc.spec.training import TrainSpec
from pnc.train.augment import crop_and_flip
from pnc.train.losses import sample_losses
from pnc.train.low_rank.virtual_layers import LowRankSites
from pnc.train.order import batch_bounds, epoch_order, random_stream, step_seed
from pnc.train.outcome import DivergedError
from pnc.train.processes import Processes
from pnc.train.samples import Samples
from pnc.train.schedules import learning_rate

__all__ = ["Steps", "deterministic", "threads_for"]

_WORTH_SHARING = 2**18  # entries of a matrix, 512 × 512, from which on more threads than one are of use
_SAFE_CHANNELS = 16  # of a convolution's output, from which on more threads than one are safe


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Same seed, same device, same numbers: no algorithm of cuDNN or cuBLAS that sums in the order of arrival."""
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


@contextmanager
def threads_for(model: nn.Module, device: torch.device) -> Iterator[None]:
    """One thread for small dense networks on a CPU: two that wait for each other, or for another program's, cost more
    than they do, and how sums round then does not depend on how many there are. One for convolutions of few channels
    too, whose backward pass has been seen to corrupt memory with several (torch 2.13, oneDNN, 8 channels)."""
    shapes = [p.shape for p in model.parameters()]
    small = all(shape.numel() <= _WORTH_SHARING and len(shape) <= 2 for shape in shapes)
    narrow = any(len(shape) > 3 and shape[0] < _SAFE_CHANNELS for shape in shapes)
    before = torch.get_num_threads()
    if device.type == "cpu" and (small or narrow):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Steps:
    """A network, its samples and its optimiser. `step` steps have been taken; everything else follows from it or is in
    a checkpoint."""

    def __init__(
        self,
        model: nn.Module,
        samples: Samples,
        spec: TrainSpec,
        low_rank: LowRankSpec | None,
        *,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.spec, self.device, self.processes = spec, device, processes
        self.dtype = torch.float64 if spec.precision == "float64" else torch.float32
        self.samples = samples.to(device)
        self.bounds = batch_bounds(len(samples), spec.batch_size).tolist()
        self.batches = len(self.bounds) - 1  # an epoch
        smallest = self.bounds[-1] - self.bounds[-2]
        if smallest < processes.world:
            raise InvalidInputError(
                got=f"batches of {smallest} samples for {processes.world} processes",
                expected="at least one sample a process",
                next_step="raise `batch_size` or start fewer processes",
            )
        self.model = model.to(device=device, dtype=self.dtype)
        if spec.channels_last:
            # torch documents this call, and its overloads lack it
            cast(Any, self.model).to(memory_format=torch.channels_last)
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimiser = _optimiser(list(self.parameters.values()), spec)
        self.scaler = torch.amp.GradScaler(device.type, enabled=spec.precision == "float16")
        self.step, self.pieces = 0, 1
        self.totals = torch.zeros(3, dtype=torch.float64, device=device)  # of the epoch: loss, correct, samples
        self.first_bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.notes: list[str] = []
        self.written: Path | None = None  # the newest checkpoint
        self.order: tuple[int, torch.Tensor] | None = None
        self.forward: Callable[..., torch.Tensor] = model
        self.uncompiled: nn.Module = model
        self.compile_errors: tuple[type[Exception], ...] = ()
        self.low_rank = None if low_rank is None else self._low_rank(low_rank, smallest)

    def take_step(self) -> None:
        spec, (epoch, batch) = self.spec, divmod(self.step, self.batches)
        if self.order is None or self.order[0] != epoch:
            shuffled = epoch_order(len(self.samples), seed=spec.seed, epoch=epoch, shuffle=spec.batch_size is not None)
            self.order = epoch, torch.from_numpy(shuffled).to(self.device)
        size = self.bounds[batch + 1] - self.bounds[batch]
        rows = self.processes.share(size)
        mine = self.order[1][self.bounds[batch] : self.bounds[batch + 1]][rows]
        x, y = self.samples.x[mine], self.samples.y[mine]
        if spec.crop or spec.flip:
            drawn = random_stream("augmentation", spec.seed, epoch, batch)
            x = crop_and_flip(x, drawn, crop=spec.crop, flip=spec.flip, rows=rows)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(spec, self.step / self.batches)
        self.model.train()
        while True:
            try:
                totals = self.gradients(x, y, size)
                break
            except Exception as error:
                if out_of_memory(error):
                    self._use_less_memory(len(mine), error)
                    continue
                if not isinstance(error, self.compile_errors):
                    raise
                self.forward = self.uncompiled
                self.notes.append(f"torch.compile failed ({type(error).__name__}); trained without it")
        self.scaler.step(self.optimiser)
        if self.low_rank is not None:
            self.low_rank.step(self.step + 1, rows=rows, size=size)
        self.scaler.update()
        self.step += 1
        totals = self.processes.add(totals)
        self.totals += totals
        bad = ~torch.isfinite(totals[0]) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, self.step, self.first_bad)

    def gradients(self, x: torch.Tensor, y: torch.Tensor, size: int) -> torch.Tensor:
        """Gradients of the mean loss over the batch, of `size` samples in all processes; loss, correct, samples."""
        spec = self.spec
        torch.manual_seed(step_seed(spec.seed, self.step, self.processes.rank))
        self.optimiser.zero_grad(set_to_none=True)
        low_rank = self.low_rank
        if low_rank is not None:
            low_rank.begin_step(self.step + 1)
        totals = torch.zeros_like(self.totals)
        half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(spec.precision)
        for part, labels in zip(x.tensor_split(self.pieces), y.tensor_split(self.pieces), strict=True):
            part = self.samples.prepare(part, dtype=self.dtype, channels_last=spec.channels_last)
            with (
                nullcontext() if half is None else torch.autocast(self.device.type, half),
                nullcontext() if low_rank is None else low_rank.watching(),
            ):
                outputs = self.forward(part)
            self._check_outputs(outputs, len(part))
            loss = sample_losses(outputs, labels, loss=spec.loss, label_scale=spec.label_scale).sum()
            objective = loss if low_rank is None else loss + low_rank.loss()
            # the processes' gradients are averaged, not added, after this
            self.scaler.scale(objective * (self.processes.world / size)).backward()
            right = (outputs.detach().argmax(1) == labels).sum()
            totals += torch.stack([loss.detach().double(), right.double(), torch.full_like(totals[0], len(part))])
        return totals

    def _check_outputs(self, outputs: Any, samples: int) -> None:
        shape = tuple(outputs.shape) if torch.is_tensor(outputs) else type(outputs).__name__
        if shape != (samples, self.samples.classes):
            raise InvalidInputError(
                got=f"outputs of {'shape ' if torch.is_tensor(outputs) else 'type '}{shape}",
                expected=f"shape ({samples}, {self.samples.classes}), one number a class",
                next_step="build the network with as many classes as the data have",
            )

    def _use_less_memory(self, size: int, error: BaseException) -> None:
        """Twice as many pieces a batch, of half the size; the gradient stays that of the batch."""
        if self.pieces >= size or self.processes.world > 1:
            raise InvalidInputError(
                got=f"too little memory on {self.device} for a batch of {size} samples in {self.pieces} pieces",
                expected="room for a step",
                next_step="lower `batch_size` or the size of the network",
            ) from error
        self.pieces = min(size, 2 * self.pieces)
        self.optimiser.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        normed = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.model.modules())
        self.notes.append(
            f"out of memory at step {self.step + 1}: batches are worked on in {self.pieces} pieces from there, "
            + ("and batch norm sees one piece at a time" if normed else "with the same gradients")
        )

    def check_loss(self) -> None:
        step = int(self.first_bad)
        if step >= 0:
            raise DivergedError(step=step, epoch=(step - 1) // self.batches + 1, what="loss", checkpoint=self.written)

    def _low_rank(self, spec: LowRankSpec, smallest: int) -> LowRankSites:
        prepared = {"dtype": self.dtype, "channels_last": self.spec.channels_last}
        return LowRankSites(
            self.model, spec,
            example=self.samples.prepare(self.samples.x[:2], **prepared), batch=self.bounds[1], smallest=smallest,
            steps=self.spec.epochs * self.batches, dtype=self.dtype, seed=self.spec.seed, processes=self.processes,
            scaler=self.scaler,
        )  # fmt: skip


def _optimiser(parameters: list[nn.Parameter], spec: TrainSpec) -> torch.optim.Optimizer:
    if not parameters:
        raise InvalidInputError(
            got="a network without parameters to train", expected="at least one", next_step="unfreeze some weights"
        )
    if spec.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay)
    momentum = spec.momentum if spec.optimiser == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=spec.learning_rate, momentum=momentum, weight_decay=spec.weight_decay)
