"""The choice of a layer against scikit-learn, held-out samples and planted layers."""

import numpy as np
import pytest
import torch
from torch import nn

import pnc
from pnc.choose import SampledFeatures, choose_from_features, choose_layer
from pnc.errors import InvalidInputError

RNG = np.random.default_rng


def clusters(n, *, classes=4, d=12, noise=1.0, seed=0, centres=None):
    rng = RNG(seed)
    y = np.arange(n) % classes
    centres = RNG(99).normal(size=(classes, d)) if centres is None else centres
    return centres[y] + noise * rng.normal(size=(n, d)), y


def test_the_criterion_is_the_accuracy_of_refitting_without_each_sample():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed (extra `probe`)")
    X, y = clusters(60, noise=2.0)
    choice = choose_from_features([X], y)
    readout = choice.readouts[0]
    penalty = readout.ridge * np.linalg.svd(X - X.mean(0), compute_uv=False)[0] ** 2
    hits, squares = [], []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        # the closed form leaves the sample out of the fit but not out of the penalty's scale: it is given here
        model = linear_model.Ridge(alpha=max(penalty, 1e-9), fit_intercept=True).fit(X[rest], np.eye(4)[y[rest]])
        scores = model.predict(X[i : i + 1])[0]
        hits.append(scores.argmax() == y[i])
        squares.append(np.sum((scores - np.eye(4)[y[i]]) ** 2))
    assert readout.right.tolist() == hits
    assert readout.squared_error == pytest.approx(np.mean(squares), rel=1e-6)


def test_the_standard_error_covers_the_held_out_accuracy():
    X_test, y_test = clusters(4000, noise=1.6, seed=1)
    covered, accuracies, truths = [], [], []
    for seed in range(200):
        X, y = clusters(120, noise=1.6, seed=100 + seed)
        readout = choose_from_features([X], y).readouts[0]
        centred = X - X.mean(0)
        penalty = readout.ridge * np.linalg.svd(centred, compute_uv=False)[0] ** 2
        W = np.linalg.solve(centred.T @ centred + penalty * np.eye(12), centred.T @ np.eye(4)[y])
        truths.append(np.mean(((X_test - X.mean(0)) @ W + np.eye(4)[y].mean(0)).argmax(1) == y_test))
        accuracies.append(readout.accuracy)
        covered.append(readout.standard_error)
    within = np.abs(np.array(accuracies) - np.mean(truths)) <= 1.96 * np.array(covered)
    assert 0.90 <= within.mean() <= 0.99
    assert np.mean(accuracies) == pytest.approx(np.mean(truths), abs=0.01)  # left out, not in sample


def test_the_planted_layer_wins_and_worse_ones_are_no_ties():
    rng = RNG(0)
    good, y = clusters(300, noise=0.8)
    poor, noise = good + 3 * rng.normal(size=good.shape), rng.normal(size=good.shape)
    choice = choose_from_features({0: noise, 3: poor, 5: good, 9: good @ rng.normal(size=(12, 12))}, y)
    assert choice.best.layer in (5, 9)  # the same features in other coordinates
    assert [readout.layer for readout in choice.ties] == [5, 9]
    found = choice.to_dict()
    assert found["layers"] == [0, 3, 5, 9]
    assert found["ties"] == [5, 9]
    assert found["criterion"][0] < 0.4 < found["criterion"][2]
    assert found["last_layer"]["cost"] == pytest.approx(0, abs=0.02)


def test_in_sample_accuracy_is_not_what_counts():
    """With more dimensions than samples every fit is perfect in sample; left out it is chance."""
    rng = RNG(0)
    y = np.arange(80) % 2
    choice = choose_from_features([rng.normal(size=(80, 200)), rng.normal(size=(80, 3)) + 1.0 * y[:, None]], y)
    assert choice.readouts[0].accuracy < 0.7
    assert choice.best.layer == 1


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3))


def images(n, seed=0):
    rng = RNG(seed)
    y = np.arange(n) % 3
    x = rng.normal(size=(n, 1, 8, 8)) + 0.5 * RNG(7).normal(size=(3, 1, 8, 8))[y]
    return torch.tensor(x, dtype=torch.float32), torch.from_numpy(y)


