"""Virtual low-rank layers in a training: hooks that add their losses, their own steps, projections, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.model.hooks import evaluating, tapped
from pnc.nets.low_rank import LowRankLayer
from pnc.spec import LowRankSpec
from pnc.train.low_rank.sites import find_sites
from pnc.train.order import random_stream
from pnc.train.outcome import DivergedError
from pnc.train.processes import Processes

__all__ = ["LowRankSites"]


@dataclass(eq=False)
class _Site:
    """One site: its layer, what a forward pass left there, and the latest activations."""

    name: str
    layer: LowRankLayer
    losses: list[torch.Tensor] = field(default_factory=list)  # a piece: ΣL_n, ΣL_c
    rows: list[torch.Tensor] = field(default_factory=list)  # of this step, in this process
    kept: list[torch.Tensor] = field(default_factory=list)  # of the steps since the last projection, of all processes


class LowRankSites:
    """The low-rank layers of a training, one a site; none of them is part of the network.

    Args:
        model: hooks are put on its modules, until `close`.
        spec: where and how.
        example: a few samples as the network sees them.
        batch: samples of the largest batch, in all processes.
        smallest: samples of the smallest.
        steps: of the whole training.
        dtype: of the layers.
        seed: of the training; projections draw from a stream of their own.
        processes: that train together.
        scaler: of the losses, where a precision needs one.

    Raises:
        InvalidInputError: a site that is not there or whose output is not one tensor with a row a sample, a rank that
            is not below its width, fewer activations between projections than the rank.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: LowRankSpec,
        *,
        example: torch.Tensor,
        batch: int,
        smallest: int,
        steps: int,
        dtype: torch.dtype,
        seed: int,
        processes: Processes,
        scaler: torch.amp.GradScaler,
    ) -> None:
        self.spec, self.batch, self.seed, self.processes, self.scaler = spec, batch, seed, processes, scaler
        self.ramp = spec.ramp * steps
        self.weight = 0.0  # of L_c at this step
        self.sites: list[_Site] = []
        for name, width in _widths(model, find_sites(model, spec.sites), example).items():
            try:
                layer = LowRankLayer(width, rank=spec.rank, dtype=dtype).to(example.device)
            except InvalidInputError as error:
                raise InvalidInputError(
                    got=f"{error.got} at site {name}", expected=error.expected, next_step=error.next_step
                ) from None
            self.sites.append(_Site(name, layer))
        if min(spec.samples, spec.every * smallest) < spec.rank:
            raise InvalidInputError(
                got=f"{spec.every * smallest} activations between projections, for rank {spec.rank}",
                expected=f"at least {spec.rank}",
                next_step="raise `every` or `batch_size`, or lower `rank`",
            )
        groups = []
        for site in self.sites:
            groups += [{"params": [site.layer.left, site.layer.right]}, {"params": [site.layer.shift]}]
        self.optimiser = torch.optim.SGD(groups, lr=0.0)
        self.groups = self.optimiser.param_groups
        self.scales = [1.0] * len(self.sites)
        self.pieces = 0  # of the batch that have passed
        self.projections = 0
        self.projection_seconds = 0.0
        # of the epoch: ΣL_n and ΣL_c, a site each, and last the samples that they are over
        self.totals = torch.zeros(len(self.sites) + 1, 2, dtype=torch.float64, device=example.device)
        self.has_unit = spec.unit != "initial"
        for site in self.sites:
            site.layer.unit.fill_(1.0 if spec.unit == "initial" else spec.unit)
        self.history: list[dict[str, Any]] = []
        self.active = False
        modules = dict(model.named_modules())
        self.handles = [
            modules[site.name].register_forward_hook(partial(self._seen, number))
            for number, site in enumerate(self.sites)
        ]

    def close(self) -> None:
        """Leave the network as it was."""
        for handle in self.handles:
            handle.remove()

    # -- a step

    def begin_step(self, step: int) -> None:
        """Before step number `step`, from 1."""
        self.pieces = 0
        self.weight = self.spec.compression_weight * (min(1.0, step / self.ramp) if self.ramp else 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        for site in self.sites:
            site.losses.clear()
            site.rows.clear()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While it lasts, what passes through the sites is taken account of."""
        self.active = True
        try:
            yield
        finally:
            self.active = False

    def _seen(self, number: int, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if not self.active:
            return
        site = self.sites[number]
        compression, norm = site.layer(output)
        site.losses.append(torch.stack([norm.sum(), compression.sum()]))
        site.rows.append(output.detach().flatten(1).to(site.layer.shift.dtype, copy=True))

    def loss(self) -> torch.Tensor:
        """Weights times L_c and L_n, summed over sites and over the samples of the piece that has just passed.

        Raises:
            InvalidInputError: a module that training, unlike evaluation, does not call once.
        """
        self.pieces += 1
        for site in self.sites:
            if len(site.losses) != self.pieces:
                raise InvalidInputError(
                    got=f"site {site.name}, a module that is not called once in a forward pass of the training",
                    expected="one call for each",
                    next_step="choose another site",
                )
        total = torch.zeros((), dtype=self.sites[0].layer.shift.dtype, device=self.totals.device)
        for site in self.sites:
            norm, compression = site.losses[-1]
            if self.projections:
                total = total + self.weight * compression
            if self.has_unit:
                total = total + self.spec.norm_weight * norm
        return total

    @torch.no_grad()
    def step(self, step: int, *, rows: slice, size: int) -> None:
        """Gradient steps on W and b, activations kept, and where it is time W projected.

        Args:
            step: number of this step, from 1.
            rows: which samples of the batch this process had.
            size: of the whole batch.
        """
        spec, processes = self.spec, self.processes
        sums = torch.stack([torch.stack(site.losses).sum(0).detach().double() for site in self.sites])
        counted = torch.tensor([self.has_unit, self.projections > 0], device=sums.device)
        self.totals[:-1] += processes.add(sums) * counted
        self.totals[-1] += size * counted
        if self.projections and spec.learning_rate and self.weight:
            self._descend()
        if not self.has_unit:
            self._find_unit(size)
        # only what the next projection will see is kept
        left = -step % spec.every
        if left * self.batch < spec.samples:
            for site in self.sites:
                mine = torch.cat(site.rows)
                whole = mine
                if processes.world > 1:  # adding zeros puts every row in its place, exactly
                    whole = mine.new_zeros(size, mine.shape[1])
                    whole[rows] = mine
                    whole = processes.add(whole)
                site.kept.append(whole)
        if left == 0:
            self._project(step)

    def _find_unit(self, size: int) -> None:
        """The mean norm of this step's activations; 1 where they are all zero."""
        for site in self.sites:
            norms = torch.cat([torch.linalg.vector_norm(rows, dim=1) for rows in site.rows]).double()
            mean = self.processes.add(norms.sum()) / size
            site.layer.unit.copy_(torch.where(mean > 0, mean, 1.0))
        self.has_unit = True

    def _descend(self) -> None:
        """θ ← θ - η_θ ∇_θ L_c for W's factors and b, of the loss over all processes' samples."""
        # the gradients carry the weight of L_c, which the layer's own steps do not depend on
        rate = self.spec.learning_rate / self.weight
        for site, scale, factors, shift in zip(self.sites, self.scales, self.groups[::2], self.groups[1::2]):
            factors["lr"], shift["lr"] = rate / scale, rate
            for parameter in site.layer.parameters():
                gradient = parameter.grad
                assert gradient is not None  # L_c, which was in the loss, is of all of them
                parameter.grad = self.processes.add(gradient) / self.processes.world
        self.scaler.step(self.optimiser)

    def _read_scales(self) -> None:
        """To the host, once a projection."""
        self.scales = [max(float(site.layer.scale), torch.finfo(site.layer.scale.dtype).tiny) for site in self.sites]

    def _project(self, step: int) -> None:
        start = time.perf_counter()
        for number, site in enumerate(self.sites):
            latest = torch.cat(site.kept)[-self.spec.samples :]
            site.kept.clear()
            if not torch.isfinite(latest).all():  # the training has diverged and will say so
                continue
            drawn = int(random_stream("projection", self.seed, step, number).integers(2**63))
            site.layer.project(latest, method=self.spec.projection, generator=torch.Generator().manual_seed(drawn))
            for tensor in site.layer.state_dict().values():  # processes may run on unlike machines
                self.processes.copy_first(tensor)
        self._read_scales()
        self.projections += 1
        self.projection_seconds += time.perf_counter() - start

    def close_epoch(self, epoch: int) -> None:
        """Record the mean of both losses over an epoch, or over the part of it that had a unit and a W."""
        norm, compression = (sums[:-1] / sums[-1] if sums[-1] else None for sums in self.totals.T)
        self.history.append(
            {
                "epoch": epoch,
                "compression_loss": None if compression is None else compression.tolist(),
                "norm_loss": None if norm is None else norm.tolist(),
            }
        )
        self.totals.zero_()

    def check(self, **where: Any) -> None:
        """Raise a `DivergedError` if any W or b is not finite."""
        for site in self.sites:
            if not all(bool(torch.isfinite(p).all()) for p in site.layer.parameters()):
                raise DivergedError(what=f"low-rank layer at {site.name}", **where)

    # -- checkpoints

    def tensors(self) -> dict[str, torch.Tensor]:
        found = {"low_rank.totals": self.totals}
        for number, site in enumerate(self.sites):
            found |= {f"low_rank.{number}.{name}": value for name, value in site.layer.state_dict().items()}
            if site.kept:
                found[f"low_rank.{number}.kept"] = torch.cat(site.kept)
        return found

    def state(self) -> dict[str, Any]:
        return {
            "spec": self.spec.to_dict(),
            "projections": self.projections,
            "projection_seconds": self.projection_seconds,
            "history": self.history,
        }

    def restore(self, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        self.totals.copy_(tensors["low_rank.totals"])
        for number, site in enumerate(self.sites):
            for name, value in site.layer.state_dict().items():
                value.copy_(tensors[f"low_rank.{number}.{name}"])
            if f"low_rank.{number}.kept" in tensors:
                site.kept = [tensors[f"low_rank.{number}.kept"].to(self.totals.device)]
        self.projections, self.history = state["projections"], state["history"]
        self.projection_seconds = state["projection_seconds"]
        self.has_unit = True  # the first step has been taken
        self._read_scales()


def _widths(model: nn.Module, names: tuple[str, ...], example: torch.Tensor) -> dict[str, int]:
    """Entries of a sample at each site, from one forward pass; in the order of the computation."""
    widths: dict[str, int] = {}

    def see(name: str, output: Any) -> None:
        problem = ""
        if "#" in name:
            problem = "is called more than once in a forward pass"
        elif not torch.is_tensor(output):
            problem = f"gives a {type(output).__name__}"
        elif output.ndim < 2 or len(output) != len(example) or not output.is_floating_point():
            problem = f"gives shape {tuple(output.shape)} of {output.dtype} for {len(example)} samples"
        if problem:
            raise InvalidInputError(
                got=f"site {name.partition('#')[0]}, a module that {problem}",
                expected="one tensor of real numbers with a row a sample",
                next_step="choose another site, such as the block around it",
            )
        widths[name] = output[0].numel()

    with evaluating(model), tapped(model, see, names) as run:
        run(example)
    silent = [name for name in names if name not in widths]
    if silent:
        raise InvalidInputError(
            got=f"site {silent[0]}, which the network does not call",
            expected="a module that takes part in the forward pass",
            next_step="choose another site",
        )
    return widths
