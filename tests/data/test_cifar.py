"""CIFAR archives written here in the published format, byte strings of Python 2 and all; and hostile ones."""

import contextlib
import gzip
import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pnc.data import cifar
from pnc.data.cifar import load_cifar
from pnc.data.download import PublishedFile
from pnc.data.inert_pickle import load_inert_pickle
from pnc.data.sources import resolve_data
from pnc.errors import InvalidInputError

from .python2_pickle import python2_pickle
from .server import Site, serve

quick = settings(deadline=None, max_examples=60)
PER_BATCH = 20


def pixels(seed, samples=PER_BATCH):
    return np.random.default_rng(seed).integers(0, 256, (samples, 3072), dtype=np.uint8)


def cifar_10_files():
    files = {
        "batches.meta": python2_pickle(
            {"num_cases_per_batch": PER_BATCH, "label_names": [f"kind {i}" for i in range(10)], "num_vis": 3072}
        ),
        "readme.html": b"<meta>",
    }
    for i, name in enumerate([*(f"data_batch_{j}" for j in range(1, 6)), "test_batch"]):
        files[name] = python2_pickle(
            {
                "batch_label": f"batch {i + 1} of 5",
                "labels": [(i + j) % 10 for j in range(PER_BATCH)],
                "data": pixels(i),
                "filenames": [f"name_{j}.png" for j in range(PER_BATCH)],
            }
        )
    return files


def cifar_100_files():
    files = {
        "meta": python2_pickle(
            {
                "fine_label_names": [f"fine {i}" for i in range(100)],
                "coarse_label_names": [f"coarse {i}" for i in range(20)],
            }
        ),
        "file.txt~": b"",
    }
    for name, samples in (("train", 200), ("test", 100)):
        files[name] = python2_pickle(
            {
                "filenames": [f"name_{j}.png" for j in range(samples)],
                "batch_label": name,
                "fine_labels": [j % 100 for j in range(samples)],
                "coarse_labels": [j % 20 for j in range(samples)],
                "data": pixels(7, samples),
            }
        )
    return files


