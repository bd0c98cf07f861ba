"""Sweeps carried out, interrupted, resumed; and the folder that they are kept in."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray

from pnc.compare import compare
from pnc.data import draw
from pnc.errors import InvalidInputError
from pnc.simulate import simulate
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.sweep import dataset as writing
from pnc.sweep import execute, make_plan, make_table, read_sweep, run_sweep
from pnc.sweep.store import write_folder_atomically
from pnc.theory import predict

SPEC = {
    "depth": "2:5",
    "epsilon": "0.3,0.4",
    "samples_per_class": 3,
    "width": 40,
    "seeds": 3,
    "loss_tolerance": 1e-12,
    "certificates": False,
}


def plan(**changes):
    return make_plan(read_sweep({**SPEC, **changes}), device="cpu")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "sweep"
    return run_sweep(plan(), folder, workers=1), folder


def identical(dataset, folder, other_folder):
    with xarray.open_dataset(folder / "results.nc") as found:
        xarray.testing.assert_identical(found.load(), dataset)
    assert (folder / "results.csv").read_bytes() == (other_folder / "results.csv").read_bytes()


def test_every_cell_is_the_run_alone(done):
    dataset, _ = done
    assert dict(dataset.sizes) == {
        "classes": 1,
        "samples_per_class": 1,
        "theta": 1,
        "depth": 4,
        "width": 1,
        "epsilon": 2,
        "label_scale": 1,
        "seed": 3,
        "layer": 5,
    }
    for depth, epsilon, seed in ((2, 0.3, 0), (5, 0.4, 2), (4, 0.3, 1)):
        problem = draw(ProblemSpec(samples_per_class=3, seed=seed))
        network = NetworkSpec(depth=depth, width=40, residual_scale=epsilon)
        run = simulate(problem, network, SimulationSpec(seed=seed, loss_tolerance=1e-12, device="cpu"))
        law = predict(problem, network)
        verdict = compare(law, run.measured, residuals=run.residuals, residual_scale=epsilon)
        cell = dataset.sel(depth=depth, epsilon=epsilon, seed=seed).squeeze()
        np.testing.assert_array_equal(cell.compression[:depth], run.measured.compression)
        np.testing.assert_array_equal(cell.discrimination[:depth], run.measured.discrimination)
        np.testing.assert_array_equal(cell.predicted_compression[:depth], law.compression)
        np.testing.assert_array_equal(cell.imbalance[1:depth], run.residuals.imbalance)
        assert np.isnan(cell.compression[depth:]).all()
        assert cell.geometric_slope == verdict.geometric.slope
        assert (cell.outcome, cell.verdict) == (run.outcome.name, verdict.verdict.name)
        assert cell.steps == run.steps


def test_what_is_written_is_what_is_returned(done):
    dataset, folder = done
    identical(dataset, folder, folder)
    rows = (folder / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + len(plan().runs)
    header = rows[0].split(",")
    first = dict(zip(header, rows[1].split(","), strict=True))
    assert (first["depth"], first["epsilon"], first["seed"]) == ("2", "0.3", "0")
    assert float(first["compression_1"]) == dataset.compression.sel(depth=2, epsilon=0.3, seed=0, layer=1).item()
    assert not any("second" in name for name in header)  # nothing that differs from one time to the next


def test_two_processes_end_with_the_same_dataset(done, tmp_path):
    dataset, folder = done
    told = []
    found = run_sweep(plan(), tmp_path / "two", workers=2, progress=told.append)
    xarray.testing.assert_identical(found, dataset)
    identical(dataset, tmp_path / "two", folder)
    assert [state.runs for state in told] == sorted(state.runs for state in told)
    assert (told[0].runs, told[-1].runs, told[-1].total) == (0, 24, 24)
    assert told[-1].seconds_left == pytest.approx(0, abs=1e-6)


def test_finished_runs_are_not_run_again_and_a_larger_sweep_adds_to_them(tmp_path, monkeypatch):
    calls = []

    def counted(runs, problem):
        calls.extend(run.hash for run in runs)
        return run_batch(runs, problem)

    run_batch = execute.run_batch
    monkeypatch.setattr(execute, "run_batch", counted)
    small = {"depth": "2:3", "epsilon": "0.3", "loss_tolerance": 1e-6}
    run_sweep(plan(**small), tmp_path / "a", workers=1)
    assert len(calls) == 6
    run_sweep(plan(**small), tmp_path / "a", workers=1)
    assert len(calls) == 6
    larger = plan(**(small | {"epsilon": "0.3,0.4", "seeds": 4}))
    grown = run_sweep(larger, tmp_path / "a", workers=1)
    assert len(calls) == len(set(calls)) == len(larger.runs) == 16
    xarray.testing.assert_identical(grown, run_sweep(larger, tmp_path / "b", workers=1))


def test_a_run_that_fails_is_a_row_with_its_reason(tmp_path):
    failing = plan(
        depth="3,4", epsilon="0.02,0.4,2.0", seeds=1, steps=40, engine="descent", learning_rate=3.0, loss_tolerance=1e-4
    )
    dataset = run_sweep(failing, tmp_path / "f", workers=1).squeeze()
    outcomes = set(dataset.outcome.values.ravel().tolist())
    assert {"REFUSED", "PLATEAU"} <= outcomes
    assert "CONVERGED" in outcomes or "STEP_LIMIT" in outcomes or "DIVERGED" in outcomes
    for outcome, verdict, reason in zip(
        *(dataset[name].values.ravel().tolist() for name in ("outcome", "verdict", "reason")), strict=True
    ):
        if outcome == "REFUSED":
            assert "epsilon" in reason
            assert verdict == ""
        elif outcome != "CONVERGED":
            assert verdict == "NOT_CONVERGED"
            assert reason


def test_cells_of_no_grid_are_empty(tmp_path):
    union = make_plan(
        read_sweep(SPEC | {"grid": [{"depth": 2, "epsilon": 0.3}, {"depth": 3, "epsilon": 0.4}], "seeds": 1}),
        device="cpu",
    )
    dataset = run_sweep(union, tmp_path / "u", workers=1).squeeze()
    assert (dataset.outcome.sel(depth=2).values == ["CONVERGED", ""]).all()
    assert np.isnan(dataset.compression.sel(depth=3, epsilon=0.3)).all()


def test_unequal_classes_are_a_coordinate_of_text(tmp_path):
    mixed = plan(depth="2:3", samples_per_class="3,2/3/5", epsilon=0.3, seeds=1)
    dataset = run_sweep(mixed, tmp_path / "m", workers=1)
    assert dataset.samples_per_class.values.tolist() == ["2/3/5", "3"]
    problem = draw(ProblemSpec(samples_per_class=(2, 3, 5)))
    train = SimulationSpec(loss_tolerance=1e-12, device="cpu")
    run = simulate(problem, NetworkSpec(depth=3, width=40, residual_scale=0.3), train)
    cell = dataset.sel(samples_per_class="2/3/5", depth=3).squeeze()
    np.testing.assert_array_equal(cell.compression, run.measured.compression)
    with xarray.open_dataset(tmp_path / "m" / "results.nc") as found:
        xarray.testing.assert_identical(found.load(), dataset)
    rows = (tmp_path / "m" / "results.csv").read_text().splitlines()
    at = rows[0].split(",").index("samples_per_class")
    assert [row.split(",")[at] for row in rows[1:]] == ["3", "3", "2/3/5", "2/3/5"]
    equal = run_sweep(plan(depth="2:3", samples_per_class="3", epsilon=0.3, seeds=1), tmp_path / "m", workers=1)
    assert equal.samples_per_class.values.tolist() == [3]
    np.testing.assert_array_equal(equal.compression.values[:, 0], dataset.sel(samples_per_class="3").compression)


def test_large_results_are_a_zarr_store(done, tmp_path, monkeypatch):
    pytest.importorskip("zarr", reason="needs Zarr (pnc[store])")
    dataset, whole = done
    monkeypatch.setattr(writing, "_ZARR_BEYOND", 0)
    monkeypatch.setattr(writing, "_CHUNK", 100)  # several chunks even here
    folder = tmp_path / "large"
    folder.mkdir()
    shutil.copytree(whole / "batches", folder / "batches")
    (folder / "results.nc").write_text("of a smaller sweep")
    (folder / ".results.zarr.1234").mkdir()  # what a killed process left
    (folder / ".results.zarr.1234" / "half").write_text("")
    (folder / "sweep.json").write_bytes((whole / "sweep.json").read_bytes())
    contents = []
    for _ in range(2):  # the second time it takes the place of the first
        xarray.testing.assert_identical(run_sweep(plan(), folder, workers=1), dataset)
        with xarray.open_zarr(folder / "results.zarr") as found:
            xarray.testing.assert_identical(found.load(), dataset)
        files = sorted(p for p in (folder / "results.zarr").rglob("*") if p.is_file())
        assert len([f for f in files if f.parent.name == "compression"]) > 10
        contents.append({f.name + f.parent.name: f.read_bytes() for f in files})
    assert contents[0] == contents[1]
    assert sorted(p.name for p in folder.iterdir()) == ["batches", "results.csv", "results.zarr", "sweep.json"]
    assert (folder / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    monkeypatch.setattr(writing, "_ZARR_BEYOND", 1 << 28)
    run_sweep(plan(), folder, workers=1)
    identical(dataset, folder, whole)
    assert not (folder / "results.zarr").exists()


def test_a_store_that_cannot_be_written_leaves_the_last_one(tmp_path):
    path = tmp_path / "results.zarr"
    path.mkdir()
    (path / "old").write_text("")

    def fail():
        with write_folder_atomically(path) as temporary:
            (temporary / "new").write_text("")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["results.zarr", "results.zarr/old"]


# ---- killed, shared, damaged ---------------------------------------------------------------------------------

CHILD = """
import json, sys
from pnc.sweep import make_plan, read_sweep, run_sweep

