"""Checkpoints: one safetensors file each, which holds no code; written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pnc.curves import json_ready
from pnc.errors import InvalidInputError

__all__ = ["Checkpoint", "latest_checkpoint", "read_checkpoint", "write_checkpoint"]

_NAME = re.compile(r"step-(\d{9})\.safetensors")
_KEY = "pnc-checkpoint-2"
_DIGEST = "pnc-digest"
_BEFORE = "pnc-checkpoint"  # of the version before, which wrote no digest


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """Everything a training needs to go on.

    Args:
        step: steps taken.
        tensors: by name: `model.…`, `optimiser.<parameter>.<name>`, `totals`.
        state: the rest, as JSON holds it: spec, history, curves, digest of the samples, wall time.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


def write_checkpoint(folder: str | Path, checkpoint: Checkpoint, *, keep: int = 2) -> Path:
    """Write a checkpoint under a temporary name, have it reach the disk, rename it, and only then drop old ones.

    Args:
        folder: made where it is missing.
        checkpoint: what to write.
        keep: how many to leave, the newest first.

    Raises:
        InvalidInputError: a place that cannot be written to.
    """
    folder = Path(folder)
    path = folder / f"step-{checkpoint.step:09d}.safetensors"
    # copies: weights may share memory (tied weights), which the format does not hold
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in checkpoint.tensors.items()}
    text = json.dumps(json_ready({"step": checkpoint.step, **checkpoint.state}), sort_keys=True, allow_nan=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".partial")
        with open(temporary, "wb") as file:
            file.write(save(tensors, metadata={_KEY: text, _DIGEST: _digest(tensors, text)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for old in _found(folder)[keep:]:
            old.unlink()
    except OSError as error:
        raise InvalidInputError(
            got=f"checkpoint folder {folder}: {error.strerror}",
            expected="a place to write to, with room",
            next_step="choose another `out`, or make room",
        ) from error
    return path


def _digest(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    """Of every tensor with its name, type and shape, and of the rest."""
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _found(folder: Path) -> list[Path]:
    """Checkpoints of a folder, the newest first."""
    return sorted((path for path in folder.glob("step-*.safetensors") if _NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InvalidInputError: no such file, not a checkpoint, cut short or otherwise damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = metadata[_BEFORE] if _BEFORE in metadata else metadata[_KEY]
        if _BEFORE not in metadata and metadata[_DIGEST] != _digest(tensors, text):
            raise ValueError("it is not what was written: its digest is another")
        state = json.loads(text)
        return Checkpoint(step=int(state.pop("step")), tensors=tensors, state=state)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            got=f"checkpoint {path}, which cannot be read ({type(error).__name__}: {error})",
            expected="a checkpoint that `pnc train` wrote",
            next_step="remove it; an earlier one is then used",
        ) from error


def latest_checkpoint(folder: str | Path) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """The newest checkpoint of a folder that can be read, and a note for each that cannot.

    >>> latest_checkpoint("/nowhere")
    (None, ())
    """
    notes = []
    for left in Path(folder).glob("step-*.partial"):  # by a process that was killed while it wrote
        left.unlink(missing_ok=True)
    for path in _found(Path(folder)):
        try:
            return read_checkpoint(path), tuple(notes)
        except InvalidInputError as error:
            notes.append(f"{error.got}: passed over")
    return None, tuple(notes)
