"""IDX files, the format that MNIST and its relatives come in."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from pnc.errors import InvalidInputError
from pnc.memory import require_memory

__all__ = ["read_idx"]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_AGAIN = "download or copy the file again"
_DEFLATE = 1032
_MOST_DIMENSIONS = 8  # the published files have up to 3; NumPy stops at 64


def read_idx(path: str | Path) -> Shaped[np.ndarray, ...]:
    """The array in an IDX file, plain or gzip-compressed (told by its content, not by its name).

    An IDX file is two zero bytes, a dtype code, the number of dimensions, each dimension as a big-endian
    32-bit number, and the entries in C order, big-endian. The array is returned in the machine's byte order.

    Raises:
        InvalidInputError: no such file, not an IDX file, truncated, bytes after the end, broken compression.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([7, 0, 2]))
    ...     read_idx(file)
    array([7, 0, 2], dtype=uint8)
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not compressed:
                return _read(raw, path)
            with gzip.open(raw) as stream:
                return _read(stream, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInputError(
            got=f"{path}, whose gzip compression is broken ({error})",
            expected="a whole gzip file",
            next_step=_AGAIN,
        ) from error
    except OSError as error:
        raise InvalidInputError(
            got=f"{path}, which cannot be read ({error.strerror})",
            expected="an IDX file",
            next_step="check the path",
        ) from error


def _read(stream: io.BufferedIOBase, path: Path) -> np.ndarray:
    magic = stream.read(4)
    if not magic:
        raise InvalidInputError(got=f"{path}, which is empty", expected="an IDX file", next_step=_AGAIN)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise InvalidInputError(
            got=f"{path}, which starts with the bytes {magic.hex(' ')}",
            expected="an IDX file: 00 00, a dtype among 08 09 0b 0c 0d 0e, the number of dimensions",
            next_step="check that the file is what its name says",
        )
    if magic[3] > _MOST_DIMENSIONS:
        raise InvalidInputError(
            got=f"{path}, whose header says {magic[3]} dimensions",
            expected=f"at most {_MOST_DIMENSIONS}",
            next_step=_AGAIN,
        )
    header = stream.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise InvalidInputError(
            got=f"{path}, which ends within its header",
            expected=f"{4 * magic[3]} bytes of dimensions, found {len(header)}",
            next_step=_AGAIN,
        )
    shape = struct.unpack(f">{magic[3]}I", header)
    dtype = np.dtype(_DTYPES[magic[2]])
    size = math.prod(shape) * dtype.itemsize
    # deflate packs 1032 bytes into one at most; as it is read, and as an array
    there = path.stat().st_size * (_DEFLATE if isinstance(stream, gzip.GzipFile) else 1)
    require_memory(2 * min(size, there), what=f"{path} of shape {shape}", next_step=_AGAIN)
    body = _read_up_to(stream, size + 1)
    if len(body) != size:
        raise InvalidInputError(
            got=f"{path}, which {'ends early' if len(body) < size else 'goes on after its last entry'}",
            expected=f"{size} bytes for shape {shape} of {dtype.name}"
            + (f", found {len(body)}" if len(body) < size else ""),
            next_step=_AGAIN,
        )
    return np.frombuffer(body, dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def _read_up_to(stream: io.BufferedIOBase, size: int) -> bytearray:
    """At most `size` bytes, in pieces: a corrupt header may announce more bytes than there is memory."""
    body = bytearray()
    while len(body) < size and (piece := stream.read(min(size - len(body), 1 << 24))):
        body += piece
    return body