def test_a_model_in_one_pass_gives_what_its_saved_features_give():
    x, y = images(90)
    net, passes = network(), []
    handle = net[0].register_forward_pre_hook(lambda module, args: passes.append(len(args[0])))
    batches = [(x[i : i + 25], y[i : i + 25]) for i in range(0, 90, 25)]
    choice = pnc.choose(net, batches, classes=3, most_dimensions=2048)
    handle.remove()
    assert [size for size in passes if size > 3] == [25, 25, 25, 15]  # one pass, and looks at a few samples
    with torch.no_grad():
        pooled = [x.flatten(1), net[:2](x).mean((2, 3)), net[:4](x).mean((2, 3)), net(x)]
    saved = choose_from_features([z.numpy() for z in pooled], y.numpy())
    assert [r.width for r in choice.readouts] == [64, 6, 5, 3]
    for one, other in zip(choice.readouts, saved.readouts):
        assert one.right.tolist() == other.right.tolist()
    np.testing.assert_allclose(choice.curve.compression, saved.curve.compression, rtol=1e-5)
    assert "averaged over tokens and positions" in " ".join(choice.notes)


def test_tokens_are_averaged_over_the_mask():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 7)

        def forward(self, states, attention_mask):
            return self.layer(states)[:, 0]

    torch.manual_seed(0)
    net, y = Encoder(), torch.arange(40) % 2
    states = torch.randn(40, 6, 5) + y[:, None, None]
    mask = (torch.arange(6) < 2 + torch.arange(40)[:, None] % 5).long()
    choice = choose_layer(net, [({"states": states, "attention_mask": mask}, y)], classes=2, layers=["layer"])
    weight = mask[..., None].float()
    with torch.no_grad():
        expected = (net.layer(states) * weight).sum(1) / weight.sum(1)
    saved = choose_from_features([expected.numpy()], y.numpy())
    assert choice.readouts[-1].width == 7
    assert choice.readouts[-1].right.tolist() == saved.readouts[0].right.tolist()


def test_wide_features_are_projected_and_it_is_said():
    x, y = images(90)
    choice = choose_layer(network(), [(x, y)], classes=3, most_dimensions=16)
    assert choice.readouts[0].used == 16
    assert any("64 dimensions projected at random into 16" in note for note in choice.notes)


def test_the_kept_samples_are_a_uniform_draw_and_the_same_at_every_layer():
    counts = np.zeros(30)
    for seed in range(400):
        kept = SampledFeatures(most_samples=6, most_dimensions=4, seed=seed)
        for first in range(0, 30, 7):
            rows = torch.arange(first, min(first + 7, 30), dtype=torch.float32)[:, None]
            kept.take("a", rows, rows[:, 0].long(), first)
            kept.take("b", -rows, rows[:, 0].long(), first)
        assert torch.equal(kept.features("a"), -kept.features("b"))
        assert torch.equal(kept.labels(), kept.features("a")[:, 0].long())
        counts[kept.labels().numpy()] += 1
    assert counts.sum() == 400 * 6
    assert np.abs(counts - 80).max() < 4.5 * np.sqrt(80 * 0.8)


def test_memory_does_not_grow_with_the_samples():
    kept = SampledFeatures(most_samples=100, most_dimensions=32)
    for first in range(0, 5000, 500):
        kept.take("a", torch.randn(500, 64), torch.zeros(500, dtype=torch.long), first)
    assert kept.features("a").shape == (100, 32)
    assert kept.seen == 5000


def test_refused():
    x = RNG(0).normal(size=(5, 3))
    with pytest.raises(InvalidInputError, match="1 sample of class 1"):
        choose_from_features([x], [0, 0, 0, 0, 1])
    with pytest.raises(InvalidInputError, match="at least 2 samples"):
        choose_from_features([x], [0, 0, 0, 1, 1], most_samples=1)
    assert any("uncertain" in note for note in choose_from_features([x], [0, 0, 0, 1, 1]).notes)
