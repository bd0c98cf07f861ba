"""IDX files, written here byte by byte."""

import gzip
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pnc.data.idx import read_idx
from pnc.errors import InvalidInputError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
THREE = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 2])

quick = settings(deadline=None, max_examples=60)
arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
)


def idx_bytes(array):
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "data-idx-ubyte"


def write(file, content):
    file.write_bytes(content)
    return file


@quick
@given(array=arrays, compressed=st.booleans())
def test_round_trip(file, array, compressed):
    content = idx_bytes(array)
    found = read_idx(write(file, gzip.compress(content) if compressed else content))
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()  # bit for bit, NaN included


def test_bytes_given_by_hand(file):
    """One 2 × 2 array of int16, spelled out: the order of bytes and axes does not come from the writer."""
    content = bytes.fromhex("00000b02 00000002 00000002 0001 0100 ffff 8000")
    assert read_idx(write(file, content)).tolist() == [[1, 256], [-1, -32768]]


def test_the_result_can_be_written_to(file):
    found = read_idx(write(file, THREE))
    found[0] = 1
    assert found.tolist() == [1, 0, 2]


def refused(file, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        read_idx(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", range(1, len(THREE)))
def test_truncated(file, length):
    expected = "starts with the bytes" if length < 4 else "within its header" if length < 8 else "ends early"
    refused(write(file, THREE[:length]), expected)
    refused(write(file, gzip.compress(THREE[:length])), expected)


@pytest.mark.parametrize("length", range(2, len(gzip.compress(THREE))))
def test_truncated_compression(file, length):
    refused(write(file, gzip.compress(THREE)[:length]), "gzip compression is broken")


def test_corrupt_compression(file):
    content = bytearray(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 1, 0]) + bytes(range(256))))
    content[-6] ^= 1  # in the checksum
    refused(write(file, bytes(content)), "gzip compression is broken")
    content[-6] ^= 1
    content[10] |= 0b110  # a kind of block that does not exist
    refused(write(file, bytes(content)), "gzip compression is broken")


def test_empty(file):
    refused(write(file, b""), "is empty")
    refused(write(file, gzip.compress(b"")), "is empty")


@pytest.mark.parametrize("magic", [b"\0\1\x08\1", b"\1\0\x08\1", b"\0\0\x0a\1", b"\0\0\x08\0", b"PK\3\4", b"\x89PNG"])
def test_not_idx(file, magic):
    refused(write(file, magic + THREE[4:]), "starts with the bytes .*; expected an IDX file")


def test_trailing_bytes(file):
    refused(write(file, THREE + b"\0"), "goes on after its last entry")
    refused(write(file, gzip.compress(THREE + b"\0\0")), "goes on after its last entry")


def test_a_header_that_announces_more_than_any_memory(file):
    header = bytes([0, 0, 14, 4]) + b"\xff" * 16
    refused(write(file, header + b"\0" * 8), "ends early.*found 8")
    refused(write(file, gzip.compress(header + b"\0" * 8)), "ends early.*found 8")


def test_not_there(tmp_path):
    refused(tmp_path / "missing", "No such file")
    refused(tmp_path, "Is a directory")
