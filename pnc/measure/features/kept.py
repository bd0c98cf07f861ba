"""What is finished of a measurement, in a folder: where it was interrupted, it goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pnc.errors import InvalidInputError

__all__ = ["KeptProgress"]

_FILE = "measurement.json"
_SHARE = 0.1  # of the time that goes into writing at most


class KeptProgress:
    """Sums of the parts that are finished, one file a layer and look, each replaced in one step.

    Args:
        folder: made if it is not there; `None`: nothing is kept.
        plan: what is measured and of which files; a folder that holds another one is refused.

    Raises:
        InvalidInputError: a folder with something else in it, or one that cannot be written to.
    """

    def __init__(self, folder: str | Path | None, plan: Mapping[str, Any]) -> None:
        self._folder = None if folder is None else Path(folder)
        self._next = 0.0
        if self._folder is None:
            return
        described = json.loads(json.dumps(plan))
        place = self._folder / _FILE
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            known = json.loads(place.read_text(encoding="utf-8")) if place.exists() else None
            if known is None and any(self._folder.iterdir()):
                raise InvalidInputError(
                    got=f"{self._folder}, a folder with other files in it",
                    expected="a new folder, or that of an interrupted measurement",
                    next_step="name another folder",
                )
            if known is not None and known != described:
                changed = next((key for key in described if known.get(key) != described[key]), "plan")
                raise InvalidInputError(
                    got=f"{self._folder}, which holds a measurement with other {changed}",
                    expected="the folder of the same measurement of the same files, unchanged since",
                    next_step="name another folder, or delete this one",
                )
            self._write(place, json.dumps(described, indent=1).encode())
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                got=f"{self._folder}, which cannot be used ({error})",
                expected="a folder that can be written to",
                next_step="name another folder",
            ) from error

    def _write(self, place: Path, content: bytes) -> None:
        unfinished = place.with_name(f".{place.name}.{os.getpid()}.part")
        unfinished.write_bytes(content)
        unfinished.replace(place)

    def load(self, name: str) -> tuple[int, Mapping[str, Any]] | None:
        """How many parts are in the sums that were kept under a name, and the sums."""
        if self._folder is None or not (place := self._folder / f"{name}.pt").exists():
            return None
        try:
            found = torch.load(place, weights_only=True)
            return found["parts"], found["sums"]
        except (OSError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise InvalidInputError(
                got=f"{place}, which is damaged ({' '.join(str(error).split())[:80]})",
                expected="what a measurement kept there",
                next_step="delete this file; its layer is then measured again",
            ) from error

    def save(self, name: str, parts: int, sums: Mapping[str, Any], *, last: bool) -> None:
        """Keep the sums of so many parts, where it is time to."""
        if self._folder is None or (not last and time.monotonic() < self._next):
            return
        began = time.monotonic()
        place = self._folder / f"{name}.pt"
        unfinished = place.with_name(f".{place.name}.{os.getpid()}.part")
        torch.save({"parts": parts, "sums": sums}, unfinished)
        unfinished.replace(place)
        ended = time.monotonic()
        self._next = ended + (ended - began) / _SHARE
