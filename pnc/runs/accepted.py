"""What can be measured, told from its name and from headers: without torch, so that a refusal comes at once."""

from __future__ import annotations

from pathlib import Path

from pnc.data import FEATURES_ACCEPTED, holds_features, open_features
from pnc.errors import InvalidInputError

__all__ = ["check_named", "refuse_other_files"]

_OTHER_FILES = {
    (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".h5", ".onnx"): (
        "weights say nothing of the network that they belong to",
        "name the network, and pass this file as `weights`",
    ),
    (".py",): ("a file may hold many functions", "name the one that makes the network: FILE.py:FUNCTION"),
    (".csv", ".tsv", ".jsonl"): ("a file of texts is no network", "name a network, and pass the file as `data`"),
    (".json", ".toml"): ("a network, a run folder or a features file", "pass the folder of a run, not its record"),
}


def refuse_other_files(model: str) -> None:
    """A file that people give for a network, answered with what to give instead, before any data are read.

    Raises:
        InvalidInputError: it is one of these.
    """
    for endings, (expected, next_step) in _OTHER_FILES.items():
        if Path(model).suffix.lower() in endings:
            wanted = f"a network's name, a run folder, or features ({FEATURES_ACCEPTED}): {expected}"
            raise InvalidInputError(got=f"model = {model}", expected=wanted, next_step=next_step)


def check_named(model: str) -> None:
    """Refuse what is no model and no features, and features whose headers say that they cannot be measured.

    Raises:
        InvalidInputError: as `refuse_other_files` and `open_features`.
    """
    if holds_features(model):
        if Path(model).exists():  # what is not there is said after options without meaning
            open_features(model)
    elif not Path(model).is_dir():
        refuse_other_files(model)
