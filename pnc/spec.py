"""What to predict or simulate: frozen, validated once, at construction.

`ProblemSpec` says how synthetic data are drawn, `NetworkSpec` is all that the theory needs to know of a
network besides its data, `SimulationSpec` says how a network is trained. None of them holds an array.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pnc.errors import InvalidInputError

__all__ = [
    "Coordinates",
    "DataKind",
    "Engine",
    "InitialWeights",
    "NetworkSpec",
    "ProblemSpec",
    "SimulationSpec",
]

DataKind = Literal["nearly-orthonormal", "orthonormal", "orthonormal-noise", "gaussian-clusters"]
InitialWeights = Literal["orthogonal", "default", "exact"]
Engine = Literal["flow", "descent"]
Coordinates = Literal["reduced", "full"]


_USUAL_SCALE = 0.3  # ε of the paper's synthetic experiment


def _require(condition: bool, *, got: str, expected: str, next_step: str) -> None:
    if not condition:
        raise InvalidInputError(got=got, expected=expected, next_step=next_step)


def _require_choice(name: str, value: str, kind: Any, flag: str | None = None) -> None:
    choices = get_args(kind)
    _require(
        value in choices,
        got=f"{name} = {value!r}",
        expected=f"one of {', '.join(choices)}",
        next_step=f"pass one of these as --{flag or name.replace('_', '-')}",
    )


def _whole(name: str, value: Any) -> int:
    """`value` as an `int`; NumPy's integers are taken, fractions and truth values are not."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise InvalidInputError(
            got=f"{name} = {value!r}", expected="a whole number", next_step=f"pass a whole number for {name}"
        )
    return number


def _set_whole(spec: Any, *names: str) -> None:
    for name in names:
        if getattr(spec, name) is not None:
            object.__setattr__(spec, name, _whole(name, getattr(spec, name)))


def _require_seed(seed: int) -> None:
    _require(
        seed >= 0,
        got=f"seed = {seed}",
        expected="a seed of 0 or more",
        next_step="pass for instance --seed 0",
    )


def _require_positive(name: str, value: float, example: str) -> None:
    _require(
        math.isfinite(value) and value > 0,
        got=f"{name} = {value}",
        expected=f"a finite number above 0 for {name}",
        next_step=f"pass for instance {example}",
    )


