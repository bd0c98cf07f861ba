"""Losses, schedules, order and augmentation, each against something independent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pnc.errors import InvalidInputError
from pnc.train import (
    TrainSpec,
    batch_bounds,
    crop_and_flip,
    epoch_order,
    learning_rate,
    sample_losses,
    synchronised_batch_norm,
    train,
)
from pnc.train.order import step_seed
from tests.train.cases import clusters, images, measure, network, same_weights, spec


@given(samples=st.integers(1, 6), classes=st.integers(2, 5), scale=st.floats(0.1, 100), seed=st.integers(0, 2**32 - 1))
def test_losses_are_those_of_numpy(samples: int, classes: int, scale: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    f, y = draw.standard_normal((samples, classes)), draw.integers(0, classes, samples)
    outputs, labels = torch.from_numpy(f), torch.from_numpy(y)
    squared = [sum((scale * f[i, k] - (k == y[i])) ** 2 for k in range(classes)) for i in range(samples)]
    found = sample_losses(outputs, labels, loss="mse", label_scale=scale)
    np.testing.assert_allclose(found, squared, rtol=1e-13)
    shifted = scale * f - (scale * f).max(1, keepdims=True)
    entropy = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(samples), y]
    found = sample_losses(outputs, labels, loss="cross-entropy", label_scale=scale)
    np.testing.assert_allclose(found, entropy, rtol=1e-12, atol=1e-13 * scale)


def test_the_network_is_trained_to_labels_over_the_label_scale() -> None:
    """Full-batch descent of a linear map on orthonormal inputs ends at Y/α, along the path of step α² η' (papers)."""
    x, y, scale = torch.eye(3, dtype=torch.float64), [0, 1, 2], 4.0
    options = {"optimiser": "sgd", "schedule": "constant", "batch_size": None, "precision": "float64"}

    def trained(*, epochs: int, label_scale: float, rate: float, start: float) -> torch.Tensor:
        model = torch.nn.Linear(3, 3, bias=False)
        torch.nn.init.constant_(model.weight, start)
        chosen = spec(**options, epochs=epochs, label_scale=label_scale, learning_rate=rate)
        train(model, (x, y), chosen)
        return model.weight.detach()

    end = trained(epochs=400, label_scale=scale, rate=0.02, start=0.0)
    # the error shrinks by 1 - 2 η α²/3 a step
    assert abs(end - torch.eye(3, dtype=torch.float64) / scale).max() < (1 - 2 * 0.02 * scale**2 / 3) ** 400 + 1e-15
    # α W takes the path of W under α = 1 with the step α² η
    part = trained(epochs=7, label_scale=scale, rate=0.02, start=0.1 / scale)
    np.testing.assert_allclose(
        scale * part, trained(epochs=7, label_scale=1.0, rate=0.02 * scale**2, start=0.1), rtol=1e-13
    )


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_losses_of_half_precision_are_summed_in_single(precision: str) -> None:
    outputs = torch.full((1, 500), 0.1, dtype=getattr(torch, precision))
    assert sample_losses(outputs, torch.tensor([0]), loss="mse").dtype == torch.float32


@pytest.mark.parametrize("name", ["constant", "cosine", "step"])
@pytest.mark.parametrize("warmup", [0, 2])
def test_schedules_are_those_of_torch(name: str, warmup: int) -> None:
    chosen = spec(
        schedule=name, epochs=12, learning_rate=0.3, final_share=0.1, milestones=(0.2, 0.7), drop=0.5,
        warmup_epochs=warmup,
    )  # fmt: skip
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    length = 12 - warmup
    scheduler = {
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, length, eta_min=0.03),
        "step": lambda: torch.optim.lr_scheduler.MultiStepLR(
            optimiser, [np.ceil(0.2 * length), np.ceil(0.7 * length)], gamma=0.5
        ),
    }[name]()
    for epoch in range(warmup):
        assert learning_rate(chosen, epoch) == pytest.approx(0.3 * epoch / warmup, rel=1e-14)
    for epoch in range(length):
        assert learning_rate(chosen, warmup + epoch) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-12)
        optimiser.step()
        scheduler.step()


