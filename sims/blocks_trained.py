"""VGG-11 and ResNet-18 of width 16, trained to the end on two cores: blocks against the laws.

    python -m sims.blocks_trained --scale smoke

2,000 images of Fashion-MNIST, cross-entropy, with weight decay 5e-4 and without, SGD with momentum 0.9 at 0.05
(cosine), batches of 50, 25 epochs, three seeds, no augmentation: every run ends at 99.9 % of the training images or
more. VGG-11 (batch norm) at each convolution, after the activation; ResNet-18 after the stem and each residual block;
features are flattened. What is finished is not trained again; what was interrupted goes on.

The curves of `paper` are kept with the package: `pnc compare published:`.

`paper`: as above, 35 s a run of VGG-11 and 110 s a run of ResNet-18 on one core. `smoke`: one epoch on 200 images, one
seed; nothing is learned in it. `full`: as `paper`, on all images of Fashion-MNIST, for a GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .common import Scale, command, new_figure, save
from .networks import Case, draw, image_data, summary, train_from_seeds

__all__ = ["CASES", "reproduce"]

QUANTITIES = ("compression", "discrimination", "separation_fuzziness")
COLOURS = {"": "#1f4e79", "-no-decay": "#c0392b"}
CASES = {
    f"{network}-cross-entropy{suffix}": Case(
        network=network,
        options={"width": 16},
        training={
            "loss": "cross-entropy", "optimiser": "momentum", "learning_rate": 0.05, "weight_decay": decay,
            "channels_last": True, "epochs": 25, "batch_size": 50,
        },
        layers="layer_names" if network.startswith("vgg") else "block_names",
        measured=("fuzziness", "spectra"),
    )
    for network in ("vgg-11-bn", "resnet-18")
    for suffix, decay in (("", 5e-4), ("-no-decay", 0.0))
}  # fmt: skip


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """The quantities against the layer, a row a network; means and intervals over seeds, the test split dashed."""
    train, test = {"smoke": (20, 10), "paper": (200, 100), "full": (None, None)}[scale]
    data = image_data("fashion-mnist", train=train, test=test)
    figure, panels = new_figure(len(QUANTITIES), rows=2)
    found: dict[str, Any] = {}
    for label, case in CASES.items():
        if scale == "smoke":
            case = Case(**{**vars(case), "training": {**case.training, "epochs": 1}})
        runs = train_from_seeds(label, case, data, out, seeds=1 if scale == "smoke" else 3, quiet=quiet)
        found[label] = summary(runs, QUANTITIES)
        row = 0 if case.network.startswith("vgg") else len(QUANTITIES)
        colour = COLOURS["-no-decay" if label.endswith("-no-decay") else ""]
        for panel, quantity in zip(panels[row:], QUANTITIES, strict=False):
            for split in ("train", "test"):
                draw(panel, runs, quantity, colour=colour, label=f"{label}, {split}", split=split)
        panels[row].legend(frameon=False, fontsize=6)
    return save(out, "blocks_trained", figure, found)


if __name__ == "__main__":
    sys.exit(command(reproduce, "blocks_trained"))
