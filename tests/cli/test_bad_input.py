"""Bad input: one line that says got, expected and what to do next; status 2; nothing half-written."""

from __future__ import annotations

import gzip
import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from pnc.curves import LayerCurve
from tests.cli.commands import run

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((6, 10)), np.array([0, 0, 1, 1, 2, 2])


def refused(capsys, *arguments, folder=None):
    """The one line on stderr of a command that has to refuse its input."""
    before = None if folder is None else sorted(folder.rglob("*"))
    ended = run(capsys, *arguments)
    assert ended.status == 2, ended
    assert ended.out == ""
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.startswith("pnc: ")
    assert "Traceback" not in ended.err
    if folder is not None:
        assert sorted(folder.rglob("*")) == before
    return ended.err


def says_what_to_do(line):
    """Got, expected, next step."""
    assert line.startswith("pnc: got ")
    got, expected, *then = line.removeprefix("pnc: got ").split("; ")
    assert got
    assert expected.startswith("expected ")
    assert then
    return line


SIZES = [
    (("--classes", 1), "classes = 1"),
    (("--classes", 0), "classes = 0"),
    (("--depth", 1), "depth = 1"),
    (("--depth", -3), "depth = -3"),
    (("--epsilon", 0), "epsilon = 0"),
    (("--epsilon", -0.1), "epsilon = -0.1"),
    (("--epsilon", "nan"), "epsilon = nan"),
    (("--epsilon", "inf"), "epsilon = inf"),
    (("--theta", 1), "theta = 1"),
    (("--theta", 7.5), "theta = 7.5"),
    (("--theta", -0.1), "theta = -0.1"),
    (("--theta", "nan"), "theta = nan"),
    (("--label-scale", 0), "label_scale = 0"),
    (("--width", 0), "width = 0"),
    (("--width", 2), "2"),  # three classes do not pass
    (("--samples-per-class", 0), "(0, 0, 0)"),
    (("--samples-per-class", "3,4"), "2 class sizes for 3 classes"),
    (("--samples-per-class", "3,4,0"), "(3, 4, 0)"),
    (("--samples-per-class", "many"), "'many'"),
    (("--samples-per-class", ""), "''"),
    (("--dimension", 5), "dimension = 5 for N = 30"),
    (("--seed", -1), "seed = -1"),
    (("--data", "orthonormal", "--data-dir", "."), "--data-dir"),
    (("--components", 0), "components"),
    (("--components", 1000), "components"),
]


@pytest.mark.parametrize("command", ["predict", "simulate"])
@pytest.mark.parametrize(("options", "got"), SIZES)
def test_sizes_out_of_range(capsys, tmp_path, command, options, got):
    out = ("--out", tmp_path / "run") if command == "simulate" else ()
    assert got in says_what_to_do(refused(capsys, command, *options, *out, folder=tmp_path))


@pytest.mark.parametrize(
    ("options", "got"),
    [
        (("--steps", 0), "steps = 0"),
        (("--loss-tolerance", 0), "loss_tolerance = 0"),
        (("--loss-tolerance", 2), "loss_tolerance = 2"),
        (("--learning-rate", 0), "learning_rate = 0"),
        (("--learning-rate", "nan"), "learning_rate = nan"),
        (("--record", -1), "record = -1"),
        (("--device", "cuda:77"), "device 'cuda:77'"),
        (("--device", "toaster"), "device 'toaster'"),
        (("--compression-limit", 0), "limit compression = 0"),
        (("--discrimination-limit", -1), "limit discrimination = -1"),
        (("--weights", "default", "--coordinates", "reduced"), "reduced coordinates with default weights"),
    ],
)
def test_training_options_out_of_range(capsys, tmp_path, options, got):
    assert got in says_what_to_do(refused(capsys, "simulate", *options, "--out", tmp_path / "run", folder=tmp_path))