if __name__ == "__main__":
    plan = make_plan(read_sweep(json.loads(sys.argv[1])), device="cpu")
    run_sweep(plan, sys.argv[2], workers=int(sys.argv[3]))
"""


def start(folder, tmp_path, *, workers=1):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    return subprocess.Popen([sys.executable, str(script), json.dumps(SPEC), str(folder), str(workers)])


def finished(folder):
    return {f.name: f.stat().st_mtime_ns for f in (folder / "batches").glob("[!.]*.json")} if folder.exists() else {}


def descendants(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [int(child) for child in found]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks for orphans in /proc")
def test_killed_at_any_moment_it_resumes_to_the_same_dataset(done, tmp_path):
    dataset, whole = done
    folder, rng, left = tmp_path / "killed", random.Random(1), []
    for wanted, workers in ((0, 2), (1, 1), (2, 1)):
        kept = finished(folder)
        process = start(folder, tmp_path, workers=workers)
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            if len(finished(folder)) >= wanted and (folder / "sweep.json").exists():
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05 if wanted else 1.5))
        children = descendants(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until = time.monotonic() + 20
        while any(alive(child) for child in children) and time.monotonic() < until:
            time.sleep(0.02)
        assert not any(alive(child) for child in children)  # no worker outlives the sweep
        after = finished(folder)
        assert kept.items() <= after.items()  # what was finished stays, untouched
        left.append(len(after))
    assert min(left) < len(plan().batches)  # at least one of them came before the end
    kept = finished(folder)
    found = run_sweep(plan(), folder, workers=1)
    assert kept.items() <= finished(folder).items()
    xarray.testing.assert_identical(found, dataset)
    identical(dataset, folder, whole)
    assert not list((folder / "batches").glob(".*"))


def test_a_second_process_is_refused_and_the_first_is_not_disturbed(done, tmp_path):
    dataset, whole = done
    folder = tmp_path / "shared"
    refused = []

    def intrude(state):
        if state.runs and not refused:
            with pytest.raises(InvalidInputError, match=f"on which process {os.getpid()} works") as error:
                run_sweep(plan(depth=2), folder, workers=1)
            refused.append(error)

    found = run_sweep(plan(), folder, workers=1, progress=intrude)
    assert refused
    xarray.testing.assert_identical(found, dataset)
    identical(dataset, folder, whole)


@pytest.mark.parametrize("keep", [0, 10, -5])
def test_a_half_written_batch_is_refused_by_name(done, tmp_path, keep):
    folder = tmp_path / "damaged"
    small = plan(depth=2)
    run_sweep(small, folder, workers=1)
    [file] = (folder / "batches").glob("*.json")
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    with pytest.raises(InvalidInputError, match=f"{file.name}, which is damaged or half-written.*delete it"):
        run_sweep(small, folder, workers=1)
    file.unlink()
    assert (run_sweep(small, folder, workers=1).outcome == "CONVERGED").all()
    assert file.read_bytes() == content


def test_numbers_that_were_altered_are_refused(tmp_path):
    folder = tmp_path / "altered"
    small = plan(depth=2, seeds=1)
    run_sweep(small, folder, workers=1)
    [file] = (folder / "batches").glob("*.json")
    file.write_text(file.read_text().replace("CONVERGED", "CONVERTED"))
    with pytest.raises(InvalidInputError, match="damaged"):
        run_sweep(small, folder, workers=1)


def test_folders_of_something_else_or_of_another_version_are_refused(tmp_path):
    small = plan(depth=2, seeds=1)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    with pytest.raises(InvalidInputError, match=r"holds thesis\.tex and no sweep"):
        run_sweep(small, other, workers=1)
    assert sorted(p.name for p in other.iterdir()) == ["thesis.tex"]
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "sweep.json").write_text('{"format": 99}')
    with pytest.raises(InvalidInputError, match="of version 99; expected results of version 2"):
        run_sweep(small, newer, workers=1)
    (newer / "sweep.json").write_text('{"form')
    with pytest.raises(InvalidInputError, match=r"sweep\.json, which is damaged"):
        run_sweep(small, newer, workers=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="output folder"):
        run_sweep(small, tmp_path / "file", workers=1)


def test_a_device_that_is_not_there_leaves_nothing(tmp_path):
    with pytest.raises(InvalidInputError, match="got device 'cuda:7'"):
        run_sweep(make_plan(read_sweep(depth=2), device="cuda:7"), tmp_path / "none", workers=2)
    assert not (tmp_path / "none").exists()


def test_a_table_has_a_row_for_every_run_in_plan_order():
    made = plan(depth="2:3", seeds=1)
    records = {
        run.hash: {"outcome": "PLATEAU", "loss": 0.1 + 0.2, "compression": [1.0, float("nan")]} for run in made.runs
    }
    rows = [row.split(",") for row in make_table(made, records).splitlines()]
    at = {name: rows[0].index(name) for name in ("depth", "loss", "compression_0", "compression_1")}
    assert [row[at["depth"]] for row in rows[1:]] == [str(run.network.depth) for run in made.runs]
    assert float(rows[1][at["loss"]]) == 0.1 + 0.2
    assert rows[1][at["compression_0"]] == "1.0"
    assert rows[1][at["compression_1"]] == ""