@dataclass(frozen=True, kw_only=True)
class ProblemSpec:
    """How synthetic data are drawn.

    Args:
        classes: number of classes K, at least 2.
        samples_per_class: n, or one size a class (K of them) for imbalanced data; each at least 1. `None`: 10,
            and fewer where there are more than 20 classes (N ≈ 200), at least 2.
        dimension: input dimension d; at least N for the orthonormal kinds. `None`: the paper's ratio, ⌈5N/3⌉.
        kind: `nearly-orthonormal` (a random perturbation with entrywise θ exactly `theta`), `orthonormal` (θ
            = 0), `orthonormal-noise` (the paper's: orthonormal columns plus Gaussian noise of total Frobenius
            norm 1), `gaussian-clusters` (class centres at unit norm, isotropic noise within).
        theta: θ in [0, 1) of `nearly-orthonormal`: |⟨x_i,x_i⟩ - 1| ≤ θ/N and |⟨x_i,x_j⟩| ≤ θ/N (theory note,
            section 1).
        seed: of the draw.

    Raises:
        InvalidInputError: K < 2, an empty class, a dimension too small for N orthonormal samples, θ outside
            [0, 1), a negative seed, a size that is not a whole number.

    >>> ProblemSpec(classes=3, samples_per_class=10).dimension
    50
    >>> ProblemSpec(classes=2, samples_per_class=(3, 5)).counts
    (3, 5)
    """

    classes: int = 3
    samples_per_class: int | tuple[int, ...] | None = None
    dimension: int | None = None
    kind: DataKind = "nearly-orthonormal"
    theta: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        _set_whole(self, "classes", "dimension", "seed")
        _require_seed(self.seed)
        _require(
            self.classes >= 2,
            got=f"classes = {self.classes}",
            expected="at least 2 classes",
            next_step="pass --classes 2 or more",
        )
        _require_choice("kind", self.kind, DataKind, flag="data")
        if self.samples_per_class is None:
            object.__setattr__(self, "samples_per_class", max(2, min(10, 200 // self.classes)))
        elif not isinstance(self.samples_per_class, Iterable):
            _set_whole(self, "samples_per_class")
        else:
            sizes = tuple(_whole("samples_per_class", size) for size in self.samples_per_class)
            object.__setattr__(self, "samples_per_class", sizes)
            _require(
                len(self.samples_per_class) == self.classes,
                got=f"{len(self.samples_per_class)} class sizes for {self.classes} classes",
                expected="one size for every class, or a single number",
                next_step=f"list {self.classes} sizes",
            )
        _require(
            min(self.counts) >= 1,
            got=f"class sizes {self.counts}",
            expected="at least 1 sample in every class",
            next_step="raise --samples-per-class",
        )
        _require(
            0 <= self.theta < 1,
            got=f"theta = {self.theta}",
            expected="0 ≤ theta < 1",
            next_step="pass --theta below 1 (above it G may be singular and T3 is the law that applies)",
        )
        if self.dimension is None:
            object.__setattr__(self, "dimension", -(-5 * self.samples // 3))
        needs_room = self.kind != "gaussian-clusters"
        _require(
            self.dimension >= (self.samples if needs_room else 1),
            got=f"dimension = {self.dimension} for N = {self.samples} samples",
            expected=f"dimension ≥ N for {self.kind} data" if needs_room else "dimension ≥ 1",
            next_step=f"pass --dimension {self.samples} or more, fewer samples, or --data gaussian-clusters",
        )

    @property
    def counts(self) -> tuple[int, ...]:
        """Class sizes n_1, …, n_K."""
        if isinstance(self.samples_per_class, int):
            return (self.samples_per_class,) * self.classes
        return self.samples_per_class

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return sum(self.counts)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A deep linear network, as far as the theory needs to know it.

    Args:
        depth: L, the number of weight matrices, the classifier included; at least 2.
        width: hidden width d_h. `None`: wide enough for every direction (at least the input dimension); the
            law then does not depend on it.
        residual_scale: ε, the scale of the initial weights and of every singular value that carries no
            signal. `None`: the paper's 0.3, and more beyond depth 8, so that the initial plateau, which lasts
            `~ ε^-(L-2)`, is no longer than there.
        label_scale: α; the network is trained to `Y/α`.

    Raises:
        InvalidInputError: L < 2, a width below 1, ε or α not a finite number above 0.

    >>> NetworkSpec(depth=6).residual_scale, round(NetworkSpec(depth=16).residual_scale, 3)
    (0.3, 0.597)
    """

    depth: int
    width: int | None = None
    residual_scale: float | None = None
    label_scale: float = 1.0

    def __post_init__(self) -> None:
        _set_whole(self, "depth", "width")
        _require(
            self.depth >= 2,
            got=f"depth = {self.depth}",
            expected="at least 2 weight matrices, the classifier included",
            next_step="pass --depth 2 or more",
        )
        _require(
            self.width is None or self.width >= 1,
            got=f"width = {self.width}",
            expected="a width of at least 1",
            next_step="pass a larger --width",
        )
        if self.residual_scale is None:
            scale = _USUAL_SCALE ** min(1.0, 6 / max(self.depth - 2, 1))
            object.__setattr__(self, "residual_scale", scale)
        _require_positive("epsilon", self.residual_scale, "--epsilon 0.3")
        _require_positive("label_scale", self.label_scale, "--label-scale 1")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


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
            start.
        record: number of points of the training at which every curve is recorded; 0 for the end alone.
        device: `auto`, `cpu` or a torch device name such as `cuda` or `cuda:1`.
        dtype: `float64` or `float32`.
        seed: of the initial weights.

    Raises:
        InvalidInputError: an unknown name, a number out of range, `default` weights in reduced coordinates.

    >>> SimulationSpec().engine
    'flow'
    """

    weights: InitialWeights = "orthogonal"
    engine: Engine = "flow"
    coordinates: Coordinates | None = None
    learning_rate: float | None = None
    steps: int = 100_000
    loss_tolerance: float = 1e-16
    record: int = 0
    device: str = "auto"
    dtype: Literal["float64", "float32"] = "float64"
    seed: int = 0

    def __post_init__(self) -> None:
        _set_whole(self, "steps", "record", "seed")
        _require_seed(self.seed)
        _require_choice("weights", self.weights, InitialWeights)
        _require_choice("engine", self.engine, Engine)
        if self.coordinates is None:
            object.__setattr__(self, "coordinates", "full" if self.weights == "default" else "reduced")
        _require_choice("coordinates", self.coordinates, Coordinates)
        _require_choice("dtype", self.dtype, Literal["float64", "float32"])
        _require(
            not (self.weights == "default" and self.coordinates == "reduced"),
            got="reduced coordinates with default weights",
            expected="full coordinates: the reduction (Y2) is exact only for orthogonal or exact weights",
            next_step="pass --coordinates full",
        )
        if self.learning_rate is not None:
            _require_positive("learning_rate", self.learning_rate, "--learning-rate 0.1")
        _require(
            self.steps >= 1,
            got=f"steps = {self.steps}",
            expected="at least 1 step",
            next_step="pass a larger --steps",
        )
        _require(
            0 < self.loss_tolerance < 1,
            got=f"loss_tolerance = {self.loss_tolerance}",
            expected="a share of the initial loss between 0 and 1",
            next_step="pass for instance --loss-tolerance 1e-16",
        )
        _require(
            self.record >= 0,
            got=f"record = {self.record}",
            expected="a number of points, 0 or more",
            next_step="pass --record 50",
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def __getattr__(name: str) -> Any:
    if name == "TrainSpec":
        warnings.warn(
            "pnc.spec.TrainSpec is now SimulationSpec; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return SimulationSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
