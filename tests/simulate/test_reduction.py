"""Y2: the reduced run is the full run. And the initial weights that both are made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats

import pnc.simulate.initial as initial
from pnc.data import Problem, draw
from pnc.errors import InvalidInputError
from pnc.simulate import initial_weights, simulate
from pnc.simulate.economical import economical
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from tests.strategies import nearly_orthonormal

STEPS = 300


@dataclass(frozen=True)
class Setting:
    sizes: tuple[int, ...]
    dimension: int
    width: int
    depth: int = 4
    scale: float = 0.5
    label_scale: float = 1.0
    duplicated: bool = False

    def problem(self) -> Problem:
        rng = np.random.default_rng(5)
        samples, classes = sum(self.sizes), len(self.sizes)
        y = rng.permutation(np.repeat(np.arange(classes), self.sizes))
        if samples <= self.dimension:
            X = nearly_orthonormal(rng, samples, self.dimension, 0.5)
        else:
            X = rng.standard_normal((samples, self.dimension)) / np.sqrt(samples)
            X += (rng.standard_normal((classes, self.dimension)) / np.sqrt(samples))[y]
        if self.duplicated:
            X[1] = X[0]
        return Problem(X=X, y=y)

    def network(self) -> NetworkSpec:
        return NetworkSpec(depth=self.depth, width=self.width, residual_scale=self.scale, label_scale=self.label_scale)


SETTINGS = {
    "as wide as the input": Setting((5, 5, 5), 20, 20),
    "wider": Setting((5, 5, 5), 20, 60),
    "hardly wider than the rank": Setting((5, 5, 5), 15, 16),
    "narrower": Setting((5, 5, 5), 40, 12),
    "narrower than the input, wider than the data": Setting((3, 3), 40, 24),
    "more samples than dimensions": Setting((12, 12, 12), 10, 30),
    "more samples than dimensions, narrow": Setting((12, 12, 12), 14, 6),
    "label scale": Setting((5, 5, 5), 20, 40, label_scale=3.0),
    "unequal classes": Setting((2, 4, 9), 20, 40),
    "duplicated samples": Setting((4, 4), 12, 30, duplicated=True),
    "two layers": Setting((4, 4), 12, 30, depth=2),
    "three layers": Setting((4, 4), 12, 30, depth=3),
    "seven layers": Setting((4, 4), 12, 30, depth=7, scale=0.7),
}


def descended(setting, coordinates, *, seed=3):
    train = SimulationSpec(
        engine="descent", steps=STEPS, loss_tolerance=1e-300, coordinates=coordinates, seed=seed, device="cpu"
    )
    return simulate(setting.problem(), setting.network(), train)


@pytest.mark.parametrize("name", SETTINGS)
def test_reduced_descent_is_full_descent(name):
    setting = SETTINGS[name]
    reduced, full = descended(setting, "reduced"), descended(setting, "full")
    assert reduced.steps == full.steps == STEPS
    assert full.weights[1].shape[1] == setting.width
    for quantity in ("compression", "discrimination", "within_scatter", "between_scatter"):
        np.testing.assert_allclose(
            getattr(reduced.measured, quantity), getattr(full.measured, quantity), rtol=1e-11, atol=0
        )
    # another draw of the initial weights is another network
    other = descended(setting, "reduced", seed=4).measured
    assert np.abs(other.compression / reduced.measured.compression - 1).max() > 1e-6


@pytest.mark.parametrize("name", SETTINGS)
def test_reduced_and_full_initial_features_have_one_gram_matrix(name):
    setting = SETTINGS[name]
    problem, network = setting.problem(), setting.network()
    weights, data = initial_weights(problem, network, SimulationSpec(seed=1))
    full, _ = initial_weights(problem, network, SimulationSpec(seed=1, coordinates="full"))
    ours, theirs = problem.X @ data.basis, problem.X
    for l, (small, large) in enumerate(zip(weights, full, strict=True)):
        ours, theirs = ours @ small.T, theirs @ large.T
        np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-13)
        if l == network.depth - 1:  # the classifier's own outputs, not only their products
            np.testing.assert_allclose(ours, theirs, atol=1e-13)


@pytest.mark.parametrize("name", SETTINGS)
def test_full_weights_are_scaled_orthogonal(name):
    setting = SETTINGS[name]
    weights, _ = initial_weights(setting.problem(), setting.network(), SimulationSpec(seed=2, coordinates="full"))
    for W in weights:
        rows, columns = W.shape
        gram = W @ W.T if rows <= columns else W.T @ W
        np.testing.assert_allclose(gram, setting.scale**2 * np.eye(min(rows, columns)), atol=1e-13)


def test_width_4096_needs_no_large_matrix(monkeypatch):
    def refuse(*_):
        raise AssertionError("a matrix of the network's width was drawn")

    monkeypatch.setattr(initial, "haar", refuse)
    problem = draw(ProblemSpec(classes=3, samples_per_class=4))
    small, large = (
        simulate(problem, NetworkSpec(depth=4, width=width), SimulationSpec(device="cpu")) for width in (256, 4096)
    )
    rank = problem.samples + problem.classes
    for run in (small, large):
        assert {size for w in run.weights for size in w.shape} <= {problem.samples, rank, problem.classes}
    # the wider classifier lies less in the span of the data, that is all
    assert not np.array_equal(small.measured.compression, large.measured.compression)
    with pytest.raises(AssertionError, match="was drawn"):
        initial_weights(problem, NetworkSpec(depth=4, width=256), SimulationSpec(coordinates="full"))


CLASSES, INSIDE, WIDTH, DRAWS = 3, 4, 9, 4000


def classifiers(draw_one):
    rng = np.random.default_rng([11, *draw_one.__name__.encode()])
    return np.array([draw_one(rng) for _ in range(DRAWS)])


def reduced_draw(rng):
    return initial._draw_classifier(rng, classes=CLASSES, inside=INSIDE, width=WIDTH).inside


def direct_draw(rng):
    return np.linalg.qr(rng.standard_normal((WIDTH, CLASSES)))[0].T[:, :INSIDE]


def equal_freedom_draw(rng):
    """Bartlett's diagonal with the same degrees of freedom in every row, which is wrong."""
    gaussian = rng.standard_normal((CLASSES, INSIDE))
    outside = np.tril(rng.standard_normal((CLASSES, CLASSES)), -1)
    outside += np.diag(np.sqrt(rng.chisquare(WIDTH - INSIDE, CLASSES)))
    left, _, right = np.linalg.svd(np.hstack([gaussian, outside]), full_matrices=False)
    return (left @ right)[:, :INSIDE]


