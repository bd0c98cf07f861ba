"""Every kind of module of the survey: measured as expected, or left out with the expected reason; no trace left."""

import pytest
import torch

from pnc.measure import capture, list_layers, measure_model
from tests.measure.survey import KINDS, flat


def made(kind):
    torch.manual_seed(0)
    return kind.make(), flat() if kind.inputs is None else kind.inputs


def test_the_survey_is_wide():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 40


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_measured_of_each_kind(kind):
    model, inputs = made(kind)
    listed = list_layers(model, inputs)
    assert tuple(layer.name for layer in listed.layers) == kind.layers
    assert set(listed.skipped) == set(kind.skipped)
    for name, reason in kind.skipped.items():
        assert reason in listed.skipped[name]
    for part in kind.notes:
        assert any(part in note for note in listed.notes), listed.notes
    if not kind.notes:
        assert not listed.notes
    kept = capture(model, inputs)
    model.eval()
    with torch.no_grad():
        for name, value in kind.values.items():
            torch.testing.assert_close(kept[name], value(model, inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_measured_with_standard_errors(kind):
    model, inputs = made(kind)
    first = inputs[0] if isinstance(inputs, tuple) else inputs
    labels = torch.arange(len(first)) % 2
    curve = measure_model(model, [(inputs, labels)], classes=2, uncertainty=True)
    names = [note.name for note in curve.notes if note.name != "input"]
    assert names == list(kind.layers)
    assert curve.origin.samples == len(first)
