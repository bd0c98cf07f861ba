"""What `pnc train` prints of virtual low-rank layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnc.cli.output import number, print_table, say

if TYPE_CHECKING:
    from pnc.train import LowRankOutcome

__all__ = ["print_low_rank"]


def print_low_rank(outcome: LowRankOutcome) -> None:
    """A row a site: the share of the variance in r directions before and after, and the losses; the cost below."""
    spec, last = outcome.spec, outcome.history[-1]
    say(
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
        say(
            f"a step takes {cost['with']:.3g} s with the layers and {cost['projecting']:.2g} s for projecting, "
            f"{cost['without']:.3g} s without: {cost['overhead']:+.1%}"
        )
