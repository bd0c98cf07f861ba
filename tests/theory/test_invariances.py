"""What must not change the law, and how scales enter it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data import Problem
from pnc.theory import data_modes, predict, rounding_allowance
from tests.strategies import cases
from tests.theory.agreement import QUANTITIES

WIDE = ("none", "equal", "broad")


def assert_same_law(first, second, problem, network, quantities=QUANTITIES, scale=1.0):
    """Curves equal to 1e-11 or to what rounding may do, whichever is more; `scale` divides scatters."""
    for quantity in quantities:
        factor = scale if quantity.endswith("scatter") else 1.0
        a, b = getattr(first, quantity), getattr(second, quantity) / factor
        allowance = np.minimum(rounding_allowance(problem, network, quantity=quantity), 1.0)
        size = 1.0 if quantity == "discrimination" else np.maximum(np.abs(a), np.abs(b))
        both = np.isfinite(a) & np.isfinite(b)
        assert np.array_equal(np.isfinite(a), np.isfinite(b))
        assert np.all((np.abs(a - b) <= np.maximum(1e-11, allowance) * size + 1e-28)[both]), (quantity, a, b)


@settings(max_examples=50)
@given(cases(widths=WIDE))
def test_rotation_of_input_space(case):
    rng = np.random.default_rng(case.seed)
    rotation = np.linalg.qr(rng.standard_normal((case.problem.dimension,) * 2))[0]
    turned = Problem(X=case.problem.X @ rotation, y=case.problem.y)
    first, second = predict(case.problem, case.network), predict(turned, case.network)
    assert_same_law(first, second, case.problem, case.network)


@settings(max_examples=50)
@given(cases(widths=WIDE))
def test_order_of_samples_and_names_of_classes(case):
    rng = np.random.default_rng(case.seed)
    order, names = rng.permutation(case.problem.samples), rng.permutation(case.problem.classes)
    shuffled = Problem(X=case.problem.X[order], y=names[case.problem.y[order]])
    first, second = predict(case.problem, case.network), predict(shuffled, case.network)
    assert_same_law(first, second, case.problem, case.network)


@settings(max_examples=50)
@given(cases(widths=WIDE))
def test_coordinates_that_are_always_zero(case):
    padded = Problem(X=np.pad(case.problem.X, ((0, 0), (0, 3))), y=case.problem.y)
    network = replace(case.network, width=None)
    first, second = predict(case.problem, network), predict(padded, network)
    assert_same_law(first, second, case.problem, network)


@settings(max_examples=50)
@given(cases(widths=WIDE), st.floats(0.1, 10.0))
def test_scale_of_the_inputs_enters_through_the_residual_scale(case, scale):
    """C and D of c X at ε are those of X at ε c^{1/L}: both terms of T2 gain c^{2-2l/L}."""
    L = case.network.depth
    scaled = Problem(X=scale * case.problem.X, y=case.problem.y)
    moved = replace(case.network, residual_scale=case.network.residual_scale * scale ** (1 / L))
    first, second = predict(case.problem, moved), predict(scaled, case.network)
    factor = scale ** (2 - 2 * np.arange(L) / L)
    assert_same_law(first, second, case.problem, moved, scale=factor)


@settings(max_examples=50)
@given(cases(widths=WIDE))
def test_label_scale_enters_through_the_residual_scale(case):
    """C and D at label scale α and ε are those at 1 and ε α^{1/L}."""
    L, α = case.network.depth, case.network.label_scale
    moved = replace(case.network, label_scale=1.0, residual_scale=case.network.residual_scale * α ** (1 / L))
    first, second = predict(case.problem, moved), predict(case.problem, case.network)
    assert_same_law(first, second, case.problem, moved, scale=α ** (-2 * np.arange(L) / L))


@settings(max_examples=50)
@given(cases(kinds=("nearly-orthonormal", "wide"), widths=WIDE))
def test_every_sample_twice(case):
    """G becomes singular and T3 must take over, yet neither M nor any class statistic changes."""
    twice = Problem(X=np.repeat(case.problem.X, 2, axis=0), y=np.repeat(case.problem.y, 2))
    first, second = predict(case.problem, case.network), predict(twice, case.network)
    assert (second.provenance["statement"], data_modes(twice).interpolates) == ("T3", True)
    assert_same_law(first, second, case.problem, case.network)


@settings(max_examples=30)
@given(cases(kinds=("wide", "tall"), widths=WIDE))
def test_prediction_does_not_depend_on_chunks(case):
    """Enough copies of the samples to need several chunks give the same class statistics."""
    copies = 1 + 9000 // case.problem.samples
    many = Problem(X=np.tile(case.problem.X, (copies, 1)), y=np.tile(case.problem.y, copies))
    first, second = predict(case.problem, case.network), predict(many, case.network)
    assert many.samples > 2 * 4096
    assert second.compression == pytest.approx(first.compression, rel=1e-8)
    assert second.discrimination == pytest.approx(first.discrimination, rel=1e-8)
