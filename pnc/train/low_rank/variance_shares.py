"""How much of the variance of activations lies in few directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pnc.measure.model.hooks import evaluating, tapped
from pnc.train.samples import Samples

__all__ = ["variance_shares"]

_MOST = 1024  # samples: an n × n Gram matrix is decomposed


def variance_shares(
    model: nn.Module, sites: Sequence[str], samples: Samples, *, rank: int, batch: int, **prepared: Any
) -> dict[str, dict[str, float]]:
    """Σ_{i≤r} σ_i² / Σσ_i² of the activations at each site, centred and not, the network in evaluation mode.

    Exact for the samples that are used: 1024 of them at equal distances, or all where there are fewer. Of fewer
    samples than directions, r directions hold somewhat more than of all samples.

    Args:
        model: the network.
        sites: names of modules.
        samples: of a split.
        rank: r.
        batch: samples at a time.
        prepared: dtype and memory format, as in `Samples.prepare`.

    Returns:
        Site → `centred`, `uncentred`, and the number of `samples`.
    """
    chosen = torch.linspace(0, len(samples) - 1, min(_MOST, len(samples)), dtype=torch.float64).round().long()
    found: dict[str, list[torch.Tensor]] = {name: [] for name in sites}

    def see(name: str, output: torch.Tensor) -> None:
        found[name].append(output.flatten(1).clone())  # a module after it may work in place

    with evaluating(model), tapped(model, see, sites) as run:
        for some in chosen.to(samples.y.device).split(batch):
            run(samples.prepare(samples.x[some], **prepared))
    shares = {}
    for name, pieces in found.items():
        z = torch.cat(pieces).double()
        shares[name] = {
            "centred": _share(z - z.mean(0), rank),
            "uncentred": _share(z, rank),
            "samples": len(z),
        }
    return shares


def _share(z: torch.Tensor, rank: int) -> float:
    gram = z @ z.T if len(z) < z.shape[1] else z.T @ z
    total = float(gram.trace())
    return float(torch.linalg.eigvalsh(gram)[-rank:].sum()) / total if total > 0 else float("nan")
