"""T5 and T6: never violated, also at the edge of their conditions, and refused outside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec
from pnc.theory import (
    applicable_statements,
    bounds,
    compression_ratio_bounds,
    compression_ratio_bounds_of_gram,
    discrimination_bounds,
    explicit_discrimination_bound,
    measure_data,
    predict,
)
from tests import oracles
from tests.strategies import cases, class_sizes, nearly_orthonormal, seeds

ROUNDING = 1e-10


def law_by_hand(problem, network):
    """C_l and D_l of T2 written out with H alone: no signal threshold, no code of the library."""
    Y = np.eye(problem.classes)[problem.y].T
    p, n = problem.counts / problem.samples, problem.counts
    G = problem.X @ problem.X.T
    H1 = Y @ np.linalg.solve(G, Y.T)
    values, U = np.linalg.eigh((H1 + H1.T) / 2)
    # Q_0 - H⁻¹ as what is left of the means off the rows of M: a difference would cancel, and ε^{2l} may be
    # 10^14
    rows = np.linalg.qr((Y @ np.linalg.solve(G, problem.X)).T)[0]
    left = (Y / n[:, None]) @ problem.X
    for _ in range(2):
        left = left - (left @ rows) @ rows.T
    excess = left @ left.T
    α, L, ε = network.label_scale, network.depth, network.residual_scale
    within = oracles.measure_layer(problem.X, problem.y).within_scatter
    C, D = [], []
    for l in range(L):
        Q = (U * (values / α**2) ** (l / L - 1)) @ U.T / α**2 + ε ** (2 * l) * excess
        C.append(ε ** (2 * l) * within / (p @ np.diag(Q) - p @ Q @ p))
        norms = np.sqrt(np.diag(Q))
        cosines = Q / np.outer(norms, norms) - 3 * np.eye(len(p))
        D.append(1 - cosines.max())
    return np.array(C), np.array(D)


@st.composite
def instances(draw, *, balanced=None, max_theta=0.9999, spiked=True):
    """θ up to 0.9999, ε up to 4.5, any label scale: the edge of what T5 and T6 promise."""
    sizes = draw(class_sizes(classes=st.integers(2, 6), balanced=balanced))
    rng = np.random.default_rng(draw(seeds))
    N = sum(sizes)
    y = np.repeat(np.arange(len(sizes)), sizes)
    theta = draw(st.sampled_from([0.01, 0.3, 0.49, 0.9, 0.9999])) * min(1.0, max_theta / 0.9999)
    if spiked and draw(st.booleans()):
        # the worst Gram matrices: G = I + θ (an involution), whose spectrum is 1 ± θ and nothing else
        basis = np.linalg.qr(rng.standard_normal((N, N)))[0]
        signs = np.where(rng.random(N) < 0.5, 1.0, -1.0)
        root = (basis * np.sqrt(1 + theta * signs)) @ basis.T
        X = np.hstack([root, np.zeros((N, 1))])
    else:
        X = nearly_orthonormal(rng, N, N + 3, theta)
    network = NetworkSpec(
        depth=draw(st.integers(2, 12)),
        residual_scale=draw(st.sampled_from([0.01, 0.3, 1.0, 4.5])),
        label_scale=draw(st.sampled_from([1.0, 100.0, 0.1])),
    )
    return Problem(X=X, y=y), network


@settings(max_examples=500)
@given(instances())
def test_compression_rates_stay_inside(instance):
    problem, network = instance
    C, _ = law_by_hand(problem, network)
    data = measure_data(problem)
    forms = [compression_ratio_bounds_of_gram(data.gram_smallest, data.gram_largest, problem.counts, network)]
    if data.theta_spectral < 1:
        forms.append(compression_ratio_bounds(data.theta_spectral, problem.counts, network))
    if data.theta_entrywise < 1:
        forms.append(compression_ratio_bounds(data.theta_entrywise, problem.counts, network))
    for found in forms:
        ratios = C[1:] / C[:-1]
        assert np.all(found.lower <= ratios * (1 + ROUNDING))
        assert np.all(ratios <= found.upper * (1 + ROUNDING))
        assert np.all(found.cumulative_lower <= C / C[0] * (1 + ROUNDING))
        assert np.all(C / C[0] <= found.cumulative_upper * (1 + ROUNDING))


@settings(max_examples=500)
@given(instances(balanced=True))
def test_discrimination_stays_inside(instance):
    problem, network = instance
    _, D = law_by_hand(problem, network)
    data = measure_data(problem)
    if not applicable_statements(problem, network)["T6"].applies:
        with pytest.raises(NotApplicableError, match="signal threshold"):
            discrimination_bounds(problem, network)
    else:
        found = discrimination_bounds(problem, network)
        assert np.all(found.lower <= D + ROUNDING)
        assert np.all(found.upper + ROUNDING >= D)
    if data.theta_entrywise < 0.5:
        n = int(problem.counts[0])
        explicit = explicit_discrimination_bound(data.theta_entrywise, problem.classes, n, network)
        assert np.all(explicit <= D + ROUNDING)


@settings(max_examples=200)
@given(instances(balanced=True, max_theta=0.49, spiked=False))
def test_note_form_of_the_discrimination_bound_is_wider(instance):
    """The bound as the note prints it, with ‖Ψ‖ at h = n and r (1+|cos|)/2, holds too and is never the
    sharper one."""
    problem, network = instance
    _, D = law_by_hand(problem, network)
    n, K, L = int(problem.counts[0]), problem.classes, network.depth
    Y = np.eye(K)[problem.y].T
    H = Y @ np.linalg.solve(problem.X @ problem.X.T, Y.T)
    values, U = np.linalg.eigh((H + H.T) / 2)
    Psi = -(U * np.log(values / n)) @ U.T
    ψ, m = np.abs(np.log(values / n)).max(), Psi[~np.eye(K, dtype=bool)].max()
    theta = measure_data(problem).theta_spectral
    t = 1 - np.arange(L) / L
    away = (np.expm1(t * ψ) - t * ψ) * np.exp(t * ψ) + t * ψ * np.expm1(t * ψ)
    q = network.residual_scale**2 * (network.label_scale**2 * (1 + theta) / n) ** (1 / L)
    residual = theta**2 / (1 - theta**2) * q ** np.arange(L) * (1 + np.minimum(1, np.abs(t * m) + away)) / 2
    assert np.all(np.abs(D - (1 - t * m)) <= away + residual + ROUNDING)
    if applicable_statements(problem, network)["T6"].applies:
        found = discrimination_bounds(problem, network)
        assert np.all(found.lower >= 1 - t * m - away - residual - ROUNDING)
        assert np.all(found.upper <= 1 - t * m + away + residual + ROUNDING)


@settings(max_examples=120)
@given(cases(widths=("none", "equal", "broad")))
def test_bounds_of_a_problem_contain_its_prediction(case):
    found, curve = bounds(case.problem, case.network), predict(case.problem, case.network)
    assert np.isnan(found.compression_lower).all() == ("T5" in curve.provenance["not_applicable"])
    assert np.isnan(found.discrimination_lower).all() == ("T6" in curve.provenance["not_applicable"])
    assert set(found.reasons) == {"T5", "T6", "T6-explicit"}
    slack = 1 + ROUNDING
    assert not np.any(curve.compression * slack < found.compression_lower)
    assert not np.any(curve.compression > found.compression_upper * slack)
    assert not np.any(curve.discrimination + ROUNDING < found.discrimination_lower)
    assert not np.any(curve.discrimination > found.discrimination_upper + ROUNDING)


@settings(max_examples=60)
@given(instances(max_theta=0.9))
def test_gram_form_is_the_theta_form_and_does_not_see_the_scale(instance):
    problem, network = instance
    given_theta = compression_ratio_bounds(0.7, problem.counts, network)
    spectral = compression_ratio_bounds_of_gram(0.3, 1.7, problem.counts, network)
    assert spectral.upper == pytest.approx(given_theta.upper, rel=1e-12)
    assert spectral.lower == pytest.approx(given_theta.lower, rel=1e-12)


def test_bounds_close_as_theta_goes_to_zero():
    network = NetworkSpec(depth=5, residual_scale=0.3)
    gaps = []
    for theta in (1e-1, 1e-2, 1e-3):
        found = compression_ratio_bounds(theta, [4, 4, 4], network)
        gaps.append(float(np.max(found.upper / found.lower - 1)))
    assert gaps[0] > 9 * gaps[1] > 80 * gaps[2] > 0


def test_bounds_say_why_they_do_not_apply():
    rng = np.random.default_rng(0)
    network = NetworkSpec(depth=3, residual_scale=0.1)
    tall = Problem(X=rng.standard_normal((20, 6)), y=np.arange(20) % 2)
    found = bounds(tall, network)
    assert np.isnan([found.compression_upper, found.discrimination_lower]).all()
    assert "N = 20 > d = 6" in found.reasons["T5"]
    with pytest.raises(NotApplicableError, match="T6 does not apply"):
        discrimination_bounds(tall, network)
    unequal = Problem(X=rng.standard_normal((5, 9)), y=[0, 0, 0, 1, 1])
    found = bounds(unequal, network)
    assert np.isfinite(found.compression_upper).all()
    assert "class sizes 2…3 differ" in found.reasons["T6"]
    narrow = bounds(unequal, NetworkSpec(depth=3, residual_scale=0.1, width=4))
    assert "width 4 < d = 9" in narrow.reasons["T5"]
    assert found.to_dict()["discrimination"]["lower"] == [None] * 3


def test_explicit_bound_with_nothing_to_say():
    """a ≥ 1 for two classes close to θ = 1/2 at layer 0: no bound, and no crash."""
    found = explicit_discrimination_bound(0.499, 2, 3, NetworkSpec(depth=3))
    assert found[0] == -np.inf


@pytest.mark.parametrize("theta", [-0.1, 1.0, np.nan])
def test_theta_outside_its_range_is_refused(theta):
    with pytest.raises(InvalidInputError, match="expected 0 ≤ theta < 1"):
        compression_ratio_bounds(theta, [2, 2], NetworkSpec(depth=3))
    with pytest.raises(InvalidInputError, match="expected 0 ≤ theta < 1/2"):
        explicit_discrimination_bound(theta, 2, 2, NetworkSpec(depth=3))
    with pytest.raises(InvalidInputError, match="invertible Gram"):
        compression_ratio_bounds_of_gram(0.0, 1.0, [2, 2], NetworkSpec(depth=3))
