"""Training with virtual low-rank layers: against a plain loop with a dense W, and through everything that can go on."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure import measure_model
from pnc.nets import LowRankLayer, build
from pnc.train import (
    Checkpoint,
    DivergedError,
    LowRankSpec,
    TrainSpec,
    as_samples,
    find_sites,
    latest_checkpoint,
    train,
    variance_shares,
    write_checkpoint,
)
from tests.train.cases import clusters, images, network, same_weights, spec
from tests.train.test_resume import StopError, Stopping

HIDDEN = "4"  # the second activation of `network`, 16 wide
LAYER = LowRankSpec(sites=HIDDEN, rank=2, every=3)


def by_hand(
    chosen: TrainSpec, layer: LowRankSpec, *, compression: float, norm: float
) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """SGD on all samples with a dense W and its derivatives written out; W's factors move by the chain rule."""
    model = network().double()
    x, y = clusters()
    x, one_hot = torch.from_numpy(x), nn.functional.one_hot(torch.from_numpy(y)).double()
    left = right = np.zeros((16, layer.rank))
    b, scale = np.zeros(16), 1.0
    for step in range(1, chosen.epochs + 1):
        hidden = model[:5](x)
        z = hidden + torch.from_numpy(b)
        w = torch.from_numpy(left @ right.T)
        loss = (model[5:](hidden) - one_hot).square().sum(1).mean()
        if step > layer.every:
            growing = min(1.0, step / (layer.ramp * chosen.epochs)) if layer.ramp else 1.0
            loss = loss + compression * growing * (z @ w - z).square().sum(1).mean()
        loss = loss + norm * (1 - hidden.norm(dim=1)).abs().mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients):
                parameter -= chosen.learning_rate * gradient
        rows = hidden.detach().numpy()
        if step > layer.every:
            z = rows + b
            full = left @ right.T - np.eye(16)
            toward = 2 / len(z) * z.T @ z @ full  # ∂L_c/∂W
            step_left, step_right = toward @ right, toward.T @ left
            b = b - layer.learning_rate * 2 / len(z) * (full @ full.T @ z.T).sum(1)
            left = left - layer.learning_rate / scale * step_left
            right = right - layer.learning_rate / scale * step_right
        if step % layer.every == 0:
            z = rows + b
            left = right = np.linalg.svd(z)[2][: layer.rank].T
            scale = np.mean(np.sum(z**2, 1))
    return model, left @ right.T, b


