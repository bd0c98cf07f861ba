"""Weight decay and cross-entropy in training, against V1 to V5 and E1 to E3."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.errors import InvalidInputError
from pnc.simulate import simulate_regularised
from pnc.spec import NetworkSpec
from pnc.theory.cross_entropy import predict_cross_entropy
from pnc.theory.given_map import predict_from_map
from pnc.theory.weight_decay import class_fates, minority_curves, predict_weight_decay, regularised_map
from tests import oracles
from tests.theory.test_cross_entropy import orthonormal
from tests.theory.test_weight_decay import clouds, nearly_orthonormal

V1_SETTINGS = {
    "θ": (nearly_orthonormal([6] * 3, 30, 0.6), 3, 0.4, 0.02, 2.0),
    "θ, imbalanced": (nearly_orthonormal([8, 5], 25, 0.6), 4, 0.5, 0.01, 3.0),
    "Gaussian": (clouds([5] * 3, 60, centres=0.0), 3, 0.4, 0.01, 6.0),
    "clustered": (clouds([6] * 2, 60, centres=1.0), 4, 0.5, 0.01, 6.0),
    "more samples than dimensions": (clouds([15] * 2, 6, centres=1.0), 3, 0.3, 0.01, 5.0),
    "orthonormal, five layers": (nearly_orthonormal([5] * 2, 20, 0.0), 5, 0.6, 0.01, 3.0),
}


@pytest.mark.parametrize("name", V1_SETTINGS)
def test_decayed_training_follows_the_law(name):
    """V1 from the paper's weights, converged, width 2000; what is left is the classifier's imbalance."""
    problem, depth, ε, λ, λt = V1_SETTINGS[name]
    network = NetworkSpec(depth=depth, residual_scale=ε, width=2000)
    run = simulate_regularised(problem, network, times=[λt / λ], weight_decay=λ)
    M = regularised_map(problem, depth=depth, weight_decay=λ)
    assert np.linalg.norm((run.maps[-1] - M.map) @ problem.X.T) < 2e-3 * np.linalg.norm(M.map @ problem.X.T)
    law = predict_weight_decay(problem, network, weight_decay=λ, time=λt / λ)
    assert law.origin.statement == "V1"
    assert run.measured.compression == pytest.approx(law.compression, rel=0.02)
    assert run.measured.discrimination == pytest.approx(law.discrimination, abs=1.5e-3)
    assert run.measured.within_scatter == pytest.approx(law.within_scatter, rel=0.02)


def test_the_rest_of_the_error_falls_with_the_width():
    problem, depth, ε, λ, λt = V1_SETTINGS["θ"]
    errors = []
    for width in (40, 300, 3000):
        network = NetworkSpec(depth=depth, residual_scale=ε, width=width)
        law = predict_weight_decay(problem, network, weight_decay=λ, time=λt / λ).compression
        runs = [simulate_regularised(problem, network, times=[λt / λ], weight_decay=λ, seed=s) for s in range(4)]
        errors.append(np.mean([np.abs(run.measured.compression / law - 1).max() for run in runs]))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.01


@pytest.mark.parametrize("name", ["θ", "θ, imbalanced"])
def test_the_floor_and_the_limit(name):
    """V2: long training ends at T3 with M_λ and ε = 0."""
    problem, depth, ε, λ, _ = V1_SETTINGS[name]
    network = NetworkSpec(depth=depth, residual_scale=ε, width=300)
    run = simulate_regularised(problem, network, times=[16 / λ], weight_decay=λ, relative_tolerance=1e-9)
    limit = predict_weight_decay(problem, network, weight_decay=λ)
    assert limit.compression.min() > 1e-7
    assert run.measured.compression == pytest.approx(limit.compression, rel=1e-4)
    assert run.measured.discrimination == pytest.approx(limit.discrimination, abs=1e-4)


def test_dying_classes_pull_the_means_together():
    """V5 on data that are not orthonormal: D_l of the directions that live."""
    problem = nearly_orthonormal([10, 10, 2, 2], 30, 0.6)
    network = NetworkSpec(depth=3, residual_scale=0.5, width=300)
    λ = 1.3 * class_fates([10, 10, 2, 2], depth=3, weight_decay=0.1, start=0.5).death[2]
    assert regularised_map(problem, depth=3, weight_decay=λ).lost == 2
    run = simulate_regularised(problem, network, times=[60 / λ], weight_decay=λ)
    limit = predict_weight_decay(problem, network, weight_decay=λ)
    assert limit.discrimination[1:].max() < 0.5
    assert run.measured.discrimination[1:] == pytest.approx(limit.discrimination[1:], abs=1e-4)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_minority_collapse_in_time(depth):
    counts, ε = [9, 4, 2], 0.4
    problem = nearly_orthonormal(counts, 20, 0.0)
    λ = 1.2 * class_fates(counts, depth=depth, weight_decay=0.1, start=ε, aligned=True).death[2]
    times = np.array([1.0, 0.5 / λ, 1 / λ])
    network = NetworkSpec(depth=depth, residual_scale=ε)
    run = simulate_regularised(problem, network, times=times, weight_decay=λ, weights="aligned")
    law = minority_curves(times, counts, depth=depth, weight_decay=λ, start=ε)
    assert run.compression == pytest.approx(law.compression, rel=1e-5)
    assert run.discrimination == pytest.approx(np.ones((3, depth)), abs=1e-9)


@pytest.mark.parametrize(
    ("classes", "size", "depth", "ε", "loss"), [(3, 6, 3, 0.3, 5e-4), (5, 4, 2, 0.3, 1e-8), (4, 5, 4, 0.5, 2e-12)]
)
def test_cross_entropy_by_its_loss_clock(classes, size, depth, ε, loss):
    problem, network = orthonormal(classes, size), NetworkSpec(depth=depth, residual_scale=ε)
    run = simulate_regularised(
        problem, network, until_loss=loss, loss="cross-entropy", weights="aligned", relative_tolerance=1e-9
    )
    law = predict_cross_entropy(problem, network, loss=float(run.loss[-1]))
    assert run.measured.compression == pytest.approx(law.compression, rel=1e-5)
    assert run.measured.discrimination == pytest.approx(law.discrimination, abs=1e-7)
    by_time = predict_cross_entropy(problem, network, time=float(run.time[-1]))
    assert by_time.compression == pytest.approx(law.compression, rel=1e-5)


def test_cross_entropy_from_the_papers_weights_nears_the_law_with_width():
    """E2, two layers: the error is the classifier's imbalance and falls with the width."""
    problem, errors = orthonormal(5, 4), []
    for width in (64, 512, 4096):
        network = NetworkSpec(depth=2, residual_scale=0.3, width=width)
        found = []
        for seed in range(3):
            run = simulate_regularised(problem, network, until_loss=1e-4, loss="cross-entropy", seed=seed)
            law = predict_cross_entropy(problem, network, loss=float(run.loss[-1]))
            found.append(np.abs(run.measured.compression / law.compression - 1).max())
        errors.append(np.mean(found))
    assert errors[2] < errors[1] < errors[0]
    assert errors[1] < 0.02


