"""`TrainSpec`: how a network is trained on labelled samples; frozen, validated once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pnc.errors import InvalidInputError
from pnc.fields import NOT_GIVEN, FilledIn, Number, Option, Whole, check_fields, check_number
from pnc.spec.shared import NONE_IS_ZERO, OUTPUT, SHARES, TRAINING, Seed

__all__ = ["Loss", "Optimiser", "Precision", "Schedule", "TrainSpec"]

Loss = Literal["mse", "cross-entropy"]
Optimiser = Literal["sgd", "momentum", "adamw"]
Schedule = Literal["constant", "cosine", "step"]
Precision = Literal["float32", "float64", "bfloat16", "float16"]

_LEARNING_RATES = {"sgd": 0.1, "momentum": 0.01, "adamw": 1e-3}


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """How a network is trained.

    Args:
        loss: `mse`, the mean over samples of ‖α f(x) - y‖² with one-hot y (the network itself is then trained to
            Y/α), or `cross-entropy` of α f(x).
        label_scale: α.
        optimiser: `sgd`, `momentum` (SGD with momentum) or `adamw`.
        learning_rate: the largest of the schedule; `None`: 0.1 for sgd, 0.01 for momentum, 0.001 for adamw.
        momentum: of `momentum`.
        weight_decay: of every parameter; decoupled for adamw, added to the gradient for the others.
        epochs: passes over the samples.
        batch_size: most samples a step; the batches of an epoch differ by at most one sample, so that none is tiny.
            `None`: all samples at every step.
        schedule: `constant`, `cosine` (down to `final_share`), `step` (times `drop` at each of `milestones`).
        final_share: share of the learning rate that cosine ends at.
        milestones: where step drops, as shares of the training.
        drop: what step multiplies by.
        warmup_epochs: of linear growth before the schedule.
        crop: pixels of zero padding before a random crop back to size; 0: none.
        flip: mirror half of the images left to right.
        precision: `float32` or `float64` throughout, or `bfloat16` / `float16` by autocast over float32 weights
            (float16 with a scaled loss, on CUDA alone).
        channels_last: memory format of images and of convolutions' weights.
        compile: run the network through `torch.compile`.
        measure_every: epochs between measurements of every layer, the first before training, the last after it; 0:
            only after it. `None`: never.
        seed: of the order of the samples, of augmentation and of dropout. Initial weights belong to the network.

    Raises:
        InvalidInputError: an unknown name, a number out of range.

    >>> TrainSpec(optimiser="momentum").learning_rate
    0.01
    >>> TrainSpec(milestones=[0.5]).milestones
    (0.5,)
    """

    loss: Annotated[Loss, Option("mse, cross-entropy.", panel=TRAINING)] = "mse"
    label_scale: Annotated[float, Number(above=0), Option("α of ‖α f(x) - y‖².", panel=TRAINING)] = 1.0
    optimiser: Annotated[Optimiser, Option("sgd, momentum, adamw.", panel=TRAINING)] = "adamw"
    learning_rate: Annotated[FilledIn[float], Number(above=0), Option("Default by the optimiser.", panel=TRAINING)] = (
        NOT_GIVEN
    )
    momentum: Annotated[float, Number(least=0, below=1), Option(panel=TRAINING)] = 0.9
    weight_decay: Annotated[float, Number(least=0), Option(panel=TRAINING)] = 0.0
    epochs: Annotated[int, Whole(1), Option(panel=TRAINING)] = 100
    batch_size: Annotated[
        int | None, Whole(1), Option("0: all samples at every step.", panel=TRAINING, text=NONE_IS_ZERO)
    ] = 128
    schedule: Annotated[Schedule, Option("constant, cosine, step.", panel=TRAINING)] = "cosine"
    final_share: Annotated[float, Number(least=0, most=1)] = 0.01
    milestones: Annotated[
        tuple[float, ...],
        Number(
            above=0,
            below=1,
            expected="increasing shares of the training, between 0 and 1",
            advice="pass for instance 0.5,0.75",
        ),
        Option("Of step, shares of the training.", panel=TRAINING, text=SHARES),
    ] = (1 / 3, 2 / 3)
    drop: Annotated[float, Number(above=0, most=1)] = 0.1
    warmup_epochs: Annotated[float, Number(least=0), Option(panel=TRAINING)] = 0.0
    crop: Annotated[int, Whole(0), Option("Pixels of random crop.", panel=TRAINING)] = 0
    flip: Annotated[bool, Option("Mirror at random.", panel=TRAINING)] = False
    precision: Annotated[Precision, Option("float32, float64, bfloat16, float16.", panel=TRAINING)] = "float32"
    channels_last: Annotated[bool, Option(panel=TRAINING)] = False
    compile: Annotated[bool, Option("torch.compile.", panel=TRAINING)] = False
    measure_every: Annotated[
        int | None, Whole(0), Option("Epochs; 0: at the end alone.", panel=OUTPUT, text=NONE_IS_ZERO)
    ] = 0
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", _LEARNING_RATES[self.optimiser])
        if list(self.milestones) != sorted(set(self.milestones)):
            raise InvalidInputError(
                got=f"milestones = {self.milestones}",
                expected="increasing shares of the training, between 0 and 1",
                next_step="pass for instance 0.5,0.75",
            )
        check_number("warmup_epochs", self.warmup_epochs, Number(least=0, below=self.epochs))

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "milestones": list(self.milestones)}
