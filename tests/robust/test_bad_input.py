"""One clear error for what cannot be attacked."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.robust import (
    AttackedImages,
    AttackSpec,
    PixelModel,
    check_masking,
    deepfool,
    evaluate_robustness,
    pixel_noise,
    run_attack,
)

NET = PixelModel(nn.Linear(4, 3).eval())
X, Y = np.full((5, 4), 0.5), np.array([0, 1, 2, 0, 1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attack": "pdg"}, "did you mean pgd?"),
        ({"radius": 8}, "at most 1"),
        ({"radius": 0.0}, "above 0"),
        ({"radius": -0.1, "norm": "l2"}, "above 0"),
        ({"radius": float("nan")}, "radius = nan"),
        ({"radius": float("inf"), "norm": "l2"}, "radius = inf"),
        ({"norm": "l1"}, "one of linf, l2"),
        ({"loss": "crossentropy"}, "did you mean cross-entropy?"),
        ({"steps": 0}, "steps = 0"),
        ({"steps": 2.5}, "steps = 2.5"),
        ({"restarts": 0}, "restarts = 0"),
        ({"restarts": 3, "attack": "bim"}, "use pgd"),
        ({"step_ratio": 0.0}, "step_ratio"),
        ({"seed": -1}, "seed = -1"),
    ],
    ids=str,
)
def test_specs(options, words):
    with pytest.raises(InvalidInputError, match=words.replace("?", r"\?")):
        AttackSpec(**options)


def test_an_l2_radius_may_be_above_1_and_at_most_that_of_all_images():
    x = X[:, :3]
    with pytest.raises(InvalidInputError, match=r"at most √d = 1\.73205"):
        run_attack(PixelModel(nn.Linear(3, 3)), x, Y, AttackSpec(norm="l2", radius=1.74))
    run_attack(PixelModel(nn.Linear(3, 3)), x, Y, AttackSpec(norm="l2", radius=3**0.5, steps=1))
    assert AttackSpec(norm="l2", radius=3.0).step == pytest.approx(2.5 * 3 / 20)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X - 1.5, Y, "images in [-1, -1]"),
        (X * 255, Y, "images in [127.5, 127.5]"),
        (np.where(np.eye(5, 4) == 1, np.nan, X), Y, "NaN"),
        (X[0], Y[:1], "shape (4,)"),
        (X[:0], Y[:0], "none of it empty"),
        (X, Y[:3], "labels of shape (3,)"),
        (X, Y + 0.0, "whole numbers"),
        (X, Y + 1, "labels from 1 to 3"),
    ],
    ids=range(8),
)
@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: run_attack(NET, x, y, AttackSpec()),
        lambda x, y: pixel_noise(NET, x, y, 0.5),
        lambda x, y: AttackedImages(NET, x, y),
    ],
    ids=["attack", "noise", "bench"],
)
def test_images_and_labels(call, x, y, words):
    with pytest.raises(InvalidInputError) as error:
        call(x, y)
    assert words in str(error.value)


def test_deepfool_needs_pixels_too():
    with pytest.raises(InvalidInputError, match="in \\[0, 1\\]"):
        deepfool(NET, X + 1)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_probabilities(p):
    with pytest.raises(InvalidInputError, match="probability"):
        pixel_noise(NET, X, Y, p)


def test_targets():
    targeted = AttackSpec(targeted=True)
    with pytest.raises(InvalidInputError, match="which is its label"):
        run_attack(NET, X, Y, targeted, targets=Y)
    with pytest.raises(InvalidInputError, match="labels of shape"):
        run_attack(NET, X, Y, targeted, targets=Y[:2])
    with pytest.raises(InvalidInputError, match="untargeted"):
        run_attack(NET, X, Y, AttackSpec(), targets=(Y + 1) % 3)


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 0.0), (0.0, -1.0), (float("nan"), 1.0), (0.0, [1.0, float("inf")])])
def test_standardisation(mean, scale):
    with pytest.raises(InvalidInputError):
        PixelModel(nn.Linear(4, 3), mean, scale)


def test_networks_that_give_no_logits():
    with pytest.raises(InvalidInputError, match="K ≥ 2"):
        run_attack(PixelModel(nn.Linear(4, 1)), X, Y * 0, AttackSpec())
    with pytest.raises(InvalidInputError, match="shape"):
        run_attack(PixelModel(nn.Unflatten(1, (2, 2))), X, Y, AttackSpec())

    class Nothing(nn.Module):
        def forward(self, x):
            return x / 0 * 0

    with pytest.raises(InvalidInputError, match="NaN or infinite for image 0"):
        run_attack(PixelModel(Nothing()), X, Y, AttackSpec())


@pytest.mark.parametrize(
    "options", [{"steps": (7,)}, {"steps": (7, 7)}, {"radii": ()}, {"tolerance": 0.0}, {"confidence": 1.0}], ids=str
)
def test_checks(options):
    with pytest.raises(InvalidInputError):
        check_masking(AttackedImages(NET, X, Y), **{"radii": (0.1,), **options})


@pytest.mark.parametrize(
    "options", [{"steps": (7,)}, {"noise": (0.4, 1.5)}, {"norm": "l2", "radii": (0.5, 2.1)}], ids=str
)
def test_an_evaluation_is_refused_before_any_attack(options, monkeypatch):
    def attacked(self, **_):
        raise AssertionError("an attack was made")

    monkeypatch.setattr(AttackedImages, "result", attacked)
    with pytest.raises(InvalidInputError):
        evaluate_robustness(NET, X, Y, **options)


@pytest.mark.parametrize(
    ("missing", "call", "words"),
    [
        ("foolbox", lambda: run_attack(NET, X, Y, AttackSpec()), "pip install foolbox"),
        ("foolbox", lambda: deepfool(NET, X), "pip install foolbox"),
        ("art", lambda: run_attack(NET, X, Y, AttackSpec(attack="auto")), "adversarial-robustness-toolbox"),
    ],
    ids=["attack", "deepfool", "auto"],
)
def test_a_missing_library_is_named(missing, call, words, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name, *rest))
    with pytest.raises(InvalidInputError) as error:
        call()
    assert words in str(error.value)


def test_auto_attack_has_its_own_losses():
    for options in ({"targeted": True}, {"loss": "margin"}):
        with pytest.raises(InvalidInputError, match="AutoAttack"):
            run_attack(NET, X, Y, AttackSpec(attack="auto", **options))


def test_auto_attack_is_at_least_as_strong():
    pytest.importorskip("art", reason="AutoAttack needs adversarial-robustness-toolbox, which is optional")
    pytest.importorskip("multiprocess", reason="the toolbox's AutoAttack imports it")
    torch.manual_seed(0)
    net = PixelModel(nn.Linear(4, 3).eval())
    x = np.random.default_rng(0).random((20, 4))
    y = net(torch.from_numpy(x)).argmax(1).numpy()
    auto, pgd = (run_attack(net, x, y, AttackSpec(attack=name, radius=0.1)) for name in ("auto", "pgd"))
    assert auto.accuracy <= pgd.accuracy
    assert auto.distance.max() <= 0.1 * (1 + 1e-5)
