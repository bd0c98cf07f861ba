"""Honest networks pass, planted defences that hide their gradients are caught, and each check can fail."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.robust import CHECKS, Accuracy, AttackedImages, PixelModel, check_masking
from pnc.robust.masking.checks import _Case, _judge, _Questions
from pnc.statistics import excess_bound
from tests.robust.nets import (
    Noisy,
    Quantised,
    RandomRipple,
    Scaled,
    Shattered,
    Threshold,
    behind,
    clusters,
    trained,
)

RADII = (0.05, 0.1)


def bench(net, **options):
    return AttackedImages(net if isinstance(net, PixelModel) else PixelModel(net), *clusters(240, 2), **options)


def checked(net, *, source=None, **options):
    return check_masking(bench(net), radii=RADII, source=source, **options)


def test_a_plain_network_falls_and_is_not_called_masked():
    plain = bench(trained())
    found = check_masking(plain, radii=RADII, source=PixelModel(trained(seed=7)))
    assert plain.result(radius=0.1, steps=20).accuracy < 0.5 < plain.clean.accuracy
    assert not found.masked, found.to_dict()
    assert all(check.passed for check in found.checks)
    assert tuple(check.name for check in found.checks) == tuple(CHECKS)


def test_a_network_that_survives_honestly_is_not_called_masked():
    """Adversarial training removes errors: the positive control."""
    plain, robust = bench(trained()), bench(trained(radius=0.1))
    found = check_masking(robust, radii=RADII, source=PixelModel(trained(seed=7)))
    gained, beyond_chance = excess_bound(
        robust.result(radius=0.1, steps=20).correct, plain.result(radius=0.1, steps=20).correct, tail=0.01
    )
    assert beyond_chance > 0.05, gained
    assert not found.masked, found.to_dict()


@pytest.mark.parametrize("seed", range(3, 7))
def test_no_honest_network_is_called_masked_by_chance(seed):
    found = checked(trained(seed=seed, width=16, steps=100))
    assert not found.masked, found.to_dict()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_in_either_norm(norm):
    radii = {"linf": (0.05,), "l2": (0.4,)}[norm]
    assert not check_masking(bench(trained()), radii=radii, norm=norm).masked
    assert check_masking(bench(Scaled(trained())), radii=radii, norm=norm).masked


@pytest.mark.parametrize(
    ("net", "caught"),
    [
        (lambda: Scaled(trained()), {"unbounded", "loss", "transfer", "gradients", "surface"}),
        (lambda: behind(Quantised(), trained()), {"unbounded", "transfer", "gradients", "surface"}),
        (lambda: behind(Threshold(), trained()), {"unbounded", "transfer", "gradients", "surface"}),
        (lambda: behind(Shattered(), trained()), {"unbounded", "transfer", "surface"}),
        (lambda: behind(RandomRipple(), trained()), {"transfer", "randomness"}),
    ],
    ids=["saturated softmax", "quantised input", "threshold", "shattered gradients", "random gradients"],
)
def test_masked_gradients_are_caught(net, caught):
    found = checked(net(), source=PixelModel(trained(seed=7)))
    assert found.masked
    assert caught <= set(found.failed), found.to_dict()


def test_they_are_caught_without_another_network_too():
    found = checked(Scaled(trained()))
    assert found.masked
    assert found["transfer"].passed is None
    assert "source" in found["transfer"].detail


@pytest.mark.parametrize("deviation", [0.1, 0.5])
def test_random_numbers_alone_are_no_crime(deviation):
    found = checked(behind(Noisy(deviation), trained()))
    assert not found.masked, found.to_dict()
    assert found["restarts"].passed is None


def test_a_network_that_is_never_right_cannot_be_asked():
    x, y = clusters(240, 2)
    net = PixelModel(trained())
    right = AttackedImages(net, x, y).clean.correct
    found = check_masking(AttackedImages(net, x[right], (y[right] + 1) % 4), radii=RADII)
    assert all(check.passed is None for check in found.checks)
    assert not found.masked


def test_the_same_seed_gives_the_same_checks():
    one, other = (checked(behind(Noisy(0.1), trained())).to_dict() for _ in range(2))
    assert one == other


class Scripted:
    """Images whose attacks end as they are told: each of `weak` beats every other one on a share of samples."""

    def __init__(self, weak, share, samples=400):
        self.clean = Accuracy(correct=np.ones(samples, dtype=bool))
        self.weak, self.share, self.samples = weak, share, samples

    def fallen(self, **options):
        base = np.arange(self.samples) < 100
        extra = (np.arange(self.samples) >= 100) & (np.arange(self.samples) < 100 + self.share * self.samples)
        return base | extra if self.weak(options) else base


@pytest.mark.parametrize(
    ("name", "weak"),
    [
        ("steps", lambda o: o["steps"] == 7),
        ("radius", lambda o: o["radius"] == 0.05),
        ("one step", lambda o: o["attack"] == "fgsm"),
        ("restarts", lambda o: o.get("restarts", 1) > 1),
        ("loss", lambda o: o.get("loss") == "margin"),
    ],
)
@pytest.mark.parametrize(("share", "passes"), [(0.0, True), (0.05, True), (0.07, True), (0.2, False)])
def test_each_comparison_of_attacks_can_fail(name, weak, share, passes):
    asked = _Questions(Scripted(weak, share), list(RADII), "linf", [7, 20], None)
    asked.repeatable = True
    assert _judge(name, asked.ask(name), tail=0.001, tolerance=0.05).passed is passes


def test_a_difference_is_found_where_there_is_one():
    samples = 240
    fell = np.arange(samples) < 0.3 * samples
    found = _judge("steps", [_Case(against=fell, allowed=np.zeros_like(fell), detail="")], tail=0.001, tolerance=0.05)
    assert found.passed is False
    assert found.bound < found.violation == pytest.approx(0.3)
    assert excess_bound(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool), tail=0.1) == (0.0, -1.0)
