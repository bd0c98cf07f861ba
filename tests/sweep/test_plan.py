"""The plan: which runs, in which order, hashed how, in which batches, how much memory."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest

from pnc.data import Problem, save_problem
from pnc.errors import InvalidInputError
from pnc.simulate.run import prepare
from pnc.spec import SimulationSpec
from pnc.sweep import describe_plan, make_plan, read_sweep, results_name
from pnc.sweep.dataset import dataset_bytes, make_dataset
from pnc.sweep.plan import problem_of
from pnc.sweep.records import LAYER_FIELDS, SCALAR_FIELDS


def plan(**options):
    return make_plan(read_sweep(options))


def test_the_runs_are_the_product_in_the_order_of_the_axes():
    made = plan(depth="2:3", epsilon="0.1,0.2", classes="2,3", seeds=2, seed=5)
    wanted = itertools.product((2, 3), (2, 3), (0.1, 0.2), (5, 6))
    assert [(r.problem.classes, r.network.depth, r.network.residual_scale, r.train.seed) for r in made.runs] == list(
        wanted
    )
    assert all(r.problem.seed == r.train.seed == r.coordinates["seed"] for r in made.runs)
    assert made.axes == ["classes", "samples_per_class", "theta", "depth", "epsilon", "label_scale"]


def test_unequal_classes_are_counted_and_equal_ones_are_the_number():
    made = plan(depth=3, samples_per_class="4,2/4/6,4/4/4,2/3", theta=0.1)
    assert [run.problem.counts for run in made.runs] == [(4, 4, 4), (2, 4, 6), (2, 3)]
    assert [run.coordinates["samples_per_class"] for run in made.runs] == [4, (2, 4, 6), (2, 3)]
    assert made.values("samples_per_class") == [(2, 3), (2, 4, 6), 4]
    assert made.values("classes") == [2, 3]
    assert len({run.hash for run in made.runs}) == 3
    assert made.runs[0].hash == plan(depth=3, samples_per_class=4, theta=0.1).runs[0].hash
    assert "samples_per_class 2/3…4 (3)" in describe_plan(made, workers=1)
    for sizes in ("2/4/6", "4/4/4"):
        with pytest.raises(InvalidInputError, match="3 class sizes for 2 classes"):
            plan(depth=3, classes=2, samples_per_class=sizes)


def test_a_union_has_every_run_once():
    made = plan(grid=[{"depth": "2:5", "width": 400}, {"depth": 5, "width": "200:700:100"}], seeds=10)
    assert len(made.runs) == 90
    assert len({run.hash for run in made.runs}) == 90


@pytest.mark.parametrize(
    ("grids", "axis", "found"),
    [
        ([{"width": 100}, {"label_scale": 2.0}], "width", [100, 512]),
        ([{"dimension": 40}, {"label_scale": 2.0}], "dimension", [40, 50]),
        ([{"dimension": 600}, {"width": 700}], "width", [600, 700]),
    ],
)
def test_grids_of_a_union_need_not_state_the_same_axes(grids, axis, found):
    made = plan(depth=2, grid=grids)
    assert [run.coordinates[axis] for run in made.runs] in (found, found[::-1])
    assert made.values(axis) == found
    assert all(set(made.axes) < set(run.coordinates) for run in made.runs)
    data = make_dataset(made, {run.hash: {"outcome": "converged"} for run in made.runs})
    assert int((data.outcome == "converged").sum()) == len(made.runs) == 2
    # nothing else of a run changes by what another grid states
    assert made.runs[0].hash == plan(depth=2, **grids[0]).runs[0].hash


def test_a_width_that_one_grid_states_with_data_that_are_read(tmp_path):
    draw = np.random.default_rng(0)
    save_problem(tmp_path / "data.npz", Problem(X=draw.standard_normal((12, 20)), y=np.arange(12) % 3))
    made = plan(depth=2, data=str(tmp_path / "data.npz"), grid=[{"width": 100}, {"label_scale": 2.0}])
    assert [run.coordinates["width"] for run in made.runs] == [100, 512]


def test_every_run_is_in_one_batch_and_a_batch_has_one_shape():
    made = plan(depth="2:4", classes="2,3", width="8,100", samples_per_class="2,5", seeds=20)
    assert sorted(itertools.chain(*made.batches)) == list(range(len(made.runs)))
    for members, shape in zip(made.batches, made.shapes, strict=True):
        for i in members[:2]:
            run = made.runs[i]
            rank, width, depth, classes = shape
            all_weights = replace(run.train, engine="descent")  # a flow moves two matrices in their place (Y5)
            real = prepare(problem_of(run, None), run.network, all_weights).shapes
            assert real == ((width, rank), *[(width, width)] * (depth - 2), (classes, width))


def test_the_hash_is_of_what_decides_the_numbers_and_of_nothing_else():
    run = plan(depth=3, width=20).runs[0]
    again = plan(depth="2:3", width="20,30", seeds=4).runs
    assert run.hash in {other.hash for other in again}
    assert replace(run, train=replace(run.train, device="cpu")).hash == run.hash
    changes = {
        "seed": 1,
        "steps": 7,
        "loss_tolerance": 1e-3,
        "engine": "descent",
        "dtype": "float32",
        "weights": "exact",
        "coordinates": "full",
        "learning_rate": 0.1,
        "record": 4,
        "cut_off": 1e-10,
    }
    assert set(changes) == {f.name for f in fields(SimulationSpec)} - {"device"}
    for name, value in changes.items():
        assert replace(run, train=replace(run.train, **{name: value})).hash != run.hash, name
    for name, value in {"depth": 4, "width": 21, "residual_scale": 0.31, "label_scale": 2.0}.items():
        assert replace(run, network=replace(run.network, **{name: value})).hash != run.hash, name
    for name, value in {"classes": 4, "samples_per_class": 11, "theta": 0.21, "seed": 1, "dimension": 51}.items():
        other = replace(
            run,
            problem=replace(
                run.problem, **{name: value}, **({"dimension": 90} if name in ("classes", "samples_per_class") else {})
            ),
        )
        assert other.hash != run.hash, name
    assert replace(run, certificate=False).hash != run.hash
    assert replace(run, full_checks=True).hash != run.hash


def test_a_file_s_runs_are_hashed_with_its_numbers(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 8)), [0, 0, 0, 1, 1, 1]
    hashes = []
    for name, scale in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        save_problem(tmp_path / f"{name}.npz", Problem(X=scale * X, y=y))
        made = plan(depth="2:3", data=str(tmp_path / f"{name}.npz"))
        hashes.append(made.runs[0].hash)
    assert made.axes == ["depth", "epsilon", "label_scale"]
    assert hashes[0] == hashes[1] != hashes[2]


def test_memory_is_counted_before_anything_starts():
    made = plan(depth=5, width=4096, coordinates="full", seeds=2)
    weights = 8 * (4096 * 50 + 3 * 4096**2 + 3 * 4096)
    assert 10 * weights < made.batch_bytes(0) < 30 * weights
    with pytest.raises(InvalidInputError, match=r"needs about .* GiB .* the 1 GiB of this machine"):
        made.require_memory(workers=2, available=2**30)
    made.require_memory(workers=1, available=2**34)
    small = plan(depth="2:6", width=4096, seeds=100)
    small.require_memory(workers=2, available=2**29)  # reduced: the width costs nothing
    with pytest.raises(InvalidInputError, match="GiB"):
        plan(depth=3, width=10**6, coordinates="full").require_memory(workers=1)
    with pytest.raises(InvalidInputError, match=r"needs about 1 GiB \(1 GiB of them for the results of 500 runs\)"):
        small.require_memory(workers=0, results=2**30, available=2**30 - 1)


def test_the_size_of_the_results_decides_where_they_go(monkeypatch):
    # a union whose grids hardly meet: 60 runs, of which the dataset is a box that they leave empty
    made = plan(grid=[{"depth": 3, "epsilon": f"0.0{i}", "width": 10 + i, "theta": f"0.{i}"} for i in range(1, 10)])
    numbers = 9**3 * (19 * 3 + len(SCALAR_FIELDS))
    assert dataset_bytes(made) == 8 * numbers
    assert len(LAYER_FIELDS) == 19
    assert results_name(made) == "results.nc"
    monkeypatch.setattr("pnc.sweep.dataset._ZARR_BEYOND", 8 * numbers)
    assert results_name(made) == "results.nc"
    monkeypatch.setattr("pnc.sweep.dataset._ZARR_BEYOND", 8 * numbers - 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "netCDF4" else name)
    assert results_name(made) == "results.zarr"
    assert "results.zarr" in describe_plan(made, workers=1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert results_name(made) == "results.nc"
    monkeypatch.setattr("pnc.sweep.dataset.dataset_bytes", lambda plan: 2**31)
    with pytest.raises(InvalidInputError, match=r"results of 2 GiB.*pip install netcdf4 zarr"):
        results_name(made)


def test_more_runs_than_fit_are_refused_before_they_are_listed():
    with pytest.raises(InvalidInputError, match=r"GiB \(for the plan of 100,000,000,000 runs alone\)"):
        plan(depth="2:101", epsilon="0.01:1:0.01", theta="0:0.99:0.01", label_scale="1:100:1", seeds=1000)


def test_the_plan_in_words():
    text = describe_plan(plan(depth="2:3", width="200,300", seeds=5), workers=2)
    assert "20 runs in 2 batches" in text
    assert "33 × 33 on inputs of rank 30" in text
    assert "expected: about" in text


@pytest.mark.parametrize(
    "bad", [{"depth": 1}, {"epsilon": 0}, {"theta": 1.0}, {"width": 0}, {"classes": 1}, {"dimension": 5}]
)
def test_values_that_no_run_can_have_are_refused_before_starting(bad):
    with pytest.raises(InvalidInputError):
        plan(**({"depth": 3} | bad))
