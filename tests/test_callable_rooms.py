"""`pnc.compare(…)`, `pnc.simulate(…)`, `pnc.train(…)`, `pnc.measure(…)`: a room is its main function, too."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pnc

PROBLEM = {"X": np.eye(6, 8), "y": [0, 0, 0, 1, 1, 1]}


def test_theory_against_simulation_in_three_calls():
    problem, network = pnc.Problem(**PROBLEM), pnc.NetworkSpec(depth=3, width=300)
    run = pnc.simulate(problem, network)
    found = pnc.compare(pnc.predict(problem, network), run.measured)
    assert found.verdict is pnc.compare.Verdict.AGREES


def test_a_network_in_two_calls():
    x, y = torch.eye(6, 8), torch.tensor(PROBLEM["y"])
    net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    run = pnc.train(net, (x, y), pnc.TrainSpec(epochs=2))
    assert run.steps == 2
    assert len(pnc.measure(run.model, [(x, y)]).layers) == 3


def test_a_spec_of_training_is_not_taken_for_one_of_a_simulation():
    """`pnc.TrainSpec` was the name of what is `SimulationSpec` now."""
    with pytest.raises(pnc.InvalidInputError, match=r"a TrainSpec to simulate with.*pass pnc.SimulationSpec"):
        pnc.simulate(pnc.Problem(**PROBLEM), pnc.NetworkSpec(depth=3), pnc.TrainSpec())


def test_the_specs_of_the_package_load_no_torch():
    code = "import sys, pnc; pnc.TrainSpec(), pnc.LowRankSpec(sites='a'); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("basedpyright") is None, reason="needs basedpyright")
def test_a_type_checker_sees_what_is_called(tmp_path):
    """Results have their type, and a wrong argument is an error."""
    (tmp_path / "calls.py").write_text(
        "import pnc\n"
        "def run(problem: pnc.Problem, network: pnc.NetworkSpec) -> None:\n"
        "    reveal_type(pnc.compare(pnc.predict(problem, network), pnc.simulate(problem, network).measured))\n"
        "    pnc.simulate(problem, 3)\n"
        "    pnc.predict()\n"
        "    pnc.train(network)\n",
        encoding="utf-8",
    )
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "standard", "extraPaths": [str(Path(pnc.__file__).parents[1])]}),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "calls.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)["generalDiagnostics"]
    assert any(one["severity"] == "information" and '"Comparison"' in one["message"] for one in said)
    assert sorted(one["range"]["start"]["line"] for one in said if one["severity"] == "error") == [3, 4, 5]
