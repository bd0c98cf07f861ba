"""A run is a folder, written under a temporary name and renamed: a killed run leaves no half result."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc import __version__
from pnc.compare import Comparison
from pnc.curves import json_ready
from pnc.errors import InvalidInputError
from pnc.report.dynamics import dynamics_animation, dynamics_figure
from pnc.report.figures import comparison_figure
from pnc.report.page import PLAIN_SVG, report_page
from pnc.theory import Dynamics

if TYPE_CHECKING:
    from pnc.simulate import History

__all__ = ["check_folder", "new_folder", "software_versions", "write_run"]


def check_folder(path: str | Path, *, force: bool = False) -> Path:
    """The path, if a run folder may be written there.

    Raises:
        InvalidInputError: it exists and `force` is not given, it is a file, or its place cannot be written to.
    """
    path = Path(path)
    if path.exists() and (not force or not path.is_dir()):
        raise InvalidInputError(
            got=f"output folder {path}, which exists",
            expected="a folder that is not there yet" if path.is_dir() else "a folder, not a file",
            next_step="choose another `out`, or replace it with `force`" if path.is_dir() else "choose another `out`",
        )
    above = next(place for place in path.absolute().parents if place.exists())
    if not above.is_dir():
        raise _not_writable(path, f"{above} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise _not_writable(path, f"{above} may not be written to")
    return path


@contextmanager
def new_folder(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends without an error.

    Raises:
        InvalidInputError: as `check_folder`, or the place cannot be written to.
    """
    path = check_folder(path, force=force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            temporary.chmod(0o755)
            yield temporary
            if check_folder(path, force=force).exists():  # it may have been made in the meantime
                discarded = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
                os.replace(path, discarded / "old")
                os.replace(temporary, path)
                shutil.rmtree(discarded)
            else:
                os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error


def _not_writable(path: Path, reason: str) -> InvalidInputError:
    return InvalidInputError(
        got=f"output folder {path}: {reason}", expected="a place to write to", next_step="choose another `out`"
    )


def software_versions() -> dict[str, str | None]:
    """Versions of everything that touches the numbers, and the commit where the package runs from a checkout."""
    found: dict[str, str | None] = {"pnc": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    root = Path(__file__).resolve().parents[2]
    found["commit"] = None
    if (root / ".git").exists():
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
        found["commit"] = done.stdout.strip() or None
    return found


def write_run(
    path: str | Path,
    comparison: Comparison,
    *,
    record: Mapping[str, Any],
    weights: Mapping[str, np.ndarray] | None = None,
    history: History | None = None,
    dynamics: Dynamics | None = None,
    title: str = "pnc",
    force: bool = False,
) -> Path:
    """Write a run folder: run.json, curves.csv, predicted.csv, curves.png and .svg, weights.safetensors, report.html.

    With a history also training.png, training.svg and training.gif: both curves while training goes on.

    Args:
        path: the folder; its parents are made.
        comparison: predicted and measured curves with their verdict.
        record: what was run: specs, outcome, wall time; the comparison, versions and commit are added.
        weights: arrays to keep, by name.
        history: curves along training.
        dynamics: what Y1 predicts of them.
        title: of the report and the figure.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: the folder exists and `force` is not given.
    """
    full = json_ready({**record, "software": software_versions(), "comparison": comparison.to_dict()})
    with new_folder(path, force=force) as folder:
        (folder / "run.json").write_text(
            json.dumps(full, sort_keys=True, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        comparison.measured.to_csv(folder / "curves.csv")
        comparison.predicted.to_csv(folder / "predicted.csv")
        figure = comparison_figure(comparison, title=title)
        figure.savefig(folder / "curves.png", dpi=150)
        figure.savefig(folder / "curves.svg", metadata=PLAIN_SVG)
        shown = {name: value for name, value in full.items() if name != "comparison"}
        (folder / "report.html").write_text(
            report_page(comparison, figure, title=title, record=shown), encoding="utf-8"
        )
        if history is not None:
            figure = dynamics_figure(history, dynamics)
            figure.savefig(folder / "training.png", dpi=150)
            figure.savefig(folder / "training.svg", metadata=PLAIN_SVG)
            dynamics_animation(folder / "training.gif", history, dynamics)
        if weights:
            from safetensors.numpy import save_file

            target = folder / "weights.safetensors"
            save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, target)
            target.chmod(0o644)  # as readable as the rest of the folder
    return Path(path)