@pytest.mark.parametrize("weights", [(1.0, 1.0, 0.0), (0.3, 0.0, 0.0), (0.0, 2.0, 0.0), (2.0, 1.0, 0.7)])
def test_a_training_is_that_of_a_plain_loop_with_a_dense_w(weights: tuple[float, ...], tmp_path: Path) -> None:
    compression, norm, ramp = weights
    layer = LowRankSpec(
        sites="4", rank=2, every=3, unit=1.0, compression_weight=compression, norm_weight=norm, projection="svd",
        samples=60, ramp=ramp,
    )  # fmt: skip
    chosen = spec(optimiser="sgd", learning_rate=0.02, schedule="constant", batch_size=None, epochs=11,
                  precision="float64")  # fmt: skip
    model, w, b = by_hand(chosen, layer, compression=compression, norm=norm)
    found = network()
    run = train(found, clusters(), chosen, low_rank=layer, checkpoints=tmp_path)
    for (name, value), other in zip(found.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-11, msg=name)
    kept = latest_checkpoint(tmp_path)[0].tensors
    if compression:  # no step is made on it otherwise
        np.testing.assert_allclose(kept["low_rank.0.left"] @ kept["low_rank.0.right"].T, w, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(kept["low_rank.0.shift"], b, rtol=1e-8, atol=1e-10)
        assert abs(b).max() > 1e-4
    assert run.low_rank.projections == 3
    assert run.low_rank.history[2]["compression_loss"] is None
    assert run.low_rank.history[3]["compression_loss"][0] > 0


def test_activations_become_low_rank_and_the_network_stays_what_it_is() -> None:
    chosen = spec(optimiser="adamw", learning_rate=0.01, epochs=40)
    plain, low = network(), network()
    train(plain, clusters(), chosen)
    run = train(low, clusters(), chosen, test=clusters(seed=1), low_rank=replace(LAYER, compression_weight=5.0))
    before = variance_shares(plain, [HIDDEN], as_samples(clusters()), rank=2, batch=64, dtype=torch.float32)
    after = run.low_rank.after["train"][HIDDEN]
    assert after["centred"] > 0.98 > 0.965 > before[HIDDEN]["centred"]
    assert run.low_rank.before["train"][HIDDEN]["centred"] < after["centred"]
    assert run.history[-1].accuracy > 0.94
    assert set(run.low_rank.after) == {"train", "test"}
    assert plain.state_dict().keys() == low.state_dict().keys()
    assert all(not module._forward_hooks for module in low.modules())
    copy.deepcopy(low)
    assert repr(plain) == repr(low)
    # the norm stays what it was
    with torch.no_grad():
        norms = low[:5](torch.from_numpy(clusters()[0]).float()).norm(dim=1)
    assert (norms / run.low_rank.units[0] - 1).abs().mean() < 0.2


@pytest.mark.parametrize("every", [9, 10, 11])
def test_a_training_without_a_projection_says_that_it_drew_nothing(every: int) -> None:
    """Of 10 steps; a projection after the last one is of no use either."""
    run = train(network(), clusters(), spec(epochs=10, batch_size=None), low_rank=replace(LAYER, every=every))
    said = [note for note in run.notes if "L_c was never applied; lower `every`" in note]
    assert len(said) == (every >= run.steps == 10)


def test_shares_are_those_of_a_decomposition() -> None:
    x = clusters()[0]
    z = torch.tanh(torch.from_numpy(x)).numpy()
    model = nn.Sequential(nn.Tanh(), nn.Linear(8, 3)).double()
    found = variance_shares(model, ["0"], as_samples(clusters()), rank=3, batch=7, dtype=torch.float64)["0"]
    for name, rows in (("uncentred", z), ("centred", z - z.mean(0))):
        values = np.linalg.svd(rows, compute_uv=False) ** 2
        assert found[name] == pytest.approx(values[:3].sum() / values.sum(), rel=1e-12)
    assert found["samples"] == 60


def test_layers_without_weight_change_nothing() -> None:
    one, other = network(dropout=0.3, norm=True), network(dropout=0.3, norm=True)
    train(one, clusters(), spec())
    train(other, clusters(), spec(), low_rank=weightless("4"))
    assert same_weights(one, other)
    third = network(dropout=0.3, norm=True)
    train(third, clusters(), spec(), low_rank=LowRankSpec(sites="4", rank=2))
    assert not same_weights(one, third)


def weightless(site: str) -> LowRankSpec:
    return LowRankSpec(sites=site, rank=2, every=3, compression_weight=0.0, norm_weight=0.0)


@pytest.mark.parametrize("projection", ["nystrom", "randomised", "svd"])
@pytest.mark.parametrize("stop", [2, 7, 9, 10])
def test_resumed_bit_for_bit(stop: int, projection: str, tmp_path: Path) -> None:
    """Stopped before the first projection, between two, right before one and right after it."""
    layer = LowRankSpec(sites=["1", HIDDEN], rank=2, every=3, projection=projection, samples=40)
    whole, broken, resumed = network(), network(), network()
    reference = train(whole, clusters(), spec(), low_rank=layer)
    Stopping(broken, stop)
    with pytest.raises(StopError):
        train(broken, clusters(), spec(), low_rank=layer, checkpoints=tmp_path, checkpoint_seconds=0)
    assert all(not module._forward_hooks for module in broken.modules())
    run = train(resumed, clusters(), spec(), low_rank=layer, checkpoints=tmp_path, resume=True)
    assert run.resumed_from == stop
    assert same_weights(whole, resumed)
    for name in ("before", "after", "history", "projections"):
        assert getattr(run.low_rank, name) == getattr(reference.low_rank, name), name


def test_projections_see_the_latest_activations_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 15, a projection every 3 steps from 40 samples: all of the last two batches, 10 rows of the first."""
    seen, given = [], []
    monkeypatch.setattr(LowRankLayer, "project", lambda self, rows, **options: given.append(rows.clone()))
    model = network(dropout=0.5)
    model[3].register_forward_hook(
        lambda module, inputs, output: seen.append(output.detach().clone()) if module.training else None
    )
    train(model, clusters(), spec(epochs=2), low_rank=LowRankSpec(sites="3", rank=2, every=3, samples=40))
    assert len(given) == 2
    for number, rows in enumerate(given):
        torch.testing.assert_close(rows, torch.cat(seen[3 * number : 3 * number + 3])[-40:], rtol=0, atol=0)


@pytest.mark.parametrize("norm", [0.0, 3.0])
def test_the_initial_unit_is_the_mean_norm_of_the_first_step(norm: float) -> None:
    """And that step is made without the losses: as long as there is no other, the training is the plain one."""
    chosen = spec(batch_size=None, epochs=1)
    plain, one = network(), network()
    run = train(one, clusters(), chosen, low_rank=replace(LAYER, norm_weight=norm))
    train(plain, clusters(), chosen)
    assert same_weights(plain, one)
    assert run.low_rank.history[0]["norm_loss"] is None
    with torch.no_grad():
        first = network()[:5](torch.from_numpy(clusters()[0]).float()).norm(dim=1).mean().item()
    assert run.low_rank.units[0] == pytest.approx(first, rel=1e-6)


def test_what_is_kept_of_the_layer_matters(tmp_path: Path) -> None:
    """Without it the test above could not fail."""
    whole, broken = network(), network()
    train(whole, clusters(), spec(), low_rank=LAYER)
    Stopping(broken, 7)
    with pytest.raises(StopError):
        train(broken, clusters(), spec(), low_rank=LAYER, checkpoints=tmp_path, checkpoint_seconds=0)
    found, _ = latest_checkpoint(tmp_path)
    for name in ("left", "shift", "unit", "scale", "kept"):
        resumed = network()
        key = f"low_rank.0.{name}"
        tensors = {**found.tensors, key: found.tensors[key] * 1.5}
        write_checkpoint(tmp_path, Checkpoint(step=found.step, tensors=tensors, state=found.state))
        run = train(resumed, clusters(), spec(), low_rank=LAYER, checkpoints=tmp_path, resume=True)
        assert run.resumed_from == 7
        assert not same_weights(whole, resumed), name
        for path in tmp_path.glob("step-*"):
            path.unlink()


def test_another_layer_is_another_training(tmp_path: Path) -> None:
    train(network(), clusters(), spec(), low_rank=LAYER, checkpoints=tmp_path)
    for other in (None, LowRankSpec(sites=HIDDEN, rank=3, every=3)):
        with pytest.raises(InvalidInputError, match="other low-rank layers"):
            train(network(), clusters(), spec(), low_rank=other, checkpoints=tmp_path, resume=True)


def test_pieces_of_a_batch_give_the_same_training() -> None:
    plain, tight = network(), network()
    chosen = spec(precision="float64")

    def small(module: nn.Module, inputs: tuple) -> None:
        if module.training and len(inputs[0]) > 4:
            raise torch.OutOfMemoryError

    train(plain, clusters(), chosen, low_rank=LAYER)
    tight.register_forward_pre_hook(small)
    run = train(tight, clusters(), chosen, low_rank=LAYER)
    assert any("4 pieces" in note for note in run.notes)
    torch.testing.assert_close(tight[1].weight, plain[1].weight, rtol=1e-9, atol=1e-11)


def test_half_precision_and_other_memory_formats() -> None:
    model = build("vgg-11-bn", input_shape=(1, 6, 6), classes=3)
    chosen = spec(precision="bfloat16", channels_last=True, epochs=1, batch_size=12)
    run = train(model, images(), chosen, low_rank=LowRankSpec(sites="layer2", rank=3, every=1))
    assert run.low_rank.sites == ("body.stage2",)
    assert run.low_rank.widths == (128 * 2 * 2,)
    assert np.isfinite(run.low_rank.history[0]["compression_loss"]).all()
    assert run.low_rank.step_seconds["with"] > 0


def test_compiled_it_is_the_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced as for the default backend, which takes a minute to generate code that is then the compiler's matter."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the checks of shapes cannot be traced
    plain, compiled = network(), network()
    chosen = {"precision": "float64", "epochs": 2}
    train(plain, clusters(), spec(**chosen), low_rank=LAYER)
    run = train(compiled, clusters(), spec(**chosen, compile=True), low_rank=LAYER)
    assert run.notes == ()
    torch.testing.assert_close(compiled[1].weight, plain[1].weight, rtol=1e-9, atol=1e-11)


def test_measuring_on_the_way_sees_the_plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = network(), network()
    train(one, clusters(), spec(), low_rank=LAYER)
    forward = LowRankLayer.forward

    def training_alone(layer: LowRankLayer, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert other.training
        return forward(layer, rows)

    monkeypatch.setattr(LowRankLayer, "forward", training_alone)
    run = train(other, clusters(), spec(measure_every=1), low_rank=LAYER)
    assert same_weights(one, other)
    assert len(run.measurements) == 5
    batches = [(torch.from_numpy(clusters()[0]).float(), torch.from_numpy(clusters()[1]))]
    again = measure_model(other, batches, classes=3)
    np.testing.assert_allclose(run.last().curve.compression, again.compression, rtol=1e-6)


def test_a_run_with_low_rank_layers_as_json() -> None:
    run = train(network(), clusters(), spec(), low_rank=LAYER)
    text = json.loads(json.dumps(run.to_dict()))["low_rank"]
    assert text["spec"]["rank"] == 2
    assert text["sites"] == [HIDDEN]
    assert len(text["history"]) == 4
    assert set(text["step_seconds"]) == {"with", "without", "projecting", "overhead"}


def test_a_diverged_layer_is_not_written(tmp_path: Path) -> None:
    class Spoiled(nn.Module):
        """Activations that are infinite for the low-rank layer alone."""

        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Spoiled.calls += self.training
            return x * float("inf") if self.training and Spoiled.calls == 5 else x

    class Side(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.side, self.main = Spoiled(), network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.side(x)
            return self.main(x)

    with pytest.raises(DivergedError, match="low-rank layer at side"):
        train(Side(), clusters(), spec(), low_rank=LowRankSpec(sites="side", rank=2, every=3), checkpoints=tmp_path,
              checkpoint_seconds=0)  # fmt: skip
    assert sorted(path.stem for path in tmp_path.iterdir())[-1] == "step-000000004"


class Twice(nn.Module):
    """Modules that are called twice, never, or in evaluation alone; that give a pair, or samples last."""

    def __init__(self) -> None:
        super().__init__()
        self.relu, self.unused, self.pair = nn.ReLU(), nn.Linear(2, 2), Pair()
        self.turned, self.flat, self.sometimes = Turned(), nn.Flatten(), nn.Identity()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.first(self.relu(self.flat(x))))
        if not self.training:
            self.sometimes(x)
        self.turned(x)
        return self.second(self.pair(x)[0])


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int]:
        return x, 1


class Turned(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.T


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sites": "frist"}, r"site 'frist', which the network has not; .*did you mean 'first'"),
        ({"sites": "relu"}, "called more than once"),
        ({"sites": "unused", "rank": 1}, "does not call"),
        ({"sites": "sometimes", "rank": 1}, "not called once in a forward pass of the training"),
        ({"sites": "pair"}, "gives a tuple"),
        ({"sites": "turned"}, r"gives shape \(8, 2\)"),
        ({"sites": "first", "rank": 8}, "rank = 8 for activations of width 8 at site first; expected a rank below 8"),
        ({"sites": "first", "rank": 7, "every": 1}, "activations between projections, for rank 7"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_sites_that_cannot_be_are_refused(options: dict, words: str) -> None:
    model = Twice()
    with pytest.raises(InvalidInputError, match=words):
        train(model, clusters(), spec(batch_size=6), low_rank=LowRankSpec(**{"rank": 2, **options}))
    assert all(not module._forward_hooks for module in model.modules())


def test_sites_by_name_end_and_pattern() -> None:
    net = build("resnet-18", input_shape=(1, 8, 8), classes=3)
    assert find_sites(net, ["layer4"]) == ("body.stage4",)
    assert find_sites(net, ["layer4.block2.activation2", "body.stage4"]) == (
        "body.stage4", "body.stage4.block2.activation2",
    )  # fmt: skip
    assert find_sites(net, ["stage?"]) == tuple(f"body.stage{i}" for i in range(1, 5))
    assert find_sites(net, ["layer[34].block1"]) == ("body.stage3.block1", "body.stage4.block1")
    with pytest.raises(InvalidInputError, match="which ends the names of 8 modules"):
        find_sites(net, ["conv1"])
    with pytest.raises(InvalidInputError, match=r"did you mean 'body\.stage4\.block2'"):
        find_sites(net, ["stage4.blok2"])
    own = nn.Sequential()
    own.add_module("layer1", nn.ReLU())
    own.add_module("stage1", nn.ReLU())
    assert find_sites(own, ["layer1"]) == ("layer1",)


def test_as_many_samples_as_a_large_rank_needs() -> None:
    assert [LowRankSpec(sites="stage4", rank=rank).samples for rank in (10, 256, 257, 600)] == [512, 512, 514, 1200]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sites": ()}, "sites"),
        ({"sites": [3]}, "sites"),
        ({"rank": 0}, "`rank=1`"),
        ({"rank": 2.5}, "rank = 2.5"),
        ({"every": 0}, "every = 0"),
        ({"projection": "nystroem"}, "did you mean nystrom"),
        ({"compression_weight": -1.0}, "compression_weight = -1"),
        ({"norm_weight": float("nan")}, "norm_weight = nan"),
        ({"learning_rate": 0.7}, "learning_rate = 0.7; expected a finite number not below 0 and not above 0.5"),
        ({"ramp": 1.5}, "ramp = 1.5; expected a finite number not below 0 and not above 1"),
        ({"unit": 0.0}, "unit = 0.0"),
        ({"unit": "first"}, "unit = 'first'"),
        ({"rank": 600, "samples": 512}, "samples = 512 for rank 600"),
        ({"samples": 5}, "samples = 5 for rank 10"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_spec_that_cannot_be_is_refused(options: dict, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        LowRankSpec(**{"sites": "stage4", **options})
