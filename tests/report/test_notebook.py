"""What results do in a notebook: short words, tables, figures, labelled data; and the two notebooks run."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from pnc.compare import Verdict, compare, follow, follow_seeds
from pnc.curves import FIELDS, QUANTITIES, LayerCurve, LayerNotes, Origin
from pnc.data import draw
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import bounds, predict

HOSTILE = "<script>alert(1)</script>"


def curve(ratio=0.4, name=HOSTILE):
    l = np.arange(9)
    return LayerCurve(
        layers=l,
        compression=3 * ratio**l,
        discrimination=0.1 + 0.1 * l,
        within_scatter=3 * ratio**l,
        between_scatter=np.ones(9),
        notes=[LayerNotes(name=name, compression_error=0.01, linear_probe_accuracy=0.5, dimension=7) for _ in l],
        origin=Origin(samples=90, classes=3, split="train"),
    )


def results():
    problem, network = draw(ProblemSpec()), NetworkSpec(depth=4)
    law = predict(problem, network)
    return {
        "curve": curve(),
        "comparison": compare(law, law, bounds=bounds(problem, network)),
        "following": follow(curve()),
        "seeds": follow_seeds([curve(), curve(0.45)]),
    }


RESULTS = results()


@pytest.mark.parametrize("name", list(RESULTS))
def test_words_are_short_and_numbers_plain(name):
    told = repr(RESULTS[name])
    assert len(told) < 500
    assert "array(" not in told
    assert "float64" not in told
    assert "np." not in told


@pytest.mark.parametrize("name", [*RESULTS, "verdict"])
def test_html_is_a_table_without_scripts(name):
    html = (Verdict.AGREES if name == "verdict" else RESULTS[name])._repr_html_()
    assert "<script" not in html
    assert ("<table>" in html) == (name != "verdict")
    if name != "curve":
        assert "<strong>" in html  # the verdict


def test_names_of_layers_are_escaped():
    assert "&lt;script&gt;" in curve()._repr_html_()


@pytest.mark.parametrize("name", list(RESULTS))
def test_a_plot_shows_both_quantities(name):
    figure = RESULTS[name].plot()
    assert len(figure.axes) == 2
    assert figure.axes[0].get_yscale() == "log"
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InvalidInputError, match="screen, paper"):
        RESULTS[name].plot(style="poster")


@pytest.mark.parametrize("name", list(RESULTS))
def test_every_variable_says_what_it_is_and_in_what_unit(name):
    dataset = RESULTS[name].to_dataset()
    assert set(FIELDS) <= set(dataset)
    for variable in (*dataset.data_vars, *dataset.coords):
        assert dataset[variable].attrs["long_name"]
        assert dataset[variable].attrs["units"]
    frame = RESULTS[name].to_dataframe()
    assert frame.index.name == "layer"
    np.testing.assert_array_equal(frame["compression"], dataset["compression"].values)


def test_names_errors_and_probes_are_columns():
    frame = curve().to_dataframe()
    assert frame.columns[0] == "name"
    assert {"compression_error", "linear_probe_accuracy", "dimension"} <= set(frame)
    assert "discrimination_error" not in frame  # not measured
    rows = list(csv.DictReader(io.StringIO(curve().to_csv())))
    assert rows[0]["name"] == HOSTILE
    assert float(rows[3]["compression_error"]) == 0.01
    assert "discrimination_error" not in rows[0]


def test_a_comparison_has_the_prediction_beside_the_measurement():
    dataset = RESULTS["comparison"].to_dataset()
    np.testing.assert_array_equal(dataset["predicted_compression"], RESULTS["comparison"].predicted.compression)
    np.testing.assert_array_equal(dataset["compression_lower"], RESULTS["comparison"].bounds.compression_lower)
    assert dataset.attrs["verdict"] == "AGREES"


def test_every_number_of_a_layer_is_described():
    numbers = {field.name for field in fields(LayerNotes) if field.type in ("float | None", "int | None")}
    assert numbers <= set(QUANTITIES)


NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install pnc[notebook]")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install pnc[notebook]")
    book = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in shown)


def test_there_are_two_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["my_own_model", "theory"]
