"""`simulate_and_compare`: train a deep linear network, hold every layer against the theory, write the run folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pnc.compare import Comparison, Limits, compare_simulation
from pnc.curves import json_ready
from pnc.data import Problem, resolve_data
from pnc.records import RunRecord, check_folder, claimed, found_folder
from pnc.report.dynamics import shown_times
from pnc.report.run_folder import write_run
from pnc.report.style import SCREEN, Style
from pnc.runs.requests import SimulateRequest, request_record
from pnc.simulate import Progress, Simulation, simulate
from pnc.simulate.device import resolve_device
from pnc.spec import NetworkSpec, SimulationSpec
from pnc.theory import Dynamics, bounds, default_weights_rates, default_weights_ratios, predict_dynamics

__all__ = ["SimulateResult", "simulate_and_compare"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulateResult:
    """A deep linear network, trained and held against the theory.

    Args:
        problem: data.
        spec: how it was trained.
        run: the trained network.
        comparison: of prediction and measurement.
        request: what was asked for.
        folder: of the run, where it was written.
    """

    problem: Problem
    spec: SimulationSpec
    run: Simulation
    comparison: Comparison
    request: SimulateRequest
    folder: Path | None = None

    @property
    def network(self) -> NetworkSpec:
        """With its width filled in."""
        return self.run.network

    @property
    def advice(self) -> str:
        """What led to the verdict, and what to do."""
        return "; ".join([*([] if self.run.outcome.converged else [self.run.advice]), self.comparison.advice])

    @property
    def exit_status(self) -> int:
        """Of the verdict."""
        return self.comparison.verdict.exit_status

    @property
    def told(self) -> dict[str, Any]:
        """How training ended."""
        run = self.run
        return {
            "advice": self.advice,
            "outcome": run.outcome.name,
            "loss": run.loss,
            "steps": run.steps,
            "gradients": run.evaluations,
            "flow_time": run.flow_time,
            "seconds": run.seconds,
            "coordinates": run.coordinates.to_dict(),
            "history": None if run.history is None else run.history.to_dict(),
        }

    @cached_property
    def default_weights(self) -> dict[str, Any] | None:
        """T9's ratios of C, with the correction for finite width where it applies, beside the measured ones."""
        if self.spec.weights != "default":
            return None
        problem, network, measured = self.problem, self.network, self.run.measured
        width, classes = network.width or problem.dimension, len(problem.counts)
        widths = [problem.dimension] + [width] * (network.depth - 1)
        first = default_weights_rates(problem.counts, widths, label_scale=network.label_scale)
        corrected = None
        if network.depth >= 3 and width > classes:
            corrected = default_weights_ratios(
                dimension=problem.dimension, width=width, samples=problem.samples, classes=classes,
                depth=network.depth, label_scale=network.label_scale,
            )  # fmt: skip
        return json_ready(
            {
                "first_order": first.compression,
                "predicted": first.compression if corrected is None else corrected,
                "measured": measured.compression[1:] / measured.compression[:-1],
                "caveat": first.caveat,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the comparison, how training ended, and T9 for default weights."""
        rates = self.default_weights
        return {**self.comparison.to_dict(), **self.told, **({} if rates is None else {"default_weights": rates})}

    @property
    def record(self) -> RunRecord:
        """What run.json holds."""
        problem = self.problem
        return RunRecord(
            command="simulate",
            converged=self.run.outcome.converged,
            verdict=self.comparison.verdict.name,
            network=self.network,
            request=request_record(self.request),
            details={
                "problem": {"name": problem.name, "notes": list(problem.notes), **problem.provenance},
                "train": self.spec.to_dict(),
                **self.told,
                "device": self.run.measured.origin.device,
                "comparison": self.comparison.to_dict(),
            },
        )


def simulate_and_compare(
    request: SimulateRequest,
    *,
    out: str | Path | None = None,
    style: Style = SCREEN,
    force: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SimulateResult:
    """Train a deep linear network, measure every layer and compare it with the theory: what `pnc simulate` does.

    Args:
        request: data, network, training and limits.
        out: folder of the run.
        style: of the figures.
        force: replace the run in the folder.
        progress: called now and then.

    Raises:
        InvalidInputError: whatever is wrong with the request, the data or the folder.

    >>> from pnc.spec import NetworkSpec
    >>> result = simulate_and_compare(SimulateRequest(network=NetworkSpec(depth=3)))
    >>> result.comparison.verdict.name, result.exit_status
    ('AGREES', 0)
    """
    spec = request.simulation
    limits = Limits(compression=request.compression_limit, discrimination=request.discrimination_limit)
    folder = None if out is None else check_folder(found_folder(out), force=force)
    resolve_device(spec.device)  # before the data are read
    problem = resolve_data(**vars(request.problem), whole=True)
    with nullcontext() if folder is None else claimed(folder, force=force):
        run = simulate(problem, request.network, spec, progress=progress)
        network = run.network
        comparison = compare_simulation(
            problem, run, limits=limits, bounds=bounds(problem, network), certificate=run.certificate
        )
        result = SimulateResult(
            problem=problem, spec=spec, run=run, comparison=comparison, request=request, folder=folder
        )
        if folder is not None:
            _write(folder, result, style=style, force=force)
    return result


def _write(folder: Path, result: SimulateResult, *, style: Style, force: bool) -> None:
    problem, network, run = result.problem, result.network, result.run
    arrays = {f"W_{l + 1}": w for l, w in enumerate(run.weights)}
    if result.spec.coordinates == "reduced":
        arrays["basis"] = run.basis
    title = (
        f"{problem.name}: K = {problem.classes}, N = {problem.samples}, L = {network.depth}, "
        f"width {network.width}, ε = {network.residual_scale:.4g} — {result.comparison.verdict.name}"
    )
    write_run(
        folder, result.comparison, record=result.record, weights=arrays, history=run.history,
        dynamics=_dynamics(result), title=title, style=style, force=force,
    )  # fmt: skip


def _dynamics(result: SimulateResult) -> Dynamics | None:
    """What Y1 predicts of the recorded curves; `None` where it says nothing of them."""
    history, network = result.run.history, result.network
    width = network.width or result.problem.dimension
    if history is None or result.spec.weights != "orthogonal" or width < result.problem.dimension:
        return None
    return predict_dynamics(result.problem, network, shown_times(history, points=200))