def test_the_schedule_reaches_the_optimiser() -> None:
    run = train(network(), clusters(), spec(schedule="step", milestones=(0.5,), learning_rate=0.2))
    assert [record.learning_rate for record in run.history] == pytest.approx([0.2, 0.2, 0.02, 0.02])


@given(samples=st.integers(1, 300), size=st.integers(1, 320))
def test_batches_are_equal_and_none_too_large(samples: int, size: int) -> None:
    sizes = np.diff(batch_bounds(samples, size))
    assert sizes.sum() == samples
    assert 1 <= sizes.min()
    assert sizes.max() <= min(size, samples)
    assert sizes.max() - sizes.min() <= 1
    assert len(sizes) == -(-samples // size)


def test_every_sample_once_an_epoch_and_each_epoch_in_another_order() -> None:
    orders = [tuple(epoch_order(20, seed=s, epoch=e).tolist()) for s in range(2) for e in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len(set(orders)) == 6
    assert epoch_order(5, seed=0, epoch=0, shuffle=False).tolist() == [0, 1, 2, 3, 4]


@given(seed=st.integers(0, 1000), crop=st.integers(0, 3), flip=st.booleans(), world=st.integers(1, 3))
def test_crops_and_mirrors_are_those_of_a_loop(seed: int, crop: int, flip: bool, world: int) -> None:
    n, channels, height, width = 7, 2, 4, 5
    batch = torch.from_numpy(np.random.default_rng(1).integers(1, 255, (n, channels, height, width)))
    parts = {}
    for rank in range(world):
        rows = slice(rank, n, world)
        out = crop_and_flip(batch[rows], np.random.default_rng(seed), crop=crop, flip=flip, rows=rows)
        parts |= dict(zip(range(rank, n, world), out, strict=True))
    whole = crop_and_flip(batch, np.random.default_rng(seed), crop=crop, flip=flip, rows=slice(0, n))
    for i in range(n):
        assert torch.equal(parts[i], whole[i])  # however the batch is shared
        padded = np.pad(batch[i].numpy(), ((0, 0), (crop, crop), (crop, crop)))
        candidates = []
        for dy, dx in itertools.product(range(2 * crop + 1), repeat=2):
            window = padded[:, dy : dy + height, dx : dx + width]
            candidates += [window, window[:, :, ::-1]] if flip else [window]
        assert any(np.array_equal(parts[i].numpy(), window) for window in candidates)


def test_all_shifts_and_both_sides_occur() -> None:
    batch = torch.zeros(400, 1, 5, 5)
    batch[:, :, 2, 1] = 1
    out = crop_and_flip(batch, np.random.default_rng(0), crop=1, flip=True, rows=slice(0, 400))
    places = {tuple(place) for place in out.nonzero()[:, 2:].tolist()}
    assert places == {(y, x) for y in (1, 2, 3) for x in (0, 1, 2, 3, 4)}
    mirrored = out[:, 0, :, 3:].sum().item()  # the mirrored ones and none of the others: column 3 or 4, or 2 by both
    assert 60 < mirrored < 210  # 2/3 of a half of 400 is 133, its standard deviation 9.4


def test_augmentation_needs_images() -> None:
    with pytest.raises(InvalidInputError, match="crop or flip"):
        train(network(), clusters(), spec(flip=True))


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    one, two, other = network(dropout=0.2), network(dropout=0.2), network(dropout=0.2)
    before = torch.get_rng_state()
    train(one, clusters(), spec(seed=1))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    train(two, clusters(), spec(seed=1))
    train(other, clusters(), spec(seed=2))
    assert same_weights(one, two)
    assert not same_weights(one, other)


def test_dropout_draws_anew_at_each_step_and_in_each_process() -> None:
    masks = []
    model = network(dropout=0.5)
    model[3].register_forward_hook(lambda module, inputs, output: masks.append((output == 0) & (inputs[0] > 0)))
    train(model, clusters(), spec(batch_size=None, optimiser="sgd", learning_rate=1e-9))
    assert len({mask.numpy().tobytes() for mask in masks}) == len(masks) == 4
    assert len({step_seed(0, step, rank) for step in range(3) for rank in range(3)}) == 9


def test_channels_last_changes_nothing_but_speed() -> None:
    def net() -> torch.nn.Sequential:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), network(dimension=64))

    plain, last = net(), net()
    chosen = spec(precision="float64", epochs=2)
    train(plain, images(), chosen)
    train(last, images(), spec(precision="float64", epochs=2, channels_last=True))
    assert last[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last[0].weight, plain[0].weight, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("channels", "threads"), [(8, 1), (16, 2)])