@pytest.mark.parametrize(
    ("command", "options", "got"),
    [
        (
            ("measure", "resnet-18"),
            ("--width", 10**18),
            "width = 1000000000000000000; expected a whole number, 1000000 or less",
        ),
        (
            ("measure", "mlp"),
            ("--width", 10**18),
            "width = 1000000000000000000; expected a whole number, 1000000 or less",
        ),
        (("measure", "mlp"), ("--depth", 2**31), "depth = 2147483648; expected a whole number, 100000 or less"),
        (
            ("measure", "hybrid"),
            ("--nonlinear", 2**31),
            "nonlinear = 2147483648; expected a whole number, 100000 or less",
        ),
        (("train", "mlp"), ("--depth", 2**31), "depth = 2147483648; expected a whole number, 100000 or less"),
        (
            ("train", "vgg-11"),
            ("--width", 2**62),
            "width = 4611686018427387904; expected a whole number, 1000000 or less",
        ),
        (("robustness", "mlp"), ("--depth", 2**31), "depth = 2147483648; expected a whole number, 100000 or less"),
        (
            ("robustness", "mlp"),
            ("--width", 10**18),
            "width = 1000000000000000000; expected a whole number, 1000000 or less",
        ),
    ],
)
def test_networks_by_name_that_no_machine_holds(capsys, tmp_path, command, options, got):
    arguments = (*command, *options, "--data", "fashion-mnist", "--data-dir", tmp_path)
    assert got in says_what_to_do(refused(capsys, *arguments, folder=tmp_path))


def problem_file(folder, **arrays):
    np.savez(folder / "p.npz", **({"X": X, "y": Y} | arrays))
    return folder / "p.npz"


def with_entry(value, at=(4, 7)):
    changed = X.copy()
    changed[at] = value
    return changed


BAD_PROBLEMS = {
    "nan": ({"X": with_entry(np.nan)}, "X[4, 7] = nan (1 such"),
    "inf": ({"X": with_entry(-np.inf, (0, 3))}, "X[0, 3] = -inf"),
    "lengths": ({"y": Y[:-1]}, "labels of shape (5,) for 6 samples"),
    "negative label": ({"y": np.array([0, 0, 1, 1, -1, 2])}, "label -1 at sample 4"),
    "fraction": ({"y": np.array([0, 0.5, 1, 1, 2, 2])}, "label 0.5 at sample 1"),
    "nan label": ({"y": np.array([0, np.nan, 1, 1, 2, 2])}, "label nan at sample 1"),
    "words": ({"y": np.array(list("aabbcc"))}, "y of dtype <U1"),
    "one-hot": ({"y": np.eye(3)[Y]}, "labels of shape (6, 3)"),
    "one class": ({"y": np.zeros(6, int)}, "1 class in the labels"),
    "images": ({"X": X.reshape(6, 2, 5)}, "X of shape (6, 2, 5)"),
    "empty": ({"X": X[:0], "y": Y[:0]}, "X of shape (0, 10)"),
    "complex": ({"X": X.astype(complex)}, "complex"),
    "pickled": ({"X": np.array([[1, "a"]] * 6, dtype=object)}, "object"),
    "zeros": ({"X": np.zeros((6, 10))}, "all zero"),
}


@pytest.mark.parametrize("command", ["predict", "simulate"])
@pytest.mark.parametrize("name", BAD_PROBLEMS)
def test_problems_that_are_none(capsys, tmp_path, command, name):
    arrays, got = BAD_PROBLEMS[name]
    path = problem_file(tmp_path, **arrays)
    out = ("--out", tmp_path / "run") if command == "simulate" else ()
    line = says_what_to_do(refused(capsys, command, "--data", path, *out, folder=tmp_path))
    assert got in line


@pytest.mark.parametrize("command", ["predict", "simulate"])
@pytest.mark.parametrize(
    ("stated", "got"), [(4, "no sample in class 3"), (2, "label 2 with 2 classes stated"), (1, "classes stated")]
)
def test_a_stated_number_of_classes_is_checked(capsys, tmp_path, command, stated, got):
    assert got in says_what_to_do(refused(capsys, command, "--data", problem_file(tmp_path), "--classes", stated))