def statistics(inside):
    """Moments of the classifier's part inside the data's span that a Haar draw fixes."""
    gram = inside @ inside.transpose(0, 2, 1)
    return np.stack(
        [
            np.trace(gram, axis1=1, axis2=2),
            np.trace(gram, axis1=1, axis2=2) ** 2,
            np.square(gram).sum((1, 2)),
            gram[:, 0, 0],
            gram[:, -1, -1],
            np.square(gram[:, 0, 1]),
            np.linalg.det(gram),
            inside[:, 0, 0] ** 4,
        ]
    )


def two_sample_z(first, second):
    a, b = statistics(first), statistics(second)
    return np.abs(a.mean(1) - b.mean(1)) / np.sqrt((a.var(1) + b.var(1)) / DRAWS)


def test_reduced_classifier_follows_the_law_of_haar_rows():
    inside = classifiers(reduced_draw)
    squares = np.square(inside).sum((1, 2))
    expected = CLASSES * INSIDE / WIDTH
    assert abs(squares.mean() - expected) < 4.5 * squares.std() / np.sqrt(DRAWS)
    assert two_sample_z(inside, classifiers(direct_draw)).max() < 4.5
    for row in range(CLASSES):
        share = np.square(inside[:, row]).sum(1)
        law = scipy.stats.beta(INSIDE / 2, (WIDTH - INSIDE) / 2)
        assert scipy.stats.kstest(share, law.cdf).pvalue > 1e-4


