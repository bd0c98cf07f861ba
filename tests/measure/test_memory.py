"""Layers whose statistics do not fit into memory together are measured one group after another."""

import numpy as np
import pytest
import torch

from pnc.errors import InvalidInputError
from pnc.measure import measure_model, measure_splits
from pnc.measure.model.memory import bytes_needed, groups_within
from tests.measure.nets import Residual, mlp
from tests.measure.test_model import data, in_batches


@pytest.fixture
def little(monkeypatch):
    """Free memory that the tests set."""
    free = {"bytes": 2**40, "asked": 0}

    def ask(device):
        free["asked"] += 1
        return free["bytes"]

    monkeypatch.setattr("pnc.measure.model.passes.free_memory", ask)
    return free


def columns(curve):
    return {
        name: np.array([np.nan if value is None else value for value in values], dtype=float)
        for name, values in curve.to_dict()["provenance"].items()
        if isinstance(values, list) and len(values) == len(curve) and not isinstance(values[0], str | list | dict)
    }


@pytest.mark.parametrize("quick", [False, True])
def test_groups_give_what_all_at_once_gives(little, quick):
    x, y = data(90)
    model, some = mlp(width=8, depth=5), in_batches(x, y, 20)
    options = dict.fromkeys(["uncertainty"] if quick else ["fuzziness", "probes", "spectra", "uncertainty"], True)
    splits = {"train": some, "test": in_batches(x + 0.1, y, 30)}
    whole = measure_splits(model, splits, classes=3, **options)
    most = bytes_needed(3, 8, fuzziness=not quick, probes=not quick, spectra=None if quick else (1024, 128))
    little["bytes"] = 2 * (2 * most + 24 * 3 * 8) + 100  # room for two layers
    with pytest.warns(UserWarning, match=r"GiB for all layers at once.*measured in \d groups"):  # before it starts
        parts = measure_splits(model, splits, classes=3, **options)
    for split in splits:
        note = [note for note in parts[split].origin.remarks if "groups" in note]
        assert len(note) == 1
        assert "each in passes of its own" in note[0]
        assert parts[split].layers.tolist() == whole[split].layers.tolist()
        assert [n.name for n in parts[split].notes] == [n.name for n in whole[split].notes]
        assert parts[split].origin.classifier == whole[split].origin.classifier
        for name in ("compression", "discrimination", "within_scatter", "between_scatter", "separation_fuzziness"):
            np.testing.assert_array_equal(getattr(parts[split], name), getattr(whole[split], name))
        for name, values in columns(whole[split]).items():
            np.testing.assert_array_equal(columns(parts[split])[name], values, err_msg=name)


def test_a_layer_that_does_not_fit_is_refused_before_anything_is_measured(little):
    little["bytes"] = 2**20

    class Wide(Residual):
        samples = 0

        def forward(self, x):
            self.samples += len(x)
            return super().forward(x)

    model = Wide()
    x = torch.randn(900, 1, 30, 30)
    with pytest.raises(InvalidInputError, match=r"layer .*GiB; expected at most half.*`pool`"):
        measure_model(model, in_batches(x, torch.arange(900) % 3, 300), classes=30)
    assert model.samples < 10  # the few in which layers are found
    curve = measure_model(model, in_batches(x, torch.arange(900) % 3, 300), classes=3, layers=["fc"], pool="mean")
    assert curve.notes[-1].name == "fc"


def test_batches_that_can_be_read_once_allow_one_group(little):
    x, y = data()
    little["bytes"] = 2 * (bytes_needed(3, 6, fuzziness=False, probes=False, spectra=None) + 24 * 3 * 6) + 10
    with pytest.raises(InvalidInputError, match="read once only, and a need of"):
        measure_model(mlp(), iter(in_batches(x, y, 20)), classes=3)
    with pytest.warns(UserWarning, match="groups"):
        assert len(measure_model(mlp(), in_batches(x, y, 20), classes=3)) == 4


def test_groups_in_order():
    assert groups_within({"a": 1, "b": 2, "c": 3, "d": 1}, 8) == [["a", "b"], ["c", "d"]]
    assert groups_within({"a": 1}, None) == [["a"]]
    with pytest.raises(InvalidInputError, match="layer b"):
        groups_within({"a": 1, "b": 5}, 8)
