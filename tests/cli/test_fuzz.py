"""Hostile numbers on the command line and in files: one line and status 2, or an answer, never a traceback.

`python -m tests.fuzz` tries every option with every value; here are as many as a minute allows."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnc.cli.main import COMMANDS
from tests.fuzz import HOSTILE, base, numbers_of, prepare, tried

RAW = (
    "null", "true", '"x"', "[]", "{}", "-1", "0", "0.5", "1e18", "1e400", "-1e400", "NaN", "1" + "0" * 4999, '"1e18"',
    "[[[[1]]]]", '{"a": 1}', "1000000000000000000", '"\u0000"', '"$\\frac{"', "[null, 1]", "[" * 2000 + "]" * 2000,
)  # fmt: skip
TOML = (
    *HOSTILE[:8],
    "nan",
    "inf",
    "-inf",
    '"x"',
    "[]",
    "{}",
    "true",
    "1979-05-27",
    "[1e18, nan]",
    '"' + "9" * 5000 + '"',
)


def fuzzed(most):
    """So many examples, each with what the module's fixture left."""
    return settings(max_examples=most, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    before = Path.cwd()
    os.chdir(folder)
    prepare(folder)
    yield folder
    os.chdir(before)


def options():
    """A command, and one of its options or two with a value each."""
    names = [one.__name__ for one in COMMANDS if numbers_of(one.__name__)]
    pairs = st.sampled_from(names).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.lists(st.tuples(st.sampled_from(numbers_of(name)), st.sampled_from(HOSTILE)), min_size=1, max_size=2),
        )
    )
    return pairs


def holds(ended):
    assert ended.wrong() is None, (ended.wrong(), ended.err[-1000:])


@pytest.mark.parametrize("command", [one.__name__ for one in COMMANDS if one.__name__ != "reproduce"])
def test_what_is_added_to_works_by_itself(place, command):
    ended = tried(base(command, place))
    assert ended.status in (0, 3, 4), ended.err


@fuzzed(40)
@given(case=options())
def test_numbers_of_the_command_line(place, case):
    command, given_options = case
    holds(tried([*base(command, place), *(f"{option}={value}" for option, value in given_options)]))


@fuzzed(12)
@given(
    command=st.sampled_from(["simulate", "train"]),
    data=st.data(),
    value=st.sampled_from(TOML),
)
def test_numbers_of_a_configuration(place, command, data, value):
    key = data.draw(st.sampled_from(numbers_of(command))).removeprefix("--").replace("-", "_")
    (place / "options.toml").write_text(f"{key} = {value}\n", encoding="utf-8")
    holds(tried([*base(command, place), "--config", "options.toml"]))


def _places(value, at=()):
    """Where the parts of a JSON value stand."""
    if at:
        yield at
    entries = value.items() if isinstance(value, dict) else enumerate(value[:2] if isinstance(value, list) else [])
    for key, item in entries:
        yield from _places(item, (*at, key))


def _with(value, at, raw):
    """The JSON text with another value at one place."""
    whole = json.loads(json.dumps(value))
    part = whole
    for key in at[:-1]:
        part = part[key]
    part[at[-1]] = "HERE"
    return json.dumps(whole).replace('"HERE"', raw)


@fuzzed(20)
@given(data=st.data(), raw=st.sampled_from(RAW))
def test_fields_of_a_run(place, data, raw):
    record = json.loads((place / "run" / "run.json").read_text())
    at = data.draw(st.sampled_from(list(_places(record))))
    folder = shutil.copytree(place / "run", place / "other", dirs_exist_ok=True)
    (folder / "run.json").write_text(_with(record, at, raw), encoding="utf-8")
    digest = hashlib.sha256((folder / "run.json").read_bytes()).hexdigest()
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    lines = [f"{digest}  run.json" if line.endswith("  run.json") else line for line in sums]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    holds(tried([data.draw(st.sampled_from(["compare", "measure"])), "other"]))


@fuzzed(20)
@given(data=st.data(), raw=st.sampled_from(RAW))
def test_numbers_of_a_curve(place, data, raw):
    if not (place / "curve.json").exists():
        done = tried([*base("predict", place), "--json"])
        (place / "curve.json").write_text(done.out, encoding="utf-8")
    curve = json.loads((place / "curve.json").read_text())
    at = data.draw(st.sampled_from(list(_places(curve))))
    (place / "changed.json").write_text(_with(curve, at, raw), encoding="utf-8")
    order = data.draw(st.permutations(["curve.json", "changed.json"]))
    holds(tried(["compare", *order]))


KINDS = (np.float64, np.float16, np.int8, np.uint64, np.complex128, np.bool_, "U3", "M8[D]", ">f4", np.longdouble)


@fuzzed(20)
@given(
    kind=st.sampled_from(KINDS),
    number=st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 1e18]),
    labels=st.sampled_from([None, [-1], [0.5], [np.nan], [2**62], ["a"], [True], [1e300], []]),
    shape=st.sampled_from([(6, 4), (6,), (0, 4), (6, 0), (6, 2, 2), (), (1, 1)]),
)
def test_numbers_of_an_archive(place, kind, number, labels, shape):
    with np.errstate(all="ignore"):
        x = np.zeros(shape) if isinstance(kind, str) and kind[0] in "UM" else np.arange(np.prod(shape)).reshape(shape)
        if x.size and not (isinstance(kind, str) and kind[0] in "UM"):
            x = x.astype(float)
            x.flat[-1] = number
        x = x.astype(np.int64).astype(kind) if kind == "M8[D]" else x.astype(kind)
    y = np.arange(6) % 2 if labels is None else np.array((labels * 6)[:6])
    np.savez(place / "features.npz", X=x, y=y)
    holds(tried(["measure", "features.npz"]))
