"""T5 and T6 together: what each layer may show at most and at least."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from pnc.curves import json_ready
from pnc.data import Inputs
from pnc.spec import NetworkSpec
from pnc.theory.assumptions import applicable_statements, measure_data
from pnc.theory.compression import compression
from pnc.theory.compression_bounds import compression_ratio_bounds_of_gram
from pnc.theory.discrimination_bounds import discrimination_bounds, explicit_discrimination_bound
from pnc.theory.layer_statistics import layer_statistics
from pnc.theory.sharp_bounds import sharp_cosine_bound, sharp_ratio_bounds
from pnc.threads import threads_by_inputs

__all__ = ["LayerBounds", "bounds"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerBounds:
    """Bounds of layers 0…L-1; NaN where none applies.

    Args:
        layers: (L,) 0…L-1.
        compression_lower: (L,) dimensionless.
        compression_upper: (L,) dimensionless.
        discrimination_lower: (L,) dimensionless.
        discrimination_upper: (L,) dimensionless.
        reasons: for `T5`, `T6` and `T6-explicit`, why it applies or which assumption fails, with its number.
    """

    layers: np.ndarray
    compression_lower: Float[np.ndarray, " L"]
    compression_upper: Float[np.ndarray, " L"]
    discrimination_lower: Float[np.ndarray, " L"]
    discrimination_upper: Float[np.ndarray, " L"]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """`compression` and `discrimination`, each `lower` and `upper`; what does not apply is `None`."""
        return json_ready(
            {
                "layers": self.layers,
                "compression": {"lower": self.compression_lower, "upper": self.compression_upper},
                "discrimination": {"lower": self.discrimination_lower, "upper": self.discrimination_upper},
                "reasons": self.reasons,
            }
        )


@threads_by_inputs
def bounds(problem: Inputs, network: NetworkSpec) -> LayerBounds:
    """Bounds on C_l (T5: C_0 of the data times bounded ratios) and on D_l (T6) of every layer (theory note,
    section 3).

    T5 is taken with the extreme eigenvalues of G, so it holds for any invertible G at any scale and for any
    class sizes; T6 with the data's own Ψ, and with the explicit form too where the entrywise θ is below ½. For equal
    classes and an entrywise θ below 1 the sharp forms T5' and T6' are taken where they are tighter.

    Returns:
        `LayerBounds`; NaN with a reason where a statement does not apply.

    Raises:
        InvalidInputError: a width too small for the labels.

    >>> from pnc.data import Problem
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> found = bounds(problem, NetworkSpec(depth=3, residual_scale=0.1))
    >>> np.allclose(found.compression_upper, found.compression_lower)  # orthonormal data leave no room
    True
    """
    statements, data = applicable_statements(problem, network), measure_data(problem)
    names = ("T5", "T6", "T6-explicit")
    compression_range = [np.full(network.depth, np.nan), np.full(network.depth, np.nan)]
    discrimination_range = [np.full(network.depth, np.nan), np.full(network.depth, np.nan)]
    if statements["T5"].applies:
        ratios = compression_ratio_bounds_of_gram(data.gram_smallest, data.gram_largest, problem.counts, network)
        first = compression(layer_statistics(problem, network))[0]
        compression_range = [first * ratios.cumulative_lower, first * ratios.cumulative_upper]
    # below that, θ is rounding and the spectral bounds leave no room to sharpen
    sharp = statements["T6"].applies and 1e-8 < data.theta_entrywise < 1
    known = {
        "theta_entrywise": data.theta_entrywise,
        "classes": problem.classes,
        "samples_per_class": int(problem.counts[0]),
        "depth": network.depth,
        "epsilon": network.residual_scale,
        "label_scale": network.label_scale,
    }
    if sharp:
        attained = sharp_ratio_bounds(**known)
        for side, pick, tight in ((0, np.maximum, attained.lower), (1, np.minimum, attained.upper)):
            products = compression_range[side][0] * np.cumprod([1.0, *tight])
            compression_range[side] = pick(compression_range[side], products)
    if statements["T6"].applies:
        found = discrimination_bounds(problem, network)
        discrimination_range = [found.lower, found.upper]
    if statements["T6-explicit"].applies:
        n = int(problem.counts[0])
        explicit = explicit_discrimination_bound(data.theta_entrywise, problem.classes, n, network)
        discrimination_range[0] = np.maximum(discrimination_range[0], explicit)
    if sharp:
        reach = sharp_cosine_bound(**known)
        discrimination_range[0] = np.maximum(discrimination_range[0], 1 - reach)
        discrimination_range[1] = np.minimum(discrimination_range[1], 1 + reach)
    return LayerBounds(
        layers=np.arange(network.depth),
        compression_lower=compression_range[0],
        compression_upper=compression_range[1],
        discrimination_lower=discrimination_range[0],
        discrimination_upper=discrimination_range[1],
        reasons={name: statements[name].reason for name in names},
    )
