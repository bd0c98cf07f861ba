"""Networks that are random at test time: attacked by expectation over draws, each image judged by one fixed draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pnc.robust import AttackedImages, AttackSpec, PixelModel, deepfool, evaluate_robustness, pixel_noise, run_attack
from tests.robust.nets import Noisy, behind, clusters, trained

TINY = 1e-6


class Guessing(nn.Module):
    """Logits that are noise alone, whatever the image."""

    def forward(self, x):
        return torch.randn(len(x), 4, dtype=x.dtype) + 0 * x.flatten(1).sum(1, keepdim=True)


class NoisyLogits(nn.Module):
    """A network with noise on its logits: near a boundary, every other draw is another class."""

    def __init__(self, net, deviation):
        super().__init__()
        self.net, self.deviation = net, deviation

    def forward(self, x):
        logits = self.net(x)
        return logits + self.deviation * torch.randn_like(logits)


NETS = {
    "noise alone": lambda: PixelModel(Guessing()),
    "noise on the logits": lambda: PixelModel(NoisyLogits(trained(), 3.0).eval()),
    "noise on the image": lambda: behind(Noisy(0.3), trained()),
}


@pytest.mark.parametrize("net", NETS.values(), ids=NETS.keys())
@pytest.mark.parametrize("restarts", [1, 5, 20])
@pytest.mark.parametrize("batch_size", [256, 33])
def test_an_attack_that_can_change_nothing_leaves_the_clean_accuracy(net, restarts, batch_size):
    """Drawn afresh until it errs, PGD of radius 1e-6 used to reach 0 %."""
    shown = AttackedImages(net(), *clusters(120, 2), batch_size=batch_size)
    assert shown.random
    assert 0.1 < shown.clean.accuracy < 0.95
    found = shown.result(attack="pgd", radius=TINY, steps=2, restarts=restarts)
    assert found.draws == 16
    # an image within 1e-6 of a boundary may fall, and no more
    assert found.accuracy == pytest.approx(shown.clean.accuracy, abs=1 / 120)


def test_accuracy_is_that_of_a_draw():
    """The accuracy of noise alone is that of guessing: 1/K within its binomial spread."""
    x, y = clusters(400, 2)
    found = run_attack(PixelModel(Guessing()), x, y, AttackSpec(attack="pgd", radius=0.5, steps=3, restarts=8))
    assert abs(found.accuracy - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5


def test_averaged_gradients_are_stronger_than_single_ones():
    net = behind(Noisy(0.5), trained())
    shown = AttackedImages(net, *clusters(240, 2))
    averaged = shown.result(attack="pgd", radius=0.15, steps=20)
    single = shown.result(attack="pgd", radius=0.15, steps=20, draws=1)
    assert averaged.accuracy <= single.accuracy + 0.02
    assert averaged.accuracy < shown.clean.accuracy - 0.1


def test_a_network_without_random_numbers_is_attacked_as_before():
    shown = AttackedImages(PixelModel(trained()), *clusters(120, 2))
    assert not shown.random
    found = shown.result(attack="pgd", radius=0.1, steps=5)
    assert found.draws == 1
    assert found.to_dict()["draws"] == 1


def test_it_is_said():
    x, y = clusters(120, 2)
    options = {"radii": (TINY,), "steps": (2, 3), "restarts": 5, "noise": (0.0,), "checks": False}
    found = evaluate_robustness(PixelModel(Guessing()), x, y, attacks=("pgd",), with_deepfool=False, **options)
    assert any("draws random numbers" in note for note in found.notes)
    assert {result.accuracy for result in found.attacks} == {found.clean.accuracy}
    assert found.noise[0].accuracy == found.clean.accuracy
    quiet = evaluate_robustness(PixelModel(trained()), x, y, attacks=("pgd",), with_deepfool=False, **options)
    assert not any("random" in note for note in quiet.notes)


def test_deepfool_finds_no_change_in_noise_alone():
    x, _ = clusters(60, 2)
    found = deepfool(PixelModel(Guessing()), x, steps=5)
    assert not found.found.any()


def test_noise_of_no_probability_is_the_clean_accuracy():
    x, y = clusters(120, 2)
    net = behind(Noisy(0.3), trained())
    assert pixel_noise(net, x, y, 0.0).accuracy == AttackedImages(net, x, y).clean.accuracy
    assert np.array_equal(pixel_noise(net, x, y, 0.0).correct, AttackedImages(net, x, y).clean.correct)