@pytest.mark.parametrize(("classes", "size", "depth"), [(6, 3, 4), (4, 4, 3)])
def test_the_measured_map_gives_the_layers(classes, size, depth):
    """E1 where E2 does not hold: also for solutions of lower rank."""
    problem, network = orthonormal(classes, size), NetworkSpec(depth=depth, residual_scale=0.5, width=2000)
    run = simulate_regularised(problem, network, until_loss=1e-3, loss="cross-entropy")
    law = predict_from_map(problem, run.maps[-1], depth=depth, residual_scale=0.5)
    assert run.measured.compression == pytest.approx(law.compression, rel=0.033)
    assert run.measured.discrimination == pytest.approx(law.discrimination, abs=1e-3)
    if depth == 4:  # the simplex is not reached (E4)
        assert run.measured.discrimination[-1] < 0.96 * classes / (classes - 1)


@pytest.mark.parametrize(("classes", "depth", "λ"), [(3, 2, 0.01), (3, 3, 0.005), (4, 3, 0.01), (2, 4, 0.003)])
def test_cross_entropy_with_decay(classes, depth, λ):
    """E3, balanced weights: the margin's end, and ε decaying."""
    problem, network = orthonormal(classes, 4), NetworkSpec(depth=depth, residual_scale=0.7)
    time = 5 / λ
    run = simulate_regularised(problem, network, times=[time], loss="cross-entropy", weights="aligned", weight_decay=λ)
    law = predict_cross_entropy(problem, network, time=time, weight_decay=λ)
    assert law.origin.statement == "E3"
    assert run.measured.compression == pytest.approx(law.compression, rel=7e-3)
    assert run.measured.discrimination == pytest.approx(law.discrimination, abs=3e-7)
    limit = predict_cross_entropy(problem, network, weight_decay=λ)
    assert limit.provenance["loss"] == pytest.approx(float(run.loss[-1]), rel=1e-3)


