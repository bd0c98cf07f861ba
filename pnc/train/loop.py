"""`train`: a network on labelled samples, step by step, so that it can stop anywhere and go on exactly."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import measure_model
from pnc.spec import LowRankSpec
from pnc.spec.training import TrainSpec
from pnc.train.batch_norm import synchronised_batch_norm
from pnc.train.checkpoints import Checkpoint, latest_checkpoint, write_checkpoint
from pnc.train.losses import sample_losses
from pnc.train.low_rank.variance_shares import variance_shares
from pnc.train.low_rank.virtual_layers import LowRankSites
from pnc.train.outcome import DivergedError, EpochRecord, LowRankOutcome, Measurement, Progress, TrainedRun
from pnc.train.processes import Processes, joined_processes
from pnc.train.samples import Batches, Samples, as_samples
from pnc.train.steps import Steps, deterministic, threads_for
from pnc.train.weights import fit_weights

__all__ = ["Measure", "evaluate", "train"]

Measure = Callable[[nn.Module, Batches, str], LayerCurve]
"""(model, batches, split) → its layers."""

_WORTH_SHARING = 2**18  # entries of a matrix, 512 × 512, from which on more threads than one are of use
_SAFE_CHANNELS = 16  # of a convolution's output, from which on more threads than one are safe
_SEEN_EVERY = 0.5  # seconds between calls of `progress`
_CHECKED_EVERY = 20  # steps between looks at the loss on a GPU, each of which waits for it


def train(
    model: nn.Module,
    data: Any,
    spec: TrainSpec,
    *,
    test: Any = None,
    low_rank: LowRankSpec | None = None,
    device: torch.device | str = "cpu",
    checkpoints: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
    measure: Measure | None = None,
    measure_batch: int = 512,
    progress: Callable[[Progress], None] | None = None,
) -> TrainedRun:
    """Train a network: at each step θ ← θ - η_t · optimiser(∇ mean of ℓ over the batch), ℓ of `sample_losses`.

    The order of the samples, their augmentation and dropout are functions of the seed and the step; with the
    optimiser's state, weights and step in the checkpoint, a training that was killed and resumed ends with the same
    weights, on the CPU bit for bit. Under `torchrun` every process takes its share of each batch, gradients are
    averaged, batch norm uses all processes' samples, and so does measuring; the first process writes.

    Args:
        model: trained in place; outputs (N, K).
        data: the training split: (x, y), a `Problem` or `Samples`.
        spec: how.
        test: the test split, likewise.
        low_rank: virtual layers that draw activations towards few dimensions; they add λ_c L_c + λ_n L_n to the loss
            (`pnc.nets.LowRankLayer`), and nothing of them is in the trained network.
        device: where.
        checkpoints: folder of checkpoints; `None`: none are written.
        checkpoint_seconds: a checkpoint is written at the first step after so much time, after the first epoch, and
            at the end; 0: at every step.
        resume: go on from the newest checkpoint of the folder, or begin where there is none.
        measure: (model, batches, split) → LayerCurve; `pnc.measure.measure_model` where not given. Each process calls
            it with its share of the samples and is to be given the curve of the whole.
        measure_batch: samples at a time when measuring.
        progress: called now and then.

    Raises:
        InvalidInputError: samples, labels or outputs that do not fit, a folder that holds the checkpoints of another
            training, a precision that the device has not.
        DivergedError: the loss or the weights became NaN or infinite; the last good checkpoint is kept.

    >>> x = torch.tensor([[-1.0], [-2.0], [1.0], [2.0]])
    >>> spec = TrainSpec(loss="cross-entropy", epochs=20, batch_size=None, learning_rate=0.1, measure_every=None)
    >>> run = train(nn.Linear(1, 2), (x, [0, 0, 1, 1]), spec)
    >>> len(run.history), run.history[-1].accuracy
    (20, 1.0)
    """
    device = torch.device(device)
    if spec.precision == "float16" and device.type != "cuda":
        raise InvalidInputError(
            got="precision float16 on the CPU",
            expected="a CUDA device",
            next_step="pass `precision=bfloat16` or float32",
        )
    samples = as_samples(data)
    if measure is None:
        measure = partial(_measure_model, classes=samples.classes)
    tested = None if test is None else as_samples(test, like=samples, name="the test split")
    with ExitStack() as stack:
        processes = stack.enter_context(joined_processes(device))
        if device.type == "cuda":
            device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
            torch.cuda.set_device(device)
        # what is drawn and set here is nobody else's
        stack.enter_context(torch.random.fork_rng([] if device.type == "cpu" else [device]))
        stack.enter_context(deterministic(device))
        stack.enter_context(threads_for(model, device))
        training = _Training(
            model, samples, tested, spec, low_rank,
            device=device, processes=processes, folder=None if checkpoints is None else Path(checkpoints),
            measure=measure, measure_batch=measure_batch, progress=progress, interval=checkpoint_seconds,
        )  # fmt: skip
        if processes.world > 1:
            count = stack.enter_context(synchronised_batch_norm(model))
            if count:
                training.notes.append(f"{count} batch norms synchronised over {processes.world} processes")
        stack.callback(training.close)
        training.begin(resume=resume)
        training.run()
        outcome = training.low_rank_outcome()
    model.eval()
    return TrainedRun(
        model=model,
        spec=spec,
        history=tuple(training.history),
        measurements=tuple(training.measurements),
        notes=tuple(training.notes),
        steps=training.step,
        resumed_from=training.resumed_from,
        seconds=training.seconds(),
        device=str(device),
        processes=processes.world,
        low_rank=outcome,
    )


def _measure_model(model: nn.Module, batches: Batches, split: str, *, classes: int) -> LayerCurve:
    return measure_model(model, batches, classes=classes, split=split)


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Batches, spec: TrainSpec, *, processes: Processes | None = None
) -> tuple[float, float]:
    """Mean loss and accuracy over the batches of all processes, the network as it is (in evaluation mode or not).

    >>> samples = as_samples((torch.eye(2), [0, 1]))
    >>> evaluate(nn.Identity(), samples.batches(1), TrainSpec())
    (0.0, 1.0)
    """
    totals = torch.zeros(3, dtype=torch.float64, device=batches.samples.y.device)
    totals[2] = len(batches.samples)
    for x, y in batches:
        outputs = model(x)
        losses = sample_losses(outputs, y, loss=spec.loss, label_scale=spec.label_scale)
        totals[:2] += torch.stack([losses.double().sum(), (outputs.argmax(1) == y).double().sum()])
    loss, correct, seen = (processes or Processes()).add(totals).tolist()
    return loss / seen, correct / seen


class _Training(Steps):
    """A training under way: its steps, and what is checked, measured, recorded and written between them."""

    def __init__(
        self,
        model: nn.Module,
        samples: Samples,
        test: Samples | None,
        spec: TrainSpec,
        low_rank: LowRankSpec | None,
        *,
        device: torch.device,
        processes: Processes,
        folder: Path | None,
        measure: Measure,
        measure_batch: int,
        progress: Callable[[Progress], None] | None,
        interval: float,
    ) -> None:
        self.digest = samples.digest() if folder is not None else None
        super().__init__(model, samples, spec, low_rank, device=device, processes=processes)
        self.folder, self.measure, self.measure_batch = folder, measure, measure_batch
        self.progress, self.interval = progress, interval
        self.test = None if test is None else test.to(device)
        self.resumed_from: int | None = None
        self.history: list[EpochRecord] = []
        self.measurements: list[Measurement] = []
        self.spent = 0.0  # by the processes that this one goes on from
        self.started = self.written_at = self.seen_at = time.monotonic()
        self.shares_before: dict[str, Any] = {}
        self.measured: set[int] = set()  # epochs after which every layer has been

    # -- beginning, end and what lies between

    def begin(self, *, resume: bool) -> None:
        found, folder = None, self.folder
        if folder is not None:
            found, notes = latest_checkpoint(folder)
            self.notes += notes
            if found is not None and not resume:
                raise InvalidInputError(
                    got=f"checkpoints of a training in {folder}, up to step {found.step}",
                    expected="none",
                    next_step="go on with it by `resume`, or remove them (`force`)",
                )
        elif resume:
            raise InvalidInputError(
                got="resume without a folder of checkpoints", expected="one", next_step="pass checkpoints"
            )
        if found is not None and folder is not None:
            self._restore(found, folder)
        self.processes.wait()  # nobody writes before all have read
        forward: nn.Module = self.model
        if self.processes.world > 1:
            forward = nn.parallel.DistributedDataParallel(forward, broadcast_buffers=False)
        self.forward = self.uncompiled = forward
        if self.spec.compile:
            from torch._dynamo.exc import TorchDynamoException

            self.forward = torch.compile(forward)
            self.compile_errors = (TorchDynamoException,)
        self.started_at_step = self.step
        if self.low_rank is not None and not self.shares_before:
            self.shares_before = self._shares(self.low_rank)

    def close(self) -> None:
        """Leave nothing of this training on the network."""
        if self.low_rank is not None:
            self.low_rank.close()

    def run(self) -> None:
        total = self.spec.epochs * self.batches
        self._measure_if_due()
        while self.step < total:
            self.take_step()
            if self.device.type == "cpu" or self.step % _CHECKED_EVERY == 0:
                self.check_loss()
            if self.step % self.batches == 0:
                self._close_epoch()
            now = time.monotonic()
            due = self.step in (self.batches, total) or now - self.written_at >= self.interval
            if self.folder is not None and due:
                self._write(self.folder)
            if self._measure_if_due() and self.step == total and self.folder is not None:
                self._write(self.folder)
            if self.progress is not None and self.processes.first and now - self.seen_at >= _SEEN_EVERY:
                self._report(self.progress)

    def seconds(self) -> float:
        return self.spent + time.monotonic() - self.started

    # -- low-rank layers

    def _shares(self, low_rank: LowRankSites) -> dict[str, Any]:
        """Split → site → share of the variance in r directions."""
        return {
            split: variance_shares(
                self.model, [site.name for site in low_rank.sites], samples, rank=low_rank.spec.rank,
                batch=self.measure_batch, dtype=self.dtype, channels_last=self.spec.channels_last,
            )
            for split, samples in (("train", self.samples), ("test", self.test))
            if samples is not None
        }  # fmt: skip

    def low_rank_outcome(self) -> LowRankOutcome | None:
        """What the layers did, after training; what they did not is a note."""
        low_rank = self.low_rank
        if low_rank is None:
            return None
        if self.step <= low_rank.spec.every and low_rank.spec.compression_weight:
            self.notes.append(
                f"no projection was made before the end of {self.step} steps: L_c was never applied; lower `every`"
            )
        return LowRankOutcome(
            spec=low_rank.spec,
            sites=tuple(site.name for site in low_rank.sites),
            widths=tuple(site.layer.width for site in low_rank.sites),
            units=tuple(float(site.layer.unit) for site in low_rank.sites),
            before=self.shares_before,
            after=self._shares(low_rank),
            history=tuple(low_rank.history),
            projections=low_rank.projections,
            projection_seconds=low_rank.projection_seconds,
            step_seconds=self._step_seconds(low_rank) if self.processes.world == 1 else None,
        )

    def _step_seconds(self, low_rank: LowRankSites) -> dict[str, float]:
        """Seconds of a step with the layers and without: forward and backward, the network left as it is."""
        forward = self.forward
        kept = {name: value.clone() for name, value in self.model.named_buffers()}  # batch norm's running statistics
        rows = torch.arange(self.bounds[1], device=self.device)
        seconds: dict[str, list[float]] = {"with": [], "without": []}
        self.forward = self.model
        self.model.train()
        begun = time.perf_counter()
        while len(seconds["without"]) < 4 or time.perf_counter() - begun < 0.2:  # more of them where they are short
            # in turn: what slows the machine slows both
            for name, chosen in (("with", low_rank), ("without", None)):
                self.low_rank = chosen
                self._synchronise()
                start = time.perf_counter()
                self.gradients(self.samples.x[rows], self.samples.y[rows], len(rows))
                self._synchronise()
                seconds[name].append(time.perf_counter() - start)
        self.low_rank, self.forward = low_rank, forward
        self.optimiser.zero_grad(set_to_none=True)
        for name, value in self.model.named_buffers():
            value.copy_(kept[name])
        found = {name: median(values[1:]) for name, values in seconds.items()}  # the first one warms up
        projecting = low_rank.projection_seconds / max(low_rank.projections, 1) / low_rank.spec.every
        return {**found, "projecting": projecting, "overhead": (found["with"] + projecting) / found["without"] - 1}

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    # -- what is checked, recorded and written between steps

    def _check_weights(self) -> None:
        """Weights that a finite loss's gradient has carried away would be found a step too late."""
        self.check_loss()
        for name, parameter in self.parameters.items():
            if not torch.isfinite(parameter).all():
                raise DivergedError(
                    step=self.step,
                    epoch=(self.step - 1) // self.batches + 1,
                    what=f"weights {name}",
                    checkpoint=self.written,
                )
        if self.low_rank is not None:
            self.low_rank.check(step=self.step, epoch=(self.step - 1) // self.batches + 1, checkpoint=self.written)

    def _close_epoch(self) -> None:
        self.check_loss()
        loss, correct, seen = self.totals.tolist()
        epoch = self.step // self.batches
        self.history.append(
            EpochRecord(
                epoch=epoch,
                step=self.step,
                loss=loss / seen,
                accuracy=correct / seen,
                learning_rate=self.optimiser.param_groups[0]["lr"],
                seconds=self.seconds(),
            )
        )
        self.totals.zero_()
        if self.low_rank is not None:
            self.low_rank.close_epoch(epoch)

    @torch.no_grad()
    def _measure_if_due(self) -> bool:
        """Every layer on both splits, each process its share of the samples."""
        every, (epoch, batch) = self.spec.measure_every, divmod(self.step, self.batches)
        last = epoch == self.spec.epochs
        if every is None or batch or epoch in self.measured or not (last or (every and epoch % every == 0)):
            return False
        if self.step:
            self._check_weights()
        self.model.eval()
        for split, samples in (("train", self.samples), ("test", self.test)):
            if samples is None:
                continue
            batches = samples.batches(
                self.measure_batch,
                dtype=self.dtype,
                channels_last=self.spec.channels_last,
                rows=self.processes.share(len(samples)),
            )
            loss, accuracy = evaluate(self.model, batches, self.spec, processes=self.processes)
            curve = self.measure(self.model, batches, split)
            self.measurements.append(Measurement(epoch=epoch, split=split, loss=loss, accuracy=accuracy, curve=curve))
        self.measured.add(epoch)
        return True

    def _report(self, progress: Callable[[Progress], None]) -> None:
        self.seen_at = time.monotonic()
        epoch, batch = divmod(self.step, self.batches)
        if batch == 0 and self.history:
            loss, accuracy = self.history[-1].loss, self.history[-1].accuracy
        else:
            loss, correct, seen = self.totals.tolist()
            loss, accuracy = loss / max(seen, 1.0), correct / max(seen, 1.0)
        measured = [m.curve for m in self.measurements if m.split == "train"][-1:]
        some = {}
        if measured:
            layers = measured[0].layers.tolist()
            chosen = sorted({0, len(layers) // 2, len(layers) - 1})
            some = {layers[i]: float(measured[0].compression[i]) for i in chosen}
        done, total = self.step - self.started_at_step, self.spec.epochs * self.batches
        progress(
            Progress(
                epoch=min(epoch + 1, self.spec.epochs),
                epochs=self.spec.epochs,
                step=self.step,
                steps=total,
                loss=loss,
                accuracy=accuracy,
                compression=some,
                seconds_left=(self.seen_at - self.started) / done * (total - self.step) if done else None,
            )
        )

    # -- checkpoints

    def _state(self) -> dict[str, Any]:
        printed = re.sub(r"0x[0-9a-f]+", "", repr(self.model))  # addresses differ from process to process
        return {
            "spec": self.spec.to_dict(),
            "samples": self.digest,
            "layers": hashlib.blake2b(printed.encode(), digest_size=16).hexdigest(),
            "threads": torch.get_num_threads(),
            "device": self.device.type,
            "processes": self.processes.world,
            "low_rank": None if self.low_rank is None else self.low_rank.spec.to_dict(),
        }

    def _write(self, folder: Path) -> None:
        self._check_weights()
        self.written_at = time.monotonic()
        if not self.processes.first:
            return
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimiser.{name}/{key}"] = value
        tensors["totals"] = self.totals
        if self.low_rank is not None:
            tensors |= self.low_rank.tensors()
        state = {
            **self._state(),
            "scaler": self.scaler.state_dict(),
            "pieces": self.pieces,
            "history": [asdict(record) for record in self.history],
            "measurements": [m.to_dict() for m in self.measurements],
            "notes": self.notes,
            "seconds": self.seconds(),
        }
        if self.low_rank is not None:
            state |= {"low_rank_state": self.low_rank.state(), "shares_before": self.shares_before}
        self.written = write_checkpoint(folder, Checkpoint(step=self.step, tensors=tensors, state=state))

    def _restore(self, found: Checkpoint, folder: Path) -> None:
        state, own = found.state, self._state()
        fit_weights(
            self.model,
            {name.removeprefix("model."): t for name, t in found.tensors.items() if name.startswith("model.")},
            source=f"weights of the checkpoint in {folder}",
        )
        differs = [name for name, value in own["spec"].items() if state["spec"].get(name) != value]
        listed = [f"{name} {state['spec'].get(name)}, now {own['spec'][name]}" for name in differs]
        listed += [f"other {name}" for name in ("samples", "layers") if state[name] != own[name]]
        if state.get("low_rank") != own["low_rank"]:
            listed.append("other low-rank layers")
        if listed:
            raise InvalidInputError(
                got=f"a checkpoint of another training in {folder}: {'; '.join(listed)}",
                expected="the same data and options",
                next_step="resume with the options that it began with, or begin anew with `force`",
            )
        for name, value in found.tensors.items():
            if not name.startswith("optimiser."):
                continue
            parameter, _, key = name.removeprefix("optimiser.").rpartition("/")
            target = self.parameters[parameter]
            if value.shape == target.shape and value.ndim:  # in the memory format of the parameter
                value = torch.empty_like(target, dtype=value.dtype).copy_(value)
            self.optimiser.state[target][key] = value
        self.totals.copy_(found.tensors["totals"])
        if self.low_rank is not None:
            self.low_rank.restore(found.tensors, state["low_rank_state"])
            self.shares_before = state["shares_before"]
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.pieces, self.spent = found.step, state["pieces"], state["seconds"]
        self.resumed_from, self.written = found.step, folder / f"step-{found.step:09d}.safetensors"
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.measurements = [Measurement.from_dict(m) for m in state["measurements"]]
        self.measured = {m.epoch for m in self.measurements}
        self.notes = [*state["notes"], *(note for note in self.notes if note not in state["notes"])]
        for name in ("threads", "device", "processes"):
            if state[name] != own[name]:
                self.notes.append(
                    f"resumed at step {found.step} with {name} {own[name]} instead of {state[name]}: "
                    "sums round differently"
                )
