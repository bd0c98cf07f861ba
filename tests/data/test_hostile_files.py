"""Small files that ask for gigabytes, deep or damaged ones: each reader answers with one line, and takes no memory.

The oracle of memory is what the process holds; of content, a refusal of this package or the right content.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import json
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pnc.curves import LayerCurve
from pnc.data import (
    Problem,
    load_features,
    load_image_folder,
    load_problem,
    load_splits,
    load_text,
    read_idx,
    save_features,
    save_problem,
)
from pnc.data.inert_pickle import load_inert_pickle
from pnc.data.synthetic import draw_gram
from pnc.errors import InvalidInputError, PncError
from pnc.memory import available_memory, require_memory
from pnc.spec import ProblemSpec


@contextlib.contextmanager
def refused(match, megabytes=64):
    """One line of this package's, and never more memory than stated."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError, match=match) as caught:
            yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def one_line(error):
    assert "\n" not in str(error)
    return True


@pytest.fixture
def small_machine(monkeypatch):
    monkeypatch.setattr("pnc.memory.available_memory", lambda: 10**8)


def test_memory_is_that_of_the_machine_and_of_its_container(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    monkeypatch.setattr("pnc.memory._MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr("pnc.memory._CGROUP", tmp_path)
    assert available_memory() == 5000 * 1024
    (tmp_path / "memory.max").write_text("4000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert available_memory() == 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() == 5000 * 1024
    require_memory(5000 * 1024, what="it", next_step="no")
    with pytest.raises(InvalidInputError, match=r"it, which needs 5.12 MB of memory; expected at most the 5.12 MB"):
        require_memory(5000 * 1024 + 1, what="it", next_step="no")


def zipped(path, method, size=3 * 10**8):
    """An archive like NumPy's whose X is zeros, packed a thousandfold."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, shape, dtype in (("X", (size // 800, 100), np.float64), ("y", (size // 800,), np.int8)):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
            )
            with archive.open(name + ".npy", "w") as file:
                file.write(header.getvalue())
                left = int(np.prod(shape)) * np.dtype(dtype).itemsize
                for start in range(0, left, 10**7):
                    file.write(bytes(min(10**7, left - start)))
    return path


def test_arrays_that_unpack_to_more_than_there_is(tmp_path, small_machine):
    path = zipped(tmp_path / "a.npz", zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**6
    with refused(r"X of shape \(375000, 100\) in .*a.npz as float64, which needs 300 MB of memory"):
        load_problem(path)


def test_compression_that_numpy_does_not_write(tmp_path):
    """bzip2 unpacks whole blocks before a header can be read: 45 bytes are 45 megabytes."""
    with refused("compressed in another way than NumPy does"):
        load_problem(zipped(tmp_path / "a.npz", zipfile.ZIP_BZIP2))
    assert len(bz2.compress(bytes(45_000_000))) < 100


def test_pickles_whose_memo_asks_for_gigabytes():
    with refused("kept under the number 4294967280"):
        load_inert_pickle(b"\x80\x02]r\xf0\xff\xff\xff.", source="batch")  # LONG_BINPUT
    with refused("cannot be read"):
        load_inert_pickle(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"abc.", source="batch")  # BYTEARRAY8


def test_pickles_of_lists_of_one_list():
    """Ten times ten times ten … of one list: a billion steps for who walks through all of them."""
    one: object = 1
    for _ in range(4):
        one = [one] * 1000
    content = pickle.dumps({"data": one}, 2)
    assert len(content) < 20_000
    with refused("4 containers within each other", megabytes=200):
        load_inert_pickle(content, source="batch")
    three = load_inert_pickle(pickle.dumps([[[1] * 1000] * 1000] * 1000, 2), source="batch")
    assert (len(three), len(three[0]), len(three[7][3])) == (1000, 1000, 1000)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_todays_python(protocol):
    data = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": [1, 2, 0], "fine": np.array([3, 1])}
    data["single"] = np.int64(7)
    data["columns"] = np.asfortranarray(data["data"])
    found = load_inert_pickle(pickle.dumps(data, protocol), source="batch")
    assert np.array_equal(found["data"], data["data"])
    assert np.array_equal(found["columns"], data["data"])
    assert found["labels"] == [1, 2, 0]
    assert found["fine"].tolist() == [3, 1]
    assert found["single"] == 7


def image_class(folder, content):
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(content)
    return folder


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *more, bits=8, colour=0):
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = zlib.compress(bytes((width * bits // 8 + 1) * min(height, 4)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_images_of_more_pixels_than_there_is_memory(tmp_path, small_machine):
    with refused("2 images, unpacked, which needs 3.04 GB of memory"):
        load_image_folder(image_class(tmp_path, png(13_000, 13_000)))


@pytest.mark.parametrize(
    "more",
    [chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**8))), chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(10**8)))],
    ids=["text", "profile"],
)
def test_texts_and_profiles_of_images(tmp_path, more):
    """A hundred megabytes in a hundred kilobytes: refused, or left packed."""
    tracemalloc.start()
    with contextlib.suppress(InvalidInputError):
        load_image_folder(image_class(tmp_path, png(4, 4, more)))
    assert tracemalloc.get_traced_memory()[1] < 90e6
    tracemalloc.stop()


def test_idx_files(tmp_path):
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, 255]) + struct.pack(">255I", *[1] * 255) + b"x")
    with refused("whose header says 255 dimensions; expected at most 8"):
        read_idx(tmp_path / "a")


def test_gram_matrices_that_are_too_large(small_machine):
    with refused("the Gram matrix of 10000 samples, which needs 800 MB"):
        draw_gram(ProblemSpec(classes=10, samples_per_class=1000))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_one_bit_of_saved_features(tmp_path, suffix):
    """Each of 24 bits, spread over the data: refused, or the values are those that were saved."""
    rng = np.random.default_rng(0)
    layers, y = {0: rng.standard_normal((40, 5)), 1: rng.standard_normal((40, 3)).astype(np.float32)}, np.arange(40) % 4
    path = tmp_path / f"f{suffix}"
    save_features(path, layers, y)
    content, found = path.read_bytes(), 0
    for place in np.linspace(0, len(content) * 8 - 1, 24).astype(int).tolist():
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            read, labels, _ = load_features(path)
            assert all(np.array_equal(read[l], layers[l]) for l in read)
            assert np.array_equal(labels, y)
            assert len(read) == 2
        except InvalidInputError as error:
            found += one_line(error)
    assert found > 12


def mutated(content, data):
    """A few bytes changed, cut away or repeated."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(content) - 1)))
        match data.draw(st.sampled_from(["byte", "cut", "end", "twice", "insert"])):
            case "byte" if content:
                content[place] = data.draw(st.integers(0, 255))
            case "cut":
                del content[place : place + data.draw(st.integers(1, 40))]
            case "end":
                del content[place:]
            case "twice":
                content[place:place] = content[place : place + 20]
            case "insert":
                content[place:place] = data.draw(st.binary(max_size=12))
    return bytes(content)


def curve_json():
    curve = LayerCurve(
        layers=[0, 1],
        compression=[2.0, 1.0],
        discrimination=[0.5, 0.7],
        within_scatter=[2.0, 1.0],
        between_scatter=[1.0, 1.0],
    )
    return json.dumps(curve.to_dict()).encode()


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """Content of a valid file → how it is read."""
    folder = tmp_path_factory.mktemp("valid")
    problem = Problem(X=np.random.default_rng(1).standard_normal((6, 3)), y=[0, 1, 2, 0, 1, 2])
    for suffix in (".npz", ".safetensors"):
        save_problem(folder / f"p{suffix}", problem)
        save_features(folder / f"f{suffix}", {0: problem.X, 2: problem.X.astype(np.float32)}, problem.y)
    (folder / "i.idx").write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + b"abcdef")
    (folder / "t.csv").write_bytes(b'text,label\n"a, b",x\nc d,y\n')
    (folder / "t.tsv").write_bytes(b'text\tlabel\n"a b\tx\nc d\ty\n')
    (folder / "t.jsonl").write_bytes(b'{"text": "a b", "label": 1}\n{"text": "c d", "label": 2.0}\n')
    (folder / "c.json").write_bytes(curve_json())
    image = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("key", "value", zip=True)
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(image, "png", pnginfo=info)
    (folder / "i.png").write_bytes(image.getvalue())
    image = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(image, "jpeg")
    (folder / "i.jpg").write_bytes(image.getvalue())
    (folder / "b.pickle").write_bytes(pickle.dumps({"data": np.arange(6, dtype=np.uint8), "labels": [1, 2]}, 4))
    return folder


def read(path):
    match path.suffix:
        case ".npz" | ".safetensors" if path.name.startswith("p"):
            load_splits(path)
        case ".npz" | ".safetensors":
            layers, _, _ = load_features(path)
            for layer in layers:
                layers[layer].sum()
        case ".idx":
            read_idx(path)
        case ".csv" | ".tsv" | ".jsonl":
            load_text(path)
        case ".json":
            LayerCurve.from_json(path.read_text(encoding="utf-8", errors="replace"))
        case ".pickle":
            load_inert_pickle(path.read_bytes(), source="batch")
        case _:
            load_image_folder(path.parent)


NAMES = [
    *(f"{kind}{suffix}" for kind in "pf" for suffix in (".npz", ".safetensors")),
    *("i.idx", "t.csv", "t.tsv", "t.jsonl", "c.json", "i.png", "i.jpg", "b.pickle"),
]


@pytest.mark.parametrize("name", NAMES)
def test_mutated_files_are_read_or_refused(valid, tmp_path, name):
    """Never another exception than this package's, never more than a line."""
    content = (valid / name).read_bytes()
    if name.startswith("i.") and not name.endswith("idx"):
        image_class(tmp_path, content)
        place = tmp_path / "a" / f"2{name[1:]}"
        (tmp_path / "b" / "1.png").write_bytes((valid / "i.png").read_bytes())
        (tmp_path / "a" / "1.png").unlink()
    else:
        place = tmp_path / name

    @settings(deadline=None, max_examples=120)
    @given(data=st.data())
    def check(data):
        place.write_bytes(mutated(content, data))
        try:
            if place.parent.name == "a":
                load_image_folder(tmp_path)
            else:
                read(place)
        except PncError as error:
            one_line(error)

    check()


def test_deep_json(tmp_path):
    (tmp_path / "t.jsonl").write_text("[" * 100_000)
    with refused("not JSON"):
        load_text(tmp_path / "t.jsonl")
    with refused("JSON", megabytes=200):
        LayerCurve.from_json("[" * 100_000)
