"""`TrainSpec`: how a network is trained on labelled samples; frozen, validated once."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pnc.errors import InvalidInputError

__all__ = ["Loss", "Optimiser", "Precision", "Schedule", "TrainSpec"]

Loss = Literal["mse", "cross-entropy"]
Optimiser = Literal["sgd", "momentum", "adamw"]
Schedule = Literal["constant", "cosine", "step"]
Precision = Literal["float32", "float64", "bfloat16", "float16"]

_LEARNING_RATES = {"sgd": 0.1, "momentum": 0.01, "adamw": 1e-3}


def _require(condition: bool, *, got: str, expected: str, next_step: str) -> None:
    if not condition:
        raise InvalidInputError(got=got, expected=expected, next_step=next_step)


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

    loss: Loss = "mse"
    label_scale: float = 1.0
    optimiser: Optimiser = "adamw"
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float = 0.0
    epochs: int = 100
    batch_size: int | None = 128
    schedule: Schedule = "cosine"
    final_share: float = 0.01
    milestones: tuple[float, ...] = (1 / 3, 2 / 3)
    drop: float = 0.1
    warmup_epochs: float = 0.0
    crop: int = 0
    flip: bool = False
    precision: Precision = "float32"
    channels_last: bool = False
    compile: bool = False
    measure_every: int | None = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (
            ("loss", Loss), ("optimiser", Optimiser), ("schedule", Schedule), ("precision", Precision),
        ):  # fmt: skip
            value = getattr(self, name)
            _require(
                value in get_args(choices),
                got=f"{name} = {value!r}",
                expected=f"one of {', '.join(get_args(choices))}",
                next_step=f"pass one of these as --{name}",
            )
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", _LEARNING_RATES[self.optimiser])
        try:
            object.__setattr__(self, "milestones", tuple(float(share) for share in self.milestones))
        except (TypeError, ValueError):
            raise InvalidInputError(
                got=f"milestones = {self.milestones!r}",
                expected="shares of the training",
                next_step="pass for instance 0.5,0.75",
            ) from None
        for name, least in (("epochs", 1), ("batch_size", 1), ("crop", 0), ("measure_every", 0), ("seed", 0)):
            self._whole(name, least)
        for name, low, high in (
            ("label_scale", 0, math.inf), ("learning_rate", 0, math.inf), ("drop", 0, 1), ("final_share", -1e-300, 1),
            ("momentum", -1e-300, 1), ("weight_decay", -1e-300, math.inf), ("warmup_epochs", -1e-300, self.epochs),
        ):  # fmt: skip
            value = getattr(self, name)
            ends = (low < value < high) or (value == high and name in ("final_share", "drop"))
            _require(
                isinstance(value, int | float) and math.isfinite(value) and ends,
                got=f"{name} = {value}",
                expected=f"a finite number {'above' if low == 0 else 'not below'} 0"
                + ("" if high == math.inf else f" and below {high}"),
                next_step=f"pass another --{name.replace('_', '-')}",
            )
        _require(
            all(0 < share < 1 for share in self.milestones) and list(self.milestones) == sorted(set(self.milestones)),
            got=f"milestones = {self.milestones}",
            expected="increasing shares of the training, between 0 and 1",
            next_step="pass for instance 0.5,0.75",
        )

    def _whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is None and name in ("batch_size", "measure_every"):
            return
        try:
            number = operator.index(value)
        except TypeError:
            number = least - 1
        _require(
            not isinstance(value, bool) and number >= least,
            got=f"{name} = {value!r}",
            expected=f"a whole number, {least} or more",
            next_step=f"pass another --{name.replace('_', '-')}",
        )
        object.__setattr__(self, name, number)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "milestones": list(self.milestones)}
