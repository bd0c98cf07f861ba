"""Capture: which modules are layers, hooks that leave nothing behind, outputs of every form."""

import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.model.hooks import evaluating, tapped
from pnc.measure.model.layers import capture, list_layers
from pnc.measure.model.samples import batch_size, rows_of
from tests.measure.nets import Block, Chain, Residual, Returning, mlp


def names(model, inputs, patterns=None):
    return [layer.name for layer in list_layers(model, inputs, patterns=patterns).layers]


def hooks_of(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


IMAGES = torch.randn(6, 1, 5, 5, generator=torch.Generator().manual_seed(0))


def test_a_residual_network_is_its_stem_blocks_and_head():
    assert names(Residual(), IMAGES) == ["stem.2", "layer1.0", "layer1.1", "fc"]


def test_an_mlp_is_its_activations_and_head():
    assert names(mlp(), torch.randn(4, 5, dtype=torch.float64)) == ["2", "5", "6"]


def test_a_deep_linear_network_is_its_linear_modules():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    assert names(model, torch.zeros(2, 3)) == ["0", "1", "2"]


def test_a_hybrid_network_takes_the_activation_where_there_is_one():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    assert names(model, torch.zeros(2, 3)) == ["1", "2", "3"]


def test_transformer_layers_are_blocks():
    class Encoder(nn.TransformerEncoderLayer):
        pass  # a class of the model's own

    model = nn.Sequential(nn.Linear(3, 4), *[Encoder(4, 2, 8, batch_first=True) for _ in range(2)])
    assert names(model, torch.zeros(2, 5, 3)) == ["0", "1", "2"]


def test_a_model_that_names_its_blocks_is_believed():
    model = Residual()
    model.block_names = ("layer1", "fc")
    assert names(model, IMAGES) == ["layer1", "fc"]
    assert names(model, IMAGES, ["stem"]) == ["stem"]


def test_a_module_called_twice_is_two_layers():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu)
    assert names(model, torch.zeros(2, 2)) == ["1", "1#2"]
    assert names(model, torch.zeros(2, 2), ["1#2"]) == ["1#2"]
    assert names(model, torch.zeros(2, 2), ["1#1"]) == ["1"]
    torch.manual_seed(0)
    first, second = capture(model, torch.randn(3, 2)).values()
    assert not torch.equal(first, second)


def test_patterns_pick_in_the_order_of_computation():
    assert names(Residual(), IMAGES, ["fc", "layer1.?"]) == ["layer1.0", "layer1.1", "fc"]
    assert names(Residual(), IMAGES, ["layer1.0.relu"]) == ["layer1.0.relu", "layer1.0.relu#2"]


def test_a_pattern_that_matches_nothing_names_the_nearest():
    with pytest.raises(InvalidInputError, match=r"'layer1\.2'.*'layer1\.[01]'"):
        names(Residual(), IMAGES, ["fc", "layer1.2"])


def test_a_pattern_that_matches_only_what_is_never_called():
    model = Chain(a=nn.Linear(2, 2))
    with pytest.raises(InvalidInputError, match="only modules that the model never calls"):
        names(model, torch.zeros(2, 2), ["parts"])


def test_an_unused_weight_is_listed_with_its_reason():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(x)

    listed = list_layers(Idle(), torch.zeros(3, 2))
    assert [layer.name for layer in listed.layers] == ["used"]
    assert listed.skipped == {"spare": "never called in the forward pass"}


def test_outputs_of_every_form():
    model = Chain(
        tensor=nn.Linear(2, 2),
        pair=Returning(lambda x: (x + 1, None)),
        table=Returning(lambda x: {"hidden": x * 2, "other": x}),
        word=Returning(lambda x: "text"),
        scalar=Returning(lambda x: x.sum()),
        boolean=Returning(lambda x: x > 0),
        turned=Returning(lambda x: x.new_zeros(7, 2)),
    )
    listed = list_layers(model, torch.ones(3, 2), patterns=["parts.*"])
    assert [(layer.name, layer.part) for layer in listed.layers] == [
        ("parts.tensor", None),
        ("parts.pair", 0),
        ("parts.table", "hidden"),
    ]
    assert "of type str" in listed.skipped["parts.word"]
    assert "no row a sample" in listed.skipped["parts.scalar"]
    assert "bool" in listed.skipped["parts.boolean"]
    assert "shape (7, 2)" in listed.skipped["parts.turned"]
    assert any("parts.table" in note and "'hidden'" in note for note in listed.notes)
    kept = capture(model, torch.ones(3, 2), layers=["parts.*"])
    assert torch.equal(kept["parts.table"], 2 * (kept["parts.tensor"] + 1))


