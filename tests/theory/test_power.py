"""Every tolerance can fail: each wrong formula below is rejected where the right one is accepted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpmath import mp

from pnc.data import Problem
from pnc.spec import NetworkSpec
from pnc.theory import (
    bounds,
    compression_ratio_bounds_of_gram,
    discrimination_bounds,
    exact_weights,
    layer_statistics,
    measure_data,
    moment_law,
    predict,
    residual_projection_of,
    rounding_allowance,
)
from pnc.theory.compression import between_scatter, compression, within_scatter
from pnc.theory.discrimination import discrimination
from pnc.theory.separation_fuzziness import separation_fuzziness
from tests import oracles
from tests.theory.agreement import QUANTITIES, disagreements

DEPTH = 6


def setting(kind: str):
    """A problem, its network, constructed weights and what each of their layers shows."""
    rng = np.random.default_rng(5)
    y = np.repeat([0, 1, 2], [2, 3, 4])
    X = rng.standard_normal((9, 5 if kind == "tall" else 14)) / 3
    X += 0.3 * rng.standard_normal((3, X.shape[1]))[y] + 0.1
    problem = Problem(X=X, y=y)
    width = 8 if kind == "narrow" else None
    network = NetworkSpec(depth=DEPTH, residual_scale=0.35, label_scale=2.0, width=width)
    weights = exact_weights(problem, network, seed=1)
    projection = residual_projection_of(weights, problem, network) if kind == "narrow" else None
    measured = [oracles.measure_layer(Z, y) for Z in oracles.features_of_layers(weights, X)]
    return problem, network, projection, measured


def curve_from(problem, network, projection, statistics):
    """The prediction from statistics that a mutation may have spoiled."""
    return replace(
        predict(problem, network, residual_projection=projection),
        compression=compression(statistics),
        discrimination=discrimination(statistics),
        within_scatter=within_scatter(statistics),
        between_scatter=between_scatter(statistics),
        separation_fuzziness=separation_fuzziness(statistics),
    )


def off_by_one_layer(curve):
    return {name: np.append(getattr(curve, name)[1:], np.nan) for name in QUANTITIES}


STATISTICS_MUTATIONS = {
    # ε^{2l} where the law has ε^{l}, and the other way round
    "residual exponent halved": lambda s: replace(s, residual_scale=np.sqrt(s.residual_scale)),
    "residual exponent doubled": lambda s: replace(s, residual_scale=s.residual_scale**2),
    # H^{l/(L-1)-1} and H^{l/(L+1)-1} for H^{l/L-1}
    "one layer too few": lambda s: replace(s, signal_scales=s.signal_scales ** (DEPTH / (DEPTH - 1))),
    "one layer too many": lambda s: replace(s, signal_scales=s.signal_scales ** (DEPTH / (DEPTH + 1))),
    # H^{2l/L-1}: singular values of M taken for those of H
    "signal exponent halved": lambda s: replace(s, signal_scales=np.sqrt(s.signal_scales)),
    "swapped eigenvalues": lambda s: replace(s, signal_scales=s.signal_scales[::-1].copy()),
    "swapped eigenvectors": lambda s: replace(s, signal_means=s.signal_means[:, ::-1].copy()),
    "residual of the means forgotten": lambda s: replace(
        s, residual_hidden=replace(s.residual_hidden, means=0 * s.residual_hidden.means)
    ),
    "equal class weights": lambda s: replace(s, priors=np.full_like(s.priors, 1 / s.priors.size)),
    "means of Q_0 where Q_0 - H⁻¹ belongs": lambda s: replace(
        s,
        residual_hidden=replace(s.residual_hidden, means=np.hstack([s.residual_hidden.means, s.signal_means])),
    ),
}


@pytest.mark.parametrize("kind", ["wide", "tall", "narrow"])
def test_the_right_formula_is_accepted(kind):
    problem, network, projection, measured = setting(kind)
    statistics = layer_statistics(problem, network, residual_projection=projection)
    curve = curve_from(problem, network, projection, statistics)
    assert not disagreements(curve, measured, problem, network, residual_projection=projection)
    # and not because nothing would be rejected
    for quantity in QUANTITIES:
        assert rounding_allowance(problem, network, quantity=quantity).max() < 1e-6


@pytest.mark.parametrize("kind", ["wide", "tall", "narrow"])
@pytest.mark.parametrize("name", STATISTICS_MUTATIONS)
def test_wrong_formulas_are_rejected(name, kind):
    problem, network, projection, measured = setting(kind)
    statistics = layer_statistics(problem, network, residual_projection=projection)
    wrong = curve_from(problem, network, projection, STATISTICS_MUTATIONS[name](statistics))
    off = disagreements(wrong, measured, problem, network, residual_projection=projection)
    assert {quantity for quantity, *_ in off} & {"compression", "discrimination"}


@pytest.mark.parametrize("kind", ["wide", "tall", "narrow"])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_layer_off_by_one_is_rejected_in_each_quantity(quantity, kind):
    problem, network, projection, measured = setting(kind)
    curve = predict(problem, network, residual_projection=projection)
    shifted = replace(curve, **{quantity: off_by_one_layer(curve)[quantity]})
    off = disagreements(shifted, measured, problem, network, residual_projection=projection, quantities=(quantity,))
    assert len(off) == DEPTH


@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_centred_means_are_rejected_in_discrimination(kind):
    problem, network, projection, measured = setting(kind)
    statistics = layer_statistics(problem, network, residual_projection=projection)
    centred = replace(
        statistics,
        signal_means=statistics.centred(statistics.signal_means),
        residual_input=replace(statistics.residual_input, means=statistics.centred(statistics.residual_input.means)),
        residual_hidden=replace(statistics.residual_hidden, means=statistics.centred(statistics.residual_hidden.means)),
    )
    wrong = curve_from(problem, network, projection, centred)
    off = disagreements(wrong, measured, problem, network, residual_projection=projection)
    # centring leaves both scatters alone: discrimination, at every layer, is what must notice
    assert {quantity for quantity, *_ in off} == {"discrimination"}
    assert len(off) == DEPTH


def test_a_wrong_label_scale_is_rejected():
    problem, network, _, measured = setting("wide")
    curve = predict(problem, replace(network, label_scale=1.0))
    assert disagreements(curve, measured, problem, network, quantities=("compression",))


def test_fuzziness_without_its_square_is_rejected():
    """T4 decays with ε^{4l}: the compression rate, ε^{2l}, in its place is seen."""
    problem, network, _, measured = setting("wide")
    curve = predict(problem, network)
    wrong = curve.separation_fuzziness[0] * curve.compression / curve.compression[0]
    off = disagreements(
        replace(curve, separation_fuzziness=wrong),
        measured,
        problem,
        network,
        quantities=("separation_fuzziness",),
    )
    assert [layer for _, layer, *_ in off] == list(range(1, DEPTH))


def test_t1_form_on_data_that_need_t3_is_rejected():
    """With N > d the labels are not interpolated: leaving out the floor of T3 is seen at every hidden
    layer."""
    problem, network, _, measured = setting("tall")
    statistics = layer_statistics(problem, network)
    wrong = curve_from(problem, network, None, replace(statistics, signal_within=0 * statistics.signal_within))
    off = disagreements(wrong, measured, problem, network, quantities=("compression",))
    assert [layer for _, layer, *_ in off] == list(range(DEPTH))


def test_bounds_reject_a_rate_with_a_wrong_exponent():
    """T5 and T6 are narrow enough that n^{1/(L-1)} for n^{1/L} in the rate, or D of another layer, falls
    outside."""
    rng = np.random.default_rng(2)
    rows = np.linalg.qr(rng.standard_normal((20, 12)))[0].T
    problem = Problem(X=rows + 0.004 * rng.standard_normal((12, 20)), y=np.repeat([0, 1, 2], 4))
    network = NetworkSpec(depth=4, residual_scale=0.3)
    curve, found = predict(problem, network), bounds(problem, network)
    assert np.all((found.compression_lower <= curve.compression) & (curve.compression <= found.compression_upper))
    wrong = curve.compression[0] * (0.09 / 4 ** (1 / 3)) ** np.arange(4)
    assert np.all((wrong < found.compression_lower) | (wrong > found.compression_upper) | (np.arange(4) == 0))
    data = measure_data(problem)
    ratios = compression_ratio_bounds_of_gram(data.gram_smallest, data.gram_largest, problem.counts, network)
    assert np.all(ratios.upper / ratios.lower < 1.05)
    line = discrimination_bounds(problem, network)
    # at layer 0 the residual of the means is not small against their signal yet
    assert np.all((line.upper - line.lower < 0.2 * np.abs(1 - line.linear))[1:])
    assert not np.any((line.lower[:-1] <= curve.discrimination[1:]) & (curve.discrimination[1:] <= line.upper[:-1]))


def test_moment_law_rejects_a_sequence_that_bends_the_wrong_way():
    good = moment_law([1.0, 0.5, 0.27, 0.16])
    assert good.holds(allowance=0)
    assert not moment_law([1.0, 0.5, 0.24, 0.16]).holds(allowance=1e-3)
    # log-convex, ratios rising, but no measure has these moments: only a Hankel determinant sees it
    sly = moment_law([1.0, 1.0, 1.05, 2.0, 3.9])
    assert min(sly.log_convexity.min(), sly.ratio_increases.min(), sly.jensen_excess.min()) >= -0.05
    assert not sly.holds(allowance=1e-3)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_bounds_on_the_rate_are_those_of_the_note_in_50_digits(depth):
    """Every factor and every exponent of T5, for a Gram matrix whose spread makes them all count."""
    network = NetworkSpec(depth=depth, residual_scale=0.4, label_scale=1.7)
    found = compression_ratio_bounds_of_gram(0.3, 1.9, [4, 7], network)
    with mp.workdps(50):
        g, top, ε, α = mp.mpf("0.3"), mp.mpf("1.9"), mp.mpf("0.4"), mp.mpf("1.7")
        h_least, h_most = 4 / top, 7 / g
        ρ = (top - g) ** 2 / (4 * g * top)
        q = ε**2 * mp.root(α**2 / h_least, depth)
        for l in range(depth - 1):
            lower = ε**2 * mp.root(α**2 / h_most, depth) / (1 + ρ * q ** (l + 1))
            upper = q * (1 + ρ * q**l)
            assert found.lower[l] == pytest.approx(float(lower), rel=1e-13)
            assert found.upper[l] == pytest.approx(float(upper), rel=1e-13)
