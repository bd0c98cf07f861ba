"""Foreign inputs: areas against scikit-learn, distances against their definitions, intervals against resamples."""

import numpy as np
import pytest
import torch
from torch import nn

from pnc.choose import detect_foreign
from pnc.choose.foreign import SCORES, _detection, _Distances, area_under_curve
from pnc.errors import InvalidInputError


def samples(n, d=8, classes=3, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = 1.5 * np.random.default_rng(42).normal(size=(classes, d))
    x = centres[y] + rng.normal(size=(n, d)) * np.linspace(0.5, 1.5, d) + shift
    return torch.tensor(x, dtype=torch.float32), torch.from_numpy(y)


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3))


def test_areas_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (extra `probe`)")
    rng = np.random.default_rng(0)
    own, foreign = np.round(rng.normal(1, 1, 150), 1), np.round(rng.normal(0, 1, 90), 1)  # with ties
    label = np.repeat([1, 0], [150, 90])
    expected = metrics.roc_auc_score(label, np.concatenate([own, foreign]))
    assert area_under_curve(own, foreign)[0] == pytest.approx(expected, abs=1e-12)
    rates, hits, _ = metrics.roc_curve(label, np.concatenate([own, foreign]), drop_intermediate=False)
    assert _detection(own, foreign).false_positives == pytest.approx(rates[np.argmax(hits >= 0.95)], abs=1e-12)


def test_every_layer_and_score_against_scikit_learn_on_the_same_scores():
    covariance = pytest.importorskip("sklearn.covariance", reason="scikit-learn is not installed (extra `probe`)")
    metrics = pytest.importorskip("sklearn.metrics")
    net, (x, y), (own, own_y), (foreign, _) = (
        network(),
        samples(120),
        samples(60, seed=1),
        samples(50, seed=2, shift=0.8),
    )
    found = detect_foreign(net, [(x[:70], y[:70]), (x[70:], y[70:])], [(own, own_y)], [foreign[:20], foreign[20:]])
    assert (found.own, found.foreign) == (60, 50)
    with torch.no_grad():
        layers = [lambda z: z, net[:2], net[:4], net]
        for layer, detections in zip(layers, found.detections, strict=True):
            train, ours, theirs = (layer(part).double().numpy() for part in (x, own, foreign))
            means = np.stack([train[y.numpy() == k].mean(0) for k in range(3)])
            shared = covariance.LedoitWolf(assume_centered=True).fit(train - means[y.numpy()])
            every = covariance.LedoitWolf(assume_centered=True).fit(train - train.mean(0))

            def scores(z, means=means, shared=shared, every=every, train=train):
                nearest = np.min([np.sum((z - mean) ** 2, axis=1) for mean in means], axis=0)
                own_distance = np.min([shared.mahalanobis(z - mean) for mean in means], axis=0)
                return -nearest, -own_distance, every.mahalanobis(z - train.mean(0)) - own_distance

            for name, a, b in zip(SCORES, scores(ours), scores(theirs), strict=True):
                expected = metrics.roc_auc_score(np.repeat([1, 0], [60, 50]), np.concatenate([a, b]))
                assert detections[name].area == pytest.approx(expected, abs=1e-12), name


def test_distances_do_not_depend_on_a_rotation_or_on_a_common_scale():
    x, y = samples(200)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    turned = torch.from_numpy(3 * x.double().numpy() @ rotation)
    one, other = _Distances.of(x, y, 3).scores(x), _Distances.of(turned, y, 3).scores(turned)
    np.testing.assert_allclose(one[:, 1:], other[:, 1:], rtol=1e-7)
    np.testing.assert_allclose(9 * one[:, 0], other[:, 0], rtol=1e-7)


def test_the_intervals_cover():
    rng, area, share = np.random.default_rng(1), 0.7602499389065233, 0  # Φ(1/√2)
    for _ in range(400):
        low, high = _detection(rng.normal(1, 1, 80), rng.normal(0, 1, 60)).area_interval
        share += low <= area <= high
    assert 0.90 <= share / 400 <= 0.99


def test_the_same_distribution_is_not_told_apart_and_a_far_one_is():
    net, train, own = network(), samples(300), samples(200, seed=1)
    same = detect_foreign(net, [train], [own], [samples(200, seed=2)])
    assert all(abs(found["Mahalanobis"].area - 0.5) < 0.1 for found in same.detections)
    far = detect_foreign(net, [train], [own], [samples(200, seed=2, shift=20.0)])
    assert far.detections[0]["Mahalanobis"].area > 0.99
    assert far.detections[0]["Mahalanobis"].false_positives < 0.02
    assert far.to_dict()["best"]["layer"] == far.best[0]


def test_refused():
    net, (x, y) = network(), samples(60)
    with pytest.raises(InvalidInputError, match=r"fails on samples of shape \(9,\)"):
        detect_foreign(net, [(x, y)], [(x, y)], [torch.zeros(5, 9)])
    with pytest.raises(InvalidInputError, match="no samples of one side"):
        detect_foreign(net, [(x, y)], [(x, y)], [])