def test_narrow_convolutions_are_trained_by_one_thread(channels: int, threads: int) -> None:
    """Several corrupted memory in their backward pass; what is set is set back."""
    model = nn.Sequential(nn.Conv2d(1, channels, 3), nn.ReLU(), nn.Flatten(), nn.Linear(channels * 16, 3))
    seen = []
    model.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(model, images(), spec(epochs=1))
        assert (set(seen), torch.get_num_threads()) == ({threads}, 2)
    finally:
        torch.set_num_threads(before)


def test_bfloat16_is_close_to_single_and_not_the_same() -> None:
    single, half = network(), network()
    runs = [train(net, clusters(), spec(precision=p)) for net, p in ((single, "float32"), (half, "bfloat16"))]
    assert half[1].weight.dtype == torch.float32
    assert not same_weights(single, half)
    assert abs(runs[0].history[-1].loss - runs[1].history[-1].loss) < 0.05


def test_training_learns_and_the_measured_numbers_are_those_of_the_network() -> None:
    seen = []
    run = train(
        network(), clusters(), spec(epochs=60, measure_every=30), test=clusters(seed=1), measure=measure,
        progress=seen.append,
    )  # fmt: skip
    assert [(m.epoch, m.split) for m in run.measurements] == [(e, s) for e in (0, 30, 60) for s in ("train", "test")]
    assert run.last("train").accuracy >= 0.95 > run.measurements[0].accuracy
    assert run.last("train").curve.compression[-1] < run.measurements[0].curve.compression[-1]
    x, y = clusters(seed=1)
    with torch.no_grad():
        outputs = run.model(torch.from_numpy(x).float())
    assert run.last("test").accuracy == (outputs.argmax(1).numpy() == y).mean()
    assert not run.model.training


def test_batch_norm_is_given_back() -> None:
    model = network(norm=True)
    with synchronised_batch_norm(model) as count:
        assert count == 1
        assert "forward" in vars(model[2])
    assert "forward" not in vars(model[2])


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "hinge"}, {"optimiser": "adam"}, {"schedule": "linear"}, {"precision": "int8"}, {"epochs": 0},
        {"epochs": 1.5}, {"batch_size": 0}, {"batch_size": True}, {"label_scale": 0.0}, {"learning_rate": -1.0},
        {"learning_rate": float("nan")}, {"momentum": 1.0}, {"weight_decay": -1e-4}, {"milestones": (0.7, 0.3)},
        {"milestones": (1.0,)}, {"milestones": "half"}, {"drop": 0.0}, {"final_share": 1.1}, {"warmup_epochs": 100},
        {"crop": -1}, {"measure_every": -1}, {"seed": -1},
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        TrainSpec(**options)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_network_that_works_in_place_leaves_the_samples_as_they_are(precision: str) -> None:
    x, y = clusters()
    given = torch.as_tensor(x, dtype=getattr(torch, precision))
    before = given.clone()
    model = nn.Sequential(nn.ReLU(inplace=True), network())
    train(model, (given, y), spec(precision=precision, measure_every=2), test=(given, y), measure=measure)
    assert torch.equal(given, before)
