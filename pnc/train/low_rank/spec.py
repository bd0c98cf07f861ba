"""`LowRankSpec`: where and how activations are drawn towards few dimensions; frozen, validated once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pnc.errors import InvalidInputError
from pnc.nets.checks import at_least, nearest

__all__ = ["LowRankSpec", "Projection"]

Projection = Literal["nystrom", "randomised", "svd"]


@dataclass(frozen=True, kw_only=True)
class LowRankSpec:
    """Virtual low-rank layers (`pnc.nets.LowRankLayer`) at some sites of a network in training.

    Args:
        sites: of which modules the outputs are drawn towards `rank` dimensions: names, unique ends of names
            (`stage4`), or patterns for several (`body.stage*`).
        rank: r of W.
        every: steps from one projection of W to the next; the published number is 10. Before the first there is no W,
            and L_c is left out.
        unit: feature norm at which activations count as 1 in both losses: a number, 1 in the published work; or
            `initial`, their mean norm at the first step, which is made without the losses. The norm of a wide layer
            begins far from 1 (about 70 after a ResNet's last stage), where L_c with unit weight is hundreds of times
            the classification loss and leaves nothing to classify.
        compression_weight: of L_c in the loss.
        ramp: share of the training over which the weight of L_c grows from 0 to that; 0: it is there at once.
        norm_weight: of L_n. The weights in the published work are not known; its author's post writes none.
        projection: how W is found from activations, see `pnc.nets.PROJECTIONS`.
        samples: at most so many of the latest activations are projected from; by default 512, or twice the rank where
            that is more.
        learning_rate: η of the layer's own steps on L_c: η/mean‖a + b‖² for the factors of W and η for b, whose
            curvatures are at most twice that mean and 2, so that more than 0.5 may diverge. It neither depends on the
            weight of L_c nor decays.

    Raises:
        InvalidInputError: no site, an unknown projection, a number out of range, fewer samples than the rank.

    >>> LowRankSpec(sites="stage4").sites
    ('stage4',)
    >>> LowRankSpec(sites=["stage4"], rank=0)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got rank = 0; expected a whole number, 1 or more; pass for instance --rank 1
    """

    sites: tuple[str, ...]
    rank: int = 10
    every: int = 10
    unit: float | Literal["initial"] = "initial"
    compression_weight: float = 1.0
    ramp: float = 0.0
    norm_weight: float = 1.0
    projection: Projection = "nystrom"
    samples: int | None = None
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        sites = (self.sites,) if isinstance(self.sites, str) else tuple(self.sites)
        if not sites or not all(isinstance(site, str) and site for site in sites):
            raise InvalidInputError(
                got=f"sites = {self.sites!r}",
                expected="names of modules",
                next_step="pass for instance --low-rank-site stage4",
            )
        object.__setattr__(self, "sites", sites)
        if self.samples is None:
            object.__setattr__(self, "samples", max(512, 2 * at_least("rank", self.rank, 1)))
        for name in ("rank", "every", "samples"):
            object.__setattr__(self, name, at_least(name, getattr(self, name), 1))
        if self.projection not in get_args(Projection):
            raise nearest("projection", self.projection, get_args(Projection))
        for name, most in (
            ("compression_weight", math.inf), ("norm_weight", math.inf), ("ramp", 1.0), ("learning_rate", 0.5),
        ):  # fmt: skip
            value = getattr(self, name)
            whole = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
            if not whole or not 0 <= value <= most:
                raise InvalidInputError(
                    got=f"{name} = {value} of a low-rank layer",
                    expected="a finite number, 0 or more" if most == math.inf else f"0 to {most:g}",
                    next_step="pass another one",
                )
        if self.unit != "initial" and (not isinstance(self.unit, int | float) or not 0 < self.unit < math.inf):
            raise InvalidInputError(
                got=f"unit = {self.unit!r}", expected="a feature norm above 0, or 'initial'", next_step="pass 1.0"
            )
        if self.samples < self.rank:
            raise InvalidInputError(
                got=f"samples = {self.samples} for rank {self.rank}",
                expected="at least as many samples as dimensions",
                next_step="give more samples, or leave them out for their default",
            )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "sites": list(self.sites)}
