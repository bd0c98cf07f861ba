"""Attacks against the same written by hand in NumPy, and what must hold of any attack."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
import torch
from torch import nn

from pnc.robust import ATTACKS, AttackSpec, PixelModel, predicted_classes, random_starts, run_attack
from pnc.robust.attacks.starts import random_targets
from tests.robust.nets import Threshold, behind, clusters, golden, golden_by_hand, golden_network, trained
from tests.robust.oracles import ascent

STANDARD = {"mean": 0.4, "scale": 0.3}


def case(norm):
    found, _ = golden()
    return found["images"].astype(np.float64), found["labels"], {"linf": 0.02, "l2": 0.1}[norm]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["cross-entropy", "margin"])
@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd"])
def test_every_image_is_the_one_made_by_hand(attack, loss, norm):
    x, y, radius = case(norm)
    net, by_hand = golden_network(torch.float64, **STANDARD), golden_by_hand(**STANDARD)
    spec = AttackSpec(attack=attack, radius=radius, norm=norm, steps=8, loss=loss, seed=3)
    result = run_attack(net, x, y, spec, keep=True)
    start = 0.0
    if attack == "pgd":
        start = random_starts(x.shape[1:], range(len(x)), radius=radius, norm=norm, seed=3)
    expected = ascent(by_hand, x, y, radius=radius, norm=norm, step=spec.step, steps=spec.steps, start=start, loss=loss)
    clean = by_hand.logits(x).argmax(1)
    expected[clean != y] = x[clean != y]  # fallen before the attack
    assert np.abs(result.perturbed - expected).max() < 1e-9
    after = by_hand.logits(expected).argmax(1)
    assert result.correct.tolist() == (after == y).tolist()
    moved = (expected - x).reshape(len(x), -1)
    length = np.abs(moved).max(1) if norm == "linf" else np.linalg.norm(moved, axis=1)
    np.testing.assert_allclose(result.distance, length, atol=1e-9)
    assert 0 < result.accuracy < np.mean(clean == y)


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd"])
def test_targeted_attacks_by_hand(attack):
    x, y, radius = case("linf")
    net, by_hand = golden_network(torch.float64, **STANDARD), golden_by_hand(**STANDARD)
    spec = AttackSpec(attack=attack, radius=2 * radius, steps=8, targeted=True)
    result = run_attack(net, x, y, spec, keep=True)
    assert (result.targets != y).all()
    start = random_starts(x.shape[1:], range(len(x)), radius=2 * radius, norm="linf", seed=0) * (attack == "pgd")
    expected = ascent(
        by_hand, x, y, radius=2 * radius, norm="linf", step=spec.step, steps=spec.steps, start=start,
        targets=result.targets,
    )  # fmt: skip
    already = by_hand.logits(x).argmax(1) == result.targets
    expected[already] = x[already]
    assert np.abs(result.perturbed - expected).max() < 1e-9
    assert result.success.tolist() == (by_hand.logits(expected).argmax(1) == result.targets).tolist()
    assert 0 < result.success_rate < 1


def test_targets_are_uniform_among_the_other_classes():
    y = np.repeat(np.arange(3), 2000)
    counts = np.bincount((random_targets(y, classes=4 - 1, seed=0) - y) % 3, minlength=3)
    assert counts[0] == 0
    assert abs(counts[1] - 3000) < 4 * np.sqrt(6000 / 4)  # four standard deviations


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_starts_are_uniform_in_the_ball(norm):
    d, n, radius = 3, 4000, 0.2
    starts = random_starts((d,), range(n), radius=radius, norm=norm, seed=1)
    order = np.inf if norm == "linf" else 2
    length = np.linalg.norm(starts, ord=order, axis=1) / radius
    # in both balls the share within r is r^d, so length^d is uniform: Kolmogorov's bound at 1e-6
    u = np.sort(length**d)
    assert np.abs(u - (np.arange(n) + 0.5) / n).max() < np.sqrt(np.log(2 / 1e-6) / (2 * n))
    assert np.abs(starts.mean(0)).max() < 5 * radius / np.sqrt(n)
    assert not np.array_equal(starts, random_starts((d,), range(n), radius=radius, norm=norm, seed=1, restart=1))


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_images_stay_in_the_ball_and_in_the_range(attack, norm):
    x, y, radius = case(norm)
    result = run_attack(golden_network(), x, y, AttackSpec(attack=attack, radius=radius, norm=norm), keep=True)
    assert result.perturbed.min() >= 0
    assert result.perturbed.max() <= 1
    assert result.distance.max() <= radius * (1 + 1e-5)


def test_same_seed_same_numbers_whatever_the_batch_size():
    x, y, radius = case("linf")
    net = golden_network(torch.float64)
    spec = AttackSpec(radius=radius, restarts=3, seed=5)
    whole, again, single = (run_attack(net, x, y, spec, batch_size=n, keep=True) for n in (256, 256, 7))
    assert np.array_equal(whole.perturbed, again.perturbed)
    assert np.array_equal(whole.correct, single.correct)
    assert np.abs(whole.perturbed - single.perturbed).max() < 1e-9
    other = run_attack(net, x, y, AttackSpec(radius=radius, restarts=3, seed=6), keep=True)
    assert not np.array_equal(whole.perturbed, other.perturbed)


def test_the_first_samples_fall_alike_without_the_rest():
    x, y, radius = case("linf")
    net = golden_network(torch.float64)
    spec = AttackSpec(radius=radius)
    some = run_attack(net, x[:11], y[:11], spec, keep=True)
    assert np.abs(some.perturbed - run_attack(net, x, y, spec, keep=True).perturbed[:11]).max() < 1e-9


class Intervals(nn.Module):
    """One pixel: class 0 below 0.4, class 2 above 0.6, class 1 between."""

    def forward(self, x):
        return torch.cat([0.4 - x, torch.zeros_like(x), x - 0.6], 1)


def test_a_misclassified_image_moved_onto_its_label_on_the_way_to_the_target_has_fallen():
    spec = AttackSpec(attack="bim", radius=0.15, targeted=True)
    net, x, y = PixelModel(Intervals()), np.array([[0.3]]), np.array([1])
    result = run_attack(net, x, y, spec, targets=np.array([2]), keep=True)
    assert predicted_classes(net, x).tolist() == [0]
    assert predicted_classes(net, result.perturbed).tolist() == [1]
    assert result.accuracy == 0
    assert not result.success.any()


def test_restarts_of_a_targeted_attack_never_help_the_defender():
    x, y, radius = case("linf")
    net = golden_network()
    tries = [
        run_attack(net, x, y, AttackSpec(radius=3 * radius, step_ratio=1e-3, restarts=r, targeted=True))
        for r in range(1, 13)
    ]
    for few, more in itertools.pairwise(tries):
        assert not (more.correct & ~few.correct).any()
        assert not (few.success & ~more.success).any()
    assert tries[-1].accuracy < tries[0].accuracy <= np.mean(predicted_classes(net, x) == y)


def test_restarts_never_help_the_defender():
    x, y, radius = case("linf")
    # steps that hardly move leave it to the starts
    one, many = (
        run_attack(golden_network(), x, y, AttackSpec(radius=4 * radius, step_ratio=1e-3, restarts=r)) for r in (1, 20)
    )
    assert not (many.correct & ~one.correct).any()
    assert many.accuracy < one.accuracy


def test_restarts_end_when_every_image_has_fallen():
    images = np.array([[0.6, 0.5], [0.3, 0.5], [0.2, 0.9]])  # the class is the larger pixel: two are right at first
    result = run_attack(PixelModel(nn.Identity()), images, np.array([0, 0, 1]), AttackSpec(radius=0.5, restarts=3))
    assert result.accuracy == 0
    np.testing.assert_array_equal(result.distance > 0, [True, False, True])  # what is wrong already is left alone


def test_an_l2_step_of_a_tiny_gradient_is_as_long_as_of_any_other():
    """foolbox alone would divide by 1e-12 where the norm is smaller, and hardly move."""

    class Tiny(nn.Module):
        def forward(self, x):
            return 1e-15 * torch.stack([x.sum(1), -x.sum(1)], 1)

    x = np.full((4, 5), 0.5)
    result = run_attack(
        PixelModel(Tiny()),
        x,
        np.zeros(4, dtype=int),
        AttackSpec(attack="bim", norm="l2", radius=0.1, steps=5),
        keep=True,
    )
    np.testing.assert_allclose(result.distance, 0.1, rtol=1e-5)
    assert (result.perturbed < 0.5).all()


def test_the_weights_gather_no_gradient_and_nothing_else_changes():
    x, y, radius = case("linf")
    net = golden_network()
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state, handlers = torch.get_rng_state(), list(logging.getLogger().handlers)
    run_attack(net, x, y, AttackSpec(radius=radius, restarts=2))
    assert all((p.grad == 7).all() and p.requires_grad for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert handlers == logging.getLogger().handlers


def test_batch_norm_is_in_evaluation_mode_and_said_so():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    x, y = clusters(40, 0)
    assert net.training
    wrapped = PixelModel(net)
    assert not net.training
    assert "train mode" in wrapped.notes[0]
    means = net[2].running_mean.clone()
    run_attack(wrapped, x, y, AttackSpec(radius=0.1))
    wrapped.train()
    net.train()  # behind its back
    run_attack(wrapped, x, y, AttackSpec(radius=0.1))
    assert not net.training
    assert torch.equal(means, net[2].running_mean)
    assert PixelModel(net.eval()).notes == ()


def test_a_network_with_one_batch_norm_left_in_train_mode_is_noticed():
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 4)).eval()
    net[1].train()
    assert PixelModel(net).notes


def test_standardisation_is_that_of_training():
    from pnc.train import as_samples

    draw = np.random.default_rng(0)
    samples = as_samples((draw.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8), np.arange(20) % 4))
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    seen = samples.prepare(samples.x, dtype=torch.float32)
    wrapped = PixelModel(net, samples.mean, samples.scale)
    torch.testing.assert_close(wrapped(samples.x.float() / 255), net(seen))
    assert predicted_classes(wrapped, samples.x).tolist() == net(seen).argmax(1).tolist()


def test_an_output_without_a_gradient_leaves_the_images_where_they_are():
    x, y = clusters(40, 0)
    result = run_attack(behind(Threshold(), trained()), x, y, AttackSpec(attack="bim", radius=0.1), keep=True)
    assert np.array_equal(result.perturbed, x)


def test_a_loss_that_overflows_does_not_make_images_of_nothing():
    class Huge(nn.Module):
        def forward(self, x):
            return torch.stack([x.sum(1), -x.sum(1)], 1) * 1e38

    result = run_attack(PixelModel(Huge()), np.full((3, 2), 0.5), np.zeros(3, dtype=int), AttackSpec(), keep=True)
    assert np.isfinite(result.perturbed).all()


def test_accuracy_comes_with_an_interval_and_plain_json():
    import json

    x, y, radius = case("linf")
    result = run_attack(golden_network(), x, y, AttackSpec(radius=radius, targeted=True))
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["samples"] == len(x)
    assert plain["interval"][0] < plain["accuracy"] < plain["interval"][1]
    assert plain["attack"] == "pgd"
    assert plain["success_rate"] == result.success.mean()


def test_shapes_without_channels_and_bytes_are_taken():
    net = PixelModel(nn.Linear(6, 3))
    x = np.random.default_rng(0).integers(0, 256, (9, 6), dtype=np.uint8)
    y = predicted_classes(net, x)
    one, other = (run_attack(net, images, y, AttackSpec(radius=0.2)) for images in (x, x / 255))
    assert one.correct.tolist() == other.correct.tolist()
    assert ATTACKS == ("fgsm", "bim", "pgd", "auto")
