"""`compare_simulation`: the one verdict on a simulated network, for the command, a sweep and a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnc.compare.limits import Limits
from pnc.compare.prediction.compare import compare
from pnc.compare.prediction.comparison import Comparison
from pnc.compare.verdict import Verdict
from pnc.data import Problem
from pnc.theory import Certificate, LayerBounds, predict

if TYPE_CHECKING:
    from pnc.simulate import Simulation

__all__ = ["compare_simulation"]


def compare_simulation(
    problem: Problem,
    simulation: Simulation,
    *,
    limits: Limits | None = None,
    bounds: LayerBounds | None = None,
    certificate: Certificate | None = None,
) -> Comparison:
    """Hold a simulated network against the theory for its data, with its assumptions and its certificate.

    The certificate (T8) is what tells weights that are off the ideal from a theory that is wrong. It costs more than
    the comparison, so where it is not given it is taken only when the curves differ by more than the limits.

    Args:
        problem: the data that were trained on.
        simulation: of `simulate` or `simulate_batch`.
        limits: `Limits()` where not given.
        bounds: T5 and T6, reported beside the curve.
        certificate: T8, where it is there already.

    >>> from pnc import NetworkSpec, ProblemSpec, SimulationSpec
    >>> from pnc.data import draw
    >>> from pnc.simulate import simulate
    >>> problem = draw(ProblemSpec(classes=2, samples_per_class=5, seed=0))
    >>> run = simulate(problem, NetworkSpec(depth=3, width=200, residual_scale=0.2), SimulationSpec(seed=0))
    >>> compare_simulation(problem, run).verdict.name
    'AGREES'
    """
    predicted = predict(problem, simulation.network, residual_projection=simulation.residual_projection)

    def judged(certificate: Certificate | None) -> Comparison:
        return compare(
            predicted,
            simulation.measured,
            limits=limits,
            bounds=bounds,
            certificate=certificate,
            residuals=simulation.residuals,
            residual_scale=simulation.network.residual_scale,
            converged=simulation.outcome.converged,
        )

    found = judged(certificate)
    if certificate is None and found.verdict is Verdict.DISAGREES:
        return judged(simulation.certificate)
    if certificate is not None and found.verdict is Verdict.ASSUMPTION_VIOLATED and not all(certificate.dominant_term):
        return judged(simulation.certificate)  # which names the term that is to blame
    return found
