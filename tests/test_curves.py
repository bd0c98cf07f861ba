"""`LayerCurve`: nothing is lost on the way to JSON, CSV or xarray and back."""

import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.curves import FIELDS, ClassTable, LayerCurve, LayerNotes, LayerRanks, Origin, Ranks, SpectrumError, json_ready
from pnc.curves.curve import CSV_NOTES
from pnc.curves.units import NUMBERS_OF_LAYERS
from pnc.errors import InvalidInputError

quick = settings(deadline=None, max_examples=80)
numbers = st.floats() | st.just(float("nan"))
facts = st.dictionaries(
    st.text(max_size=5).map("x{}".format),  # no name that a measurement gives a meaning
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


words, wholes = st.text(max_size=5), st.integers(0, 2**50)
pairs = st.tuples(*[st.floats(allow_infinity=False)] * 2)  # JSON writes infinities as what is undefined
ranks = st.builds(
    Ranks, numerical_rank=pairs, variance_rank=pairs, stable_rank=pairs, effective_rank=numbers, threshold_rank=pairs
)
three = st.lists(numbers, min_size=3, max_size=3).map(np.array)
tables = st.builds(
    ClassTable,
    nearest=st.lists(wholes, min_size=3, max_size=3).map(np.array),
    cosines=st.none() | st.lists(three, min_size=3, max_size=3).map(np.array),
    **dict.fromkeys(("spread", "angle", "margin", "share"), three),
)
strangers = {
    "shape": st.lists(wholes, max_size=3).map(tuple),
    "ranks": st.builds(LayerRanks, uncentred=ranks, centred=ranks),
    "spectrum_error": st.builds(SpectrumError, exact=st.booleans(), squared_error=numbers, missing=numbers),
    "leading_variance": pairs,
    "closest_classes": st.tuples(wholes, wholes),
    "class_table": tables,
    **dict.fromkeys(("singular_values", "singular_values_centred"), st.lists(numbers, max_size=3).map(np.array)),
    **dict.fromkeys(("name", "kind", "dtype"), words),
    **dict.fromkeys(("dimension", "between_rank"), wholes),
}
layer_notes = st.fixed_dictionaries(
    {}, optional={field.name: strangers.get(field.name, numbers) for field in dataclasses.fields(LayerNotes)}
).map(lambda known: LayerNotes(**known))
origins = st.builds(
    Origin,
    further=facts,
    remarks=st.lists(words, max_size=2).map(tuple),
    skipped=st.none() | st.dictionaries(words, words, max_size=2),
    class_counts=st.none() | st.lists(wholes, max_size=3).map(tuple),
    converged=st.none() | st.booleans(),
    **dict.fromkeys(("source", "kind", "split", "device", "mode", "classifier"), st.none() | words),
    **dict.fromkeys(("samples", "classes", "processes", "error_samples"), st.none() | wholes),
)


@st.composite
def curves(draw, values=numbers):
    layers = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=8)))
    # what features can have: no scatter below 0, no cosine beyond 1
    possible = values.map(lambda v: v if math.isnan(v) else abs(v))
    kinds = {"discrimination": possible.map(lambda v: v if not v > 2 else 2 / v)}
    sizes = {"min_size": len(layers), "max_size": len(layers)}
    fields = {name: draw(st.lists(kinds.get(name, possible), **sizes)) for name in FIELDS}
    if draw(st.booleans()):
        return LayerCurve(layers=layers, **fields, provenance=draw(facts))
    notes = [draw(layer_notes) for _ in layers] if draw(st.booleans()) else ()
    return LayerCurve(layers=layers, **fields, notes=notes, origin=draw(origins))


def finite_or_nan(array):
    """What JSON can carry of it: infinities are as undefined there as NaN."""
    return np.where(np.isfinite(array), array, np.nan)


def simple(**changes):
    fields = {
        "layers": [0, 2],
        "compression": [2.0, 0.5],
        "discrimination": [0.1, 0.6],
        "within_scatter": [1.0, 0.5],
        "between_scatter": [0.5, 1.0],
    }
    return {**fields, **changes}


