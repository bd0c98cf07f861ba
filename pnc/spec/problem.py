"""`ProblemSpec` and `NetworkSpec`: how synthetic data are drawn, and what the theory needs to know of a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pnc.errors import InvalidInputError
from pnc.fields import NOT_GIVEN, FilledIn, Number, Option, Whole, check_fields, shown
from pnc.spec.shared import NETWORK, Seed

__all__ = ["DataKind", "NetworkSpec", "ProblemSpec"]

DataKind = Literal["nearly-orthonormal", "orthonormal", "orthonormal-noise", "gaussian-clusters"]

_USUAL_SCALE = 0.3  # ε of the paper's synthetic experiment
_MOST_CLASSES = 1_000_000  # a size is kept for each
_LEAST, _MOST = 1e-100, 1e100  # of scales: their squares are still numbers in double precision
_SCALE = "a finite number above 0, from 1e-100 to 1e100"
_MOST_LAYERS = 1_000_000  # likewise of what is said of each


def _require(condition: bool, *, got: str, expected: str, next_step: str) -> None:
    if not condition:
        raise InvalidInputError(got=got, expected=expected, next_step=next_step)


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

    classes: Annotated[
        int, Whole(2, _MOST_CLASSES, expected="at least 2 classes", advice="pass `classes=2` or more")
    ] = 3
    samples_per_class: FilledIn[int | tuple[int, ...]] = NOT_GIVEN
    dimension: FilledIn[int] = NOT_GIVEN
    kind: DataKind = "nearly-orthonormal"
    theta: Annotated[
        float,
        Number(
            least=0,
            below=1,
            expected="0 ≤ theta < 1",
            advice="pass `theta` below 1 (above it G may be singular and T3 is the law that applies)",
        ),
    ] = 0.2
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.samples_per_class is None:
            object.__setattr__(self, "samples_per_class", max(2, min(10, 200 // self.classes)))
        elif isinstance(self.samples_per_class, Iterable):
            _require(
                len(self.samples_per_class) == self.classes,
                got=f"{len(self.samples_per_class)} class sizes for {self.classes} classes",
                expected="one size for every class, or a single number",
                next_step=f"list {self.classes} sizes",
            )
        sizes = self.samples_per_class
        _require(
            (min(sizes) if isinstance(sizes, tuple) else sizes) >= 1,
            got=f"class sizes {shown(self.counts)}",
            expected="at least 1 sample in every class",
            next_step="raise `samples_per_class`",
        )
        if self.dimension is None:
            object.__setattr__(self, "dimension", -(-5 * self.samples // 3))
        needs_room = self.kind != "gaussian-clusters"
        _require(
            self.dimension >= (self.samples if needs_room else 1),
            got=f"dimension = {self.dimension} for N = {self.samples} samples",
            expected=f"dimension ≥ N for {self.kind} data" if needs_room else "dimension ≥ 1",
            next_step=f"pass `dimension={self.samples}` or more, fewer samples, or `kind=gaussian-clusters`",
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
        if isinstance(self.samples_per_class, int):
            return self.samples_per_class * self.classes
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

    depth: Annotated[
        int,
        Whole(
            2,
            _MOST_LAYERS,
            expected="at least 2 weight matrices, the classifier included",
            advice="pass `depth=2` or more",
        ),
        Option("L, the number of weight matrices.", panel=NETWORK),
    ]
    width: Annotated[
        int | None,
        Whole(1, expected="a width of at least 1", advice="pass a larger `width`"),
        Option("Hidden width; default: the widest of d, 512 and 32 K.", panel=NETWORK),
    ] = None
    residual_scale: Annotated[
        FilledIn[float],
        Number(least=_LEAST, most=_MOST, expected=_SCALE, advice="pass for instance `residual_scale=0.3`"),
        Option("ε, initial and residual scale; default 0.3, more beyond depth 8.", name="epsilon", panel=NETWORK),
    ] = NOT_GIVEN
    label_scale: Annotated[
        float,
        Number(least=_LEAST, most=_MOST, expected=_SCALE, advice="pass for instance `label_scale=1`"),
        Option("α: the net is trained to Y/α.", panel=NETWORK),
    ] = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.residual_scale is None:
            scale = _USUAL_SCALE ** min(1.0, 6 / max(self.depth - 2, 1))
            object.__setattr__(self, "residual_scale", scale)

    @property
    def stated_width(self) -> int:
        """The width, where a computation cannot do without one.

        Raises:
            InvalidInputError: none is stated.
        """
        if self.width is None:
            raise InvalidInputError(
                got="a network without a width", expected="a hidden width", next_step="pass `width`"
            )
        return self.width

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
