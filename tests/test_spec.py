"""Specs: defaults, what they take, and an error of three parts for everything else."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=12))
def test_sizes(counts):
    spec = ProblemSpec(classes=len(counts), samples_per_class=counts)
    assert spec.counts == tuple(counts)
    assert spec.samples == sum(counts)
    # the paper's 30 samples in 50 dimensions, rounded up
    assert 5 * spec.samples <= 3 * spec.dimension < 5 * spec.samples + 3


def test_the_papers_problem():
    spec = ProblemSpec(classes=3, samples_per_class=10)
    assert (spec.samples, spec.dimension, spec.counts) == (30, 50, (10, 10, 10))


@pytest.mark.parametrize(
    "spec",
    [
        ProblemSpec(),
        ProblemSpec(classes=2, samples_per_class=(3, 5), kind="gaussian-clusters", dimension=2),
        NetworkSpec(depth=2, width=7),
        SimulationSpec(learning_rate=0.1),
        SimulationSpec(weights="default"),
    ],
)
def test_specs_survive_json_and_cannot_be_changed(spec):
    again = type(spec)(**json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert hash(again) == hash(spec)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.seed = 5


def test_numpys_integers_are_whole_numbers():
    spec = ProblemSpec(classes=np.int64(3), samples_per_class=np.int32(4), seed=np.uint8(1), dimension=np.int64(12))
    assert spec == ProblemSpec(classes=3, samples_per_class=4, seed=1, dimension=12)
    assert ProblemSpec(classes=2, samples_per_class=np.array([1, 2])).counts == (1, 2)
    assert NetworkSpec(depth=np.int64(3)).depth == 3
    json.dumps([spec.to_dict(), NetworkSpec(depth=np.int64(3)).to_dict()])


def test_coordinates_follow_the_weights():
    assert SimulationSpec().coordinates == "reduced"
    assert SimulationSpec(weights="exact").coordinates == "reduced"
    assert SimulationSpec(weights="default").coordinates == "full"
    assert SimulationSpec(coordinates="full").coordinates == "full"


def test_clusters_need_no_room():
    assert ProblemSpec(kind="gaussian-clusters", dimension=1).dimension == 1


@pytest.mark.parametrize(
    ("make", "options", "got", "step"),
    [
        (ProblemSpec, {"classes": 1}, "classes = 1", "`classes"),
        (ProblemSpec, {"classes": 2.5}, "classes = 2.5", "whole number"),
        (ProblemSpec, {"classes": True}, "classes = True", "whole number"),
        (ProblemSpec, {"samples_per_class": 0}, "class sizes (0, 0, 0)", "`samples_per_class"),
        (ProblemSpec, {"samples_per_class": (3, 0, 3)}, "class sizes (3, 0, 3)", "`samples_per_class"),
        (ProblemSpec, {"samples_per_class": (3, 4)}, "2 class sizes for 3 classes", "3 sizes"),
        (ProblemSpec, {"samples_per_class": 2.5}, "samples_per_class = 2.5", "whole number"),
        (ProblemSpec, {"samples_per_class": (1, 2, 2.5)}, "samples_per_class = 2.5", "whole number"),
        (ProblemSpec, {"samples_per_class": "abc"}, "samples_per_class = 'abc'", "whole number"),
        (ProblemSpec, {"kind": "random"}, "kind = 'random'", "as `kind`"),
        (ProblemSpec, {"theta": 1.0}, "theta = 1.0", "`theta` below 1"),
        (ProblemSpec, {"theta": -0.1}, "theta = -0.1", "`theta"),
        (ProblemSpec, {"theta": float("nan")}, "theta = nan", "`theta"),
        (ProblemSpec, {"dimension": 29}, "dimension = 29 for N = 30 samples", "`dimension=30`"),
        (ProblemSpec, {"dimension": 0, "kind": "gaussian-clusters"}, "dimension = 0", "`dimension"),
        (ProblemSpec, {"seed": -1}, "seed = -1", "`seed=0`"),
        (NetworkSpec, {"depth": 1}, "depth = 1", "`depth=2`"),
        (NetworkSpec, {"depth": 2.5}, "depth = 2.5", "whole number"),
        (NetworkSpec, {"depth": 3, "width": 0}, "width = 0", "`width"),
        (NetworkSpec, {"depth": 3, "residual_scale": 0}, "residual_scale = 0", "`residual_scale=0.3`"),
        (NetworkSpec, {"depth": 3, "residual_scale": -1}, "residual_scale = -1", "`residual_scale=0.3`"),
        (NetworkSpec, {"depth": 3, "residual_scale": float("inf")}, "residual_scale = inf", "`residual_scale=0.3`"),
        (NetworkSpec, {"depth": 3, "label_scale": 0.0}, "label_scale = 0.0", "`label_scale=1`"),
        (NetworkSpec, {"depth": 3, "label_scale": float("nan")}, "label_scale = nan", "`label_scale=1`"),
        (SimulationSpec, {"weights": "zero"}, "weights = 'zero'", "`weights"),
        (SimulationSpec, {"engine": "adam"}, "engine = 'adam'", "`engine"),
        (SimulationSpec, {"coordinates": "polar"}, "coordinates = 'polar'", "`coordinates"),
        (SimulationSpec, {"dtype": "float16"}, "dtype = 'float16'", "did you mean float64?"),
        (
            SimulationSpec,
            {"weights": "default", "coordinates": "reduced"},
            "reduced coordinates",
            "`coordinates=full`",
        ),
        (SimulationSpec, {"learning_rate": 0.0}, "learning_rate = 0.0", "`learning_rate"),
        (SimulationSpec, {"learning_rate": float("inf")}, "learning_rate = inf", "`learning_rate"),
        (SimulationSpec, {"steps": 0}, "steps = 0", "`steps"),
        (SimulationSpec, {"steps": 1e5}, "steps = 100000.0", "whole number"),
        (SimulationSpec, {"loss_tolerance": 0.0}, "loss_tolerance = 0.0", "`loss_tolerance"),
        (SimulationSpec, {"loss_tolerance": 1.0}, "loss_tolerance = 1.0", "`loss_tolerance"),
        (SimulationSpec, {"loss_tolerance": float("nan")}, "loss_tolerance = nan", "`loss_tolerance"),
        (SimulationSpec, {"record": -1}, "record = -1", "`record"),
        (SimulationSpec, {"seed": -3}, "seed = -3", "`seed=0`"),
    ],
)
def test_refused(make, options, got, step):
    with pytest.raises(InvalidInputError) as caught:
        make(**options)
    error = caught.value
    assert got in error.got
    assert error.expected
    assert step in error.next_step
    assert str(error) == f"got {error.got}; expected {error.expected}; {error.next_step}"
    assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["orthonormal", "nearly-orthonormal", "orthonormal-noise"])
def test_orthonormal_kinds_need_a_dimension_a_sample(kind):
    assert ProblemSpec(kind=kind, dimension=30).dimension == 30
    with pytest.raises(InvalidInputError, match=f"dimension ≥ N for {kind} data"):
        ProblemSpec(kind=kind, dimension=29)


@pytest.mark.parametrize(
    ("module", "old", "new"), [("pnc.spec", "TrainSpec", "SimulationSpec"), ("pnc.train", "NetTrainSpec", "TrainSpec")]
)
def test_old_names_warn_and_lead_to_the_new_ones(module, old, new):
    found = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=f"is now {new}"):
        assert getattr(found, old) is getattr(found, new)
