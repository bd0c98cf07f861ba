"""Sample by sample against other libraries: see `tests/golden/attacks.py`, which wrote the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.robust import AttackSpec, deepfool, predicted_classes, predicted_logits, run_attack
from tests.robust.nets import GOLDEN, golden, golden_network

ROUNDING = np.finfo(np.float32).eps


def test_the_golden_file_says_where_it_comes_from():
    _, provenance = golden()
    assert provenance["script"] == "tests/golden/attacks.py"
    assert {"commit", "seed", "versions"} <= provenance.keys()
    assert "foolbox" not in provenance["versions"]
    assert GOLDEN.stat().st_size < 100 * 1024


def test_the_network_is_the_one_that_was_attacked():
    found, _ = golden()
    np.testing.assert_allclose(predicted_logits(golden_network(), found["images"]), found["logits"], atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["fgsm", "bim", "targeted"])
def test_gradient_attacks_agree(name, norm):
    found, provenance = golden()
    net, x = golden_network(), found["images" if norm == "linf" else "middle"]
    y, gold = found[f"y_{norm}"], found[f"{name}_{norm}"]
    targets = found[f"targets_{norm}"] if name == "targeted" else None
    spec = AttackSpec(
        attack="fgsm" if name == "fgsm" else "bim", radius=float(found[f"radius_{norm}"]), norm=norm,
        steps=provenance["steps"], step_ratio=provenance["step_ratio"], targeted=name == "targeted",
    )  # fmt: skip
    result = run_attack(net, x, y, spec, targets=targets, keep=True)
    clean, theirs = predicted_classes(net, x), predicted_classes(net, gold)
    at_aim = clean != y if targets is None else clean == targets
    success = at_aim | (theirs != y if targets is None else theirs == targets)
    assert result.success.tolist() == success.tolist()
    assert 0 < success.mean() < 1  # where all or none fall, agreement is cheap
    # theirs divides by the norm of the gradient plus 1e-7, ours does not; every step rounds pixels once or twice
    smallest = 1e-3 if norm == "l2" else np.inf
    limit = provenance["steps"] * (spec.step * 1e-7 / smallest + 4 * ROUNDING)
    assert np.abs(result.perturbed - gold)[~at_aim].max() <= limit


def test_a_wrong_step_would_be_seen():
    found, provenance = golden()
    spec = AttackSpec(attack="bim", radius=float(found["radius_linf"]), steps=provenance["steps"], step_ratio=0.9)
    result = run_attack(golden_network(), found["images"], found["y_linf"], spec, keep=True)
    assert np.abs(result.perturbed - found["bim_linf"]).max() > 1e-3


def test_deepfool_agrees():
    found, provenance = golden()
    images = found["images"]
    result = deepfool(
        golden_network(), images, steps=provenance["deepfool_steps"], overshoot=provenance["overshoot"], keep=True
    )
    assert result.found.all()
    net = golden_network()
    assert (
        predicted_classes(net, result.perturbed).tolist() == predicted_classes(net, found["deepfool_toolbox"]).tolist()
    )
    for other in ("deepfool_toolbox", "deepfool_torchattacks"):
        distance = np.linalg.norm((found[other] - images).reshape(len(images), -1).astype(np.float64), axis=1)
        # they overshoot at other times, by 2 %, and foolbox adds 1e-4 to each of the (one or two) steps
        limit = provenance["overshoot"] * distance + 2 * 1.02e-4
        assert (np.abs(result.distance - distance) <= limit).all()
    assert result.mean_relative == pytest.approx(
        np.mean(result.distance / np.linalg.norm(images.reshape(len(images), -1).astype(np.float64), axis=1)), rel=1e-6
    )