def broken(path, kind):
    """The file emptied, cut in half, or overwritten in the middle."""
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "damaged":
        path.write_bytes(whole[: len(whole) // 2] + b"\xff" * 40 + whole[len(whole) // 2 + 40 :])
    else:
        path.write_bytes(b"these are no arrays\n")
    return path


@pytest.mark.parametrize("kind", ["empty", "truncated", "text"])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("command", ["predict", "measure"])
def test_files_that_are_damaged(capsys, tmp_path, kind, suffix, command):
    path = tmp_path / f"file{suffix}"
    arrays = {"X": X, "y": Y, "layer_0": X}
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path)
    broken(path, kind)
    arguments = ("measure", path) if command == "measure" else ("predict", "--data", path)
    line = says_what_to_do(refused(capsys, *arguments))
    assert "empty, truncated or damaged" in line


def test_an_npz_with_a_wrong_checksum(capsys, tmp_path):
    path = broken(problem_file(tmp_path), "damaged")
    assert "damaged" in says_what_to_do(refused(capsys, "predict", "--data", path))


@pytest.mark.parametrize("kind", ["empty", "truncated", "text", "missing"])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_that_are_damaged(capsys, tmp_path, kind, packed):
    images = struct.pack(">4i", 0x803, 5, 28, 28) + bytes(5 * 28 * 28)
    labels = struct.pack(">2i", 0x801, 5) + bytes(5)
    pack = gzip.compress if packed else bytes
    suffix = ".gz" if packed else ""
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(pack(labels))
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    if kind != "missing":
        path.write_bytes(pack(images))
        broken(path, kind)
    says_what_to_do(refused(capsys, "predict", "--data", "fashion-mnist", "--data-dir", tmp_path))


def test_an_unknown_name_suggests_the_nearest(capsys):
    assert "did you mean fashion-mnist?" in says_what_to_do(refused(capsys, "simulate", "--data", "fashion-minst"))
    assert "did you mean orthonormal?" in says_what_to_do(refused(capsys, "predict", "--data", "orthnormal"))
    says_what_to_do(refused(capsys, "predict", "--data", "nothing-like-it"))


@pytest.mark.parametrize("name", ["missing.npz", "missing.safetensors", "folder/missing.npz", "file.csv", "."])
def test_files_that_are_not_there(capsys, tmp_path, name):
    (tmp_path / "file.csv").write_text("1,2")
    for arguments in (("predict", "--data", tmp_path / name), ("measure", tmp_path / name)):
        says_what_to_do(refused(capsys, *arguments))


BAD_FEATURES = {
    "layers of different N": ({"layer_1": X[:5]}, "layer_1 of shape (5, 10) for 6 labels"),
    "no labels": ({"y": None}, "no y"),
    "no layers": ({"layer_0": None, "h": X}, "no layer_*"),
    "nan": ({"layer_2": with_entry(np.nan)}, "nan"),
    "inf in float32": ({"layer_2": with_entry(np.inf).astype(np.float32)}, "inf"),
    "negative label": ({"y": np.array([0, 0, 1, 1, -1, 2])}, "label -1 at sample 4"),
    "fraction": ({"y": np.array([0, 0.5, 1, 1, 2, 2])}, "label 0.5"),
    "scalar": ({"layer_1": np.float64(3)}, "layer_1 of shape ()"),
    "twice": ({"layer_00": X}, "layer_00"),
    "words": ({"layer_1": np.array(["a"] * 6)}, "layer_1 of dtype <U1"),
}


@pytest.mark.parametrize("name", BAD_FEATURES)
def test_features_that_are_none(capsys, tmp_path, name):
    changed, got = BAD_FEATURES[name]
    arrays = {key: value for key, value in ({"layer_0": X, "y": Y} | changed).items() if value is not None}
    np.savez(tmp_path / "f.npz", **arrays)
    assert got in says_what_to_do(refused(capsys, "measure", tmp_path / "f.npz"))


def test_the_position_of_a_nan_in_features_is_said(capsys, tmp_path):
    np.savez(tmp_path / "f.npz", layer_0=X, layer_2=with_entry(np.nan), y=Y)
    line = refused(capsys, "measure", tmp_path / "f.npz")
    for part in ("2", "4", "7"):
        assert part in line


def test_measure_checks_the_stated_classes_and_the_device(capsys, tmp_path):
    np.savez(tmp_path / "f.npz", layer_0=X, y=Y)
    assert "no sample in class 3" in says_what_to_do(refused(capsys, "measure", tmp_path / "f.npz", "--classes", 4))
    assert "toaster" in says_what_to_do(refused(capsys, "measure", tmp_path / "f.npz", "--device", "toaster"))


GOOD = LayerCurve(
    layers=[0, 1], compression=[1, 0.1], discrimination=[1, 1], within_scatter=[1, 0.1], between_scatter=[1, 1]
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[1, 2]",
        "3",
        "{}",
        '{"layers": [0, 1]}',
        GOOD.to_json().replace("[0, 1]", '["a", 1]'),
        GOOD.to_json().replace("[0, 1]", "[1, 0]"),
        GOOD.to_json().replace("[0, 1]", "[0]"),
        GOOD.to_json().replace("[0, 1]", "[5, 6]"),
        GOOD.to_json().replace("[1.0, 0.1]", '"many"'),
        GOOD.to_json().replace("[1.0, 0.1]", "[[1.0], 0.1]"),
        GOOD.to_json().replace('"provenance": {}', '"provenance": 3'),
        GOOD.to_json().replace('"provenance": {}', '"provenance": {"noise_floor": [1]}'),
        GOOD.to_json().replace('"provenance": {}', '"provenance": {"noise_floor": 3}'),
        GOOD.to_json().replace('"provenance": {}', '"provenance": {"noise_floor": ["a", "b"]}'),
        "\x00\xff",
    ],
)
def test_curves_that_are_none(capsys, tmp_path, text):
    (tmp_path / "good.json").write_text(GOOD.to_json())
    (tmp_path / "bad.json").write_text(text, encoding="latin-1")
    says_what_to_do(refused(capsys, "compare", tmp_path / "good.json", tmp_path / "bad.json"))


