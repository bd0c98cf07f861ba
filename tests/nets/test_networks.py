"""The networks compute what their papers say, have the published sizes, and name their layers rightly."""

import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets import NETWORKS, build

from . import oracles

DENSE = ("mlp", "hybrid", "linear")
IMAGE = tuple(name for name in NETWORKS if name not in DENSE)
SMALL = {"width": 12}


def small(name, *, input_shape=None, classes=4, **options):
    if name in DENSE:
        options = SMALL | options
    shape = input_shape or ((3, 4, 4) if name in DENSE else (3, 32, 32))
    return build(name, input_shape=shape, classes=classes, **options)


def inputs(shape, samples=2, dtype=torch.float32):
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def randomised(network):
    """In float64, with running statistics and affine parameters of norms that are not 0 and 1."""
    generator = torch.Generator().manual_seed(1)
    network.double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(generator=generator)
    return network


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # the widely used CIFAR-10 models (github.com/kuangliu/pytorch-cifar)
        ("resnet-18", 11_173_962),
        ("resnet-34", 21_282_122),
        ("resnet-50", 23_520_842),
        ("vgg-11-bn", 9_231_114),
        ("vgg-13-bn", 9_416_010),
        ("vgg-16-bn", 14_728_266),
        ("vgg-19-bn", 20_040_522),
        # the convolutions alone, as published with Keras ("no top"), and our classifier of 512 × 10 + 10
        ("vgg-16", 14_714_688 + 5_130),
        ("vgg-19", 20_024_384 + 5_130),
    ],
)
def test_published_parameter_counts(name, parameters):
    network = build(name, input_shape=(3, 32, 32), classes=10)
    assert sum(weights.numel() for weights in network.parameters()) == parameters


def agree(found, expected):
    # float64, sums of at most 9·512 products in another order, through at most 50 layers
    assert found.shape == expected.shape
    scale = expected.abs().max()
    assert scale > 0
    assert (found - expected).abs().max() <= 1e-10 * scale


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("depth", [18, 34, 50])
def test_resnet_against_its_formula(depth, training):
    network = randomised(small(f"resnet-{depth}", input_shape=(2, 9, 8))).train(training)
    x = inputs((2, 9, 8), 3, torch.float64)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        agree(network(x), oracles.resnet(x, state, depth=depth, training=training))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("depth", [11, 19])
def test_vgg_against_its_formula(depth, batch_norm, training):
    network = randomised(small(f"vgg-{depth}" + "-bn" * batch_norm)).train(training)
    x = inputs((3, 32, 32), 2, torch.float64)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        agree(network(x), oracles.vgg(x, state, depth=depth, batch_norm=batch_norm, training=training))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "nonlinear", "linear"), [("mlp", 5, 0), ("hybrid", 2, 3)])
def test_mlp_and_hybrid_against_their_formula(name, nonlinear, linear, batch_norm, bias, training):
    options = {"nonlinear": 2} if name == "hybrid" else {}
    network = small(name, depth=6, batch_norm=batch_norm, bias=bias, activation="tanh", **options)
    network = randomised(network).train(training)
    x = inputs((3, 4, 4), 5, torch.float64)
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    sizes = {"nonlinear": nonlinear, "linear": linear, "batch_norm": batch_norm, "bias": bias}
    with torch.no_grad():
        agree(network(x), oracles.dense(x, state, **sizes, training=training, activation=torch.tanh))


def test_deep_linear_is_a_product_of_matrices():
    network = small("linear", depth=5).double()
    x = inputs((3, 4, 4), 5, torch.float64)
    product = torch.linalg.multi_dot([weights for weights in reversed(list(network.parameters()))])
    with torch.no_grad():
        agree(network(x), x.flatten(1) @ product.T)
    assert len(list(network.parameters())) == 5


