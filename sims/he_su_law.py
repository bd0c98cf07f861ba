"""The law of data separation (He and Su, PNAS 120(36), 2023): log tr(Σ_W Σ_B⁺) against the layer, a straight line.

    python -m sims.he_su_law --scale smoke

100 images of every class of Fashion-MNIST, one channel of 10 × 10; hidden width 100, each layer Linear, batch norm,
ReLU; cross-entropy, SGD with momentum 0.9, weight decay 5e-4, batches of 128, the learning rate divided by 10 after a
third and after two thirds of 600 epochs: the published setting. It begins at 0.1 here; theirs is not known to us.
Images are made smaller by averaging over areas, which is ours too. The input counts as a layer, the outputs do not.

Beside it the same networks without batch norm, of which the authors say that the law does not hold. Pearson's r is
between the layer and log fuzziness, of each run; `table` has it with its mean by Fisher's z. The verdict is about
compression and discrimination, as everywhere.

`smoke`: 4 and 8 hidden layers, 200 epochs. `paper`: 4, 8 and 20, 600 epochs. `full`: AdamW (1e-3) as well.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import ImageData, load_splits

from .common import Scale, command, new_figure, save
from .networks import Case, Data, draw, summary, train_from_seeds

__all__ = ["reproduce", "shrink"]

SIDE = 10
COLOURS = {4: "#27632a", 8: "#1f4e79", 20: "#c0392b"}
OPTIMISERS = {"momentum": 0.1, "adamw": 1e-3}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Fuzziness against the layer for several depths, with batch norm and without, and Pearson's r."""
    depths, epochs = ((4, 8), 200) if scale == "smoke" else ((4, 8, 20), 600)
    optimisers = list(OPTIMISERS) if scale == "full" else ["momentum"]
    splits = load_splits("fashion-mnist", samples_per_class=100, test_samples_per_class=100)
    train, test = splits.train, splits.test
    assert isinstance(train, ImageData)  # which is what fashion-mnist is
    assert isinstance(test, ImageData)
    data = Data.of(replace(splits, train=shrink(train, SIDE), test=shrink(test, SIDE)))
    figure, panels = new_figure(2, rows=len(optimisers))
    found: dict[str, Any] = {}
    variants = [(optimiser, batch_norm) for optimiser in optimisers for batch_norm in (True, False)]
    for panel, (optimiser, batch_norm) in zip(panels, variants, strict=True):
        name = f"{optimiser}, {'' if batch_norm else 'no '}batch norm"
        for hidden in depths:
            case = Case(
                network="mlp",
                options={"width": 100, "depth": hidden + 1, "batch_norm": batch_norm, "bias": True},
                training={
                    "loss": "cross-entropy", "optimiser": optimiser, "learning_rate": OPTIMISERS[optimiser],
                    "weight_decay": 5e-4, "schedule": "step", "epochs": epochs,
                },
                measured=("fuzziness",),
            )  # fmt: skip
            label = f"{optimiser}-{hidden}{'' if batch_norm else '-plain'}"
            runs = train_from_seeds(label, case, data, out, quiet=quiet)
            found[label] = summary(runs, ["separation_fuzziness", "compression"])
            draw(
                panel, runs, "separation_fuzziness", colour=COLOURS[hidden],
                label=f"{hidden} hidden layers, r = {found[label]['table']['pearson']['mean']:.3f}",
            )  # fmt: skip
        panel.set_title(f"{panel.get_title()}, {name}", fontsize=9)
        panel.legend(frameon=False, fontsize=8)
    return save(out, "he_su_law", figure, found)


def shrink(images: ImageData, side: int) -> ImageData:
    """One channel of side × side pixels: each the mean over its area and over the channels, rounded to a byte.

    A pixel that lies in two areas counts in each by the share that lies there.

    >>> images = np.array([[0, 0, 30], [0, 0, 30], [60, 60, 90]], np.uint8)
    >>> pair = ImageData(images=np.stack([images, images])[:, None], y=[0, 1])
    >>> shrink(pair, 1).images.ravel().tolist()
    [30, 30]
    """
    import torch

    pixels = torch.from_numpy(images.images.astype(np.float64)).mean(1)
    rows, columns = (_shares(size, side) for size in pixels.shape[1:])
    small = (rows @ pixels @ columns.T).round().to(torch.uint8)
    return replace(
        images,
        images=small[:, None].numpy(),
        name=f"{images.name} at {side} × {side}",
        provenance={**images.provenance, "side": side},
    )


def _shares(size: int, side: int) -> Any:
    """(side, size) with rows that sum to 1: the share of each old pixel in the mean of each new one."""
    import torch

    low, pixel = torch.arange(side)[:, None] * size / side, torch.arange(size)
    overlap = torch.minimum(low + size / side, pixel + 1) - torch.maximum(low, pixel)
    return (overlap.clamp(min=0) * side / size).double()


if __name__ == "__main__":
    sys.exit(command(reproduce, "he_su_law"))
