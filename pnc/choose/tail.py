"""What the end of a network is worth: everything after a layer replaced by one linear map, for every layer at once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn

from pnc.choose.choice import CONFIDENCE
from pnc.choose.sampled_features import SampledFeatures
from pnc.curves import LayerCurve, json_ready
from pnc.errors import InvalidInputError
from pnc.measure import LinearMap, count_classes, fit_linear_map, measure_model
from pnc.measure.compress.activations import site_of, tail_parameters
from pnc.measure.model.batches import BatchSource
from pnc.measure.model.layers import batch_size, evaluating, first_tensor, rows_of, tapped, unwrapped
from pnc.statistics import student_reach

__all__ = ["CutTail", "TailCosts", "measure_tails"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CutTail:
    """What a network loses and saves when one linear map follows a layer.

    Args:
        name: of the layer.
        layer: its number.
        width: d, entries of a sample's features.
        used: dimensions that the map was fitted in, fewer where wide features were projected at random.
        right: (M,) whether each held-out sample is classified correctly by the shortened network.
        whole: (M,) likewise by the whole one.
        parameters: of the part that is cut off.
        linear_parameters: of the linear map, K (d + 1).
        time_share: share of the time of a forward pass that is spent after the layer.
    """

    name: str
    layer: int
    width: int
    used: int
    right: Bool[np.ndarray, " M"]
    whole: Bool[np.ndarray, " M"]
    parameters: int
    linear_parameters: int
    time_share: float

    @property
    def accuracy(self) -> float:
        """Of the shortened network on the held-out samples."""
        return float(self.right.mean())

    @property
    def cost(self) -> float:
        """Accuracy of the whole network less that of the shortened one."""
        return float(self.whole.mean() - self.right.mean())

    @property
    def standard_error(self) -> float:
        """Of the cost, sample by sample paired; with no sample on which they differ, that of one that does."""
        differences = self.whole.astype(np.float64) - self.right
        return max(float(differences.std(ddof=1)), 1 / math.sqrt(differences.size)) / math.sqrt(differences.size)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the cost (Student)."""
        reach = student_reach(self.right.size - 1, CONFIDENCE) * self.standard_error
        return self.cost - reach, self.cost + reach


@dataclass(frozen=True, kw_only=True, eq=False)
class TailCosts:
    """The cost of cutting after each layer.

    Args:
        curve: C, D and scatters of the layers on the training split.
        cuts: one for each layer of the curve.
        accuracy: of the whole network on the held-out samples.
        samples: that the maps were fitted to.
        held_out: samples that the accuracies are of.
        limit: the loss of accuracy that is allowed.
        notes: what a reader of the numbers should know.
    """

    curve: LayerCurve
    cuts: tuple[CutTail, ...]
    accuracy: float
    samples: int
    held_out: int
    limit: float
    notes: tuple[str, ...] = ()

    @property
    def earliest(self) -> CutTail | None:
        """The first layer of the network after which a cut surely (one-sided 95 %) costs no more than the limit."""
        reach = student_reach(self.held_out - 1, 2 * CONFIDENCE - 1)
        sure = (cut for cut in self.cuts if cut.cost + reach * cut.standard_error <= self.limit)
        return next(sure, None)

    def to_dict(self) -> dict[str, Any]:
        """What `pnc tail --json` prints."""
        return json_ready(
            {
                "layers": self.curve.layers,
                "names": [cut.name for cut in self.cuts],
                "widths": [cut.width for cut in self.cuts],
                "dimensions_used": [cut.used for cut in self.cuts],
                "compression": self.curve.compression,
                "discrimination": self.curve.discrimination,
                "accuracy": [cut.accuracy for cut in self.cuts],
                "cost": [cut.cost for cut in self.cuts],
                "standard_error": [cut.standard_error for cut in self.cuts],
                "interval": [list(cut.interval) for cut in self.cuts],
                "parameters_cut": [cut.parameters for cut in self.cuts],
                "linear_parameters": [cut.linear_parameters for cut in self.cuts],
                "time_share_saved": [cut.time_share for cut in self.cuts],
                "whole_accuracy": self.accuracy,
                "limit": self.limit,
                "earliest": None if self.earliest is None else self.earliest.layer,
                "samples": self.samples,
                "held_out_samples": self.held_out,
                "notes": list(self.notes),
            }
        )


