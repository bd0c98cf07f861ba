"""Options of `pnc train` for virtual low-rank layers, and what it prints of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.output import number, print_table
from pnc.errors import InvalidInputError

if TYPE_CHECKING:
    from pnc.train import LowRankOutcome, LowRankSpec

__all__ = [
    "LowRankEveryOption",
    "LowRankProjectionOption",
    "LowRankRampOption",
    "LowRankSiteOption",
    "LowRankUnitOption",
    "LowRankWeightOption",
    "NormWeightOption",
    "RankOption",
    "low_rank_spec",
    "print_low_rank",
]

_PANEL = "Low rank"

LowRankSiteOption = Annotated[
    list[str] | None,
    typer.Option(
        "--low-rank-site",
        metavar="NAME",
        help="Draw this module's activations towards few dimensions (layer4, body.stage*); may be repeated.",
        rich_help_panel=_PANEL,
    ),
]
RankOption = Annotated[
    int | None, typer.Option("--rank", help="Of the low-rank layers; default 10.", rich_help_panel=_PANEL)
]
LowRankWeightOption = Annotated[
    float | None, typer.Option("--low-rank-weight", help="Of L_c; default 1.", rich_help_panel=_PANEL)
]
LowRankRampOption = Annotated[
    float | None,
    typer.Option("--low-rank-ramp", help="Share of the training in which that grows.", rich_help_panel=_PANEL),
]
NormWeightOption = Annotated[
    float | None, typer.Option("--norm-weight", help="Of L_n; default 1.", rich_help_panel=_PANEL)
]
LowRankUnitOption = Annotated[
    str | None,
    typer.Option(
        "--low-rank-unit", metavar="NORM", help="Norm that counts as 1; default initial.", rich_help_panel=_PANEL
    ),
]
LowRankEveryOption = Annotated[
    int | None, typer.Option("--low-rank-every", help="Steps between projections; default 10.", rich_help_panel=_PANEL)
]
LowRankProjectionOption = Annotated[
    str | None,
    typer.Option("--low-rank-projection", help="nystrom, randomised, svd.", rich_help_panel=_PANEL),
]


def low_rank_spec(sites: list[str] | None, **options: Any) -> LowRankSpec | None:
    """The layers that were asked for; `None` options take their defaults.

    Raises:
        InvalidInputError: options without a site, a number out of range.

    >>> low_rank_spec(["layer4"], rank=3, unit="1").unit
    1.0
    >>> low_rank_spec(None, rank=3)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got --rank without --low-rank-site; expected ...
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not sites:
        if given:
            flags = {"compression_weight": "low-rank-weight", "norm_weight": "norm-weight", "rank": "rank"}
            name = next(iter(given))
            raise InvalidInputError(
                got=f"--{flags.get(name, f'low-rank-{name}')} without --low-rank-site",
                expected="the module whose activations are meant",
                next_step="pass for instance --low-rank-site layer4",
            )
        return None
    from pnc.train import LowRankSpec

    if "unit" in given and given["unit"] != "initial":
        with suppress(ValueError):  # what it is not is said below
            given["unit"] = float(given["unit"])
    return LowRankSpec(sites=sites, **given)


def print_low_rank(outcome: LowRankOutcome) -> None:
    """A row a site: the share of the variance in r directions before and after, and the losses; the cost below."""
    spec, last = outcome.spec, outcome.history[-1]
    print(
        f"\nlow rank: r = {spec.rank}, weights {number(spec.compression_weight)} (L_c) and {number(spec.norm_weight)} "
        f"(L_n), {outcome.projections} projections by {spec.projection}; shares of centred variance in r directions"
    )
    columns = {"site": list(outcome.sites), "d": [str(width) for width in outcome.widths]}
    for title, split, shares in (
        ("before", "train", outcome.before), ("after", "train", outcome.after), ("test", "test", outcome.after),
    ):  # fmt: skip
        if split in shares:
            columns[title] = [f"{shares[split][site]['centred']:.2%}" for site in outcome.sites]
    for title, key in (("L_c", "compression_loss"), ("L_n", "norm_loss")):
        if last[key] is not None:
            columns[title] = [number(value) for value in last[key]]
    print_table(list(columns), zip(*columns.values(), strict=True))
    cost = outcome.step_seconds
    if cost is not None:
        print(
            f"a step takes {cost['with']:.3g} s with the layers and {cost['projecting']:.2g} s for projecting, "
            f"{cost['without']:.3g} s without: {cost['overhead']:+.1%}"
        )