def test_that_test_rejects_wrong_degrees_of_freedom():
    assert two_sample_z(classifiers(equal_freedom_draw), classifiers(direct_draw)).max() > 6


@pytest.mark.parametrize("width", [INSIDE, INSIDE + 1, INSIDE + CLASSES, INSIDE + CLASSES + 1, 50])
def test_reduced_classifier_rows_are_orthonormal(width):
    rows = initial._draw_classifier(np.random.default_rng(0), classes=CLASSES, inside=INSIDE, width=width)
    whole = np.hstack([rows.inside, rows.outside])
    assert whole.shape[1] == min(width, INSIDE + CLASSES)
    np.testing.assert_allclose(whole @ whole.T, np.eye(CLASSES), atol=1e-14)


def test_haar_is_orthonormal_and_unbiased():
    rng = np.random.default_rng(0)
    drawn = np.array([initial.haar(rng, 4, 2) for _ in range(3000)])
    np.testing.assert_allclose(drawn.transpose(0, 2, 1) @ drawn, np.broadcast_to(np.eye(2), (3000, 2, 2)), atol=1e-14)
    # without the correction of signs the diagonal would be negative throughout
    assert np.abs(drawn.mean(0)).max() < 4.5 * np.sqrt(1 / 4 / 3000)


def test_default_weights_have_the_variance_of_pytorch():
    problem = draw(ProblemSpec(classes=2, samples_per_class=3, dimension=100))
    network = NetworkSpec(depth=3, width=200)
    weights, _ = initial_weights(problem, network, SimulationSpec(weights="default"))
    assert [w.shape for w in weights] == [(200, 100), (200, 200), (2, 200)]
    for w in weights:
        fan = w.shape[1]
        assert np.abs(w).max() <= 1 / np.sqrt(fan)
        # the fourth central moment of a uniform law gives the standard error of the variance
        error = np.sqrt(4 / 45 / w.size) / fan
        assert abs(np.square(w).mean() - 1 / (3 * fan)) < 4.5 * error


def test_default_weights_are_refused_in_reduced_coordinates():
    with pytest.raises(InvalidInputError, match="reduced coordinates with default weights"):
        SimulationSpec(weights="default", coordinates="reduced")


def test_a_width_that_the_labels_cannot_pass_is_refused():
    problem = draw(ProblemSpec(classes=4, samples_per_class=2))
    with pytest.raises(InvalidInputError, match="width"):
        simulate(problem, NetworkSpec(depth=3, width=3))
    with pytest.raises(InvalidInputError, match="without a width"):
        initial_weights(problem, NetworkSpec(depth=3), SimulationSpec())


@pytest.mark.parametrize("name", SETTINGS)
def test_economical_data_hold_the_whole_loss(name):
    """‖W X - Y/α‖² and ‖W F - T‖² differ by what no map can fit, the same for every W."""
    setting = SETTINGS[name]
    problem, network = setting.problem(), setting.network()
    data = economical(problem, network)
    F, Y = data.basis * data.scale, np.eye(problem.classes)[problem.y] / network.label_scale
    rng = np.random.default_rng(0)
    best = np.linalg.norm(problem.X @ np.linalg.pinv(problem.X) @ Y - Y) ** 2
    for _ in range(3):
        W = rng.standard_normal((problem.classes, problem.dimension))
        whole = np.linalg.norm(problem.X @ W.T - Y) ** 2
        assert np.linalg.norm(W @ F - data.target) ** 2 + best == pytest.approx(whole, rel=1e-12)
    values = np.linalg.svd(np.linalg.pinv(problem.X) @ Y, compute_uv=False)
    kept = values[values > 2 * network.residual_scale**network.depth]
    np.testing.assert_allclose(data.signal_values, kept, rtol=1e-10)
