"""`pnc sweep` and `pnc reproduce` as a user meets them."""

from __future__ import annotations

import json

import pytest

from pnc.cli.main import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


def test_a_sweep_from_a_file_and_again(capsys, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text('depth = "2:3"\nsamples_per_class = 3\nseeds = 2\nloss_tolerance = 1e-8\n')
    command = (
        "sweep",
        str(file),
        "--epsilon",
        "0.3,0.4",
        "--out",
        str(tmp_path / "s"),
        "--workers",
        "1",
        "--device",
        "cpu",
    )
    code, out, err = run(capsys, *command, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["runs"] == 8
    assert found["outcome"] == {"CONVERGED": 8}
    assert (found["sizes"]["depth"], found["sizes"]["epsilon"], found["sizes"]["seed"]) == (2, 2, 2)
    assert "plan: 8 runs in 2 batches" in err
    assert "8 of 8 runs" in err
    code, out, err = run(capsys, *command)
    assert code == 0
    assert "8 found finished" in err
    assert "results.nc" in out


def test_the_plan_alone_writes_nothing(capsys, tmp_path):
    code, out, err = run(
        capsys, "sweep", "--depth", "2:12", "--width", "200,300", "--plan", "--out", str(tmp_path / "s")
    )
    assert (code, err) == (0, "")
    assert "22 runs in 11 batches" in out
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "arguments", [("--depth", "x"), ("--depth", ""), ("--depth", "3", "--seeds", "0"), (), ("nothing.toml",)]
)
def test_bad_input_is_one_line_and_status_2(capsys, tmp_path, arguments):
    code, out, err = run(capsys, "sweep", *arguments, "--out", str(tmp_path / "s"))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("pnc: got ")


def test_experiments_are_listed_and_a_wrong_name_has_a_neighbour(capsys, tmp_path):
    code, out, _ = run(capsys, "reproduce", "--json")
    assert code == 0
    names = json.loads(out)
    assert {"fig4_linear", "fig6_assumptions", "phase_diagram", "default_weights", "dynamics"} <= set(names)
    assert all(names.values())
    code, _, err = run(capsys, "reproduce", "fig7", "--out", str(tmp_path))
    assert code == 2
    assert "did you mean fig" in err


def test_figure_6_reproduces(capsys, tmp_path):
    code, out, _ = run(
        capsys, "reproduce", "fig6", "--scale", "smoke", "--out", str(tmp_path / "f"), "--workers", "1", "--json", "-q"
    )
    assert code == 0
    found = json.loads(out)
    assert found["runs"] == {"CONVERGED": 6}
    assert found["largest_loss"] < 1e-10
    for name in ("fig6_assumptions.png", "fig6_assumptions.svg", "fig6_assumptions.json"):
        assert (tmp_path / "f" / name).stat().st_size > 0