def test_the_papers_mlp_and_hybrid():
    """7 layers of 1024 and the head: (3072 + 6·1024 + 10)·1024 weights, and two numbers a unit for each norm."""
    sizes = {"input_shape": (3, 32, 32), "classes": 10}
    weights = 3072 * 1024 + 6 * 1024**2 + 10 * 1024
    for name, nonlinear in (("mlp", 7), ("hybrid", 3), ("linear", 0)):
        network = build(name, **sizes)
        assert sum(p.numel() for p in network.parameters()) == weights + 2 * 1024 * nonlinear
        assert sum(isinstance(module, nn.ReLU) for module in network.modules()) == nonlinear


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_named_in_the_order_of_the_computation(name):
    network = small(name, projection=2).eval()
    order, outputs = [], {}

    def record(name):
        def hook(module, arguments, output):
            order.append(name)
            outputs[name] = output

        return hook

    for layer in dict.fromkeys((*network.layer_names, *network.block_names)):
        network.get_submodule(layer).register_forward_hook(record(layer))
    with torch.no_grad():
        out = network(inputs((3, 4, 4) if name in DENSE else (3, 32, 32)))
    assert tuple(layer for layer in order if layer in network.layer_names) == network.layer_names
    assert tuple(layer for layer in order if layer in network.block_names) == network.block_names
    assert torch.equal(outputs["head"], out)
    assert all(output.ndim in (2, 4) and len(output) == 2 for output in outputs.values())


@pytest.mark.parametrize("name", IMAGE)
def test_layers_are_all_the_weights_of_the_main_path(name):
    """18 layers of ResNet-18, 19 - 2 of VGG-19 (whose published three dense layers are one here), and so on."""
    depth = int(name.split("-")[1])
    network = small(name)
    assert len(network.layer_names) == (depth if name.startswith("resnet") else depth - 2)
    for layer in network.layer_names[:-1]:
        assert isinstance(network.get_submodule(layer), nn.ReLU)
        assert not network.get_submodule(layer).inplace


@pytest.mark.parametrize("name", [*DENSE, "vgg-11", "vgg-13-bn", "resnet-18", "resnet-50"])
def test_every_weight_gets_a_gradient(name):
    network = small(name, projection=1, initial="he")
    network(inputs((3, 4, 4) if name in DENSE else (3, 32, 32), 4)).square().sum().backward()
    for key, weights in network.named_parameters():
        assert weights.grad is not None, key
        assert torch.isfinite(weights.grad).all(), key
        # what goes before a batch norm: a bias there has no effect, a weight has
        if not (key.endswith("bias") and "conv" in key and name.endswith("-bn")):
            assert weights.grad.abs().max() > 0, key


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 48), (2, 7, 5), (1, 1, 1)])
@pytest.mark.parametrize("name", ["vgg-11", "vgg-11-bn", "resnet-18"])
def test_images_of_any_size(name, shape):
    with torch.no_grad():
        assert small(name, input_shape=shape).eval()(inputs(shape)).shape == (2, 4)


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("shape", [(7,), (1, 4, 4), (2, 3)])
def test_dense_networks_flatten(name, shape):
    assert small(name, input_shape=shape)(inputs(shape)).shape == (2, 4)


@pytest.mark.parametrize("layers", range(1, 6))
def test_projection_heads(layers):
    plain, headed = small("resnet-18"), small("resnet-18", projection=layers)
    assert sum(isinstance(module, nn.Linear) for module in headed.modules()) == layers + 1
    extra = layers * (512 * 512 + 512)
    assert sum(p.numel() for p in headed.parameters()) == sum(p.numel() for p in plain.parameters()) + extra
    narrow = small("mlp", projection=layers, projection_width=5)
    assert [w.shape[0] for key, w in narrow.projection.named_parameters() if key.endswith("weight")] == [5] * layers
    assert narrow.head.in_features == 5
    x = inputs((3, 4, 4))
    state = narrow.eval().projection.state_dict()
    with torch.no_grad():
        z = narrow.body(x)
        for i in range(layers):
            z = torch.relu(z @ state[f"{i}.0.weight"].T + state[f"{i}.0.bias"])
        assert torch.allclose(narrow(x), z @ narrow.head.weight.T, atol=1e-6)


