"""Figures 1 and 5 of the paper by its published recipe, on Fashion-MNIST: what it does in the time.

    python -m sims.fig1_published_recipe --scale smoke

Orthogonal initial weights of scale 0.1, ‖α f(x) - y‖² with α = 1 (MLP) and 100 (hybrid), SGD with momentum 0.9 at
1e-4, weight decay 1e-4, cosine, batches of 128, 400 epochs. On the published 50,000 images that is 156,000 steps; on
the 2,000 of `smoke` it is 6,400, which is not enough for the hybrid.

`smoke`: 2,000 images, width 256. `full`: all of Fashion-MNIST, width 1024. `paper`: CIFAR-10, as published.

What to compare with, read off the published plot (CIFAR-10, width 1024; uncentred features, 95 % of the sum of the
singular values): ranks 860, 896, 872, 815, 749, 636, 441 (MLP) and 908, 922, 919, 912, 893, 841, 709 (hybrid).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .common import Scale, command
from .fig1_mlp_hybrid import layer_figure, published
from .networks import image_data

__all__ = ["reproduce"]


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Both networks from three seeds, and the four quantities on the training split."""
    name = "cifar-10" if scale == "paper" else "fashion-mnist"
    size, width = ((200, 100), 256) if scale == "smoke" else ((None, None), 1024)
    data = image_data(name, train=size[0], test=size[1])
    return layer_figure(out, "fig1_published_recipe", published(width), data, quiet=quiet)


if __name__ == "__main__":
    sys.exit(command(reproduce, "fig1_published_recipe"))
