"""The law of a problem: what each layer of a trained deep linear network should show."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.curves import LayerCurve, Origin
from pnc.data import Inputs
from pnc.spec import NetworkSpec
from pnc.theory.assumptions import applicable_statements
from pnc.theory.given_map import statistics_curve
from pnc.theory.layer_statistics import layer_statistics
from pnc.theory.signal import input_modes, signal_spectrum
from pnc.threads import threads_by_inputs

__all__ = ["predict"]


@threads_by_inputs
def predict(
    problem: Inputs,
    network: NetworkSpec,
    *,
    residual_projection: Float[np.ndarray, "m d"] | None = None,
) -> LayerCurve:
    """Compression, discrimination, scatters and fuzziness of layers 0…L-1 (theory note, T1, T2 and T4; T3
    elsewhere).

    No constant is fitted. The origin says which statement gave the numbers and why others do not apply.

    Args:
        residual_projection: (m, d), the residual directions that a width d_h < d lets through, where they are
            known (`residual_projection_of`); without it their Haar average is used, and the origin says
            so.

    Returns:
        `LayerCurve` of layers 0…L-1.

    Raises:
        InvalidInputError: a width too small for the labels, a projection that does not fit, inputs that are
            all zero.

    >>> from pnc.data import Problem
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> curve = predict(problem, NetworkSpec(depth=3, residual_scale=0.1))
    >>> curve.compression.round(9).tolist(), curve.origin.statement
    ([4.0, 0.027734451, 0.0001923], 'T1')
    """
    data, modes = input_modes(problem), signal_spectrum(problem, network)
    statistics = layer_statistics(problem, network, residual_projection=residual_projection)
    statements = applicable_statements(problem, network)
    origin = Origin(
        kind="theory",
        statement=statistics.statement,
        reason=statements[statistics.statement].reason,
        not_applicable={name: s.reason for name, s in statements.items() if not s.applies},
        samples=data.samples,
        classes=problem.classes,
        dtype="float64",
        further={
            "residual": statistics.residual_hidden.text,
            "signal_directions": modes.directions,
            "truncated_directions": modes.truncated.tolist(),
            "labels_interpolated": data.interpolates,
            "dimension": data.dimension,
            "rank": data.rank,
            "network": network.to_dict(),
        },
    )
    return statistics_curve(statistics, origin)
