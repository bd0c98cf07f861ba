"""Figure 2 of the paper: the features of each layer of a trained MLP in the plane, by UMAP.

    python -m sims.fig2_umap --scale smoke

The MLP of `sims.fig1_mlp_hybrid` without batch norm: seven layers and a classifier, PyTorch's default initial weights,
‖f(x) - y‖², AdamW. One seed, for pictures of several cannot be averaged. UMAP shows neighbours, not distances: how far
apart two clusters are drawn says nothing. What it shows is stated as a number: of the 10 nearest neighbours of an
image, the share that has its class, in the plane and in the features themselves.

`smoke`: 500 training images of Fashion-MNIST, width 256. `paper`: 2,000. `full`: 10,000, width 1024. The published
figure's network and data are not known to us.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.data.fashion_mnist import FASHION_MNIST_NAMES
from pnc.errors import InvalidInputError

from .common import Scale, command, new_figure, save
from .networks import Case, image_data, train_from_seeds

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ["reproduce", "same_class_share"]

NEIGHBOURS = 10
COLUMNS = 4


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """One panel a layer, the input first; the points are saved in `fig2_umap.npz`."""
    from pnc.measure import capture
    from pnc.nets import Network

    embed = _embedding()
    size, width = {"smoke": (50, 256), "paper": (200, 256), "full": (1000, 1024)}[scale]
    data = image_data("fashion-mnist", train=size, test=100)
    case = Case(network="mlp", options={"width": width, "batch_norm": False}, training={"epochs": 100})
    [run] = train_from_seeds("mlp", case, data, out, seeds=1, quiet=quiet)
    model = run.result.trained.model
    assert isinstance(model, Network)  # an mlp by its name
    x = data.train.prepare(data.train.x, dtype=next(model.parameters()).dtype)
    features = {"input": x, **capture(model, x, layers=list(model.block_names)[:-1])}
    labels = data.train.y.numpy()
    figure, panels = new_figure(COLUMNS, rows=-(-len(features) // COLUMNS), height=3.2)
    points: dict[str, np.ndarray] = {}
    handles: Sequence[Artist] = ()
    found: dict[str, list[float]] = {"plane": [], "features": []}
    for number, (panel, values) in enumerate(zip(panels, features.values(), strict=True)):
        rows = values.flatten(1).numpy()
        plane = points[f"layer_{number}"] = embed(rows)
        for name, some in (("plane", plane), ("features", rows)):
            found[name].append(same_class_share(some, labels))
        handles = panel.scatter(*plane.T, c=labels, cmap="tab10", s=3, lw=0).legend_elements()[0]
        panel.set_title(f"layer {number}, same class {found['plane'][-1]:.0%}", fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
        if not quiet:
            print(f"layer {number} of {len(features) - 1} embedded", file=sys.stderr)
    figure.legend(
        handles, FASHION_MNIST_NAMES, loc="outside lower center", ncols=len(FASHION_MNIST_NAMES),
        frameon=False, fontsize=9,
    )  # fmt: skip
    arrays: dict[str, Any] = {"y": labels, **points}  # NumPy's annotations take the names for options of savez
    np.savez(out / "fig2_umap.npz", **arrays)
    accuracy = {split: found.accuracy for split, found in run.splits.items()}
    return save(out, "fig2_umap", figure, {"accuracy": accuracy, "same_class_share": found})


def _embedding() -> Any:
    """Features (N, d) → points (N, 2), the same for the same features."""
    try:
        import umap
    except ImportError as error:
        raise InvalidInputError(
            got="a figure of embeddings without umap-learn",
            expected="umap-learn installed",
            next_step="pip install umap-learn",
        ) from error
    # with a seed UMAP runs on one core, and says so unless it is told
    return lambda rows: umap.UMAP(random_state=0, n_jobs=1).fit_transform(rows)


def same_class_share(points: np.ndarray, labels: np.ndarray, *, neighbours: int = NEIGHBOURS) -> float:
    """Mean over samples of the share of the nearest neighbours that have the sample's class; the sample is none.

    >>> same_class_share(np.array([[0.0], [1.0], [5.0], [6.5]]), np.array([0, 0, 1, 0]), neighbours=1)
    0.5
    """
    squares = (points.astype(np.float64) ** 2).sum(1)
    distances = squares[:, None] + squares - 2 * points.astype(np.float64) @ points.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
    return float((labels[nearest] == labels[:, None]).mean())


if __name__ == "__main__":
    sys.exit(command(reproduce, "fig2_umap"))