def test_nothing_to_measure_says_why():
    model = Chain(word=Returning(lambda x: "text"))
    with pytest.raises(InvalidInputError, match=r"parts\.word: its output is of type str"):
        list_layers(model, torch.zeros(2, 2), patterns=["*"])
    with pytest.raises(InvalidInputError, match="calls no module"):
        list_layers(nn.Linear(2, 2), torch.zeros(2, 2))


@pytest.mark.parametrize("inplace", [False, True])
def test_what_an_in_place_activation_overwrites_was_copied(inplace):
    inputs = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kept = capture(mlp(inplace=inplace), inputs, layers=["*"])
    model = mlp().eval()
    x = inputs
    with torch.no_grad():
        for name, part in model.named_children():
            x = part(x)
            assert torch.equal(kept[name], x)
    assert (kept["1"] < 0).any()  # before the activation


def test_a_block_that_adds_in_place():
    torch.manual_seed(0)
    block = Block(4)
    x = torch.randn(3, 4, 5, 5)
    kept = capture(nn.Sequential(block), x, layers=["*"])
    assert torch.equal(kept["0.relu#2"], torch.relu(kept["0.bn2"] + x))


def test_hooks_and_modes_are_as_before():
    model = mlp().train()
    model[1].eval()  # a frozen part stays frozen
    before = {name: module.training for name, module in model.named_modules()}
    statistics = model[4].running_mean.clone()
    capture(model, torch.randn(4, 5, dtype=torch.float64))
    assert {name: module.training for name, module in model.named_modules()} == before
    assert hooks_of(model) == 0
    assert torch.equal(model[4].running_mean, statistics)


def test_hooks_and_modes_are_as_before_when_the_model_fails():
    def fail(x):
        raise RuntimeError("broken")

    model = nn.Sequential(nn.Linear(2, 2), Returning(fail)).train()
    handle = model[0].register_forward_hook(lambda *_: None)  # the user's own stays
    with pytest.raises(InvalidInputError, match="RuntimeError: broken"):
        capture(model, torch.zeros(2, 2))
    with pytest.raises(KeyError), tapped(model, lambda *_: None):
        raise KeyError
    assert hooks_of(model) == 1
    assert all(module.training for module in model.modules())
    assert torch.is_grad_enabled()
    handle.remove()


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), AssertionError()])
def test_a_model_that_fails_on_the_shape_is_named_with_it(error):
    def fail(x):
        raise error

    for model in (nn.Linear(10, 2), Returning(fail)):
        with pytest.raises(InvalidInputError, match=r"(Linear|Returning), which fails on samples of shape \(784,\)"):
            list_layers(nn.Sequential(model)[0], torch.zeros(3, 784))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        InvalidInputError(got="a", expected="b", next_step="c"),
    ],
)
def test_too_little_memory_and_errors_of_our_own_are_let_through(error):
    def fail(x):
        raise error

    with pytest.raises(type(error)) as caught:
        list_layers(Returning(fail), torch.zeros(3, 2))
    assert caught.value is error


def test_wrappers_are_looked_through():
    class Compiled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self._orig_mod = inner

        def forward(self, x):
            raise AssertionError("the wrapper was called")

    assert names(Compiled(mlp()), torch.randn(4, 5, dtype=torch.float64)) == ["2", "5", "6"]


def test_rows_of_nested_inputs():
    inputs = {"x": torch.arange(6).reshape(3, 2), "pair": (torch.arange(3), "text"), "scale": torch.tensor(2.0)}
    half = rows_of(inputs, slice(1, 3))
    assert half["x"].shape == (2, 2)
    assert half["pair"][0].tolist() == [1, 2]
    assert half["scale"] == 2.0
    with pytest.raises(InvalidInputError, match="without a tensor"):
        batch_size({"a": "text"})


def test_evaluating_restores_after_an_error():
    model = nn.Dropout().train()
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert model.training
