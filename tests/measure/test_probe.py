"""Probes and CDNV against slow definitions."""

import sys
import warnings
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.quantities.class_pairs import class_distance_normalised_variance
from pnc.measure.readout import logistic
from pnc.measure.readout.logistic import KeptSamples, fit_logistic_probe
from pnc.measure.readout.probe import fit_linear_probe, logistic_probe_accuracy, nearest_centre_probe


def problem(seed, samples=60, dimension=4, classes=3, spread=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(samples) % classes)
    centres = rng.standard_normal((classes, dimension)) + offset
    return centres[y] + spread * rng.standard_normal((samples, dimension)), y


def moments_of(x, y):
    return ClassMoments(classes=int(y.max()) + 1, dimension=x.shape[1]).update(x, y)


problems = st.builds(
    problem,
    st.integers(0, 2**31),
    samples=st.integers(8, 80),
    dimension=st.integers(1, 10),
    classes=st.integers(2, 4),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
    offset=st.sampled_from([0.0, 100.0]),
)


@settings(max_examples=50)
@given(problems)
def test_the_nearest_centre_is_the_nearest(case):
    x, y = case
    means = np.stack([x[y == k].mean(0) for k in range(y.max() + 1)])
    distances = ((x[:, None] - means[None]) ** 2).sum(2)
    probe = nearest_centre_probe(moments_of(x, y))
    chosen = probe.predict(x).numpy()
    ordered = np.sort(distances, 1)
    clear = ordered[:, 1] - ordered[:, 0] > 1e-9  # of two centres at one distance either may be named
    assert (chosen == distances.argmin(1))[clear].all()
    assert probe.accuracy(x, y) == pytest.approx((chosen == y).mean())


@settings(max_examples=50)
@given(problems, st.sampled_from([0.0, 1e-6, 0.1]))
def test_the_linear_probe_is_the_least_squares_fit(case, ridge):
    x, y = case
    probe = fit_linear_probe(StreamingSpectrum(dimension=x.shape[1]).update(x), moments_of(x, y), ridge=ridge)
    centred, targets = x - x.mean(0), np.eye(y.max() + 1)[y]
    top = np.linalg.norm(centred, 2)
    root = np.sqrt(ridge) * top * np.eye(x.shape[1])
    exact = np.linalg.lstsq(
        np.vstack([centred, root]),
        np.vstack([targets - targets.mean(0), np.zeros((x.shape[1], targets.shape[1]))]),
        rcond=1e-12,
    )[0]
    condition = top / np.linalg.svd(centred, compute_uv=False)[-1]
    tolerance = 1e-13 * condition**2 * len(x) * (1 + np.abs(x).max())
    np.testing.assert_allclose(probe.weights.numpy(), exact, atol=max(tolerance, 1e-12) * (1 + np.abs(exact).max()))
    np.testing.assert_allclose(probe.intercept.numpy(), targets.mean(0))


def test_a_probe_reads_what_is_linear_and_the_centres_do_not():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2)) * [30.0, 1.0]  # the class is in the narrow direction
    y = (x[:, 1] > 0).astype(int)
    spectrum, moments = StreamingSpectrum(dimension=2).update(x[:200]), moments_of(x[:200], y[:200])
    linear = fit_linear_probe(spectrum, moments).accuracy(x[200:], y[200:])
    centre = nearest_centre_probe(moments).accuracy(x[200:], y[200:])
    assert linear > 0.95 > 0.9 > centre


def test_a_probe_of_a_sketch():
    x, y = problem(0, samples=300, dimension=40, spread=0.2)
    spectrum = StreamingSpectrum(dimension=40, width=10, sketch=8).update(x)
    assert fit_linear_probe(spectrum, moments_of(x, y)).accuracy(x, y) > 0.97


def test_the_logistic_probe():
    x, y = problem(1, samples=200, spread=0.3)
    assert logistic_probe_accuracy(x[:100], y[:100], torch.from_numpy(x[100:]), y[100:]) > 0.95
    with pytest.raises(InvalidInputError, match="not converged in 1 steps"):
        logistic_probe_accuracy(x, y, x, y, iterations=1)


