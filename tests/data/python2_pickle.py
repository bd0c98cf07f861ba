"""Pickles as Python 2 and its NumPy wrote them, opcode by opcode: what the CIFAR archives hold.

Python 3 cannot write them: its pickles have no byte strings of Python 2 and put bytes through a codec.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np


def python2_pickle(value: Any) -> bytes:
    """Protocol 2, with every `str` as a byte string of Python 2."""
    return b"\x80\x02" + _written(value) + b"."


def _written(value: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
        case str():
            return _written(value.encode("latin1"))
        case bytes():
            short = b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))
            return short + value
        case tuple():
            return b"(" + b"".join(map(_written, value)) + b"t"
        case list():
            return b"](" + b"".join(map(_written, value)) + b"e"
        case dict():
            return b"}(" + b"".join(_written(key) + _written(item) for key, item in value.items()) + b"u"
        case np.ndarray():
            dtype = b"cnumpy\ndtype\n" + _written((value.dtype.str[1:], 0, 1)) + b"R"
            order = value.dtype.str[0]
            dtype += _written((3, order, None, None, None, -1, -1, 0)) + b"b"
            empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _written((0,)) + _written("b") + b"tR"
            # the state is a tuple of version, shape, dtype, column order and bytes
            state = _written(1) + _written(value.shape) + dtype + _written(False) + _written(value.tobytes())
            return empty + b"(" + state + b"tb"
    raise TypeError(type(value))