def measure_tails(
    model: nn.Module,
    train: Iterable[Any],
    test: Iterable[Any] | None = None,
    *,
    classes: int | None = None,
    layers: Sequence[str] | None = None,
    limit: float = 0.01,
    most_samples: int = 4096,
    most_dimensions: int = 1024,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> TailCosts:
    """What it costs to replace everything after a layer by one linear map, for every layer, from one pass a split.

    The maps are ridge regressions of the one-hot labels with the penalty that predicts left-out training samples best,
    as `fit_linear_tail`'s; what they cost is the accuracy of the whole network less theirs, paired over the held-out
    samples.

    Args:
        model: torch module whose outputs are scores of the classes.
        train: batches of (inputs, labels) that the maps are fitted to.
        test: held-out batches; without them accuracies are of the training samples, which a note says.
        classes: K; by default counted.
        layers: patterns of module names, see `measure_model`.
        limit: the loss of accuracy that is allowed.
        most_samples: of the training split; a uniform draw where there are more.
        most_dimensions: wider features are projected at random into so many before the fit.
        seed: of both draws.
        device: see `measure_model`.

    Raises:
        InvalidInputError: as `measure_model`; a limit outside [0, 1); outputs that are no scores of K classes.

    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> x = torch.arange(40.0).reshape(20, 2).cos()
    >>> found = measure_tails(net, [(x, torch.arange(20) % 2)])
    >>> [cut.name for cut in found.cuts], found.cuts[1].parameters
    (['input', '1', '2'], 18)
    """
    if not 0 <= limit < 1:
        raise InvalidInputError(
            got=f"limit = {limit}", expected="a share of the samples, at least 0 and below 1", next_step="pass 0.01"
        )
    number = count_classes(train) if classes is None else classes
    options: dict[str, Any] = {"classes": number, "layers": layers, "device": device}
    kept = SampledFeatures(most_samples=most_samples, most_dimensions=most_dimensions, seed=seed)
    curve = measure_model(model, train, observe=kept.take, **options)
    names = [note.name or str(layer) for note, layer in zip(curve.notes, curve.layers.tolist())]
    notes = list(curve.origin.remarks)
    targets = nn.functional.one_hot(kept.labels(), number).to(torch.float64)
    tried = _Tried(kept, {name: fit_linear_map(kept.features(name), targets) for name in names}, number)
    if test is None:
        notes.append("no held-out split: accuracies are of the training samples")
    handle = unwrapped(model).register_forward_hook(tried.outputs)
    try:
        measure_model(model, train if test is None else test, observe=tried.features, **options)
    finally:
        handle.remove()
    first = BatchSource(train, model, again=True).first()
    assert first is not None
    shares = _time_after(model, first, names)
    whole = torch.cat(tried.whole).numpy()
    cuts = []
    for name, layer, note in zip(names, curve.layers.tolist(), curve.notes):
        width = int(note.dimension or 0)
        used = kept.features(name).shape[1]
        if used < width:
            notes.append(f"{name}: its map was fitted in {used} of {width} dimensions, drawn at random")
        at_input = name == "input"
        cuts.append(
            CutTail(
                name=name,
                layer=layer,
                width=width,
                used=used,
                right=torch.cat(tried.right[name]).numpy(),
                whole=whole,
                parameters=sum(p.numel() for p in model.parameters())
                if at_input
                else tail_parameters(model, first, site_of(model, first, name)),
                linear_parameters=number * (width + 1),
                time_share=1.0 if at_input else shares[name],
            )
        )
    return TailCosts(
        curve=curve,
        cuts=tuple(cuts),
        accuracy=float(whole.mean()),
        samples=len(kept.labels()),
        held_out=whole.size,
        limit=limit,
        notes=tuple(notes),
    )


class _Tried:
    """Whether each sample that passes is classified correctly: by the linear map of each layer, by the network."""

    def __init__(self, kept: SampledFeatures, maps: dict[str, LinearMap], classes: int) -> None:
        self.kept, self.maps, self.classes = kept, maps, classes
        self.right: dict[str, list[torch.Tensor]] = {name: [] for name in maps}
        self.whole: list[torch.Tensor] = []
        self._labels: torch.Tensor | None = None

    def features(self, name: str, rows: torch.Tensor, labels: torch.Tensor, first: int) -> None:
        self._labels = labels.cpu()
        if name in self.maps:
            scores = self.maps[name](self.kept.reduced(name, rows.detach()).cpu())
            self.right[name].append(scores.argmax(1) == self._labels)

    def outputs(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._labels is None:  # the look at the layers, before the first batch
            return
        scores = first_tensor(output)
        if scores is None or scores.shape != (len(self._labels), self.classes):
            raise InvalidInputError(
                got=f"outputs of shape {None if scores is None else tuple(scores.shape)}",
                expected=f"({len(self._labels)}, {self.classes}), one score for each class",
                next_step="give the network that classifies these labels, or use choose_layer, which needs no outputs",
            )
        self.whole.append(scores.detach().cpu().argmax(1) == self._labels)


def _time_after(model: nn.Module, inputs: Any, names: Sequence[str], *, repeats: int = 5) -> dict[str, float]:
    """Share of the time of a forward pass that is spent after each layer; the median over some passes."""
    found: dict[str, list[float]] = {name: [] for name in names}
    reached: dict[str, float] = {}

    def consume(name: str, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None and tensor.is_cuda:
            torch.cuda.synchronize()
        reached[name] = time.perf_counter()

    rows = rows_of(inputs, slice(0, min(64, batch_size(inputs))))
    with evaluating(model), torch.no_grad(), tapped(model, consume) as run:
        for _ in range(repeats):
            reached.clear()
            start = time.perf_counter()
            run(rows)
            total = time.perf_counter() - start
            for name in names:
                found[name].append(1 - (reached.get(name, start) - start) / total)
    return {name: float(np.median(shares)) for name, shares in found.items()}
