"""What each class contributes, against loops over samples in plain NumPy."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from pnc.curves import LayerCurve
from pnc.measure import ClassMoments, measure_features, measure_model
from pnc.measure.accumulate.class_table import class_table

SEPARATE = np.repeat(range(5), (4, 7, 2, 9, 5))


def drawn(seed, width=6):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((5, width)) + 1
    return (centres[SEPARATE] + 0.3 * rng.standard_normal((len(SEPARATE), width))).astype(np.float64)


def by_loops(features, labels):
    """(spread, nearest, angle, margin, share, D, pair), one sample and one pair at a time."""
    features = features.reshape(len(features), -1)
    classes = sorted(set(labels.tolist()))
    groups = [features[labels == k] for k in classes]
    means = [group.mean(0) for group in groups]
    overall = features.mean(0)
    between = sum(len(g) * ((m - overall) @ (m - overall)) for g, m in zip(groups, means)) / len(features)
    variance = [np.mean([(z - m) @ (z - m) for z in g]) for g, m in zip(groups, means)]

    def cosine(a, b):
        return means[a] @ means[b] / math.sqrt((means[a] @ means[a]) * (means[b] @ means[b]))

    nearest = [max((b for b in classes if b != a), key=lambda b, a=a: cosine(a, b)) for a in classes]
    cosines = [cosine(a, b) for a, b in zip(classes, nearest)]
    d = 1 - max(cosines)
    worst = int(np.argmax(cosines))
    return {
        "spread": np.array(variance) / between,
        "nearest": np.array(nearest),
        "angle": np.degrees(np.arccos(cosines)),
        "margin": np.array(
            [
                np.linalg.norm(means[a] - means[b]) / (math.sqrt(variance[a]) + math.sqrt(variance[b]))
                for a, b in zip(classes, nearest)
            ]
        ),
        "share": d / (1 - np.array(cosines)),
    }, tuple(sorted((worst, nearest[worst])))


@pytest.mark.parametrize("seed", range(5))
def test_features_class_by_class_as_loops_have_them(seed):
    features = drawn(seed)
    curve = measure_features([features], SEPARATE, per_class=True)
    expected, pair = by_loops(features, SEPARATE)
    table = curve.classes[0]
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(table, name), values, rtol=1e-9, err_msg=name)
    assert curve.notes[0].closest_classes == pair
    # C is the mean spread, D the classes' own gap times its share
    counts = np.bincount(SEPARATE)
    assert (counts / counts.sum()) @ table.spread == pytest.approx(curve.compression[0], rel=1e-12)
    own = 1 - np.cos(np.radians(table.angle))
    np.testing.assert_allclose(own * table.share, curve.discrimination[0], rtol=1e-9)


def test_a_model_class_by_class_at_every_layer():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x = torch.from_numpy(drawn(3))
    y = torch.from_numpy(SEPARATE)
    batches = [(x[a : a + 10], y[a : a + 10]) for a in range(0, len(x), 10)]
    curve = measure_model(net, batches, classes=5, per_class=True)
    layers = [x, torch.tanh(net[0](x)), net(x)]
    assert len(curve.classes) == len(layers)
    for table, note, features in zip(curve.classes, curve.notes, layers, strict=True):
        expected, pair = by_loops(features.detach().numpy(), SEPARATE)
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(table, name), values, rtol=1e-8, err_msg=name)
        assert note.closest_classes == pair


def test_without_asking_the_pair_alone_is_named():
    curve = measure_features([drawn(0)], SEPARATE)
    assert curve.classes == (None,)
    assert curve.notes[0].closest_classes == by_loops(drawn(0), SEPARATE)[1]
    assert "class_table" not in curve.to_dict()["provenance"]


def test_the_table_survives_json():
    curve = measure_features([drawn(1), drawn(2)], SEPARATE, per_class=True)
    again = LayerCurve.from_json(curve.to_json())
    assert again == curve
    np.testing.assert_array_equal(again.classes[1].cosines, curve.classes[1].cosines)
    assert again.notes[1].closest_classes == curve.notes[1].closest_classes


def test_a_class_mean_of_zero_has_no_angle():
    moments = ClassMoments(classes=3, dimension=2).update(
        [[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 1.0], [0.0, 3.0]], [0, 0, 1, 1, 2, 2]
    )
    table = class_table(moments)
    assert math.isnan(table.angle[0])
    assert np.isnan(table.share).all()
    assert table.angle[1] == pytest.approx(45)
    assert table.nearest[1:].tolist() == [2, 1]
    curve = measure_features([[[1.0], [-1.0], [1.0], [2.0]]], [0, 0, 1, 1], per_class=True)
    assert curve.notes[0].closest_classes is None
    text = json.loads(curve.to_json())["provenance"]["class_table"][0]
    assert text["angle"] == [None, None]


def test_tiny_angles_keep_their_digits():
    means = np.array([[1.0, 0.0], [1.0, 1e-9], [0.0, 1.0]])
    table = class_table(ClassMoments(classes=3, dimension=2).update(np.repeat(means, 2, 0), [0, 0, 1, 1, 2, 2]))
    assert table.angle[0] == pytest.approx(math.degrees(1e-9), rel=1e-6)
    assert table.nearest.tolist()[:2] == [1, 0]
