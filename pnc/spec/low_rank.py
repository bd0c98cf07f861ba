"""`LowRankSpec`: where and how activations are drawn towards few dimensions; frozen, validated once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pnc.errors import InvalidInputError
from pnc.fields import NOT_GIVEN, FilledIn, Number, Option, Text, Whole, check_fields, check_whole

__all__ = ["LowRankSpec", "Projection"]

Projection = Literal["nystrom", "randomised", "svd"]

_LOW_RANK = "Low rank"


def _norm(text: str) -> float | str:
    """A number where it is one; what it is not is said by the spec."""
    with suppress(ValueError):
        return float(text)
    return text


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
    pnc.errors.InvalidInputError: got rank = 0; expected a whole number, 1 or more; pass for instance `rank=1`
    """

    sites: Annotated[
        tuple[str, ...],
        Option(
            "Draw this module's activations towards few dimensions (layer4, body.stage*); may be repeated.",
            name="low_rank_site",
            metavar="NAME",
            panel=_LOW_RANK,
        ),
    ]
    rank: Annotated[int, Whole(1), Option("Of the low-rank layers; default 10.", panel=_LOW_RANK)] = 10
    compression_weight: Annotated[
        float, Number(least=0), Option("Of L_c; default 1.", name="low_rank_weight", panel=_LOW_RANK)
    ] = 1.0
    ramp: Annotated[
        float,
        Number(least=0, most=1),
        Option("Share of the training in which that grows.", name="low_rank_ramp", panel=_LOW_RANK),
    ] = 0.0
    norm_weight: Annotated[float, Number(least=0), Option("Of L_n; default 1.", panel=_LOW_RANK)] = 1.0
    unit: Annotated[
        float | Literal["initial"],
        Number(above=0, expected="a feature norm above 0, or 'initial'", advice="pass 1.0"),
        Option(
            "Norm that counts as 1; default initial.",
            name="low_rank_unit",
            metavar="NORM",
            panel=_LOW_RANK,
            text=Text(_norm, str),
        ),
    ] = "initial"
    every: Annotated[
        int, Whole(1), Option("Steps between projections; default 10.", name="low_rank_every", panel=_LOW_RANK)
    ] = 10
    projection: Annotated[
        Projection, Option("nystrom, randomised, svd.", name="low_rank_projection", panel=_LOW_RANK)
    ] = "nystrom"
    samples: Annotated[FilledIn[int], Whole(1)] = NOT_GIVEN
    learning_rate: Annotated[float, Number(least=0, most=0.5, advice="pass another one for the low-rank layer")] = 0.1

    def __post_init__(self) -> None:
        sites = (self.sites,) if isinstance(self.sites, str) else self.sites
        if not sites or not all(isinstance(site, str) and site for site in sites):
            raise InvalidInputError(
                got=f"sites = {self.sites!r}", expected="names of modules", next_step="pass for instance `sites=stage4`"
            )
        object.__setattr__(self, "sites", tuple(sites))
        if self.samples is None:
            object.__setattr__(self, "samples", max(512, 2 * check_whole("rank", self.rank, 1)))
        check_fields(self)
        if self.samples < self.rank:
            raise InvalidInputError(
                got=f"samples = {self.samples} for rank {self.rank}",
                expected="at least as many samples as dimensions",
                next_step="give more samples, or leave them out for their default",
            )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "sites": list(self.sites)}
