"""The cost of cutting a tail: against direct fits, `fit_linear_tail`, and resamples."""

import numpy as np
import pytest
import torch
from torch import nn

from pnc.choose import CutTail, measure_tails
from pnc.errors import InvalidInputError
from pnc.measure import fit_linear_tail


def samples(n, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = np.random.default_rng(5).normal(size=(3, 10))[y] + noise * rng.normal(size=(n, 10))
    return torch.tensor(x, dtype=torch.float32), torch.from_numpy(y)


def trained(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)
    )
    x, y = samples(300, 1)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    return net


def batches(x, y, size=70):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(y), size)]


def test_each_cut_is_the_linear_tail_fitted_alone():
    net, train, test = trained(), samples(300, 1), samples(210, 2)
    found = measure_tails(net, batches(*train), batches(*test), classes=3)
    with torch.no_grad():
        whole = net(test[0]).argmax(1) == test[1]
    assert [cut.name for cut in found.cuts] == ["input", "1", "3", "5", "6"]
    assert found.accuracy == pytest.approx(whole.double().mean().item())
    for cut in found.cuts[1:4]:
        short = fit_linear_tail(net, batches(*train), classes=3, site=cut.name)
        with torch.no_grad():
            right = short(test[0]).argmax(1) == test[1]
        assert cut.accuracy == pytest.approx(right.double().mean().item(), abs=1e-9)
        assert cut.cost == pytest.approx((whole.double() - right.double()).mean().item())
        assert cut.linear_parameters == 3 * (cut.width + 1)
    assert [cut.parameters for cut in found.cuts] == [
        10 * 24 + 24 + 24 * 16 + 16 + 16 * 17 + 51,
        400 + 272 + 51,
        272 + 51,
        51,
        0,
    ]
    shares = [cut.time_share for cut in found.cuts]
    assert shares[0] == 1
    assert all(0 <= share <= 1 for share in shares)
    assert shares[1] > shares[4]


def test_the_earliest_layer_is_sure_of_its_loss():
    net, train, test = trained(), samples(300, 1), samples(900, 2)
    found = measure_tails(net, batches(*train), batches(*test), classes=3, limit=0.05)
    assert found.earliest is not None
    assert found.earliest.layer == min(
        cut.layer for cut in found.cuts if cut.cost + 1.6465 * cut.standard_error <= 0.05
    )
    # a limit that no cut can be sure to meet with so few samples
    assert measure_tails(net, batches(*train), batches(*samples(30, 3)), classes=3, limit=0.0).earliest is None


def test_intervals_cover_the_cost():
    """Of planted outcomes: two classifiers, right with probability 0.9 and 0.8, together with 0.75."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        draw = rng.choice(4, p=[0.75, 0.15, 0.05, 0.05], size=250)  # both, whole alone, short alone, neither
        cut = CutTail(
            name="a", layer=1, width=1, used=1, right=np.isin(draw, (0, 2)), whole=np.isin(draw, (0, 1)),
            parameters=0, linear_parameters=0, time_share=0.5,
        )  # fmt: skip
        low, high = cut.interval
        covered += low <= 0.10 <= high
    assert 0.90 <= covered / 400 <= 0.99


def test_wide_layers_are_projected_and_without_a_test_split_it_is_said():
    found = measure_tails(trained(), batches(*samples(120, 1)), classes=3, most_dimensions=12)
    assert [cut.used for cut in found.cuts] == [10, 12, 12, 12, 3]
    notes = " ".join(found.notes)
    assert "1: its map was fitted in 12 of 24 dimensions" in notes
    assert "accuracies are of the training samples" in notes
    assert found.held_out == 120


def test_refused():
    x, y = samples(60, 1)
    headless = nn.Sequential(nn.Linear(10, 4), nn.ReLU())
    with pytest.raises(InvalidInputError, match=r"outputs of shape \(60, 4\)"):
        measure_tails(headless, [(x, y)], classes=3)
    assert not headless._forward_hooks
    with pytest.raises(InvalidInputError, match="limit = 2"):
        measure_tails(headless, [(x, y)], limit=2)
