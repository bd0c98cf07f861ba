"""Arrays of any kind as torch tensors: the one place where NumPy enters the measure room."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from pnc.errors import InvalidInputError

__all__ = [
    "as_labels",
    "as_matrix",
    "check_finite",
    "dtype_name",
    "empty",
    "first_nonfinite",
    "squared_norms",
    "take_of_each_class",
    "zeros",
]

_PART_ENTRIES = 2**18  # of a part whose products stay in the cache: 2 MiB of float64


def dtype_name(array: Any) -> str:
    """The name of the dtype, the same for NumPy and torch.

    >>> dtype_name(torch.zeros(1, dtype=torch.bfloat16)), dtype_name(np.zeros(1, ">f4"))
    ('bfloat16', 'float32')
    """
    return str(array.dtype).removeprefix("torch.") if torch.is_tensor(array) else array.dtype.name


def as_matrix(features: Any, *, device: torch.device | str | None = None) -> torch.Tensor:
    """(N, …) features as an (N, d) tensor: float dtypes as they are, whole numbers as float64.

    Raises:
        InvalidInputError: no sample, no entry a sample, or entries that are not real numbers.

    >>> as_matrix(np.zeros((4, 2, 3), np.float32)).shape
    torch.Size([4, 6])
    """
    given = features if torch.is_tensor(features) else np.asarray(features)
    if given.ndim == 0 or 0 in given.shape:
        raise InvalidInputError(
            got=f"features of shape {tuple(given.shape)}",
            expected="shape (N, …), at least one sample and one entry a sample",
            next_step="give one row a sample",
        )
    if torch.is_tensor(given):
        real = not (given.is_complex() or given.dtype == torch.bool)
    else:
        real = given.dtype.kind in "fiu" or given.dtype.name == "bfloat16"
    if not real:
        raise InvalidInputError(
            got=f"features of dtype {dtype_name(given)}",
            expected="real numbers",
            next_step="convert the features to float32 or float64",
        )
    tensor = given.detach() if torch.is_tensor(given) else _from_numpy(given)
    tensor = tensor.reshape(tensor.shape[0], -1)
    if not tensor.is_floating_point():
        tensor = tensor.to(torch.float64)
    return tensor if device is None else tensor.to(device)


def _from_numpy(array: np.ndarray) -> torch.Tensor:
    if array.dtype.name == "bfloat16":  # a dtype that NumPy itself lacks; ml_dtypes adds it
        return _from_numpy(array.view(np.int16)).view(torch.bfloat16)
    if array.dtype.kind in "iu" or array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        # memory-mapped files are read-only, and nothing here writes to its input
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def as_labels(
    labels: Any, *, samples: int, classes: int, device: torch.device | str, first_sample: int = 0
) -> torch.Tensor:
    """(N,) int64 labels on a device, each in 0…K-1; `first_sample` is the index of the first of them in errors.

    Raises:
        InvalidInputError: not one label a sample, or a label outside 0…K-1.

    >>> as_labels([0, 1, 1], samples=3, classes=2, device="cpu")
    tensor([0, 1, 1])
    """
    labels = labels.detach() if torch.is_tensor(labels) else torch.from_numpy(np.array(labels))
    if tuple(labels.shape) != (samples,):
        raise InvalidInputError(
            got=f"labels of shape {tuple(labels.shape)} for {samples} samples",
            expected=f"shape ({samples},), one label a sample",
            next_step="check that features and labels come from the same samples",
        )
    whole = labels.to(device=device, dtype=torch.int64)
    wrong = torch.nonzero((whole < 0) | (whole >= classes) | (whole != labels.to(device)))
    if wrong.numel():
        row = int(wrong[0, 0])
        raise InvalidInputError(
            got=f"label {labels[row].item()} at sample {first_sample + row}",
            expected=f"whole numbers 0…{classes - 1}",
            next_step="state more classes or check the labels",
        )
    return whole


def zeros(*shape: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
    """Zeros, on the CPU in memory that the system hands out only when it is written to, in pages as large as it has.

    >>> zeros(1, 2, dtype=torch.float64)
    tensor([[0., 0.]], dtype=torch.float64)
    """
    if torch.device(device).type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.zeros(shape, torch.zeros(0, dtype=dtype).numpy().dtype))


def empty(*shape: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
    """As `zeros`, with anything in it.

    >>> empty(2, 3, dtype=torch.float32).shape
    torch.Size([2, 3])
    """
    if torch.device(device).type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, torch.zeros(0, dtype=dtype).numpy().dtype))


def squared_norms(rows: torch.Tensor) -> torch.Tensor:
    """(N,) ‖x‖² of (N, d) rows, without a second N × d array.

    >>> squared_norms(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
    tensor([25.,  1.])
    """
    if rows.numel() <= _PART_ENTRIES or rows.device.type != "cpu":
        return torch.linalg.vecdot(rows, rows)
    parts = rows.split(max(1, _PART_ENTRIES // rows.shape[1]))
    return torch.cat([torch.linalg.vecdot(part, part) for part in parts])


def first_nonfinite(features: torch.Tensor) -> tuple[int, int] | None:
    """Row and column of the first entry of an (N, d) tensor that is NaN or infinite.

    >>> first_nonfinite(torch.tensor([[1.0, 2.0], [3.0, torch.nan]]))
    (1, 1)
    """
    wrong = torch.nonzero(~torch.isfinite(features))
    return None if wrong.numel() == 0 else tuple(wrong[0].tolist())


def check_finite(features: torch.Tensor) -> None:
    """Refuse (N, d) features with an entry that is NaN or infinite.

    Raises:
        InvalidInputError: such an entry; the first one is named.
    """
    position = first_nonfinite(features)
    if position is not None:
        raise InvalidInputError(
            got=f"sample {position[0]}, entry {position[1]} is {features[position].item()}",
            expected="finite numbers",
            next_step="remove these samples",
        )


def take_of_each_class(labels: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    """The rows of a batch, in order, that are among the first `left` of their class; `left` is lowered by them.

    Args:
        labels: (N,) whole numbers of any width on the CPU.
        left: (K,) int64 on the CPU, how many of each class are still wanted.

    >>> left = torch.tensor([1, 2])
    >>> take_of_each_class(torch.tensor([1, 0, 1, 0, 1]), left).tolist(), left.tolist()
    ([0, 1, 2], [0, 0])
    """
    labels = labels.to(torch.int64)  # torch takes uint8 indices for a mask
    order = torch.argsort(labels, stable=True)
    present, counts = torch.unique_consecutive(labels[order], return_counts=True)
    place = torch.arange(labels.numel()) - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    rows = order[place < torch.repeat_interleave(left[present], counts)]
    left[present] -= torch.minimum(counts, left[present])
    return rows.sort().values
