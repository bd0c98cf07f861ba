"""Schemas: what commands print and write is what their schema says, and something else is not."""

from __future__ import annotations

import json

import pytest

from pnc.cli.main import COMMANDS, EXAMPLES
from pnc.errors import InvalidInputError
from pnc.records import SCHEMAS, schema
from tests.cli.commands import run

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install pnc[test]")

SMALL = ("--depth", 3, "--samples-per-class", 4, "--width", 40)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    import numpy as np

    from pnc import TrainSpec
    from pnc.runs import DataSource, NetworkSource, TrainRequest, train_and_measure

    place = tmp_path_factory.mktemp("schema")
    y = np.repeat([0, 1, 2], 20)
    x = np.eye(3, 8)[y] + 0.1 * np.random.default_rng(0).normal(size=(60, 8))
    np.savez(place / "data.npz", X=x, y=y)
    np.savez(place / "features.npz", y=y, layer_0=x, layer_1=2 * x[:, :4])
    request = TrainRequest(
        network=NetworkSource(name="mlp", width=8, depth=4), data=DataSource(data=str(place / "data.npz")),
        training=TrainSpec(epochs=5), device="cpu",
    )  # fmt: skip
    train_and_measure(request, out=place / "run")
    return place


def valid(name, found):
    jsonschema.Draft202012Validator.check_schema(schema(name))
    jsonschema.validate(found, schema(name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("predict", ("predict", *SMALL)),
        ("simulate", ("simulate", *SMALL)),
        ("simulate", ("simulate", "--depth", 3, "--samples-per-class", 4, "--skip", 1.0)),
        ("measure", ("measure", "{features}")),
        ("measure", ("measure", "{run}", "--per-class", "--attribute")),
        ("compare", ("compare", "{run}")),
        ("choose", ("choose", "{run}")),
        ("choose", ("choose", "{features}")),
        ("tail", ("tail", "{run}")),
        ("compress", ("compress", "{run}", "--site", "body.1", "--dimensions", "2,3", "--no-svm")),
        ("train", ("train", "mlp", "--data", "{data}", "--width", 8, "--depth", 3, "--epochs", 2)),
        ("sweep", ("sweep", "--depth", "2:3", "--width", 40, "-q", "--out", "{sweep}")),
        ("cite", ("cite", "T2")),
    ],
)
def test_what_a_command_prints_is_what_its_schema_says(capsys, trained, tmp_path, name, arguments):
    places = {
        "run": trained / "run", "data": trained / "data.npz", "features": trained / "features.npz",
        "sweep": tmp_path / "s",
    }  # fmt: skip
    words = [str(word).format(**places) for word in arguments]
    found = run(capsys, *words, "--json")
    assert found.status in (0, 3, 4), found.err
    valid(name, found.json())


def test_run_json_is_what_its_schema_says(capsys, trained, tmp_path):
    valid("run", json.loads((trained / "run" / "run.json").read_text()))
    for name, arguments in {
        "simulate": SMALL, "measure": (trained / "run",), "choose": (trained / "run",), "tail": (trained / "run",),
    }.items():  # fmt: skip
        run(capsys, name, *arguments, "--out", tmp_path / name)
        valid("run", json.loads((tmp_path / name / "run.json").read_text()))


def test_other_things_are_refused(capsys):
    found = run(capsys, "predict", *SMALL, "--json").json()
    for change in ({"compression": "0.1"}, {"layers": []}, {"provenance": None}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(found | change, schema("predict"))
    found.pop("discrimination")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema("predict"))
    with pytest.raises(InvalidInputError, match="measure"):
        schema("nothing")


def test_pnc_is_cited_first(capsys):
    text = run(capsys, "cite", "T2").out
    assert text.startswith("@software{pnc,")
    found = run(capsys, "cite", "T2", "--json").json()
    assert found["keys"][:2] == ["pnc", "wang2025layerwise"]
    assert "\n\n".join(found["bibtex"]) == text.rstrip("\n")


def test_every_command_has_an_example():
    assert set(EXAMPLES) == {command.__name__ for command in COMMANDS}
    assert set(SCHEMAS) - {"run"} <= set(EXAMPLES)
    for name, example in EXAMPLES.items():
        assert example.startswith(f"pnc {name}")
