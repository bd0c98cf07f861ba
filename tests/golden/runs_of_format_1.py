"""Run folders as version 0.1.0 wrote them at commit c6009ef, before run.json had a format number.

    git worktree add ../old c6009ef && cd ../old && python PATH/TO/runs_of_format_1.py OUT

Seed 0, torch 2.13.0, NumPy 2.4. `trained` is `pnc train` on a problem file, `unlearned` the same with a learning rate
that learns nothing, `experiment` a run of `sims.networks` on a folder of images (it recorded no mean and scale of the
pixels), `simulated` is `pnc simulate`, `attacked` is `pnc robustness` of `experiment`. Pictures, tables and pages are
left out; the folder's own place is replaced by `FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(out: Path) -> None:
    from PIL import Image

    from pnc.cli.main import main as pnc
    from sims.networks import Case, image_data, train_from_seeds

    def run(*arguments: object) -> None:
        try:
            pnc([str(argument) for argument in arguments])
        except SystemExit as end:
            print(arguments[0], end.code)

    out = out.absolute()
    out.mkdir()
    draws = np.random.default_rng(0)
    y = np.repeat(range(3), 8)
    x = 3 * np.eye(3, 4)[y] + 0.1 * draws.standard_normal((24, 4))
    np.savez(out / "problem.npz", X=x, y=y)
    for split in ("train", "test"):
        for k, name in enumerate(("cat", "dog")):
            (out / "images" / split / name).mkdir(parents=True)
            for i in range(3):
                pixels = draws.integers(0, 120, (4, 4)) + 100 * k
                Image.fromarray(pixels.astype(np.uint8)).save(out / "images" / split / name / f"{i}.png")
    small = ("--width", 8, "--depth", 3, "--batch-size", 8, "--device", "cpu", "--quiet")
    data = ("--data", out / "problem.npz")
    run("train", "mlp", *data, *small, "--epochs", 60, "--learning-rate", 0.02, "--out", out / "trained")
    run("train", "mlp", *data, *small, "--epochs", 1, "--learning-rate", 1e-9, "--out", out / "unlearned")
    case = Case(
        network="mlp", options={"width": 4, "depth": 3, "batch_norm": False},
        training={"epochs": 20, "batch_size": None, "loss": "cross-entropy"},
    )  # fmt: skip
    images = image_data(str(out / "images"), train=None, test=None)
    train_from_seeds("net", case, images, out, seeds=1, quiet=True)
    (out / "runs" / "net-0").rename(out / "experiment")
    (out / "runs").rmdir()
    run("simulate", "--depth", 3, "--classes", 2, "--samples-per-class", 3, "--width", 8, "--out", out / "simulated",
        "--device", "cpu", "--quiet")  # fmt: skip
    run("robustness", out / "experiment", *("--data", out / "images"), "--attack", "fgsm", "--steps", "2,3", "--noise",
        "none", "--device", "cpu", "--quiet", "--out", out / "attacked")  # fmt: skip
    for file in out.rglob("*"):
        if file.suffix in (".svg", ".csv", ".html", ".gif") or file.name == "curves.png":
            file.unlink()
        elif file.name == "run.json":
            text = file.read_text(encoding="utf-8").replace(str(out), "FOLDER")
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
