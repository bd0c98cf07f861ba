"""U1–U4 on measured networks: they hold, with room; a number that was tampered with is noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pnc.compare import Verdict, check_universal, follow
from pnc.curves import LayerCurve
from pnc.data import Problem
from pnc.measure import measure_model
from pnc.nets import build
from pnc.train import TrainSpec, as_samples, train
from tests.train.cases import clusters

STATEMENTS = {"U1", "U2", "U3", "U3 from C and D", "U4"}


def network(seed, *, width=20, dimension=12, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(dimension, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, classes)
    ).double()


def samples(seed, *, spread, sizes=(20, 20, 20), dimension=12):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = 3 * rng.standard_normal((len(sizes), dimension))[y] + spread * rng.standard_normal((y.size, dimension))
    return torch.from_numpy(x), torch.from_numpy(y)


def measured(seed, **options):
    batch = samples(seed, **options)
    sizes = options.get("sizes", (20, 20, 20))
    return measure_model(
        network(seed, classes=len(sizes)), [batch], classes=len(sizes), probes=True, spectra=True
    ), batch


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("sizes", [(20, 20, 20), (5, 9, 40), (30, 30)])
def test_they_hold_for_every_network(seed, spread, sizes):
    curve, _ = measured(seed, spread=spread, sizes=sizes)
    found = check_universal(curve)
    assert found.violations == ()
    assert {"U1", "U2"} <= found.checks.keys()
    if spread == 0.1 and len(sizes) == 3:
        assert set(found.checks) == STATEMENTS
        # and they say something: some bound is used to a tenth at least
        used = max(check.value / check.bound for check in found.checks["U2"])
        assert used > 0.1


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(12))
def test_equality_is_no_violation_in_either_precision(kind, seed):
    """Two classes and spread across the line of their means alone: U1 and U2 are equalities."""
    across = 0.3 * torch.randn(500, 1, generator=torch.Generator().manual_seed(seed))
    across = torch.cat([across, -across])
    x = torch.cat([torch.cat([torch.full_like(across, side), across], 1) for side in (1.1, -1.1)]).to(kind)
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU()).to(kind)
    curve = measure_model(model, [(x, torch.arange(2).repeat_interleave(1000))], classes=2, spectra=True, probes=True)
    found = check_universal(curve)
    assert found.violations == ()
    assert all(abs(found.checks[name][0].slack) < 1e-5 for name in ("U1", "U2"))


def test_what_was_measured_is_right():
    """Every number of U3 and U4, from the features themselves."""
    curve, (x, y) = measured(1, spread=0.6, sizes=(8, 12, 20))
    Z, y = x.numpy(), y.numpy()
    means = np.array([Z[y == k].mean(axis=0) for k in range(3)])
    p = np.bincount(y) / y.size
    within = np.mean(np.sum((Z - means[y]) ** 2, axis=1))
    gaps = {(i, j): np.sum((means[i] - means[j]) ** 2) for i in range(3) for j in range(i)}
    known = {
        name: values[0] for name, values in curve.provenance.items() if isinstance(values, list) and len(values) == 4
    }
    assert known["smallest_separation"] == pytest.approx(min(gaps.values()))
    brackets = [gap - within * (1 / p[i] + 1 / p[j]) for (i, j), gap in gaps.items()]
    assert known["projected_separation"] == pytest.approx(min(brackets))
    norms = np.sum(means**2, axis=1)
    assert known["smallest_mean_square"] == pytest.approx(norms.min())
    assert known["largest_mean_square"] == pytest.approx(norms.max())
    assert known["mean_square"] == pytest.approx(p @ norms)
    _, s, axes = np.linalg.svd(Z - Z.mean(axis=0), full_matrices=False)
    assert known["leading_variance"] == pytest.approx([np.sum(s[:2] ** 2) / np.sum(s**2)] * 2)
    projected, centres = Z @ axes[:2].T, means @ axes[:2].T
    nearest = np.argmin(np.sum((projected[:, None] - centres) ** 2, axis=2), axis=1)
    assert known["projected_centre_accuracy"] == pytest.approx(np.mean(nearest == y))


def test_a_sketch_uses_the_safe_end_of_its_bounds():
    """Wide features, sketched: the share may be as large and the stable rank as small as the bounds allow."""
    batch = samples(0, spread=1.0, dimension=40)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 3)).double()
    exact = measure_model(model, [batch], classes=3, probes=True, spectra=True)
    batches = [(batch[0][i : i + 8], batch[1][i : i + 8]) for i in range(0, 60, 8)]
    rough = measure_model(model, batches, classes=3, probes=True, spectra=True, width=16, sketch=4)
    assert rough.provenance["spectrum_error"][1]["missing"] > 0
    true, bounds = exact.provenance["leading_variance"][1][0], rough.provenance["leading_variance"][1]
    assert bounds[0] <= true <= bounds[1]
    assert bounds[0] < bounds[1]
    found = check_universal(rough)
    assert found.violations == ()
    assert found.checks["U1"][1].value == bounds[1]
    assert found.checks["U2"][1].value <= exact.provenance["ranks"][1]["centred"]["stable_rank"]
    # directions of a sketch are not the leading ones, so U4 promises nothing of them
    assert rough.provenance.get("projected_centre_accuracy", [None] * 3)[:2] == [None, None]


@pytest.mark.parametrize(
    ("name", "value", "statement"),
    [
        ("leading_variance", [0.5, 0.5], "U1"),
        ("nearest_centre_accuracy", 0.5, "U3"),
        ("projected_centre_accuracy", 0.5, "U4"),
    ],
)
def test_a_violation_is_said_loudly(name, value, statement):
    curve, _ = measured(0, spread=0.1)
    values = list(curve.provenance[name])
    values[2] = value
    broken = LayerCurve.from_dict({**curve.to_dict(), "provenance": {**curve.provenance, name: values}})
    (violation, *_) = check_universal(broken).violations
    assert violation.startswith(f"{statement} fails at layer 2: ")
    found = follow(broken)
    assert found.verdict is Verdict.DISAGREES
    assert "please report it" in found.reasons[0]


def test_off_by_one_class_would_be_noticed():
    """K-2 in place of K-1 directions fails U1 on collapsed features, which K-1 of them hold wholly."""
    curve, _ = measured(0, spread=0.01)
    _, s, _ = np.linalg.svd(samples(0, spread=0.01)[0].numpy() - samples(0, spread=0.01)[0].numpy().mean(axis=0))
    share = float(s[0] ** 2 / np.sum(s**2))
    values = [[share, share], *curve.provenance["leading_variance"][1:]]
    broken = LayerCurve.from_dict({**curve.to_dict(), "provenance": {**curve.provenance, "leading_variance": values}})
    assert check_universal(broken).violations


def test_what_was_not_measured_is_said():
    batch = samples(0, spread=0.5)
    found = check_universal(measure_model(network(0), [batch], classes=3))
    assert found.checks == {}
    assert set(found.not_computed) == STATEMENTS
    assert "no spectra" in found.not_computed["U1"]


@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
def test_they_hold_for_a_trained_network(loss):
    x, y = clusters(90)
    model = build("mlp", input_shape=(8,), classes=3, width=24, depth=5, batch_norm=True, seed=0)
    spec = TrainSpec(loss=loss, epochs=15, batch_size=30, learning_rate=0.01, seed=0)
    trained = train(model, as_samples(Problem(X=x, y=y)), spec).model
    batch = torch.from_numpy(x).to(torch.float32), torch.from_numpy(y)
    curve = measure_model(trained, [batch], classes=3, probes=True, spectra=True)
    found = check_universal(curve)
    assert found.violations == ()
    assert set(found.checks) == STATEMENTS
    assert all(check.slack >= 0 for checks in found.checks.values() for check in checks)
