"""VGG-19 and ResNet-18 and -50, block by block: C_l, D_l and fuzziness of both splits.

    python -m sims.blocks --scale smoke

VGG-19 (with batch norm) at each of its 16 convolutions, after the activation; the ResNets after the stem and after
each residual block. Features are flattened, positions and channels alike. Cross-entropy, SGD with momentum 0.9 at
0.05 (cosine), weight decay 5e-4, no augmentation.

`smoke`: one epoch on 500 images of Fashion-MNIST, one seed: forward, backward and every block measured; nothing is
learned in it, and the verdict says so. `full`: all of Fashion-MNIST, batches of 128, 40 epochs, 3 seeds, in bfloat16:
for a GPU. `paper`: the same on CIFAR-10.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .common import Scale, command, new_figure, save
from .networks import Case, draw, image_data, summary, train_from_seeds

__all__ = ["reproduce"]

QUANTITIES = ("compression", "discrimination", "separation_fuzziness")
NETWORKS = {"vgg-19-bn": "#27632a", "resnet-18": "#1f4e79", "resnet-50": "#c0392b"}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """The quantities against the block, a row a network; the test split dashed."""
    smoke = scale == "smoke"
    name = "cifar-10" if scale == "paper" else "fashion-mnist"
    data = image_data(name, train=50 if smoke else None, test=20 if smoke else None)
    training: dict[str, Any] = {
        "loss": "cross-entropy", "optimiser": "momentum", "learning_rate": 0.05, "weight_decay": 5e-4,
        "channels_last": True,
    }  # fmt: skip
    training |= {"epochs": 1, "batch_size": 50} if smoke else {"epochs": 40, "precision": "bfloat16"}
    figure, panels = new_figure(len(QUANTITIES), rows=len(NETWORKS))
    found: dict[str, Any] = {}
    for row, (network, colour) in enumerate(NETWORKS.items()):
        case = Case(
            network=network,
            training=training,
            layers="layer_names" if network.startswith("vgg") else "block_names",
            measured=("fuzziness",),
        )
        runs = train_from_seeds(network, case, data, out, seeds=1 if smoke else 3, quiet=quiet)
        found[network] = summary(runs, QUANTITIES)
        for panel, quantity in zip(panels[row * len(QUANTITIES) :], QUANTITIES, strict=False):
            for split in ("train", "test"):
                draw(panel, runs, quantity, colour=colour, label=f"{network}, {split}", split=split)
        panels[row * len(QUANTITIES)].legend(frameon=False, fontsize=8)
    return save(out, "blocks", figure, found)


if __name__ == "__main__":
    sys.exit(command(reproduce, "blocks"))
