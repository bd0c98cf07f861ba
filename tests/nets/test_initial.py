"""Initial weights: their laws, and that a seed means the same numbers every time."""

import math

import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets import build, initialise, parse_initial

SHAPE = {"input_shape": (3, 8, 8), "classes": 5}


def weights_of(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("initial", ["default", "he", "orthogonal(0.1)"])
@pytest.mark.parametrize(("name", "options"), [("mlp", {"width": 20}), ("hybrid", {"width": 20, "projection": 2})])
def test_the_same_seed_gives_the_same_weights(name, options, initial):
    first, again, other = (
        weights_of(build(name, **SHAPE, **options, initial=initial, seed=seed)) for seed in (3, 3, 4)
    )
    assert equal(first, again)
    assert not equal(first, other)


@pytest.mark.parametrize("initial", ["default", "orthogonal"])
def test_no_other_random_number_moves(initial):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = weights_of(build("mlp", **SHAPE, width=9, initial=initial))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert equal(weights_of(build("mlp", **SHAPE, width=9, initial=initial)), first)


@pytest.mark.parametrize(
    ("name", "options", "scale"),
    [
        ("mlp", {"width": 70}, 0.1),
        ("linear", {"width": 300}, 1.0),
        ("hybrid", {"width": 40, "bias": True}, 2.5),
        ("resnet-18", {}, 0.1),
    ],
)
def test_orthogonal(name, options, scale):
    network = build(name, **SHAPE, **options, initial=f"orthogonal({scale})")
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    assert len(layers) >= 8
    for layer in layers:
        W = layer.weight.detach().double().flatten(1) / scale
        W = W if W.shape[0] <= W.shape[1] else W.T
        # drawn in float32: rounding times the root of the larger side
        tolerance = 8 * math.sqrt(W.shape[1]) * torch.finfo(torch.float32).eps
        assert (W @ W.T - torch.eye(len(W))).abs().max() <= tolerance
        assert layer.bias is None or not layer.bias.any()


def test_he_has_variance_two_over_fan_in():
    network = build("vgg-11", **SHAPE, initial="he")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            weights = layer.weight.detach().double().flatten()
            variance, size = 2 / layer.weight[0].numel(), weights.numel()
            # five standard errors of a Gaussian's sample variance, σ² √(2/n), and of its mean
            assert abs(weights.square().mean() / variance - 1) <= 5 * math.sqrt(2 / size)
            assert abs(weights.mean()) <= 5 * math.sqrt(variance / size)
            assert not layer.bias.any()


def test_default_is_what_pytorch_draws():
    """Uniform in ±1/√(fan in), variance 1/(3 fan in) (theory note, T9), not zero biases."""
    network = build("mlp", **SHAPE, width=400, depth=3, bias=True)
    W = network.body.get_submodule("1.0").weight.detach()
    assert W.abs().max() <= 1 / math.sqrt(400)
    # the fourth moment of a uniform variable is 9/5 of its squared variance
    error = math.sqrt((9 / 5 - 1) / W.numel())
    assert abs(float(W.double().square().mean()) * 3 * 400 - 1) <= 5 * error
    assert network.head.bias.any()
    before = weights_of(network)
    initialise(network, "default")
    assert equal(before, weights_of(network))


def test_norms_keep_their_weights():
    network = build("mlp", **SHAPE, width=20, initial="orthogonal(0.1)")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default", ("default", 1.0)),
        ("he", ("he", 1.0)),
        ("orthogonal", ("orthogonal", 1.0)),
        ("orthogonal(0.1)", ("orthogonal", 0.1)),
        ("orthogonal( 1e-3 )", ("orthogonal", 1e-3)),
    ],
)
def test_laws_that_are_understood(text, expected):
    assert parse_initial(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Orthogonal(x)",
        "orthogonal(0)",
        "orthogonal(-1)",
        "orthogonal(inf)",
        "orthogonal(nan)",
        "orthogonal()",
        "default(0.1)",
        "he(2)",
        "orthogonal(0.1",
        "orthogonal 0.1 0.2",
    ],
)
def test_laws_that_are_refused(text):
    with pytest.raises(InvalidInputError, match="expected default, he, orthogonal"):
        parse_initial(text)