@pytest.mark.parametrize("name", ["vgg-19-bn", "resnet-18", "resnet-50"])
def test_a_width_scales_every_stage(name):
    """Half the width: every convolution between stages has a quarter of its weights, the classifier's inputs half."""
    wide, narrow = (build(name, input_shape=(1, 8, 8), classes=3, width=width) for width in (8, 4))
    for one, other in zip(wide.modules(), narrow.modules(), strict=True):
        if isinstance(one, nn.Conv2d):
            assert one.weight.numel() == other.weight.numel() * (2 if one.in_channels == 1 else 4)
    assert wide.head.in_features == 2 * narrow.head.in_features
    assert build(name, input_shape=(1, 8, 8), classes=3).head.in_features == 8 * wide.head.in_features


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("resnet18", {}, "network = 'resnet18'; expected one of mlp, .*did you mean resnet-18[?]"),
        ("VGG-19", {}, "did you mean vgg-19"),
        ("zzzz", {}, "choose one of these"),
        ("mlp", {"input_shape": ()}, r"input_shape = \(\)"),
        ("mlp", {"input_shape": (3, 0)}, "numbers above 0"),
        ("mlp", {"input_shape": 3}, "input_shape = 3"),
        ("vgg-11", {"input_shape": (784,)}, r"\(784,\) for vgg-11; expected \(channels, height, width\)"),
        ("resnet-18", {"input_shape": (28, 28)}, r"\(28, 28\) for resnet-18"),
        ("mlp", {"classes": 1}, "classes = 1"),
        ("mlp", {"width": 0}, "width = 0"),
        ("mlp", {"width": 2.5}, "width = 2.5"),
        ("mlp", {"width": True}, "width = True"),
        ("mlp", {"width": 10**18}, "width = 1000000000000000000; expected a whole number, 1000000 or less"),
        ("mlp", {"depth": 2**31}, "depth = 2147483648; expected a whole number, 100000 or less"),
        ("mlp", {"depth": 1}, "depth = 1; expected a whole number, 2 or more"),
        ("linear", {"depth": 1}, "depth = 1"),
        ("linear", {"depth": 2**31}, "depth = 2147483648"),
        ("hybrid", {"depth": 2**31, "nonlinear": 1}, "depth = 2147483648"),
        ("hybrid", {"depth": 4, "nonlinear": 3}, "nonlinear = 3 with depth = 4; expected 1 to 2"),
        ("hybrid", {"nonlinear": 0}, "nonlinear = 0"),
        ("mlp", {"activation": "rleu"}, "activation = 'rleu'.*did you mean relu"),
        ("mlp", {"nonlinear": 3}, "`nonlinear` with mlp; expected options of this network: width, depth"),
        ("linear", {"activation": "relu"}, "`activation` with linear; .*: width, depth; leave out"),
        ("resnet-18", {"nonlinear": 8}, "`nonlinear` with resnet-18; .*: width, activation"),
        ("resnet-18", {"width": 0}, "width = 0"),
        ("resnet-18", {"width": 10**18}, "width = 1000000000000000000"),
        ("vgg-11", {"width": 10**18}, "width = 1000000000000000000"),
        ("resnet-18", {"depth": 8}, "`depth` with resnet-18"),
        ("vgg-11", {"batch_norm": True}, "`batch_norm` with vgg-11"),
        ("mlp", {"projection": 6}, "projection = 6; expected 1 to 5 layers"),
        ("mlp", {"projection": -1}, "projection = -1"),
        ("mlp", {"projection_width": 8}, "`projection_width` with mlp without a projection head"),
        ("mlp", {"projection": 1, "projection_width": 0}, "projection width = 0"),
        ("mlp", {"projection": 1, "projection_width": 10**18}, "projection width = 1000000000000000000"),
        ("mlp", {"seed": -1}, "seed = -1"),
        ("mlp", {"initial": "xavier"}, "initial = 'xavier'"),
    ],
)
def test_what_is_refused(name, options, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        build(name, **({"input_shape": (3, 32, 32), "classes": 10} | options))
    assert "\n" not in str(caught.value)


def test_against_torchvision():
    """The same weights in torchvision's ResNet-18, its stem replaced."""
    models = pytest.importorskip("torchvision.models", reason="needs torchvision", exc_type=Exception)
    other = models.resnet18(num_classes=4)
    other.conv1, other.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    network = randomised(small("resnet-18"))
    other.double().load_state_dict(dict(zip(other.state_dict(), network.state_dict().values())))
    x = inputs((3, 16, 16), 3, torch.float64)
    with torch.no_grad():
        agree(network.eval()(x), other.eval()(x))
