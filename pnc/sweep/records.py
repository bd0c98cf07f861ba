"""A batch of runs → one record a run: what the sweep's dataset and table are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.sweep.plan import Run, problem_of

__all__ = ["LAYER_FIELDS", "SCALAR_FIELDS", "TEXT_FIELDS", "run_batch"]

LAYER_FIELDS = {
    "compression": "C_l, measured",
    "discrimination": "D_l, measured",
    "within_scatter": "tr Σ_W, measured, squared feature norm",
    "between_scatter": "tr Σ_B, measured, squared feature norm",
    "predicted_compression": "C_l of the theory (T2, T3)",
    "predicted_discrimination": "D_l of the theory (T2, T3)",
    "relative_error": "C_l measured over predicted, less 1",
    "noise_floor": "C_l below which rounding is measured",
    "imbalance": "δ_l (A2), l = 1…L-1",
    "residual_smallest": "smallest residual singular value of W_l (A3), l = 1…L-1",
    "residual_largest": "largest residual singular value of W_l (A3), l = 1…L-1",
    "residual_variance": "variance of the residual singular values of W_l (A3), l = 1…L-1",
    "certified_compression_lower": "C_l, lower end of its certificate (T8)",
    "certified_compression_upper": "C_l, upper end of its certificate (T8)",
    "certified_discrimination_lower": "D_l, lower end of its certificate (T8)",
    "certified_discrimination_upper": "D_l, upper end of its certificate (T8)",
    "certificate_half_width": "half of the certificate's interval for C_l over its middle (T8)",
    "full_imbalance": "‖W_{l+1}ᵀW_{l+1} - W_lW_lᵀ‖_F/‖W_l‖_F of the full matrices, l = 1…L-1",
    "full_residual_variance": "variance of σ_i(W_l), K+1 ≤ i ≤ d-K, of the full matrices, l = 1…L-1",
}

SCALAR_FIELDS = {
    "loss": "on the signal directions, share of its start",
    "steps": "integrator and descent steps",
    "gradients": "gradients computed",
    "flow_time": "sum of the steps",
    "hidden_width": "d_h",
    "input_dimension": "d",
    "map_error": "ν (A1) on the signal directions",
    "map_error_relative": "ν/‖MX‖",
    "full_map_error": "‖W_{L:1} - M‖_F on and off the data's span",
    **{
        f"{law}_{name}": f"{law} law: {text}"
        for law in ("geometric", "linear")
        for name, text in {
            "slope": "slope a layer",
            "slope_lower": "lower end of the slope's interval",
            "slope_upper": "upper end of the slope's interval",
            "r_squared": "share of the variance explained",
            "onset": "first layer of the phase",
            "slope_predicted": "slope of the prediction over the same layers",
        }.items()
    },
}

TEXT_FIELDS = {
    "outcome": "how training ended",
    "verdict": "of the comparison",
    "reason": "what led to outcome and verdict",
}


def run_batch(runs: Sequence[Run], problem: Problem | None) -> list[dict[str, Any]]:
    """Simulate runs together, compare each with the theory and check its assumptions.

    A run that cannot be started is a record with the outcome REFUSED and the reason; none ends the sweep.

    Args:
        runs: of one batch, or some of it.
        problem: data that all runs share; `None` where each draws its own.
    """
    from pnc.simulate import simulate_batch  # torch, which planning does without

    records: dict[int, dict[str, Any]] = {}
    ready = []
    for i, run in enumerate(runs):
        data = problem_of(run, problem)
        try:
            _require_signal(data, run)
        except InvalidInputError as error:
            records[i] = {"outcome": "REFUSED", "verdict": "", "reason": str(error)}
        else:
            ready.append((i, data))
    simulations = simulate_batch([(data, runs[i].network, runs[i].train) for i, data in ready])
    for (i, data), simulation in zip(ready, simulations, strict=True):
        records[i] = _record(runs[i], data, simulation)
    return [records[i] for i in range(len(runs))]


def _require_signal(problem: Problem, run: Run) -> None:
    """Refuse a network whose width is too small, or whose ε hides every signal direction."""
    from pnc.theory import signal_modes

    modes = signal_modes(problem, run.network)
    if not modes.directions:
        raise InvalidInputError(
            got=f"epsilon = {run.network.residual_scale:g} at depth {run.network.depth}",
            expected=f"singular values of M above {modes.threshold:.3g}",
            next_step="use a smaller epsilon or more layers",
        )


def _record(run: Run, problem: Problem, simulation: Any) -> dict[str, Any]:
    from pnc.compare import compare_simulation
    from pnc.simulate import full_checks
    from pnc.theory.certificates import certify

    certificate = None
    if run.certificate:
        certificate = certify(simulation.weights, simulation.inputs.X, simulation.inputs.y, explain=False)
    comparison = compare_simulation(problem, simulation, certificate=certificate)
    network, residuals = simulation.network, simulation.residuals
    predicted, measured = comparison.predicted, comparison.measured
    reasons = [*([] if simulation.outcome.converged else [simulation.advice]), *comparison.reasons]
    record: dict[str, Any] = {
        "outcome": simulation.outcome.name,
        "verdict": comparison.verdict.name,
        "reason": "; ".join(reasons),
        "loss": simulation.loss,
        "steps": simulation.steps,
        "gradients": simulation.evaluations,
        "flow_time": simulation.flow_time,
        "hidden_width": network.width,
        "input_dimension": problem.dimension,
        "map_error": residuals.map_error,
        "map_error_relative": residuals.map_error_relative,
        "compression": measured.compression,
        "discrimination": measured.discrimination,
        "within_scatter": measured.within_scatter,
        "between_scatter": measured.between_scatter,
        "predicted_compression": predicted.compression,
        "predicted_discrimination": predicted.discrimination,
        "relative_error": comparison.relative_error,
        "noise_floor": [note.noise_floor for note in measured.notes],
        "imbalance": _hidden(residuals.imbalance),
        "residual_smallest": _hidden(residuals.residual_smallest),
        "residual_largest": _hidden(residuals.residual_largest),
        "residual_variance": _hidden(residuals.residual_variance),
    }
    for law, fit, expected in (
        ("geometric", comparison.geometric, comparison.geometric_predicted),
        ("linear", comparison.linear, comparison.linear_predicted),
    ):
        if fit is not None:
            for name in ("slope", "slope_lower", "slope_upper", "r_squared", "onset"):
                record[f"{law}_{name}"] = getattr(fit, name)
        if expected is not None:
            record[f"{law}_slope_predicted"] = expected.slope
    if certificate is not None:
        for name in ("compression_lower", "compression_upper", "discrimination_lower", "discrimination_upper"):
            record[f"certified_{name}"] = getattr(certificate, name)
        record["certificate_half_width"] = certificate.compression_half_width
    checks = full_checks(simulation, problem) if run.full_checks else None
    if checks is not None:
        record["full_map_error"] = checks.map_error
        record["full_imbalance"] = _hidden(checks.imbalance)
        record["full_residual_variance"] = _hidden(checks.residual_variance)
    return {name: _plain(value) for name, value in record.items()}


def _hidden(values: np.ndarray) -> list[float]:
    """Numbers of layers 1…L-1 as numbers of layers 0…L-1."""
    return [math.nan, *values]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return [float(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