@quick
@given(curves())
def test_json_round_trip(curve):
    def forbidden(name):
        raise AssertionError(f"{name} is not JSON")

    text = curve.to_json()
    data = json.loads(text, parse_constant=forbidden)
    assert list(data) == sorted(data)
    again = LayerCurve.from_json(text)
    assert np.array_equal(again.layers, curve.layers)
    for name in FIELDS:
        assert np.array_equal(getattr(again, name), finite_or_nan(getattr(curve, name)), equal_nan=True)
        assert [v is None for v in data[name]] == (~np.isfinite(getattr(curve, name))).tolist()
    assert json_ready(again.provenance) == json_ready(curve.provenance)
    assert again.to_json() == text
    assert LayerCurve.from_dict(curve.to_dict()) == again


@quick
@given(curves(values=st.floats(allow_nan=True, allow_infinity=False)))
def test_equality_tells_every_field_apart(curve):
    same = LayerCurve.from_dict(curve.to_dict())
    assert same == curve
    for name in FIELDS:
        data = curve.to_dict()
        data[name] = [*data[name][:-1], 0.5 if data[name][-1] != 0.5 else None]
        assert LayerCurve.from_dict(data) != curve
    assert LayerCurve.from_dict({**curve.to_dict(), "provenance": {"another": 1}}) != curve
    assert curve != "a curve"


@quick
@given(curves(), st.booleans())
def test_csv(tmp_path_factory, curve, to_file):
    path = tmp_path_factory.getbasetemp() / "curve.csv"
    text = curve.to_csv(path if to_file else None)
    if to_file:
        assert path.read_bytes().decode() == text
    rows = list(csv.reader(io.StringIO(text, newline="")))
    notes = [name for name in CSV_NOTES if any(getattr(note, name) is not None for note in curve.notes)]
    assert rows[0] == ["layer", *FIELDS, *notes]
    if "name" in notes:
        assert [row[len(FIELDS) + 1] for row in rows[1:]] == [note.name or "" for note in curve.notes]
    assert [int(row[0]) for row in rows[1:]] == curve.layers.tolist()
    for column, name in enumerate(FIELDS, start=1):
        found = [float(row[column]) if row[column] else math.nan for row in rows[1:]]
        assert np.array_equal(found, finite_or_nan(getattr(curve, name)), equal_nan=True)


@settings(deadline=None, max_examples=10)
@given(curves())
def test_dataset(curve):
    dataset = curve.to_dataset()
    known = {name for name in NUMBERS_OF_LAYERS if any(getattr(note, name) is not None for note in curve.notes)}
    assert set(dataset.data_vars) == {*FIELDS, *known}
    assert dataset["layer"].values.tolist() == curve.layers.tolist()
    for name in FIELDS:
        assert dataset[name].dims == ("layer",)
        assert np.array_equal(dataset[name].values, getattr(curve, name), equal_nan=True)
    assert json.loads(dataset.attrs["provenance"]) == json_ready(curve.provenance)


@quick
@given(curves(), st.data())
def test_at_some_layers(curve, data):
    wanted = data.draw(st.lists(st.sampled_from(curve.layers.tolist()), min_size=1))
    part = curve.at(wanted)
    assert part.layers.tolist() == sorted(set(wanted))
    assert part.origin == curve.origin
    place = {layer: i for i, layer in enumerate(curve.layers.tolist())}
    assert list(part.notes) == [curve.notes[place[layer]] for layer in part.layers.tolist()]
    for name in FIELDS:
        whole = dict(zip(curve.layers.tolist(), getattr(curve, name).tolist()))
        expected = [whole[layer] for layer in part.layers.tolist()]
        assert np.array_equal(getattr(part, name), expected, equal_nan=True)
    assert len(part) == len(set(wanted))


def test_at_a_layer_that_is_not_there():
    with pytest.raises(InvalidInputError, match=r"layers \[1, 7\]; expected layers among \[0, 2\]"):
        LayerCurve(**simple()).at([7, 0, 1])


