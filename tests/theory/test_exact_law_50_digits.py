"""T1–T4 against weights constructed and measured in 50-digit arithmetic: 1e-9 with no allowance for
rounding."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.data import Problem
from pnc.spec import NetworkSpec
from pnc.theory import predict
from tests import oracles
from tests.strategies import nearly_orthonormal, signal_values
from tests.theory.agreement import EXACT, QUANTITIES, relative_errors

KINDS = ("nearly-orthonormal", "wide", "tall", "imbalanced")


def draw(index: int):
    """Problem, network and seed number `index`: every kind with narrow, equal and broad widths and both α.

    The width leaves at least one residual direction: with none, tr Σ_W is exactly zero and has no relative
    error.
    """
    rng = np.random.default_rng([50, index])
    kind = KINDS[index % 4]
    K = int(rng.integers(2, 5))
    sizes = rng.integers(1, 4, K) if kind in ("imbalanced", "tall") else np.full(K, 2)
    sizes[0] += 1 if kind in ("imbalanced", "tall") else 0
    if kind == "tall":
        sizes += 2
    N = int(sizes.sum())
    y = rng.permutation(np.repeat(np.arange(K), sizes))
    d = int(rng.integers(K + 1, max(K + 2, N - 2))) if kind == "tall" else N + int(rng.integers(1, 4))
    if kind == "nearly-orthonormal":
        X = nearly_orthonormal(rng, N, d, 0.9 * rng.random())
    else:
        X = rng.standard_normal((N, d))
    α = (1.0, 100.0)[(index // 4) % 2]
    L = int(rng.integers(2, 9))
    width = (d, d - 1 - int(rng.integers(0, d - K)), d + 2)[(index // 2) % 3]
    s = signal_values(Problem(X=X, y=y), α)
    # far apart on purpose: what float64 features could not show
    ε = min(0.45 ** (1 / L), 10 ** rng.uniform(-2.5, -0.1)) * s[-1] ** (1 / L)
    network = NetworkSpec(depth=L, width=max(width, K + 1), residual_scale=float(ε), label_scale=α)
    return Problem(X=X, y=y, name=kind), network, index


@pytest.mark.parametrize("index", range(36))
def test_law_to_nine_digits(index):
    problem, network, seed = draw(index)
    weights, projection = oracles.exact_weights_50_digits(
        problem.X,
        problem.y,
        depth=network.depth,
        residual_scale=network.residual_scale,
        label_scale=network.label_scale,
        width=network.width,
        seed=seed,
    )
    curve = predict(problem, network, residual_projection=projection)
    assert not curve.provenance["truncated_directions"]
    measured = oracles.measure_layers_50_digits(weights, problem.X, problem.y)
    for quantity in QUANTITIES:
        errors = relative_errors(curve, measured, quantity)
        assert errors.max() <= EXACT, (quantity, errors)
