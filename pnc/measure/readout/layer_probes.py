"""The probes of one layer in the second pass: fitted to one split, tried on it held out, and on other splits."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import torch
from jaxtyping import Int

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.processes import gather_objects
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.readout.logistic import KeptSamples, fit_logistic_probe
from pnc.measure.readout.probe import LinearProbe, nearest_centre_probe, projected_centre_probe

__all__ = ["LayerProbes"]

_CENTRE, _LINEAR, _PROJECTED = "nearest_centre_accuracy", "linear_probe_accuracy", "projected_centre_accuracy"


class LayerProbes:
    """What the probes of one layer have right.

    Of the split that they are fitted to: the nearest class centre, on all samples and with each sample left out of its
    own class mean; the nearest centre among the leading principal components; a logistic probe, on the samples that it
    was fitted to and, by cross-validation, on samples that it has not seen. Of another split: these probes on it.

    Args:
        moments: of the layer on this split.
        counts: (K,) samples of this process, of which some are kept for the logistic probe.
        spectrum: of the layer, for the probes other than the nearest centre.
        fitted: the probes of the split that they were fitted to, where this is another one.
        name: of the layer, for errors.

    Raises:
        InvalidInputError: `fitted` is of a layer of another size.
    """

    def __init__(
        self,
        moments: ClassMoments,
        *,
        counts: torch.Tensor,
        spectrum: StreamingSpectrum | None = None,
        fitted: Mapping[str, LinearProbe] | None = None,
        name: str = "features",
    ) -> None:
        self._moments = moments
        self._kept: KeptSamples | None = None
        self.probes: dict[str, LinearProbe] = {}
        if fitted is not None:
            if not fitted or any(probe.origin.numel() != moments.dimension for probe in fitted.values()):
                raise InvalidInputError(
                    got=f"layer {name}, which the split that the probes were fitted to has not, or of another size",
                    expected="the same layers in every split",
                    next_step="leave the probes out, or choose other layers",
                )
            self.probes = {f"held_out_{kind}": probe for kind, probe in fitted.items()}
        else:
            self.probes[_CENTRE] = nearest_centre_probe(moments)
            if spectrum is not None:
                directions = spectrum.directions()
                if spectrum.missing == 0:
                    self.probes[_PROJECTED] = projected_centre_probe(spectrum, moments, directions=directions)
                self._kept = KeptSamples(counts, dimension=moments.dimension, directions=directions[1])
        self.hits = dict.fromkeys(self.probes, 0.0)
        if fitted is None:
            self.hits[f"held_out_{_CENTRE}"] = 0.0
        self.accuracies: dict[str, float] = {}

    def update(self, rows: torch.Tensor, labels: torch.Tensor) -> None:
        """Add a batch: (N, d) features and (N,) labels."""
        y = labels.to(self._moments.device)
        found = {}
        for kind, probe in self.probes.items():
            scores = probe.scores(rows)
            found[kind] = int((scores.argmax(1) == y).sum())
            if kind == _CENTRE:
                found[f"held_out_{_CENTRE}"] = self._left_out(rows, scores, y, probe)
        if self._kept is not None:
            self._kept.update(rows, y)
        for kind, number in found.items():
            self.hits[kind] += number

    def _left_out(self, rows: torch.Tensor, scores: torch.Tensor, y: torch.Tensor, probe: LinearProbe) -> int:
        """How many are nearest to their own class's mean of the other samples: n_k/(n_k - 1) times as far from it."""
        n = self._moments.counts.to(torch.float64)[y]
        square = (rows.to(torch.float64) - probe.origin).square().sum(1, keepdim=True)
        distances = (square - 2 * scores).clamp(min=0)
        own = distances.gather(1, y[:, None])[:, 0] * torch.where(n > 1, n / (n - 1), torch.inf).square()
        others = distances.scatter(1, y[:, None], torch.inf).amin(1)
        return int((own.nan_to_num(torch.inf) < others).sum())

    def empty(self, seen: Int[torch.Tensor, " K"]) -> LayerProbes:
        """The same probes, which have seen nothing; those samples of each class came before in another part."""
        other = copy(self)
        other.hits = dict.fromkeys(self.hits, 0.0)
        other._kept = None if self._kept is None else self._kept.after(seen)
        return other

    def totals(self) -> dict[str, Any]:
        """What was seen, for `add`: hits of each probe, and the samples that are kept."""
        kept = None if self._kept is None else (self._kept.features, self._kept.labels)
        return {"hits": self.hits, "kept": kept}

    def add(self, totals: Mapping[str, Any]) -> LayerProbes:
        """Add the `totals` of the same probes on other samples, which come after those seen so far."""
        for kind, number in totals["hits"].items():
            self.hits[kind] += number
        if self._kept is not None and totals["kept"] is not None:
            self._kept.add(*totals["kept"])
        return self

    def finish(self) -> None:
        """Fit the logistic probe to the samples that all processes kept."""
        if self._kept is None:
            return
        kept = self._kept
        pieces = gather_objects((kept.features, kept.labels))
        features, labels = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        found = fit_logistic_probe(features, labels, classes=self._moments.classes)
        probe = found.probe if kept.directions is None else found.probe.lifted(kept.directions.cpu())
        self.probes[_LINEAR] = probe.to(self._moments.device)
        self.accuracies = {_LINEAR: found.accuracy, f"held_out_{_LINEAR}": found.held_out_accuracy}
        self._kept = None