def archive(folder, files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def write_cifar_10(folder, **changed):
    (folder / "cifar-10-python.tar.gz").write_bytes(archive("cifar-10-batches-py", cifar_10_files() | changed))


def unpack(folder, name, files):
    (folder / name).mkdir()
    for file, content in files.items():
        (folder / name / file).write_bytes(content)


def refused(match, *args, **options):
    with pytest.raises(InvalidInputError, match=match) as caught:
        load_cifar(*args, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
def test_cifar_10(tmp_path, packed):
    if packed:
        write_cifar_10(tmp_path)
    else:
        unpack(tmp_path, "cifar-10-batches-py", cifar_10_files())
    train, test = (load_cifar("cifar-10", tmp_path, split=split) for split in ("train", "test"))
    assert train.images.shape == (5 * PER_BATCH, 3, 32, 32)
    assert np.array_equal(train.images.reshape(-1, 3072), np.concatenate([pixels(i) for i in range(5)]))
    assert train.y.tolist() == [(i + j) % 10 for i in range(5) for j in range(PER_BATCH)]
    assert np.array_equal(test.images.reshape(-1, 3072), pixels(5))
    assert train.class_names[3] == "kind 3"
    assert train.name == "cifar-10"
    assert test.provenance["split"] == "test"


def test_planes_are_red_green_blue_and_rows_come_first(tmp_path):
    """As the page of the data set says: 1024 red, then green, then blue, in row-major order."""
    image = np.zeros((PER_BATCH, 3072), np.uint8)
    image[:, 1024 + 32 * 5 + 7] = 200
    fields = {"data": image, "labels": [j % 10 for j in range(PER_BATCH)]}
    write_cifar_10(tmp_path, test_batch=python2_pickle(fields))
    images = load_cifar("cifar-10", tmp_path, split="test").images
    assert np.argwhere(images[0]).tolist() == [[1, 5, 7]]


@pytest.mark.parametrize("packed", [True, False])
def test_cifar_100(tmp_path, packed):
    if packed:
        (tmp_path / "cifar-100-python.tar.gz").write_bytes(archive("cifar-100-python", cifar_100_files()))
    else:
        unpack(tmp_path, "cifar-100-python", cifar_100_files())
    data = load_cifar("cifar-100", tmp_path)
    assert data.classes == 100
    assert data.counts.tolist() == [2] * 100  # the fine labels, not the coarse ones
    assert data.class_names[99] == "fine 99"
    assert load_cifar("cifar-100", tmp_path, split="test").samples == 100


def test_the_folder_of_batches_itself(tmp_path):
    unpack(tmp_path, "here", cifar_10_files())
    assert load_cifar("cifar-10", tmp_path / "here").samples == 5 * PER_BATCH


def test_batches_written_again_by_python_3(tmp_path):
    files = cifar_10_files()
    fields = {b"data": pixels(3), b"labels": [j % 10 for j in range(PER_BATCH)]}
    for protocol in (0, 1, 2, 3, 4):
        files["test_batch"] = pickle.dumps(fields, protocol=protocol)
        write_cifar_10(tmp_path, **files)
        found = load_cifar("cifar-10", tmp_path, split="test")
        assert np.array_equal(found.images.reshape(-1, 3072), pixels(3))


def test_downloaded(tmp_path, monkeypatch):
    content = archive("cifar-10-batches-py", cifar_10_files())
    with serve(Site(files={"/cifar-10-python.tar.gz": content}, break_after={})) as site:
        file = PublishedFile(
            name="cifar-10-python.tar.gz",
            urls=(f"{site.address}/cifar-10-python.tar.gz",),
            checksum="sha256:" + hashlib.sha256(content).hexdigest(),
        )
        changed = cifar._LAYOUTS["cifar-10"]
        # the binary archive cannot be had there: the python one is fetched instead
        gone = replace(changed.binary.archive, urls=(f"{site.address}/cifar-10-binary.tar.gz",))
        layout = replace(changed, archive=file, binary=replace(changed.binary, archive=gone))
        monkeypatch.setitem(cifar._LAYOUTS, "cifar-10", layout)
        refused("`download=True`", "cifar-10", tmp_path)
        assert site.asked == []  # nothing is fetched unless it was asked for
        site.break_after["/cifar-10-python.tar.gz"] = [1000]
        assert load_cifar("cifar-10", tmp_path, download=True).samples == 5 * PER_BATCH
        assert [wanted for path, wanted in site.asked if "python" in path] == [None, "bytes=1000-"]
        before = len(site.asked)
        assert load_cifar("cifar-10", tmp_path, download=True).samples == 5 * PER_BATCH
        assert len(site.asked) == before
        # the command line's way
        problem = resolve_data("cifar-10", data_dir=tmp_path, samples_per_class=3, components=5, download=True)
        assert problem.X.shape == (30, 5)
        assert problem.counts.tolist() == [3] * 10


def test_published_checksums_have_the_form_of_sha256():
    for layout in cifar._LAYOUTS.values():
        algorithm, digest = layout.archive.checksum.split(":")
        assert algorithm == "sha256"
        assert len(bytes.fromhex(digest)) == 32
        assert all(url.startswith("https://") and url.endswith(layout.archive.name) for url in layout.archive.urls)


@pytest.mark.parametrize("cut", [0, 1, 30, 1000, -100_000, -20_000, -5, -1])
def test_a_cut_archive(tmp_path, cut):
    content = archive("cifar-10-batches-py", cifar_10_files())
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(content[:cut])
    refused("damaged or cut short|without cifar-10-batches-py", "cifar-10", tmp_path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_one_wrong_bit_in_an_archive(tmp_path, share):
    """Random pixels do not compress: the bit lands in an image, which only the checksum can tell."""
    content = bytearray(archive("cifar-10-batches-py", cifar_10_files()))
    content[int(share * len(content))] ^= 4
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(content)
    refused("damaged", "cifar-10", tmp_path)


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"<html>404</html>")
    refused("damaged", "cifar-10", tmp_path)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(gzip.compress(b"x" * 10_000))
    refused("damaged", "cifar-10", tmp_path)


def test_an_archive_without_a_batch(tmp_path):
    files = cifar_10_files()
    del files["data_batch_4"]
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive("cifar-10-batches-py", files))
    refused("without cifar-10-batches-py/data_batch_4", "cifar-10", tmp_path)
    assert load_cifar("cifar-10", tmp_path, split="test").samples == PER_BATCH
    unpack(tmp_path, "cifar-10-batches-py", files)
    refused("data_batch_4, which cannot be read", "cifar-10", tmp_path)


def test_an_archive_never_writes(tmp_path):
    evil = {"../../escaped": b"x", **cifar_10_files()}
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive("cifar-10-batches-py", evil))
    load_cifar("cifar-10", tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cifar-10-python.tar.gz"]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({}, "nothing as data"),
        ([1, 2], "nothing as data"),
        ({"data": np.zeros((2, 3071), np.uint8), "labels": [0, 1]}, r"shape \(2, 3071\)"),
        ({"data": np.zeros((2, 3072), np.float32), "labels": [0, 1]}, "float32"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "2 whole numbers as labels"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, "1"]}, "2 whole numbers"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}, "label 10 .*expected labels 0…9"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, -1]}, "label -1"),
        ({"data": np.zeros((2, 3072), np.uint8), "fine_labels": [0, 1]}, "labels"),
    ],
)
def test_batches_that_are_not_what_they_should_be(tmp_path, fields, match):
    write_cifar_10(tmp_path, test_batch=python2_pickle(fields))
    refused(match, "cifar-10", tmp_path, split="test")


