"""Networks of the package before training, read module by module and held against N1."""

import numpy as np
import pytest
import torch
from torch import nn

from pnc.compare import Verdict
from pnc.errors import NotApplicableError
from pnc.nets import build
from pnc.runs.initial_layers import describe_layers
from pnc.runs.initialisation import compare_initialisation, predict_network
from pnc.runs.requests import NetworkSource
from pnc.theory import initialisation as law
from pnc.train import as_samples
from tests.oracles import measure_layer


def samples(shape, n=30, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(size=(n, *shape)) + 0.7 * rng.normal(size=(classes, *shape))[y]
    return as_samples((torch.tensor(x, dtype=torch.float32), torch.from_numpy(y)), classes=classes)


def test_weights_are_described_by_their_law():
    net = nn.Sequential(nn.Linear(12, 5), nn.GELU(), nn.Linear(5, 7, bias=False))
    default = describe_layers(net)
    assert default[0] == law.Dense(width=5, gain=1 / 3, bias=1 / 36)
    assert default[2:4] == (law.Activation(name="gelu"), law.Named(name="1"))
    assert default[4] == law.Dense(width=7, gain=1 / 3, bias=0.0)
    assert describe_layers(net, initial="he")[0] == law.Dense(width=5, gain=2.0, bias=0.0)
    # W Wᵀ = ε² I of a wide matrix: entries of variance ε²/inputs; WᵀW = ε² I of a tall one: ε²/outputs
    tall, wide = (layer for layer in describe_layers(net, initial="orthogonal(0.5)")[::4])
    assert (wide.gain, tall.gain) == (pytest.approx(0.25 * 5 / 7), pytest.approx(0.25))


@pytest.mark.parametrize("initial", ["default", "he", "orthogonal(0.7)"])
def test_gains_are_the_variances_of_the_drawn_weights(initial):
    net = build("mlp", input_shape=(300,), classes=3, width=400, depth=3, batch_norm=False, bias=True, initial=initial)
    dense = [layer for layer in describe_layers(net, initial=initial) if isinstance(layer, law.Dense)]
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    for layer, module in zip(dense[:2], linear[:2]):
        fan_in = module.in_features
        assert layer.gain == pytest.approx(module.weight.var().item() * fan_in, rel=0.02)
        assert layer.bias == pytest.approx(module.bias.var().item(), rel=0.3)


def test_an_mlp_agrees_and_a_network_of_another_law_does_not():
    data = samples((20,))
    found = compare_initialisation(NetworkSource(name="mlp", width=512, depth=5), data)
    assert found.verdict is Verdict.AGREES
    assert found.exit_status == 0
    assert found.names == ("input", "body.0", "body.1", "body.2", "body.3")
    assert found.to_dict()["verdict"] == "AGREES"
    wrong = compare_initialisation(NetworkSource(name="mlp", width=512, depth=5, activation="tanh"), data)
    low, high = found.compression_interval.T
    outside = (wrong.measured.compression < low) | (wrong.measured.compression > high)
    assert outside[2:].all()  # a tanh network does not lie where ReLU's law has it


def test_a_resnet_has_its_spread_from_draws():
    data = samples((1, 8, 8), n=18)
    source = NetworkSource(name="resnet-18", width=16)
    found = compare_initialisation(source, data, draws=4, quadrature=256)
    assert found.names[1] == "body.stem.activation"
    assert found.names[-1] == "body.stage4.block2.activation2"
    assert found.spread == "4 other draws of the weights"
    assert any("identity shortcuts" in note for note in found.notes)
    assert any("the law ends at body.stage4.block2.activation2" in note for note in found.notes)
    assert found.verdict is Verdict.AGREES


def test_a_vgg_ends_at_its_first_pooling():
    found = compare_initialisation(NetworkSource(name="vgg-13", width=16), samples((1, 8, 8)), draws=6)
    assert found.names == ("input", "body.stage1.activation1", "body.stage1.activation2")
    assert found.notes == (
        "the law ends at body.stage1.activation2: body.stage1.pool is a max-pooling, which has no closed form",
    )
    assert found.verdict is Verdict.AGREES


def test_images_enter_an_mlp_pixel_by_pixel():
    """One draw in many of the same width lies in every interval, and the law is that of the flattened images."""
    data, flat = samples((1, 5, 4)), samples((1, 5, 4))
    flat = as_samples((flat.x.flatten(1), flat.y), classes=3)
    source = NetworkSource(name="mlp", width=400, depth=4)
    found, same = (predict_network(source, one) for one in (data, flat))
    np.testing.assert_allclose(found.predicted.compression, same.predicted.compression, rtol=1e-12)
    assert found.samples == 30
    fresh = build("mlp", input_shape=(1, 5, 4), classes=3, width=400, depth=4, seed=123).eval()
    with torch.no_grad():
        states = [data.x.flatten(1)]
        hidden = data.x.flatten(1)
        for layer in list(fresh.body.children()):
            hidden = layer(hidden)
            states.append(hidden)
    for l, state in enumerate(states):
        exact = measure_layer(state.double().numpy(), data.y.numpy())
        for interval, value in (
            (found.compression_interval, exact.compression),
            (found.discrimination_interval, exact.discrimination),
            (found.fuzziness_interval, exact.separation_fuzziness),
        ):
            low, high = interval[l]
            assert low * (1 - 1e-5) - 1e-9 <= value <= high * (1 + 1e-5) + 1e-9
    # intervals that hold everything would say nothing
    assert (found.compression_interval[1:, 1] < 2 * found.compression_interval[1:, 0]).all()


def test_without_fuzziness_no_draw_of_a_dense_network_is_made(monkeypatch):
    made = []
    monkeypatch.setattr("pnc.runs.initialisation.build", lambda *a, **o: made.append(o["seed"]) or build(*a, **o))
    found = predict_network(NetworkSource(name="mlp", width=64, depth=3), samples((6,)), fuzziness=False)
    assert made == [0]
    assert np.isnan(found.fuzziness_interval).all()


def test_a_model_that_is_given_is_the_one_that_is_measured():
    data, source = samples((6,)), NetworkSource(name="mlp", width=64, depth=3)
    other = build("mlp", input_shape=(6,), classes=3, width=64, depth=3, seed=9)
    with torch.no_grad():
        for weights in other.parameters():
            weights *= 3  # no draw of the law any more, beyond the first layer
    given = compare_initialisation(source, data, model=other)
    plain = compare_initialisation(source, data)
    np.testing.assert_array_equal(given.predicted.compression, plain.predicted.compression)
    assert (given.measured.within_scatter[1:] > 5 * plain.measured.within_scatter[1:]).all()


def test_a_network_that_begins_with_a_pooling_has_no_law():
    class Pooled(nn.Sequential):
        pass

    layers = describe_layers(Pooled(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 4)))
    with pytest.raises(NotApplicableError, match="max-pooling"):
        list(law.kernels(layers, np.ones((4, 1, 8, 8))))


def pooled_first(input_shape, classes):
    return nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, classes))


def test_a_network_without_a_layer_that_has_a_law_is_refused_with_the_module():
    with pytest.raises(NotApplicableError, match="0 is a max-pooling, which has no closed form"):
        predict_network(NetworkSource(name=f"{__name__}:pooled_first"), samples((1, 8, 8)))


def test_what_is_not_known_is_named():
    with pytest.raises(NotApplicableError, match="1 is a LayerNorm"):
        describe_layers(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)))
    with pytest.raises(NotApplicableError, match="0 is a Conv2d"):
        describe_layers(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)))