def test_the_logistic_probe_without_scikit_learn(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sklearn")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InvalidInputError, match="pip install scikit-learn"):
        logistic_probe_accuracy([[0.0], [1.0]], [0, 1], [[0.0]], [0])


def test_bad_input():
    x, y = problem(2)
    spectrum, moments = StreamingSpectrum(dimension=4).update(x), moments_of(x, y)
    with pytest.raises(InvalidInputError, match="both of the same features"):
        fit_linear_probe(spectrum, moments_of(x[:50], y[:50]))
    with pytest.raises(InvalidInputError, match="ridge"):
        fit_linear_probe(spectrum, moments, ridge=-1.0)
    with pytest.raises(InvalidInputError, match="no sample in class 3"):
        nearest_centre_probe(ClassMoments(classes=4, dimension=4).update(x, y))
    with pytest.raises(InvalidInputError, match="dimension 3"):
        nearest_centre_probe(moments).predict(x[:, :3])
    with pytest.raises(InvalidInputError, match="label 3"):
        nearest_centre_probe(moments).accuracy(x, y + 1)


@settings(max_examples=40)
@given(problems)
def test_cdnv_is_its_definition(case):
    x, y = case
    means = [x[y == k].mean(0) for k in range(y.max() + 1)]
    variance = [((x[y == k] - means[k]) ** 2).sum(1).mean() for k in range(y.max() + 1)]
    pairs = [
        (variance[i] + variance[j]) / (2 * ((means[i] - means[j]) ** 2).sum())
        for i, j in permutations(range(y.max() + 1), 2)
    ]
    assert class_distance_normalised_variance(moments_of(x, y)) == pytest.approx(np.mean(pairs), rel=1e-9)


def test_cdnv_undefined():
    x = np.array([[1.0], [3.0], [1.0], [3.0]])
    assert np.isnan(class_distance_normalised_variance(moments_of(x, np.array([0, 0, 1, 1]))))
    assert np.isnan(class_distance_normalised_variance(ClassMoments(classes=3, dimension=1).update(x, [0, 0, 1, 1])))


def pixels():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    return x.astype(np.float32) / 16, y


def words():
    """Texts of two hundred words in three topics that share most of them, as tf-idf: many directions, few samples."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    rng = np.random.default_rng(0)
    y = np.arange(900) % 3
    common = rng.dirichlet(np.full(1500, 0.2))
    topics = [0.85 * common + 0.15 * rng.dirichlet(np.full(1500, 0.1)) for _ in range(3)]
    documents = [" ".join(f"w{w}" for w in rng.choice(1500, 40, p=topics[k])) for k in y]
    return text.TfidfVectorizer().fit_transform(documents).toarray().astype(np.float32), y


def hidden():
    """A layer of a random network on pixels, wider than it has samples."""
    x, y = pixels()
    weights = np.random.default_rng(1).standard_normal((64, 500)).astype(np.float32) / 8
    return np.maximum(x @ weights, 0), y


@pytest.mark.parametrize(("source", "train"), [(pixels, 300), (pixels, 1000), (words, 500), (hidden, 500)])
def test_the_logistic_probe_is_within_two_points_of_scikit_learns(source, train):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = source()
    order = np.random.default_rng(2).permutation(len(y))
    a, b = order[:train], order[train:]
    found = fit_logistic_probe(torch.from_numpy(x[a]), torch.from_numpy(y[a]), classes=y.max() + 1)
    accuracy = found.probe.accuracy(x[b], y[b])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = linear_model.LogisticRegressionCV(Cs=np.logspace(-3, 5, 9), cv=4, max_iter=300).fit(x[a], y[a])
    assert accuracy >= reference.score(x[b], y[b]) - 0.02
    # of samples that were left out: what to expect of others, within noise, and with a quarter less to learn from
    noise = np.sqrt(accuracy * (1 - accuracy) * (1 / len(a) + 1 / len(b)))
    assert -0.03 - 3 * noise <= found.held_out_accuracy - accuracy <= 3 * noise
    spectrum = StreamingSpectrum(dimension=x.shape[1], width=2000).update(x[a])
    least_squares = fit_linear_probe(spectrum, moments_of(x[a], y[a]))
    assert accuracy >= least_squares.accuracy(x[b], y[b]) - 0.02


def test_noise_is_not_called_separable():
    rng = np.random.default_rng(0)
    x, y = torch.from_numpy(rng.standard_normal((200, 300))), torch.arange(200) % 2
    found = fit_logistic_probe(x, y, classes=2)
    assert abs(found.held_out_accuracy - 0.5) < 3.5 * np.sqrt(0.25 / 200)


def test_the_fit_is_where_its_gradient_is_zero():
    x, y = problem(3, samples=200, dimension=6, classes=3)
    found = fit_logistic_probe(torch.from_numpy(x), torch.from_numpy(y), classes=3)
    z = x - x.mean(0)
    size = np.sqrt((z**2).sum(1).mean())
    weights = found.probe.weights.numpy() * size
    outputs = z / size @ weights + found.probe.intercept.numpy()
    share = np.exp(outputs - outputs.max(1, keepdims=True))
    wrong = (share / share.sum(1, keepdims=True) - np.eye(3)[y]) / len(y)
    gradient = (z / size).T @ wrong + found.penalty * weights
    assert np.abs(gradient).max() < 1e-4
    assert np.abs(wrong.sum(0)).max() < 1e-4


def test_few_are_kept_of_many_in_the_shares_of_the_classes(monkeypatch):
    monkeypatch.setattr("pnc.measure.readout.logistic._MOST_ENTRIES", 400)
    y = torch.cat([torch.zeros(300, dtype=torch.int64), torch.ones(100, dtype=torch.int64)])
    kept = KeptSamples(torch.bincount(y), dimension=4)
    for rows in torch.arange(400).split(37):
        kept.update(torch.randn(len(rows), 4), y[rows])
    assert torch.bincount(kept.labels).tolist() == [75, 25]
    assert kept.features.shape == (100, 4)
    directions = torch.linalg.qr(torch.randn(5000, 3, dtype=torch.float64)).Q.mT
    wide = KeptSamples(torch.bincount(y), dimension=5000, directions=directions)
    x = torch.randn(400, 5000)
    wide.update(x, y)
    first, second = torch.bincount(wide.labels).tolist()
    assert abs(first - 100) <= 1
    assert abs(second - 34) <= 1
    rows = torch.cat([torch.arange(first), 300 + torch.arange(second)])
    torch.testing.assert_close(wide.features, (x.double() @ directions.mT)[rows].float())


def test_the_loss_that_chooses_the_penalty_is_the_mean_over_what_is_left_out():
    rng = np.random.default_rng(3)
    x, y = torch.from_numpy(rng.standard_normal((40, 3))), torch.arange(40) % 2
    x[:, 0] += 2 * y
    parts = logistic._parts(x, y, logistic._folds(y, 2))
    loss, right = logistic._trial(parts, 2, 1.0)
    losses, hits = [], []
    for seen, labels, left_out, truth in parts:
        weights, intercept = (value.numpy() for value in logistic._fit(seen, labels, 2, 1.0, start=None))
        outputs = left_out.numpy() @ weights + intercept
        losses += list(np.log(np.exp(outputs).sum(1)) - outputs[np.arange(len(truth)), truth.numpy()])
        hits += list(outputs.argmax(1) == truth.numpy())
    assert loss == pytest.approx(np.mean(losses), rel=1e-9)
    assert right == np.mean(hits)


def test_some_samples_stand_for_all_in_the_shares_of_their_classes():
    labels = torch.tensor([0] * 900 + [1] * 300)[torch.randperm(1200, generator=torch.Generator().manual_seed(0))]
    some = logistic._some(labels, 2, 401)
    assert len(some) == len(some.unique()) == 200
    assert int((labels[some] == 0).sum()) == 150
    assert logistic._some(labels, 2, 2400).tolist() == list(range(1200))
