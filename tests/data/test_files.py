"""Problem files and feature files: round trips, bfloat16 without torch, laziness, damaged files."""

import contextlib
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pnc.data import Problem
from pnc.data.files import FeatureFile, load_features, load_problem, save_features, save_problem
from pnc.errors import InvalidInputError

SUFFIXES = [".npz", ".safetensors"]
real = hnp.floating_dtypes(sizes=(16, 32, 64), endianness="<") | hnp.integer_dtypes(endianness="<")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_problem_survives_its_file(tmp_path, suffix):
    rng = np.random.default_rng(0)
    problem = Problem(X=rng.standard_normal((7, 3)), y=[0, 1, 2, 0, 1, 2, 2])
    save_problem(tmp_path / f"seven{suffix}", problem)
    read = load_problem(tmp_path / f"seven{suffix}", classes=3)
    assert np.array_equal(read.X, problem.X)
    assert np.array_equal(read.y, problem.y)
    assert (read.name, read.provenance["source"]) == ("seven", "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"seven{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(
        st.integers(0, 30), hnp.arrays(real, st.tuples(st.just(3), st.integers(1, 3), st.integers(1, 2)))
    ).filter(bool)
)
def test_features_survive_their_file(tmp_path, suffix, arrays):
    path = tmp_path / f"features{suffix}"
    save_features(path, arrays, [0, 1, 1])
    layers, y, provenance = load_features(path)
    assert list(layers) == sorted(arrays)
    assert len(layers) == len(arrays)
    assert y.tolist() == [0, 1, 1]
    for layer, array in arrays.items():
        np.testing.assert_array_equal(layers[layer], array.reshape(3, -1))
        assert layers[layer].dtype == array.dtype
        assert provenance["dtypes"][layer] == array.dtype.name
        assert provenance["shapes"][layer] == list(array.shape)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_sequence_of_torch_tensors_is_saved_as_layers_from_0(tmp_path, suffix):
    save_features(tmp_path / f"f{suffix}", [torch.ones(2, 3), np.zeros((2, 1))], torch.tensor([0, 1]))
    layers, _, _ = load_features(tmp_path / f"f{suffix}")
    assert [layers[k].shape for k in layers] == [(2, 3), (2, 1)]


def test_bfloat16_is_read_without_torch_and_remembered(tmp_path):
    from safetensors.torch import save_file

    x = torch.randn(5, 2, 2, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    x[0, 0, 0], x[1, 0, 0], x[2, 0, 0] = torch.inf, -0.0, torch.finfo(torch.bfloat16).smallest_normal / 4
    path = tmp_path / "f.safetensors"
    save_file({"layer_2": x, "y": torch.tensor([0, 1, 0, 1, 1])}, path, metadata={"model": "m"})
    layers, _, provenance = load_features(path)
    assert provenance["dtypes"] == {2: "bfloat16"}
    assert layers[2].dtype == np.float32
    np.testing.assert_array_equal(layers[2].view("u4"), x.to(torch.float32).numpy().reshape(5, 4).view("u4"))
    script = (
        "import sys; from pnc.data.files import load_features\n"
        f"layers, y, _ = load_features({str(path)!r}); layers[2].sum(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_layers_are_read_when_asked_for(tmp_path):
    save_features(tmp_path / "f.safetensors", [np.ones((4, 2)), np.zeros((4, 3))], np.arange(4))
    layers, _, _ = load_features(tmp_path / "f.safetensors")
    assert isinstance(layers[1], np.memmap)
    assert not layers[1].flags.writeable
    save_features(tmp_path / "f.npz", [np.ones((4, 2)), np.zeros((4, 3))], np.arange(4))
    layers, _, _ = load_features(tmp_path / "f.npz")
    assert isinstance(layers, FeatureFile)
    # damage to the data of one layer is found when that layer is read, and leaves the others
    data = bytearray((tmp_path / "f.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "f.npz") as archive:
        data[archive.getinfo("layer_1.npy").header_offset + 240] ^= 1
    (tmp_path / "f.npz").write_bytes(data)
    assert layers[0].sum() == 8
    with pytest.raises(InvalidInputError, match="damaged"):
        layers[1]


def test_compressed_fortran_and_other_arrays(tmp_path):
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((4, 3)))
    np.savez_compressed(tmp_path / "f.npz", layer_10=x, layer_9=x.astype(">f4"), y=np.arange(4), weights=np.ones(2))
    layers, _, provenance = load_features(tmp_path / "f.npz")
    assert list(layers) == [9, 10]
    np.testing.assert_array_equal(layers[10], x)
    np.testing.assert_array_equal(layers[9], x.astype("f4"))
    assert provenance["ignored"] == ["weights"]
    assert provenance["dtypes"] == {9: "float32", 10: "float64"}


def test_loaded_features_are_measured(tmp_path):
    from pnc.measure import measure_features

    rng = np.random.default_rng(0)
    features, y = [rng.standard_normal((12, 2, 3)).astype(np.float32) for _ in range(2)], np.arange(12) % 3
    for suffix in SUFFIXES:
        save_features(tmp_path / f"f{suffix}", features, y)
        layers, labels, provenance = load_features(tmp_path / f"f{suffix}")
        curve = measure_features(layers, labels, dtypes=provenance["dtypes"])
        assert curve == measure_features(features, y)


def write(path, arrays):
    """A file as others may write it, unchecked."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        from safetensors.numpy import save_file

        save_file(arrays, path)


X, Y = np.ones((4, 2)), np.array([0, 0, 1, 1])
WRONG_FEATURES = {
    "no y in": {"layer_1": X},
    "no layer_* in": {"y": Y, "layer": X, "layer_x": X},
    "layer_2 of shape (3, 2) for 4 labels": {"y": Y, "layer_1": X, "layer_2": X[:3]},
    "layer_1 of shape (4, 0)": {"y": Y, "layer_1": X[:, :0]},
    "y of shape (4, 2)": {"y": X, "layer_1": X},
    "each layer once": {"y": Y, "layer_1": X, "layer_01": X},
    "layer_1 of dtype": {"y": Y, "layer_1": X > 0},
}
WRONG_PROBLEMS = {
    "no X in": {"y": Y},
    "no y in": {"X": X},
    "no X and no y in": {"x": X},
    "X of shape (4, 2, 1)": {"X": X[:, :, None], "y": Y},
    "labels of shape (3,) for 4 samples": {"X": X, "y": Y[1:]},
    "X[2, 1] = nan": {"X": np.where(np.arange(8).reshape(4, 2) == 5, np.nan, X), "y": Y},
    "no sample in class 2": {"X": X, "y": Y},
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("message", WRONG_FEATURES)
def test_wrong_feature_files_get_one_clear_line(tmp_path, suffix, message):
    write(tmp_path / f"f{suffix}", WRONG_FEATURES[message])
    with pytest.raises(InvalidInputError) as error:
        load_features(tmp_path / f"f{suffix}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("message", WRONG_PROBLEMS)
def test_wrong_problem_files_get_one_clear_line(tmp_path, suffix, message):
    write(tmp_path / f"p{suffix}", WRONG_PROBLEMS[message])
    with pytest.raises(InvalidInputError) as error:
        load_problem(tmp_path / f"p{suffix}", classes=3 if "class 2" in message else None)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("load", [load_features, load_problem])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_cut_anywhere_are_refused(tmp_path, suffix, load):
    path = tmp_path / f"f{suffix}"
    write(path, {"X": X, "y": Y, "layer_1": X})
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidInputError, match="empty, truncated or damaged") as error:
            load(path)
        assert "\n" not in str(error.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SUFFIXES), st.data())
def test_damaged_bytes_never_end_in_another_exception(tmp_path, suffix, data):
    path = tmp_path / f"f{suffix}"
    write(path, {"layer_1": X, "y": Y})
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    with contextlib.suppress(InvalidInputError):
        layers, _, _ = load_features(path)
        for layer in layers:
            assert layers[layer].ndim == 2


def test_an_array_that_claims_to_be_huge_is_refused_before_memory_is_asked_for(tmp_path):
    path = tmp_path / "f.npz"
    write(path, {"y": Y})
    header = str({"descr": "<f8", "fortran_order": False, "shape": (4, 2**40)}).encode().ljust(117) + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("layer_1.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InvalidInputError, match="truncated or damaged"):
        load_features(path)


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    np.savez(tmp_path / "f.npz", y=Y, layer_1=np.array([[Trap()]] * 4, dtype=object))
    with pytest.raises(InvalidInputError, match="layer_1 of dtype object"):
        load_features(tmp_path / "f.npz")
    np.savez(tmp_path / "p.npz", y=np.array([Trap()] * 4, dtype=object), X=X)
    with pytest.raises(InvalidInputError, match="y of dtype object"):
        load_problem(tmp_path / "p.npz")


def test_safetensors_of_dtypes_that_cannot_be_read(tmp_path):
    header = json.dumps({"y": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "f.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(InvalidInputError, match="y of dtype F8_E4M3"):
        load_features(tmp_path / "f.safetensors")


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(InvalidInputError, match="is not there"):
        load_problem(tmp_path / "none.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InvalidInputError, match="is a folder"):
        load_features(tmp_path / "folder.npz")
    for name in ("x.csv", "x"):
        with pytest.raises(InvalidInputError, match=r"expected a \.npz or \.safetensors file"):
            load_problem(tmp_path / name)


def test_nothing_is_half_written(tmp_path, monkeypatch):
    path = tmp_path / "f.npz"
    save_features(path, [X], Y)
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(InvalidInputError, match="No space left"):
        save_features(path, [2 * X], Y)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["f.npz"]


def test_writing_over_a_file_leaves_those_who_read_it_alone(tmp_path):
    save_features(tmp_path / "f.safetensors", [X], Y)
    layers, _, _ = load_features(tmp_path / "f.safetensors")
    mapped = layers[0]
    save_features(tmp_path / "f.safetensors", [3 * X], Y)
    assert mapped.sum() == 8
    assert layers[0].sum() == 24


def test_a_file_that_says_it_is_encrypted_is_refused(tmp_path):
    write(tmp_path / "f.npz", {"layer_1": X, "y": Y})
    data = bytearray((tmp_path / "f.npz").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag of the first entry in the directory
    (tmp_path / "f.npz").write_bytes(data)
    with pytest.raises(InvalidInputError, match="damaged"):
        load_features(tmp_path / "f.npz")


def test_what_cannot_be_saved(tmp_path):
    for features, y, message in (
        ([X[:3]], Y, "layer_0 of shape (3, 2) and y of shape (4,)"),
        ([X], X, "layer_0 of shape (4, 2) and y of shape (4, 2)"),
        ([X.astype(object)], Y, "layer_0 of dtype object"),
        ([torch.ones(4, 2, dtype=torch.bfloat16)], Y, "layer_0 that NumPy cannot read"),
        ([torch.ones(4, 2, requires_grad=True)], Y, "layer_0 that NumPy cannot read"),
        ([[[1.0], [1.0, 2.0]]], Y, "layer_0 that NumPy cannot read"),
    ):
        with pytest.raises(InvalidInputError) as error:
            save_features(tmp_path / "f.npz", features, y)
        assert message in str(error.value)
    with pytest.raises(InvalidInputError, match="cannot be written"):
        save_features(tmp_path / "missing" / "f.npz", [X], Y)
    assert list(tmp_path.iterdir()) == []
