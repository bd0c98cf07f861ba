"""Measuring leaves no trace: in the model, its modes, hooks and buffers, in random numbers, or in the caller's data."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import pnc
from pnc.errors import InvalidInputError
from pnc.measure import capture, list_layers, measure_compressed, measure_model, measure_neural_collapse
from pnc.measure.model.hooks import evaluating
from tests.measure.nets import Residual, Returning, mlp
from tests.measure.survey import Merging, flat


class Counting(nn.Module):
    """Counts what it sees in a buffer, in any mode, and draws random numbers of every kind."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("seen", torch.zeros(2))

    def forward(self, x):
        self.seen = self.seen + len(x)
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
        return self.linear(x)


class Stop(nn.Module):
    """Ends the run with an exception from its `at`-th call on."""

    def __init__(self, at, error):
        super().__init__()
        self.at, self.error = at, error
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls >= self.at:
            raise self.error
        return x


def state(model):
    """Everything of a model that measuring could change, with copies."""
    tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict(keep_vars=True).items()}
    objects = {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    plain = {
        name: {key: value for key, value in vars(module).items() if isinstance(value, bool | int | float | str)}
        for name, module in model.named_modules()
    }
    for found in plain.values():
        found.pop("calls", None)
    hooks = {
        name: [len(getattr(module, kind)) for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")]
        for name, module in model.named_modules()
    }
    return tensors, (objects, plain, hooks)


def randomness():
    return torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002


def assert_same(before, after):
    assert before[0].keys() == after[0].keys()
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert before[1] == after[1]


def assert_same_randomness(before):
    after = randomness()
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]


def merging():
    return nn.Sequential(Counting(), Merging(), nn.ReLU(inplace=True), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))


MODELS = {"merging": merging, "residual": lambda: Residual(2), "mlp": lambda: mlp(4, classes=2, inplace=True).float()}
TASKS = {
    "measure": lambda model, data: pnc.measure(model, data, fuzziness=True, probes=True, spectra=True),
    "standard errors": lambda model, data: pnc.measure(model, data),
    "collapse": lambda model, data: measure_neural_collapse(model, data, classes=2),
    "capture": lambda model, data: capture(model, data[0][0]),
    "list": lambda model, data: list_layers(model, data[0][0]),
    "compressed": lambda model, data: measure_compressed(
        model, data, data, classes=2, site="2" if isinstance(model, nn.Sequential) else "fc", dimensions=[1], svm=False
    ),
}


def data_of(model):
    inputs = torch.randn(8, 1, 5, 5) if isinstance(model, Residual) else flat(8) + 0.1
    return [(inputs[:4], torch.tensor([0, 1, 0, 1])), (inputs[4:], torch.tensor([1, 0, 1, 0]))]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_left(name, task, training):
    torch.manual_seed(0)
    model = MODELS[name]()
    model.train(training)
    next(iter(model.children())).eval()  # a frozen part stays frozen
    handle = next(iter(model.children())).register_forward_hook(lambda *_: None)  # the user's own
    data = data_of(model)
    given, copies = state(model), copy.deepcopy(data)
    before = randomness()
    TASKS[task](model, data)
    assert_same(given, state(model))
    assert_same_randomness(before)
    for (x, y), (x_before, y_before) in zip(data, copies, strict=True):
        assert torch.equal(x, x_before)
        assert torch.equal(y, y_before)
    handle.remove()


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), torch.OutOfMemoryError("no memory")])
@pytest.mark.parametrize("at", [1, 2, 4, 5, 7])
def test_nothing_is_left_after_an_error_or_an_interrupt(error, at):
    torch.manual_seed(0)
    model = nn.Sequential(*merging(), Stop(at, error)).train()
    data = data_of(model)
    given, copies = state(model), copy.deepcopy(data)
    before = randomness()
    with pytest.raises((type(error), InvalidInputError)):
        pnc.measure(model, data, fuzziness=True)
    assert_same(given, state(model))
    assert_same_randomness(before)
    assert all(torch.equal(x, z) for (x, _), (z, _) in zip(data, copies, strict=True))


def test_a_module_that_merges_in_evaluation_mode_is_measured_merged_and_split_again():
    torch.manual_seed(0)
    model = nn.Sequential(Merging(), nn.Linear(4, 2)).train()
    weight = model[0].weight.detach().clone()
    x = flat()
    kept = capture(model, x)["0"]
    assert model[0].merged is False
    assert torch.equal(model[0].weight, weight)
    merged = copy.deepcopy(model).eval()
    assert not torch.equal(merged[0].weight, weight)  # by hand
    torch.testing.assert_close(kept, merged[0](x).detach(), rtol=0, atol=0)
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert torch.equal(model[0].weight, weight)


def test_a_loaders_own_generator_goes_on_where_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    generator = torch.Generator().manual_seed(7)
    loader = DataLoader(TensorDataset(flat(8), torch.arange(8) % 2), batch_size=4, shuffle=True, generator=generator)
    before = generator.get_state()
    global_before = randomness()
    pnc.measure(model, loader, fuzziness=True)
    assert torch.equal(generator.get_state(), before)
    assert_same_randomness(global_before)


def scale(x):
    return x.mul_(10)


class OfMapping(nn.Module):
    """A transformer's habit: the embeddings it is given are edited where they lie."""

    def __init__(self):
        super().__init__()
        self.part = Returning(scale)

    def forward(self, inputs_embeds, shift=None):
        return self.part(inputs_embeds)


X, Y = [[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        (nn.Sequential(Returning(scale)), (torch.tensor(X), torch.tensor(Y))),
        (nn.Sequential(Returning(scale)), (np.array(X, np.float32), np.array(Y))),
        (nn.Sequential(Returning(scale)), (np.array(X), np.array(Y))),
        (nn.Sequential(Returning(scale)), ([torch.tensor(X)], Y)),
        (OfMapping(), {"inputs_embeds": torch.tensor(X), "labels": torch.tensor(Y)}),
        (OfMapping(), {"inputs_embeds": np.array(X, np.float32), "labels": Y}),
        (nn.Sequential(Returning(lambda x: x.sub_(0.5)), nn.ReLU(inplace=True)), (torch.tensor(X), torch.tensor(Y))),
    ],
    ids=["tensor", "array", "float64 array", "list", "mapping", "mapping of arrays", "two in place"],
)
def test_a_model_that_works_in_place_changes_neither_the_data_nor_a_number(model, batch):
    before = copy.deepcopy(batch)
    layers = ["*"]
    curve = measure_model(model, [batch], classes=2, layers=layers, fuzziness=True, uncertainty=True)
    again = measure_model(model, [batch], classes=2, layers=layers, fuzziness=True, uncertainty=True)
    # by hand: tr Σ_W = 1, tr Σ_B = 4 at every scale
    assert curve.compression[0] == 0.25
    assert curve.separation_fuzziness[0] == pytest.approx(0.25)
    assert curve == again
    inputs, were = (b["inputs_embeds"] if isinstance(b, dict) else b[0] for b in (batch, before))
    inputs, were = (v[0] if isinstance(v, list) else v for v in (inputs, were))
    assert np.array_equal(np.asarray(inputs), np.asarray(were))