def test_fuzziness_is_optional():
    curve = LayerCurve(**simple())
    assert np.isnan(curve.separation_fuzziness).all()
    assert curve.to_dict()["separation_fuzziness"] == [None, None]
    data = curve.to_dict()
    del data["separation_fuzziness"], data["provenance"]
    assert LayerCurve.from_dict(data) == curve
    assert LayerCurve.from_dict({**data, "separation_fuzziness": None, "provenance": None, "verdict": "?"}) == curve


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"layers": []}, "expected at least one layer index"),
        ({"layers": [2, 0]}, r"layers \[2, 0\]; expected .* increasing"),
        ({"layers": [2, 2]}, "increasing"),
        ({"layers": [[0, 2]]}, "increasing"),
        ({"layers": 3}, "layers 3"),
        ({"layers": [0, 1.5]}, "whole numbers"),
        ({"layers": ["0", "1"]}, "whole numbers"),
        ({"compression": [1.0]}, r"compression of shape \(1,\) for 2 layers; expected shape \(2,\)"),
        ({"between_scatter": [[1.0, 2.0]]}, r"between_scatter of shape \(1, 2\)"),
        ({"separation_fuzziness": [1.0, 2.0, 3.0]}, r"separation_fuzziness of shape \(3,\)"),
    ],
)
def test_refused(changes, match):
    with pytest.raises(InvalidInputError, match=match):
        LayerCurve(**simple(**changes))
    with pytest.raises(InvalidInputError) as caught:
        LayerCurve.from_dict(simple(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"layers": None}, "without layers"),
        ({"compression": None, "discrimination": None}, "without compression, discrimination;"),
        ({"compression": 3}, "not a list of numbers"),
        ({"compression": "ab"}, "not a list of numbers"),
        ({"compression": ["1", "2"]}, "not a list of numbers"),
        ({"compression": [[1], [2, 3]]}, "not a list of numbers"),
        ({"compression": [10**400, 1]}, "not a list of numbers"),
        ({"compression": [{}, 1]}, "not a list of numbers"),
        ({"layers": [0, 10**30]}, "layer"),
        ({"layers": [[0], [1, 2]]}, "not a list of numbers"),
        ({"provenance": [1]}, "not a list of numbers|provenance"),
    ],
)
def test_from_dict_refuses(changes, match):
    with pytest.raises(InvalidInputError, match=match):
        LayerCurve.from_dict(simple(**changes))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "text that is not JSON"),
        ("{", "text that is not JSON"),
        ("[1, 2]", "a JSON list"),
        ("null", "a JSON NoneType"),
        ("{}", "without layers, compression, discrimination, within_scatter, between_scatter"),
    ],
)
def test_from_json_refuses(text, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        LayerCurve.from_json(text)
    assert "pnc predict --json" in caught.value.next_step


def test_json_ready():
    given_value = {
        1: np.float32(0.5),
        "int": np.int64(3),
        "flag": np.bool_(True),
        "tuple": (1, math.inf),
        "deep": [{"a": np.array([[1.0, -math.inf]])}],
        "text": "∞",
        "none": None,
    }
    expected = {
        "1": 0.5,
        "int": 3,
        "flag": True,
        "tuple": [1, None],
        "deep": [{"a": [[1.0, None]]}],
        "text": "∞",
        "none": None,
    }
    assert json_ready(given_value) == expected
    json.dumps(json_ready(given_value), allow_nan=False)


@pytest.mark.parametrize(
    ("name", "values"),
    [("compression", [-1, 2]), ("within_scatter", [1, -0.1]), ("between_scatter", [-1, None]),
     ("separation_fuzziness", [-3, 1]), ("discrimination", [2.5, 1]), ("discrimination", [1, -0.5])],
)  # fmt: skip
def test_numbers_that_no_features_have_are_refused(name, values):
    fields = {key: [1.0, 1.0] for key in ("compression", "discrimination", "within_scatter", "between_scatter")}
    with pytest.raises(InvalidInputError, match=name):
        LayerCurve.from_json(json.dumps({"layers": [0, 1], **fields, name: values}))
