"""Published pickles of arrays, read without running anything that they name.

A pickle is a program: it may name any function and call it. The batches of CIFAR name three things, all of
NumPy: the function that makes an empty array, the array type and the dtype type. Here even these are
stand-ins that note down what they are called with; the array is then made from its bytes by this module,
which checks that they fit. A pickle that names anything else is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from pnc.errors import InvalidInputError

__all__ = ["load_inert_pickle"]

# what arrays of plain numbers are pickled as, by NumPy of Python 2 and by any later one
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy.core.numeric", "_frombuffer"): "frombuffer",
    ("numpy._core.numeric", "_frombuffer"): "frombuffer",  # protocol 5
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",  # how Python 3 writes bytes for Python 2
}

_DEPTH = 4  # published batches use two; lists of lists of one list would take for ever to walk through


class _Dtype:
    def __init__(self, code: Any) -> None:
        self.code, self.order = _text(code), "|"

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, sub-array, names, fields, size, alignment, flags)
        if state[2:5] != (None, None, None):
            raise pickle.UnpicklingError("an array of records")
        self.order = _text(state[1])

    def resolved(self) -> np.dtype:
        order = cast("Literal['<', '>', '=', '|']", self.order)  # of another one, NumPy raises a ValueError
        dtype = np.dtype(self.code).newbyteorder(order)
        if dtype.kind not in "biuf":
            raise pickle.UnpicklingError(f"an array of {dtype}")
        return dtype


class _Array:
    array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.fill(content, dtype, shape, "F" if fortran else "C")

    def fill(self, content: Any, dtype: Any, shape: Any, order: Any) -> None:
        resolved = dtype.resolved()
        if not isinstance(content, bytes | bytearray) or len(content) != math.prod(shape) * resolved.itemsize:
            raise pickle.UnpicklingError(f"an array of shape {shape} with other than its bytes")
        self.array = np.frombuffer(content, resolved).reshape(shape, order="F" if _text(order) == "F" else "C")


@dataclass(frozen=True, slots=True)
class _Named:
    """Stands for one of the allowed names: calling it notes down what was asked for."""

    role: str

    def __call__(self, *arguments: Any) -> Any:
        match self.role:
            case "reconstruct":
                return _Array()
            case "dtype":
                return _Dtype(arguments[0])
            case "encode":
                return arguments[0].encode("latin1")
            case "frombuffer":  # content, dtype, shape, order
                found = _Array()
                found.fill(*arguments)
                return found
            case "scalar":  # dtype, content
                found = _Array()
                found.fill(arguments[1], arguments[0], (), "C")
                return found
        raise pickle.UnpicklingError(f"a call of {self.role}")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"a change of {self.role}")


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, source: str) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.source = source

    def find_class(self, module: str, name: str) -> _Named:
        role = _ALLOWED.get((module, name))
        if role is None:
            raise InvalidInputError(
                got=f"{self.source}, a pickle that names {module}.{name}",
                expected="arrays, lists, texts and numbers alone",
                next_step="do not trust this file: get it from where it is published",
            )
        return _Named(role)


def load_inert_pickle(content: bytes, *, source: str) -> Any:
    """What a pickle of dictionaries, lists, numbers, byte strings and arrays of numbers holds.

    Texts of Python 2 come as `bytes`, keys of dictionaries as `str`.

    Args:
        content: of the pickle.
        source: its name, for messages.

    Raises:
        InvalidInputError: a pickle that names anything but NumPy's arrays of numbers, or that is damaged.

    >>> import pickle
    >>> load_inert_pickle(pickle.dumps({b"labels": [3, 1]}, protocol=2), source="batch")
    {'labels': [3, 1]}
    """
    try:
        _check_memo(content)
        return _plain(_Unpickler(content, source).load(), {})
    except InvalidInputError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way that a program can
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInputError(
            got=f"{source}, a pickle that cannot be read ({reason})",
            expected="arrays, lists, texts and numbers, as published",
            next_step="download it again",
        ) from error


def _check_memo(content: bytes) -> None:
    """Refuse numbers and lengths that a few bytes name and that cost gigabytes, before anything is built.

    Python's own reader makes a table as long as the largest number under which an object is kept.
    """
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(content):
            raise pickle.UnpicklingError(f"an object kept under the number {argument}")


def _plain(value: Any, seen: dict[int, Any], depth: int = 0) -> Any:
    """Arrays and plain containers; what is there many times is walked through once."""
    if depth > _DEPTH:
        raise pickle.UnpicklingError(f"more than {_DEPTH} containers within each other")
    if id(value) in seen:
        return seen[id(value)]
    match value:
        case _Array():
            if value.array is None:
                raise pickle.UnpicklingError("an array without content")
            found = value.array if value.array.ndim else value.array.item()
        case _Named() | _Dtype():
            raise pickle.UnpicklingError("a type where a value should be")
        case dict():
            found = {_text(key): _plain(item, seen, depth + 1) for key, item in value.items()}
        case list() | tuple():
            found = type(value)(_plain(item, seen, depth + 1) for item in value)
        case _:
            return value
    seen[id(value)] = found
    return found


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