def test_compare_needs_its_files(capsys, tmp_path):
    (tmp_path / "good.json").write_text(GOOD.to_json())
    says_what_to_do(refused(capsys, "compare", tmp_path / "good.json", tmp_path / "missing.json"))
    says_what_to_do(refused(capsys, "compare", tmp_path, tmp_path / "good.json"))
    assert "- for both curves" in says_what_to_do(refused(capsys, "compare", "-", "-"))
    says_what_to_do(
        refused(capsys, "compare", tmp_path / "good.json", tmp_path / "good.json", "--compression-limit", 0)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "--dpeth", 3),
        ("predict", "--depth", "many"),
        ("predict", "--depth", "2.5"),
        ("predict", "--depth"),
        ("predict", "mlp", "surplus"),
        ("simulate", "--engine", "steam"),
        ("simulate", "--weights", "heavy"),
        ("simulate", "--dtype", "float8"),
        ("measure",),
        ("compare",),
        ("prdict",),
        ("--nothing",),
    ],
)
def test_bad_usage_is_one_line_too(capsys, arguments):
    assert "--help" in refused(capsys, *arguments)


def test_a_mistyped_option_is_corrected(capsys):
    assert "--depth" in refused(capsys, "predict", "--dpeth", 3)


@pytest.mark.parametrize("command", ["predict", "simulate"])
def test_scales_that_hide_every_direction_or_overflow(capsys, command):
    assert "--epsilon" in says_what_to_do(refused(capsys, command, "--epsilon", 1e200))
    if command == "simulate":
        assert "no direction to learn" in says_what_to_do(refused(capsys, command, "--epsilon", 3))
        assert "--label-scale" in says_what_to_do(refused(capsys, command, "--label-scale", 1e8))


