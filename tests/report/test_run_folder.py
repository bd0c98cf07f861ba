"""Run folders: whole or not at all, self-contained, and enough to measure again."""

from __future__ import annotations

import csv
import errno
import json
import math
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pnc.compare import compare
from pnc.curves import FIELDS
from pnc.data import draw
from pnc.errors import InvalidInputError
from pnc.measure import measure_features
from pnc.records import RunRecord, check_folder, new_folder, software_versions
from pnc.report import comparison_figure, page_html, write_run
from pnc.report.canvas import DrawingError
from pnc.report.pages.networks import comparison_page
from pnc.simulate import simulate
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.theory import bounds, predict
from tests.compare.curves import curve

PROBLEM = draw(ProblemSpec(classes=3, samples_per_class=4))
NETWORK = NetworkSpec(depth=4, width=32, residual_scale=0.4)


@pytest.fixture(scope="module")
def run():
    return simulate(PROBLEM, NETWORK, SimulationSpec(device="cpu"))


@pytest.fixture(scope="module")
def comparison(run):
    return compare(predict(PROBLEM, NETWORK), run.measured, bounds=bounds(PROBLEM, NETWORK))


@pytest.fixture(scope="module")
def folder(run, comparison, tmp_path_factory):
    weights = {f"W_{l + 1}": w for l, w in enumerate(run.weights)} | {"basis": run.basis}
    return write_run(
        tmp_path_factory.mktemp("runs") / "a" / "run",
        comparison,
        record=RunRecord(
            command="simulate", network=NETWORK, details={"loss": math.nan, "comparison": comparison.to_dict()}
        ),
        weights=weights,
        title="<K> & co",
    )


def left_over(place: Path):
    return sorted(path.name for path in place.iterdir())


def test_a_run_folder_has_everything(folder):
    assert left_over(folder) == [
        "SHA256SUMS",
        "curves.csv",
        "curves.png",
        "curves.svg",
        "figures",
        "predicted.csv",
        "report.html",
        "run.json",
        "weights.safetensors",
    ]
    assert left_over(folder.parent) == ["run"]
    assert stat.S_IMODE(folder.stat().st_mode) & 0o055 == 0o055  # others may read what mkdtemp would hide
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_record_is_plain_sorted_json(folder, comparison):
    text = (folder / "run.json").read_text(encoding="utf-8")
    record = json.loads(text, parse_constant=pytest.fail)
    assert list(record) == sorted(record)
    assert record["loss"] is None
    assert record["comparison"]["verdict"] == comparison.verdict.name
    assert record["comparison"]["compression"] == comparison.measured.compression.tolist()
    assert record["software"]["pnc"] == software_versions()["pnc"]
    assert record["software"]["numpy"] == np.__version__


@pytest.mark.parametrize(("name", "which"), [("curves.csv", "measured"), ("predicted.csv", "predicted")])
def test_csv_keeps_every_digit(folder, comparison, name, which):
    expected = getattr(comparison, which)
    with open(folder / name, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["layer"]) for row in rows] == expected.layers.tolist()
    for field in FIELDS:
        found = [float(row[field]) if row[field] else math.nan for row in rows]
        np.testing.assert_array_equal(found, getattr(expected, field))


def test_saved_weights_reproduce_the_measured_curve(folder):
    arrays = load_file(folder / "weights.safetensors")
    features = [PROBLEM.X]
    at = PROBLEM.X @ arrays["basis"]
    for l in range(1, NETWORK.depth):
        at = at @ arrays[f"W_{l}"].T
        features.append(at)
    again = measure_features(features, PROBLEM.y)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))["comparison"]
    for field in FIELDS:
        np.testing.assert_allclose(getattr(again, field), record["measured"][field], rtol=1e-8)