def test_class_names_that_are_too_few(tmp_path):
    write_cifar_10(tmp_path, **{"batches.meta": python2_pickle({"label_names": ["one"]})})
    refused("without 10 label_names", "cifar-10", tmp_path)


@pytest.mark.parametrize(
    ("name", "split", "match"), [("cifar10", "train", "data set = 'cifar10'"), ("cifar-10", "val", "split = 'val'")]
)
def test_unknown_names(tmp_path, name, split, match):
    refused(match, name, tmp_path, split=split)


# --- pickles that would run something


class Calls:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HOSTILE = [
    Calls(os.system, "touch ran"),
    Calls(eval, "open('ran', 'w')"),
    Calls(exec, "open('ran', 'w')"),
    Calls(np.load, "ran"),
    Calls(np.frombuffer, b"1234", "u1"),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch, hostile, protocol):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({b"data": hostile, b"labels": [0]}, protocol=protocol)
    with pytest.raises(InvalidInputError, match=r"a pickle that names .*do not trust"):
        load_inert_pickle(content, source="test_batch")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy\nndarray\n.",  # the type itself
        b"cnumpy\nndarray\n(K\x01tR.",  # called
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR.",  # a dtype alone
        b"cnumpy\ndtype\n(U\x02u1tR}U\x01aK\x01sb.",  # given attributes instead of a state
        b"cnumpy.core.multiarray\n_reconstruct\n}U\x08__code__K\x01sb.",  # the function changed
        b"c_codecs\nencode\n(U\x01xU\x03rottR.",  # bytes have no encode
        b"cnumpy.core.multiarray\n_reconstruct\n(tR.",  # an array without content
        b"\x80\x02]q\x00h\x00a.",  # a list within itself
        b"\x80\x02(lp0\n" + b"".join(b"(lp%d\ng%d\nag%d\na" % (i + 1, i, i) for i in range(40)) + b".",
        b"P1\n.",  # a persistent id
        b"",
        b"\x80\xff",
        b"\x80\x02}q\x00(U\x04data",
    ],
)
def test_malformed_pickles_are_refused(content):
    with pytest.raises(InvalidInputError, match="a pickle that cannot be read") as caught:
        load_inert_pickle(content, source="test_batch")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "array", [np.array([object(), None]), np.zeros(2, "u1,f4"), np.array(["a"]), np.zeros(1, "M8[s]")]
)
def test_arrays_of_other_than_numbers_are_refused(array):
    if array.dtype.hasobject:
        array = np.array([None, None])
    with pytest.raises(InvalidInputError, match=r"cannot be read"):
        load_inert_pickle(pickle.dumps(array, protocol=2), source="test_batch")


@pytest.mark.parametrize("change", [-1, 1])
def test_an_array_with_other_than_its_bytes_is_refused(change):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    right, wrong = python2_pickle(array), python2_pickle(array.tobytes() + b"x" * change if change > 0 else b"\0" * 5)
    content = right.replace(b"U\x06" + array.tobytes(), wrong[2:-1])
    assert content != right
    with pytest.raises(InvalidInputError, match="other than its bytes"):
        load_inert_pickle(content, source="test_batch")