@pytest.mark.parametrize("depth", [2, 3])
def test_full_weights_larger_than_the_memory(capsys, depth):
    line = refused(capsys, "simulate", "--depth", depth, "--width", 10**14, "--coordinates", "full")
    assert "memory" in says_what_to_do(line)


def test_no_command_prints_the_help(capsys):
    ended = run(capsys)
    assert ended.status == 2
    assert "predict" in ended.out + ended.err


def test_an_output_folder_that_exists_is_refused_before_any_work(capsys, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "file").write_text("")

    def fail(*_, **__):
        raise AssertionError("work was begun")

    monkeypatch.setattr("pnc.data.resolve_data", fail)
    assert "force" in says_what_to_do(refused(capsys, "simulate", "--out", tmp_path / "run", folder=tmp_path))
    for out in ("file", "file/run", "file/new/run"):
        for force in ((), ("--force",)):
            says_what_to_do(refused(capsys, "simulate", "--out", tmp_path / out, *force, folder=tmp_path))


@pytest.mark.parametrize("command", ["predict", "simulate"])
def test_problems_larger_than_the_memory(capsys, command):
    """Also where only the random numbers are drawn, and none is kept: there is no end to them."""
    wide = {"predict": "numbers, which are all drawn", "simulate": "memory"}[command]
    for options, why in ((("--dimension", 10**15), wide), (("--samples-per-class", 10**18), "memory")):
        assert why in says_what_to_do(refused(capsys, command, *options))
    assert wide in says_what_to_do(refused(capsys, command, "--dimension", 10**18))


@pytest.mark.parametrize("length", [236, 254, 255, 256, 4200])
def test_a_name_that_no_folder_can_have_is_refused_before_the_run(capsys, tmp_path, monkeypatch, length):
    monkeypatch.chdir(tmp_path)
    assert f"a name of {length} bytes" in says_what_to_do(refused(capsys, "simulate", "--out", "a" * length))


def test_a_link_to_nothing_is_refused_before_the_run(capsys, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    line = says_what_to_do(refused(capsys, "simulate", "--out", tmp_path / "link"))
    assert "which is not there" in line


def test_errors_never_exceed_one_line_however_odd_the_name(capsys, tmp_path):
    path = tmp_path / "a\nname.npz"
    path.write_bytes(b"")
    says_what_to_do(refused(capsys, "measure", path))


def test_json_errors_are_no_json(capsys):
    assert "got depth" in refused(capsys, "predict", "--depth", 1, "--json")
    with pytest.raises(json.JSONDecodeError):
        run(capsys, "predict", "--depth", 1, "--json").json()


def test_the_line_of_an_error_is_short_whatever_was_given(capsys):
    line = refused(capsys, "predict", "--samples-per-class", ",".join(["3"] * 20_000))
    assert len(line) < 1500


def test_a_draw_of_hours_is_refused(capsys):
    line = refused(
        capsys, "predict", "--depth", 3, "--samples-per-class", 2, "--classes", 2, "--dimension", 99999999999
    )
    assert "numbers, which are all drawn" in line


def test_reproduce_says_what_it_takes_and_what_to_do_where_the_data_are_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PNC_DATA_DIR", str(tmp_path / "empty"))
    ended = run(capsys, "reproduce", "fig1_mlp_hybrid", "--scale", "paper", "--out", tmp_path / "out")
    assert ended.status == 2
    told, refusal = ended.err.splitlines()
    assert told.startswith("fig1_mlp_hybrid at scale paper: CIFAR-10, width 1024")
    assert "set PNC_DATA_DIR to the folder of the data, or run it at --scale smoke" in refusal
    assert "--data-dir" not in refusal
