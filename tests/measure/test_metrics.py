"""The torchmetrics front: one process, several, uneven and empty."""

import warnings

import numpy as np
import pytest
import torch

from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments
from tests.measure.processes import run_processes

pytest.importorskip("torchmetrics")

from pnc.measure.metrics import CompressionMetric, merge_states

FIELDS = ("compression", "discrimination", "within_scatter", "between_scatter")


def data():
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 4, (101,), generator=generator)
    means = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    x = means[y] + 0.1 * torch.randn(101, 6, generator=generator, dtype=torch.float64) + 50
    return x, y


def whole():
    return ClassMoments(classes=4, dimension=6).update(*data())


def test_batches_and_images():
    x, y = data()
    metric = CompressionMetric(classes=4, dimension=6)
    for rows in torch.arange(101).split(13):
        metric.update(x[rows].reshape(-1, 2, 3), y[rows])
    found, truth = metric.compute(), whole()
    for name in FIELDS:
        assert found[name].item() == pytest.approx(getattr(truth, name)(), rel=1e-12)
    metric.reset()
    assert metric.moments().samples == 0


def test_called_as_a_function_it_gives_the_batch_and_keeps_the_total():
    x, y = data()
    metric = CompressionMetric(classes=4, dimension=6)
    for rows in torch.arange(101).split(40):
        batch = metric(x[rows], y[rows])
        alone = ClassMoments(classes=4, dimension=6).update(x[rows], y[rows])
        assert batch["within_scatter"].item() == pytest.approx(alone.within_scatter(), rel=1e-12)
    assert metric.compute()["compression"].item() == pytest.approx(whole().compression(), rel=1e-12)


def test_a_state_dict_brings_it_back():
    metric = CompressionMetric(classes=4, dimension=6)
    metric.persistent(True)
    metric.update(*data())
    other = CompressionMetric(classes=4, dimension=6)
    other.load_state_dict(metric.state_dict())
    assert other.moments().compression() == metric.moments().compression()


def _shares(world, kind):
    if kind == "uneven":
        edges = np.linspace(0, 101, world + 1).astype(int)
        edges[1:-1] = np.minimum(edges[1:-1] + 37, 101)
    else:  # the first process has nothing
        edges = np.array([0, 0, *np.linspace(0, 101, world).astype(int)[1:]])
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _measure(rank, world, queue):
    torch.set_num_threads(1)
    x, y = data()
    found = {}
    for kind in ("uneven", "empty"):
        share = _shares(world, kind)[rank]
        metric = CompressionMetric(classes=4, dimension=6)
        for rows in torch.arange(101)[share].split(11):
            if len(rows):
                metric.update(x[rows], y[rows])
        with warnings.catch_warnings():  # torchmetrics warns where a process has had nothing
            warnings.filterwarnings("ignore", message="The ``compute`` method")
            found[kind] = {name: value.item() for name, value in metric.compute().items()}
    queue.put((rank, found))


def test_two_processes_are_one():
    truth = whole()
    for _, found in run_processes(_measure, 2):
        for kind in ("uneven", "empty"):
            for name in FIELDS:
                assert found[kind][name] == pytest.approx(getattr(truth, name)(), rel=1e-12), (kind, name)


def test_averaging_the_states_would_be_wrong():
    x, y = data()
    parts = []
    for rows in (slice(0, 70), slice(70, 80), slice(80, 101)):
        metric = CompressionMetric(classes=4, dimension=6)
        metric.update(x[rows], y[rows])
        parts.append(metric.state)
    truth = whole()
    merged = merge_states(torch.stack(parts))
    np.testing.assert_allclose(merged[:, :-2], truth.means, rtol=1e-12)
    np.testing.assert_allclose(merged[:, -2], truth.squares, rtol=1e-12)
    averaged = torch.stack(parts).mean(0)
    assert abs(averaged[:, -2].sum() / averaged[:, -1].sum() / truth.within_scatter() - 1) > 1e-4


def test_bad_input():
    with pytest.raises(InvalidInputError, match="1 classes"):
        CompressionMetric(classes=1, dimension=3)
    metric = CompressionMetric(classes=4, dimension=5)
    with pytest.raises(InvalidInputError, match="dimension 6"):
        metric.update(*data())


@pytest.mark.parametrize("how", ["set_dtype", "a trainer's cast of the whole module", "half", "bfloat16"])
def test_a_cast_leaves_the_state_in_float64(how):
    x = torch.tensor([[1e4], [1e4 + 2], [1e4 + 4], [1e4 + 6]])  # bfloat16 would make all of them one number
    y = torch.tensor([0, 0, 1, 1])
    metric = CompressionMetric(classes=2, dimension=1)
    metric.update(x[:2], y[:2])
    holder = torch.nn.ModuleDict({"metric": metric})
    if how == "set_dtype":
        metric.set_dtype(torch.bfloat16)
    elif how == "half":
        holder.half()
    else:
        holder.to(torch.bfloat16)
    metric.update(x[2:], y[2:])
    assert metric.state.dtype == torch.float64
    assert metric.compute()["compression"].item() == 0.25
    metric.reset()
    assert metric.state.dtype == torch.float64