@quick
@given(
    array=st.sampled_from(["u1", "i1", "<i2", ">i4", "<i8", "<f4", ">f8", "?"]).flatmap(
        lambda code: hnp.arrays(code, hnp.array_shapes(max_dims=3, max_side=4))
    ),
    order=st.sampled_from("CF"),
    protocol=st.integers(0, 4),
)
def test_arrays_come_back_bit_for_bit(array, order, protocol):
    array = np.asarray(array, order=order)
    found = load_inert_pickle(pickle.dumps([array], protocol=protocol), source="test")[0]
    assert found.shape == array.shape
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


@quick
@given(array=hnp.arrays("u1", hnp.array_shapes(max_dims=2, max_side=4)))
def test_the_writer_of_these_tests_writes_what_pickle_reads(array):
    """The oracle's own check: the standard library reads the Python 2 pickles to the same array."""
    assert np.array_equal(pickle.loads(python2_pickle({"a": array}), encoding="bytes")[b"a"], array)


@quick
@given(content=st.binary(max_size=60))
def test_random_bytes_never_get_through_as_anything_else(content):
    with contextlib.suppress(InvalidInputError):
        plain = load_inert_pickle(content, source="test")
        assert isinstance(plain, dict | list | tuple | int | float | str | bytes | np.ndarray | None)


def binary_files(name):
    """The images and labels of the python archives, as records."""
    if name == "cifar-10":
        batches = [*(f"data_batch_{j}.bin" for j in range(1, 6)), "test_batch.bin"]
        files = {"batches.meta.txt": "\n".join([*(f"kind_{i}" for i in range(10)), ""]).encode()}
        for i, batch in enumerate(batches):
            labels = np.array([[(i + j) % 10] for j in range(PER_BATCH)], np.uint8)
            files[batch] = np.hstack([labels, pixels(i)]).tobytes()
        return "cifar-10-batches-bin", files
    files = {"fine_label_names.txt": "\n".join(f"fine_{i}" for i in range(100)).encode()}
    for split, samples in (("train", 200), ("test", 100)):
        labels = np.array([[j % 20, j % 100] for j in range(samples)], np.uint8)
        files[f"{split}.bin"] = np.hstack([labels, pixels(7, samples)]).tobytes()
    return "cifar-100-binary", files


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["cifar-10", "cifar-100"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_binary_archives_hold_what_the_python_archives_hold(tmp_path, name, split, packed):
    (tmp_path / "python").mkdir()
    python = cifar_10_files() if name == "cifar-10" else cifar_100_files()
    folder = "cifar-10-batches-py" if name == "cifar-10" else "cifar-100-python"
    (tmp_path / "python" / f"{name}-python.tar.gz").write_bytes(archive(folder, python))
    (tmp_path / "binary").mkdir()
    folder, files = binary_files(name)
    if packed:
        (tmp_path / "binary" / f"{name}-binary.tar.gz").write_bytes(archive(folder, files))
    else:
        unpack(tmp_path / "binary", folder, files)
    expected, found = (load_cifar(name, tmp_path / kind, split=split) for kind in ("python", "binary"))
    assert np.array_equal(found.images, expected.images)
    assert np.array_equal(found.y, expected.y)
    assert found.class_names == tuple(each.replace(" ", "_") for each in expected.class_names)


def test_binary_archives_are_downloaded(tmp_path, monkeypatch):
    folder, files = binary_files("cifar-100")
    content = archive(folder, files)
    with serve(Site(files={"/b.tar.gz": content}, break_after={})) as site:
        changed = cifar._LAYOUTS["cifar-100"]
        file = PublishedFile(
            name=changed.binary.archive.name,
            urls=(f"{site.address}/b.tar.gz",),
            checksum="md5:" + hashlib.md5(content).hexdigest(),
        )
        monkeypatch.setitem(cifar._LAYOUTS, "cifar-100", replace(changed, binary=replace(changed.binary, archive=file)))
        assert load_cifar("cifar-100", tmp_path, download=True).samples == 200
        assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("test_batch.bin", b"abc", "test_batch.bin of .* with 3 bytes; expected records of 3073 bytes"),
        ("test_batch.bin", bytes([10]) + bytes(3072) + bytes(3073), "label 10 in"),
        ("batches.meta.txt", b"cat\ndog\n", "with 2 names; expected the names of 10 classes"),
    ],
)
def test_binary_files_that_are_not_the_published_ones(tmp_path, name, content, match):
    folder, files = binary_files("cifar-10")
    unpack(tmp_path, folder, files | {name: content})
    refused(match, "cifar-10", tmp_path, split="test")
