"""`simulate_variant`: train a residual network, or with weight decay or cross-entropy; hold it against theory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pnc.compare import Comparison, Limits, compare
from pnc.curves import LayerCurve
from pnc.data import Problem, resolve_data
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.records import RunRecord, check_folder, claimed, found_folder
from pnc.report.run_folder import write_run
from pnc.report.style import SCREEN, Style
from pnc.runs.requests import SimulateRequest, request_record
from pnc.simulate import (
    History,
    Progress,
    RegularisedSimulation,
    ResidualSimulation,
    simulate_regularised,
    simulate_regularised_residual,
    simulate_residual,
)
from pnc.spec import NetworkSpec
from pnc.theory import plateau_time
from pnc.theory.cross_entropy import predict_cross_entropy, simplex_expected
from pnc.theory.given_map import predict_from_map
from pnc.theory.residual import predict_residual
from pnc.theory.signal import SIGNAL_MARGIN, fitted_modes
from pnc.theory.variant import predict_variant, refuse_untrainable, residual_network
from pnc.theory.weight_decay import decayed_scale, regularised_map

__all__ = ["VariantResult", "simulate_variant"]

_LEARNED = 1e-3  # cross-entropy in nats at which layers are looked at where nothing else is said
_ARRIVED = 1e-2  # relative distance of the trained map from M_λ at which training has come to it
_INCONCLUSIVE = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class VariantResult:
    """A trained variant and what theory says of it.

    Args:
        problem: data.
        measured: of its layers.
        comparison: of prediction and measurement; `None` where no statement covers the network.
        missing: then, which statement is missing and why.
        facts: how training went, ready for JSON.
        told: the same in a sentence.
        request: what was asked for.
        weights: name → trained matrix; an input enters the first by `basis`ᵀ.
        history: curves along training, where they were recorded.
        folder: of the run, where it was written.
    """

    problem: Problem
    measured: LayerCurve
    comparison: Comparison | None
    missing: str | None
    facts: dict[str, Any]
    told: str
    request: SimulateRequest
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    history: History | None = None
    folder: Path | None = None

    @property
    def exit_status(self) -> int:
        """Of the verdict; inconclusive where there is no prediction."""
        return _INCONCLUSIVE if self.comparison is None else self.comparison.verdict.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        told = {**self.facts, "variant": self.request.variant.to_dict()}
        if self.comparison is not None:
            return {**self.comparison.to_dict(), **told}
        return {"measured": self.measured.to_dict(), "predicted": None, "missing": self.missing, **told}


def simulate_variant(
    request: SimulateRequest,
    *,
    out: str | Path | None = None,
    style: Style = SCREEN,
    force: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> VariantResult:
    """Train what `request.variant` describes, measure every layer and compare it with the statement that covers it.

    Args:
        request: data, network, training, variant and limits.
        out: folder of the run.
        style: of the figures.
        force: replace the run in the folder.
        progress: called now and then, for residual networks.

    Raises:
        InvalidInputError: options that contradict each other; a weight decay above λ_esc; no prediction to write a
            folder of.
        NotApplicableError: a combination that cannot be simulated.

    >>> from pnc.spec import VariantSpec
    >>> request = SimulateRequest(network=NetworkSpec(depth=4), variant=VariantSpec(skip=1.0))
    >>> simulate_variant(request).comparison.verdict.name
    'AGREES'
    """
    folder = None if out is None else check_folder(found_folder(out), force=force)
    if request.simulation.weights != "orthogonal":
        raise InvalidInputError(
            got=f"`weights={request.simulation.weights}` with skip connections, weight decay or cross-entropy",
            expected="orthogonal initial weights, or those that a residual network names",
            next_step="leave out `weights`",
        )
    problem = resolve_data(**vars(request.problem), whole=True)
    with nullcontext() if folder is None else claimed(folder, force=force):
        variant = request.variant
        parts = variant.block != "one-matrix" or variant.embedding is not None or variant.classifier > 0
        residual = variant.skip is not None or parts
        if not residual:
            result = _regularised(problem, request)
        elif variant.weight_decay or variant.loss != "mse" or variant.time is not None or variant.training_loss:
            result = _not_covered(problem, request)
        else:
            result = _residual(problem, request, progress)
        if folder is None:
            return result
        if result.comparison is None:
            raise InvalidInputError(
                got=f"a folder to write, but no prediction: {result.missing}",
                expected="a network that a statement covers",
                next_step="leave out `out`",
            )
        title = f"{problem.name}: K = {problem.classes}, N = {problem.samples}, L = {request.network.depth}"
        write_run(
            folder,
            result.comparison,
            record=_record(result),
            weights=result.weights,
            history=result.history,
            dynamics=None,
            title=f"{title}, {result.comparison.predicted.origin.statement} — {result.comparison.verdict.name}",
            style=style,
            force=force,
        )
    return replace(result, folder=folder)


def _record(result: VariantResult) -> RunRecord:
    assert result.comparison is not None
    problem = result.problem
    return RunRecord(
        command="simulate",
        converged=result.measured.origin.converged,
        verdict=result.comparison.verdict.name,
        network=result.request.network,
        request=request_record(result.request),
        details={
            "problem": {"name": problem.name, "notes": list(problem.notes), **problem.provenance},
            "variant": result.request.variant.to_dict(),
            **result.facts,
            "comparison": result.comparison.to_dict(),
        },
    )


def _not_covered(problem: Problem, request: SimulateRequest) -> VariantResult:
    """Residual blocks with weight decay or cross-entropy, which no statement covers: simulated without a prediction."""
    variant = request.variant
    network = residual_network(
        request.network, replace(variant, weight_decay=0.0, loss="mse", time=None, training_loss=None)
    )
    if variant.training_loss is not None and (variant.loss == "mse" or variant.time is not None):
        raise InvalidInputError(
            got="`training_loss` with " + ("the squared error" if variant.loss == "mse" else "`time`"),
            expected="a cross-entropy at which training ends, or a time",
            next_step="leave out `training_loss`",
        )
    missing = ""
    try:
        predict_variant(problem, request.network, variant)
    except NotApplicableError as error:
        missing = str(error)
    until_loss = variant.training_loss
    if until_loss is None and variant.time is None and variant.loss == "cross-entropy" and not variant.weight_decay:
        until_loss = _LEARNED
    until = None if until_loss is not None else variant.time or 6 / variant.weight_decay
    run = simulate_regularised_residual(
        problem, network, until=until, until_loss=until_loss, loss=variant.loss, weight_decay=variant.weight_decay
    )
    facts = {"loss": float(run.loss[-1]), "flow_time": float(run.time[-1]), "seconds": run.seconds}
    return VariantResult(
        problem=problem, measured=run.measured, comparison=None, missing=missing, facts=facts,
        told=f"trained to time {run.time[-1]:.4g}: {variant.loss} {run.loss[-1]:.3e}", request=request,
    )  # fmt: skip


def _limits(request: SimulateRequest) -> Limits:
    return Limits(compression=request.compression_limit, discrimination=request.discrimination_limit)


def _residual(problem: Problem, request: SimulateRequest, progress: Callable[[Progress], None] | None) -> VariantResult:
    network = residual_network(request.network, request.variant)
    predicted, missing = None, None
    try:
        predicted = predict_residual(problem, network)
    except NotApplicableError as error:
        missing = str(error)
    run = simulate_residual(problem, network, request.simulation, progress=progress)
    comparison = None if predicted is None else compare(predicted, run.measured, limits=_limits(request))
    facts = {
        "outcome": run.outcome.name,
        "loss": run.loss,
        "steps": run.steps,
        "learning_rate": run.learning_rate,
        "extrapolation_error": float(np.nanmax(run.extrapolation_error)),
        "seconds": run.seconds,
    }
    told = (
        f"{run.outcome.name.lower()}: loss {run.loss:.2e} of its start after {run.steps} steps of three runs "
        f"(learning rates {run.learning_rate:.3g}, a half and a quarter of it; curves extrapolated to 0, C to about "
        f"{facts['extrapolation_error']:.0e})"
    )
    return VariantResult(
        problem=problem, measured=run.measured, comparison=comparison, missing=missing, facts=facts, told=told,
        request=request, weights=_named(run, embedded=network.embedding_scale is not None), history=run.history,
    )  # fmt: skip


def _named(run: ResidualSimulation, *, embedded: bool) -> dict[str, np.ndarray]:
    """`I + βW` of each block, embedding, classifier."""
    names = [*(["embedding"] if embedded else []), *(f"block_{l + 1}" for l in range(len(run.maps) - embedded))]
    return {**dict(zip(names, run.maps, strict=True)), "classifier": run.classifier, "basis": run.basis}


def _regularised(problem: Problem, request: SimulateRequest) -> VariantResult:
    network, variant, train = request.network, request.variant, request.simulation
    _refuse_early(problem, request)
    refuse_untrainable(problem, network, variant)
    until_loss, times = variant.training_loss, None
    if variant.loss == "cross-entropy" and variant.weight_decay == 0 and variant.time is None:
        until_loss = until_loss or _LEARNED
    else:
        until_loss, times = None, [variant.time or _long_enough(problem, network, variant.weight_decay)]
    rate = train.learning_rate if train.engine == "descent" else None
    run = simulate_regularised(
        problem, network, times=times, until_loss=until_loss, loss=variant.loss, weight_decay=variant.weight_decay,
        coordinates=train.coordinates or "reduced", learning_rate=rate, seed=train.seed,
    )  # fmt: skip
    history = None
    if train.record:
        again = np.linspace(0.0, float(run.time[-1]), train.record + 1)
        recorded = simulate_regularised(
            problem, network, times=again, loss=variant.loss, weight_decay=variant.weight_decay,
            coordinates=train.coordinates or "reduced", learning_rate=rate, seed=train.seed,
        )  # fmt: skip
        history = History(
            time=recorded.time, loss=recorded.loss / recorded.loss[0],
            compression=recorded.compression, discrimination=recorded.discrimination,
        )  # fmt: skip
    predicted, arrived = _law(problem, network, request, run, rate)
    comparison = compare(predicted, run.measured, limits=_limits(request), converged=arrived)
    facts = {
        "loss": float(run.loss[-1]),
        "flow_time": float(run.time[-1]),
        "converged": arrived,
        "seconds": run.seconds,
        "residual_scale": predicted.origin.further["residual_scale"],
    }
    told = f"trained to time {run.time[-1]:.4g}: {variant.loss} {run.loss[-1]:.3e}"
    if variant.weight_decay:
        told += f", λt = {variant.weight_decay * run.time[-1]:.3g}, ε has decayed to {facts['residual_scale']:.3g}"
    return VariantResult(
        problem=problem, measured=run.measured, comparison=comparison, missing=None, facts=facts, told=told,
        request=request, history=history,
        weights={**{f"W_{l + 1}": w for l, w in enumerate(run.weights)}, "basis": run.basis},
    )  # fmt: skip


def _refuse_early(problem: Problem, request: SimulateRequest) -> None:
    """Refuse options that contradict each other before any time is spent; a law that is missing is no obstacle here."""
    variant = request.variant
    if variant.loss == "mse":
        predict_variant(problem, request.network, variant)
    elif variant.time is not None and variant.training_loss is not None:
        raise InvalidInputError(
            got="`time` and `training_loss`", expected="one of them", next_step="leave out `time` or `training_loss`"
        )


def _long_enough(problem: Problem, network: NetworkSpec, weight_decay: float) -> float:
    """Six times 1/λ, in which what is off decays, after the plateau of the weakest direction."""
    ε, L = network.residual_scale, network.depth
    assert ε is not None
    values = fitted_modes(problem, label_scale=network.label_scale, floor=SIGNAL_MARGIN * ε**L).values
    start = 0.0
    if values.size:
        start = 3 * plateau_time(float(values[-1]), depth=L, start=ε, samples=problem.samples)
    return start + 6 / weight_decay


def _law(
    problem: Problem, network: NetworkSpec, request: SimulateRequest, run: RegularisedSimulation, rate: float | None
) -> tuple[LayerCurve, bool]:
    """The statement that covers the run at its last time, and whether training has come to where it speaks of."""
    variant, L = request.variant, network.depth
    time = float(run.time[-1])
    assert network.residual_scale is not None
    scale = decayed_scale(network.residual_scale, weight_decay=variant.weight_decay, time=time, learning_rate=rate)
    if variant.loss == "mse":
        law = regularised_map(problem, depth=L, weight_decay=variant.weight_decay, label_scale=network.label_scale)
        fit = law.map @ problem.X.T
        off = float(np.linalg.norm(run.maps[-1] @ problem.X.T - fit))
        predicted = predict_from_map(
            problem, law.map, depth=L, residual_scale=scale, statement="V1",
            reason="converged to M_λ, residual scale decayed",
            further={"directions_lost": law.lost, "network": network.to_dict()},
        )  # fmt: skip
        return predicted, off <= _ARRIVED * float(np.linalg.norm(fit))
    if simplex_expected(classes=problem.counts.size, depth=L) and variant.weight_decay == 0:
        try:
            return predict_cross_entropy(problem, network, loss=float(run.loss[-1])), True
        except NotApplicableError:
            pass
    predicted = predict_from_map(
        problem, run.maps[-1], depth=L, residual_scale=scale,
        reason="T3 for the map that was measured: any loss, any time", further={"network": network.to_dict()},
    )  # fmt: skip
    return predicted, True