def test_the_report_is_self_contained(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page.lower()
    assert "&lt;K&gt; &amp; co" in page  # the title, escaped
    loads = re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?([^"')\s>]*)""", page)
    assert all(link.startswith("#") for link in loads), loads
    # addresses of name spaces are names; nothing else may point outside
    outside = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"(https?:)?//[\w.]+\.\w", outside), re.findall(r".{30}//.{40}", outside)


def test_the_report_shows_every_layer_and_the_verdict(folder, comparison):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert comparison.verdict.name in page
    assert page.count('<th scope="row">') >= 4 * len(comparison.measured)  # two tables, and one behind each plot
    assert f"{comparison.measured.compression[3]:.4g}" in page


RECORD = RunRecord(command="simulate", network=NETWORK)


def write(place, error=None, *, force=False, meanwhile=lambda: None, name="ours"):
    with new_folder(place, force=force) as inside:
        (inside / name).write_text(name)
        meanwhile()
        assert not (place / "ours").exists()
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("force", [False, True])
def test_a_killed_run_leaves_nothing_new(tmp_path, error, force):
    place = tmp_path / "run"
    if force:
        write(place, name="old")
    with pytest.raises(error):
        write(place, error, force=force)
    assert left_over(tmp_path) == (["run"] if force else [])
    if force:
        assert (place / "old").read_text() == "old"


def test_a_full_disk_is_said_in_one_line(tmp_path):
    with pytest.raises(InvalidInputError, match="No space left on device"):
        write(tmp_path / "run", OSError(errno.ENOSPC, "No space left on device"))
    assert left_over(tmp_path) == []


def test_results_do_not_go_down_with_their_figures(tmp_path, comparison, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no ink")

    monkeypatch.setattr("pnc.report.run_folder.comparison_figure", fail)
    with pytest.raises(
        DrawingError, match=r"run is written, but its figures could not be drawn \(RuntimeError: no ink"
    ):
        write_run(tmp_path / "run", comparison, record=RECORD, weights={"W_1": np.eye(2)})
    assert left_over(tmp_path) == ["run"]
    assert left_over(tmp_path / "run") == [
        "SHA256SUMS", "curves.csv", "predicted.csv", "run.json", "weights.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_an_interruption_while_drawing_leaves_nothing(tmp_path, comparison, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("pnc.report.run_folder.comparison_figure", fail)
    with pytest.raises((KeyboardInterrupt, InvalidInputError)):
        write_run(tmp_path / "run", comparison, record=RECORD)
    assert left_over(tmp_path) == []


def test_a_name_may_hold_what_looks_like_a_formula(tmp_path, comparison):
    write_run(tmp_path / "run", comparison, record=RECORD, title=r"$\frac{$ _x^")
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000


def test_an_existing_folder_is_refused_or_replaced_whole(tmp_path, comparison):
    place = tmp_path / "run"
    write(place, name="old")
    with pytest.raises(InvalidInputError, match="`force`"):
        write_run(place, comparison, record=RECORD)
    assert left_over(place) == ["SHA256SUMS", "old"]
    write_run(place, comparison, record=RECORD, force=True)
    assert "old" not in left_over(place)
    assert "run.json" in left_over(place)
    assert "weights.safetensors" not in left_over(place)
    assert left_over(tmp_path) == ["run"]


def test_a_folder_made_by_somebody_else_meanwhile_is_not_lost(tmp_path):
    place = tmp_path / "run"

    def theirs():
        place.mkdir()
        (place / "theirs").write_text("theirs")

    with pytest.raises(InvalidInputError, match="exists"):
        write(place, meanwhile=theirs)
    assert left_over(place) == ["theirs"]
    assert left_over(tmp_path) == ["run"]


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_never_replaced(tmp_path, force):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InvalidInputError, match="not a file"):
        check_folder(tmp_path / "run", force=force)


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="`out`"):
        check_folder(tmp_path / "file" / "new" / "run")
    with pytest.raises(InvalidInputError, match="`out`"):
        write(tmp_path / "file" / "run")


@pytest.mark.parametrize("compression", [[0.0, 0.0, 0.0], [1.0, np.nan, 0.0], [1.0, 1e-30, 1e-60], [2.0, 2.0, 2.0]])
def test_any_curve_can_be_reported(compression):
    measured = curve(compression, [np.nan, 0.5, 1.2])
    comparison = compare(curve([1.0, 0.1, 0.01]), measured)
    comparison_figure(comparison, title="t").canvas.draw()
    page = page_html(comparison_page(comparison, command="compare", title="t", record={}))
    assert "nan" not in re.sub(r"(?s)<svg.*?</svg>|<style.*?</style>", "", page)


def test_the_figure_shows_prediction_measurement_and_bounds(comparison):
    figure = comparison_figure(comparison, title="a title")
    left, right = figure.axes
    assert left.get_yscale() == "log"
    for axis, name in ((left, "compression"), (right, "discrimination")):
        lines = {line.get_label(): line.get_ydata() for line in axis.get_lines()}
        np.testing.assert_array_equal(lines["predicted"], getattr(comparison.predicted, name))
        np.testing.assert_array_equal(lines["measured"], getattr(comparison.measured, name))
    assert len(left.collections) == 1
    without = comparison_figure(replace(comparison, bounds=None))
    assert len(without.axes[0].collections) == 0
