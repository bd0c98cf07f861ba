"""`SimulationSpec`: how a deep linear network is trained; frozen, validated once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pnc.errors import InvalidInputError
from pnc.fields import NOT_GIVEN, FilledIn, Number, Option, Whole, check_fields
from pnc.spec.shared import OUTPUT, TRAINING, Seed

__all__ = ["Coordinates", "Engine", "InitialWeights", "SimulationSpec"]

InitialWeights = Literal["orthogonal", "default", "exact"]
Engine = Literal["flow", "descent"]
Coordinates = Literal["reduced", "full"]

# also of a sweep
WeightsField = Annotated[InitialWeights, Option("Initial weights.", panel=TRAINING, choices=True)]
EngineField = Annotated[Engine, Option("Gradient flow, or full-batch descent.", panel=TRAINING, choices=True)]
LearningRateField = Annotated[
    float | None,
    Number(above=0, advice="pass for instance `learning_rate=0.1`"),
    Option("Of descent; default a stable one.", panel=TRAINING),
]
StepsField = Annotated[
    int, Whole(1, expected="at least 1 step", advice="pass a larger `steps`"), Option("Most steps.", panel=TRAINING)
]
LossToleranceField = Annotated[
    float,
    Number(
        above=0,
        below=1,
        expected="a share of the initial loss between 0 and 1",
        advice="pass for instance `loss_tolerance=1e-16`",
    ),
    Option("Stop at this share of the initial loss.", panel=TRAINING),
]
DtypeField = Annotated[Literal["float64", "float32"], Option("Of training.", panel=TRAINING, choices=True)]
COORDINATES = Option(
    "Reduced (exact, any width at one cost) or full; default reduced, full for default weights.",
    panel=TRAINING,
    choices=True,
)

_MOST_POINTS = 100_000  # every curve is kept at each


@dataclass(frozen=True, kw_only=True)
class SimulationSpec:
    """How a deep linear network is trained.

    Args:
        weights: initial weights: `orthogonal` (the paper's: ε times orthogonal), `default` (PyTorch's
            `nn.Linear`), or `exact` (weights that satisfy A1–A3; nothing is left to train).
        engine: `flow` (gradient flow over the plateau, then descent at a stable step) or `descent`
            (full-batch).
        coordinates: `reduced` (Y2, exact) or `full`.
        learning_rate: step size η for the loss ‖W X - Y/α‖²_F / N; `None`: a stable one is computed. (A
            program that descends ‖α f(x) - y‖² / N with step η' takes the same path for η = α² η'.)
        steps: most descent steps, or integrator and descent steps together for `flow`.
        loss_tolerance: training stops when the loss on the signal directions is below this share of its
            start. A flow from small weights goes on, where it can, until what is left would not be seen in the last
            layer.
        cut_off: share of the update that small coordinates may leave out (Y4); 0: all reduced coordinates are used.
        record: number of points of the training at which every curve is recorded; 0 for the end alone.
        device: `auto`, `cpu` or a torch device name such as `cuda` or `cuda:1`.
        dtype: `float64` or `float32`.
        seed: of the initial weights.

    Raises:
        InvalidInputError: an unknown name, a number out of range, `default` weights in reduced coordinates.

    >>> SimulationSpec().engine
    'flow'
    """

    weights: WeightsField = "orthogonal"
    engine: EngineField = "flow"
    coordinates: Annotated[FilledIn[Coordinates], COORDINATES] = NOT_GIVEN
    learning_rate: LearningRateField = None
    steps: StepsField = 100_000
    loss_tolerance: LossToleranceField = 1e-16
    cut_off: Annotated[
        float,
        Number(
            least=0,
            below=1,
            expected="a share of the update from 0 to less than 1",
            advice="pass for instance `cut_off=1e-13`",
        ),
        Option("Share of the update that reduced coordinates may leave out; 0 for none.", panel=TRAINING),
    ] = 1e-13
    record: Annotated[
        int,
        Whole(0, _MOST_POINTS, expected="a number of points, 0 or more", advice="pass for instance `record=50`"),
        Option("Points of the training to record curves at; with --out also drawn and animated.", panel=OUTPUT),
    ] = 0
    device: Annotated[str, Option("auto, cpu, cuda or cuda:1.", panel=TRAINING)] = "auto"
    dtype: DtypeField = "float64"
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.coordinates is None:
            object.__setattr__(self, "coordinates", "full" if self.weights == "default" else "reduced")
        if self.weights == "default" and self.coordinates == "reduced":
            raise InvalidInputError(
                got="reduced coordinates with default weights",
                expected="full coordinates: the reduction (Y2) is exact only for orthogonal or exact weights",
                next_step="pass `coordinates=full`",
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
