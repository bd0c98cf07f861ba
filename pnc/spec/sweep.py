"""`SweepAxes` and `SweepSettings`: what the runs of a sweep differ in, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, get_args

from pnc.fields import Number, Option, Text, Whole, check_fields
from pnc.spec.problem import DataKind
from pnc.spec.shared import DATA, NETWORK, PROBLEM_DATA, Components, DataDir, Scale, Whiten
from pnc.spec.simulation import (
    COORDINATES,
    Coordinates,
    DtypeField,
    EngineField,
    LearningRateField,
    LossToleranceField,
    StepsField,
    WeightsField,
)

__all__ = ["SweepAxes", "SweepSettings"]

SWEEP = "Sweep"

Values = str | float | Sequence[str | float | Sequence[int]] | None


def _axis(text: str, panel: str) -> Option:
    return Option(text, panel=panel, metavar="VALUES", text=Text(str, str))


@dataclass(frozen=True, kw_only=True)
class SweepAxes:
    """What a sweep can vary: each takes a number, a list or a range, in words that `pnc.sweep.parse_values` reads.

    An axis with limits of `Whole` has whole numbers for its values, one of `Number` any. The order of the fields is
    that of the result's dimensions.
    """

    classes: Annotated[Values, Whole(), _axis("K; default 3.", DATA)] = None
    samples_per_class: Annotated[
        Values, Whole(), _axis("n, or 5/10/20 for unequal classes; default 10, fewer beyond 20.", DATA)
    ] = None
    dimension: Annotated[Values, Whole(), _axis("d; default ⌈5N/3⌉.", DATA)] = None
    theta: Annotated[Values, Number(), _axis("θ of nearly orthonormal data; default 0.2.", DATA)] = None
    depth: Annotated[
        Values,
        Whole(),
        _axis("L. A number, a list 200,300 or a range 2:12 (ends included), 0.1:0.5:0.1.", NETWORK),
    ] = None
    width: Annotated[Values, Whole(), _axis("Hidden widths.", NETWORK)] = None
    epsilon: Annotated[Values, Number(), _axis("ε; default 0.3.", NETWORK)] = None
    label_scale: Annotated[Values, Number(), _axis("α; default 1.", NETWORK)] = None


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """What all runs of a sweep have in common.

    Args:
        data: a synthetic kind, `fashion-mnist`, or a problem file.
        data_dir: of data that are not drawn, as the three below; see `pnc.data.resolve_data`.
        components: number of principal components that are kept.
        whiten: whether they get the same variance.
        scale: of the samples.
        weights: see `pnc.spec.SimulationSpec`, as for the six below.
        engine: likewise.
        coordinates: likewise.
        learning_rate: likewise.
        steps: likewise.
        loss_tolerance: likewise.
        dtype: likewise.
        seed: first seed; a run's seed draws its data and its weights, as in `pnc simulate --seed`.
        seeds: how many seeds.
        certificates: whether to compute the certificate of every run's weights (T8).
        full_checks: whether to check the assumptions on the full matrices, as the paper plots them.

    Raises:
        InvalidInputError: a value of another kind, a number out of range, an unknown name.
    """

    data: Annotated[str, PROBLEM_DATA] = "nearly-orthonormal"
    data_dir: DataDir = None
    components: Components = None
    whiten: Whiten = False
    scale: Scale = None
    weights: WeightsField = "orthogonal"
    engine: EngineField = "flow"
    coordinates: Annotated[Coordinates | None, COORDINATES] = None
    learning_rate: LearningRateField = None
    steps: StepsField = 100_000
    loss_tolerance: LossToleranceField = 1e-16
    dtype: DtypeField = "float64"
    seeds: Annotated[
        int, Whole(1, advice="pass for instance `seeds=10`"), Option("How many seeds; default 1.", panel=SWEEP)
    ] = 1
    seed: Annotated[int, Whole(0), Option("The first of them; default 0.", panel=SWEEP)] = 0
    certificates: Annotated[bool, Option("T8 for every run's weights.", panel=SWEEP, switch=True)] = True
    full_checks: Annotated[
        bool, Option("Check the assumptions on the full matrices, as the paper does.", panel=SWEEP, switch=True)
    ] = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.data_dir is not None:  # recorded as JSON
            object.__setattr__(self, "data_dir", str(self.data_dir))

    @property
    def kind(self) -> DataKind | None:
        """Of the data that every run draws; `None` where data are read."""
        return next((kind for kind in get_args(DataKind) if kind == self.data), None)

    @property
    def synthetic(self) -> bool:
        """Whether every run draws its own data."""
        return self.kind is not None