@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
@pytest.mark.parametrize("problem", [clouds([4, 3], 15), clouds([9, 6], 5)])
def test_reduced_coordinates_are_the_same_computation(loss, problem):
    network = NetworkSpec(depth=3, residual_scale=0.4, width=30)
    runs = [
        simulate_regularised(
            problem,
            network,
            times=[4.0, 40.0],
            loss=loss,
            weight_decay=0.02,
            coordinates=coordinates,
            learning_rate=0.2,
        )
        for coordinates in ("reduced", "full")
    ]
    assert runs[0].compression == pytest.approx(runs[1].compression, rel=1e-11)
    assert runs[0].discrimination == pytest.approx(runs[1].discrimination, abs=1e-11)
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-11)
    assert runs[0].maps == pytest.approx(runs[1].maps, abs=1e-11)


@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
def test_against_a_network_of_torch(loss):
    """Autograd and `torch.optim.SGD(weight_decay=…)` from the same full weights."""
    torch = pytest.importorskip("torch")
    problem, network = clouds([4, 3], 8), NetworkSpec(depth=3, residual_scale=0.5, width=9)
    common = dict(loss=loss, coordinates="full", learning_rate=0.3, weight_decay=0.03)
    first = simulate_regularised(problem, network, times=[0.0], **common).weights
    run = simulate_regularised(problem, network, times=[30.0], **common)
    weights = [torch.tensor(w, requires_grad=True) for w in first]
    X, y = torch.tensor(problem.X), torch.tensor(problem.y)
    optimiser = torch.optim.SGD(weights, lr=0.3, weight_decay=0.03)
    for _ in range(100):
        outputs = X @ weights[0].T @ weights[1].T @ weights[2].T
        target = torch.nn.functional.one_hot(y).double()
        value = (
            torch.nn.functional.cross_entropy(outputs, y)
            if loss == "cross-entropy"
            else ((outputs - target) ** 2).sum() / len(y)
        )
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    for ours, theirs in zip(run.weights, weights):
        assert np.abs(ours - theirs.detach().numpy()).max() < 1e-12
    features = oracles.features_of_layers([w.detach().numpy() for w in weights], problem.X)
    for l, Z in enumerate(features):
        assert run.measured.compression[l] == pytest.approx(oracles.measure_layer(Z, problem.y).compression, rel=1e-10)


def test_bad_requests_are_refused():
    problem, network = orthonormal(2, 2), NetworkSpec(depth=3, width=10)
    for wrong, word in (
        (dict(), "times"),
        (dict(times=[1.0], until_loss=0.1), "times"),
        (dict(times=[2.0, 1.0]), "times"),
        (dict(times=[1.0], weight_decay=-1.0), "weight_decay"),
        (dict(times=[1.0], loss="hinge"), "loss"),
        (dict(times=[1.0], weights="default"), "weights"),
        (dict(times=[1.0], learning_rate=0.0), "learning_rate"),
        (dict(until_loss=-1.0), "until_loss"),
        (dict(times=[50_000.0], learning_rate=500.0), "learning_rate"),
    ):
        with pytest.raises(InvalidInputError, match=word):
            simulate_regularised(problem, network, **wrong)
