"""Attribution of compression: it adds up, each effect is its module's, and a broken inequality is told."""

import numpy as np
import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure import attribute_compression
from pnc.measure.model import attribution
from pnc.nets import build
from tests.oracles import measure_layer


def batches(shape, n=24, classes=3, size=10, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(size=(n, *shape)) + rng.normal(size=(classes, *shape))[y]
    x, y = torch.tensor(x, dtype=torch.float32), torch.from_numpy(y)
    return [(x[i : i + size], y[i : i + size]) for i in range(0, n, size)]


def log_traces(features, y):
    found = measure_layer(features.detach().flatten(1).double().numpy(), y.numpy())
    return np.log(found.within_scatter), np.log(found.between_scatter)


def encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Flatten(), nn.Linear(40, 3))


NETWORKS = {
    "mlp": (lambda: build("mlp", input_shape=(6,), classes=3, width=9, depth=4), (6,)),
    "vgg-11-bn": (lambda: build("vgg-11-bn", input_shape=(1, 16, 16), classes=3, width=4), (1, 16, 16)),
    "resnet-18": (lambda: build("resnet-18", input_shape=(1, 12, 12), classes=3, width=4), (1, 12, 12)),
    "transformer encoder": (encoder, (5, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_effects_add_up_to_the_whole(name):
    make, shape = NETWORKS[name]
    net, data = make().eval().double(), [(x.double(), y) for x, y in batches(shape)]
    found = attribute_compression(net, data, classes=3)
    before, after = found.compression
    assert sum(effect.compression for effect in found.effects) == pytest.approx(np.log(after / before), abs=1e-12)
    assert sum(found.by_kind().values()) == pytest.approx(np.log(after / before), abs=1e-12)
    x, y = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    with torch.no_grad():
        out = net(x)
    (within_in, between_in), (within_out, between_out) = log_traces(x, y), log_traces(out, y)
    assert np.log(before) == pytest.approx(within_in - between_in, abs=1e-8)
    assert np.log(after) == pytest.approx(within_out - between_out, abs=1e-8)
    assert found.violations == ()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_each_effect_is_that_of_its_module():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 9), nn.ReLU(inplace=True), nn.Linear(9, 4))
    data = batches((6,))
    found = attribute_compression(net, data, classes=3)
    x, y = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    with torch.no_grad():
        steps = [x, net[0](x), net[0](x).relu(), net(x)]
    assert [(effect.name, effect.kind) for effect in found.effects] == [
        ("0", "linear"),
        ("1", "activation"),
        ("2", "linear"),
    ]
    for effect, one, other in zip(found.effects, steps, steps[1:]):
        (a, b), (c, d) = log_traces(one, y), log_traces(other, y)
        assert effect.within == pytest.approx(c - a, abs=2e-6)
        assert effect.between == pytest.approx(d - b, abs=2e-6)
        for k in range(3):
            spread = [((z[y == k] - z[y == k].mean(0)) ** 2).sum() for z in (one, other)]
            assert effect.class_within[k] == pytest.approx(float(torch.log(spread[1] / spread[0])), abs=2e-6)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.last(x + self.second(self.first(x).relu()))


def test_what_happens_between_modules_is_a_step_of_its_own():
    torch.manual_seed(1)
    net, data = Skip(), batches((6,))
    found = attribute_compression(net, data, classes=3)
    assert [effect.name for effect in found.effects] == [
        "first", "first → second", "second", "second → last", "last",
    ]  # fmt: skip
    assert [effect.kind for effect in found.effects][1::2] == ["between modules"] * 2
    x, y = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    with torch.no_grad():
        branch = net.second(net.first(x).relu())
    (a, b), (c, d) = log_traces(branch, y), log_traces(x + branch, y)
    assert found.effects[3].within == pytest.approx(c - a, abs=2e-6)
    assert found.effects[3].between == pytest.approx(d - b, abs=2e-6)


def test_a_resnet_is_followed_along_its_convolutions():
    make, shape = NETWORKS["resnet-18"]
    names = [effect.name for effect in attribute_compression(make().eval(), batches(shape), classes=3).effects]
    assert "body.stage2.block1.conv2" in names
    assert "body.stage2.block1.shortcut.0" not in names
    assert "body.stage2.block1.norm2 → body.stage2.block1.activation2" in names


def test_a_layer_that_is_called_twice():
    torch.manual_seed(0)
    relu = nn.ReLU()
    net = nn.Sequential(nn.Linear(6, 6), relu, nn.Linear(6, 6), relu)
    names = [effect.name for effect in attribute_compression(net, batches((6,)), classes=3).effects]
    assert names == ["0", "1", "2", "1#2"]


class Liar(nn.ReLU):
    """Says that it is a ReLU and doubles what is positive."""

    def forward(self, x):
        return 2 * x.clamp(min=0) + 3 * x.clamp(max=0)


def test_a_broken_inequality_is_told():
    torch.manual_seed(0)
    found = attribute_compression(nn.Sequential(nn.Linear(6, 9), Liar()), batches((6,)), classes=3)
    assert len(found.violations) == 1
    assert found.violations[0].startswith("1: tr Σ_W times ")


def test_refused():
    with pytest.raises(InvalidInputError, match="no batches"):
        attribute_compression(nn.Sequential(nn.Linear(2, 2)), [], classes=2)
    with pytest.raises(InvalidInputError, match="for 10 samples"):
        attribute_compression(nn.Sequential(nn.Linear(6, 4), nn.Flatten(0)), batches((6,), n=30), classes=3)


class Wrapped(nn.Module):
    """A model that scales its input and ends in a function, both outside of modules."""

    def __init__(self, ending):
        super().__init__()
        self.first, self.ending = nn.Linear(6, 5), ending

    def forward(self, x):
        return self.ending(self.first(torch.stack([x[:, 0] * 7, *x[:, 1:].T], 1)))


def test_what_happens_before_the_first_module_and_after_the_last_is_no_modules():
    torch.manual_seed(2)
    net, data = Wrapped(torch.tanh), batches((6,))
    found = attribute_compression(net, data, classes=3)
    assert [effect.name for effect in found.effects] == ["input → first", "first", "first → output"]
    assert [effect.kind for effect in found.effects] == ["between modules", "linear", "between modules"]
    x, y = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    given = x * torch.tensor([7.0, 1, 1, 1, 1, 1])
    with torch.no_grad():
        steps = [x, given, net.first(given), net(x)]
    for effect, one, other in zip(found.effects, steps, steps[1:]):
        (a, b), (c, d) = log_traces(one, y), log_traces(other, y)
        assert (effect.within, effect.between) == (pytest.approx(c - a, abs=2e-6), pytest.approx(d - b, abs=2e-6))


def test_an_output_without_a_row_a_sample_ends_the_path_before_it():
    torch.manual_seed(2)
    found = attribute_compression(Wrapped(torch.sum), batches((6,)), classes=3)
    assert [effect.name for effect in found.effects] == ["input → first", "first"]
    assert found.notes == ("the output has no row for each sample: the path ends at first",)


def test_modules_that_do_not_fit_together_are_looked_at_one_after_another(monkeypatch):
    data = batches((6,))
    net = NETWORKS["mlp"][0]().eval()
    whole = attribute_compression(net, data, classes=3)
    # half of the memory may be used: 9 entries a class at a time
    room = attribution.bytes_needed(3, 10, fuzziness=False, probes=False, spectra=None)
    monkeypatch.setattr(attribution, "free_memory", lambda device: 2 * room)
    apart = attribute_compression(net, data, classes=3)
    assert apart.notes[0].endswith(f"{len(whole.effects)} passes")  # the input goes with the first
    assert apart.samples == whole.samples
    for one, other in zip(apart.effects, whole.effects, strict=True):
        assert one.name == other.name
        assert (one.within, one.between) == (other.within, other.between)


def test_rounding_of_collapsed_features_is_no_violation():
    """Within-class distances of a few float32 units: tanh rounds them up, which no theorem forbids."""
    y = torch.arange(40) % 2
    x = (0.2 + 0.3 * y[:, None]).repeat(1, 3) + torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * 1e-8
    net = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))
    assert attribute_compression(net, [(x, y)], classes=2).violations == ()
