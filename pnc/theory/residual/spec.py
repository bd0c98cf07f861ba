"""A deep linear residual network, as far as the theory needs to know it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pnc.errors import InvalidInputError

__all__ = ["BlockKind", "ResidualSpec"]

BlockKind = Literal["one-matrix", "two-matrix", "two-matrix-symmetric"]


@dataclass(frozen=True, kw_only=True)
class ResidualSpec:
    """A deep linear residual network: blocks `Z + βWZ` and a classifier (theory note, section 9).

    Args:
        depth: L, at least 2: m = L - 1 blocks and the classifier.
        block_scale: β, the scale of each block's branch.
        label_scale: α; the network is trained to `Y/α`.
        block: `one-matrix` (`I + βW`, W from zero), `two-matrix` (`I + βW₂W₁`, W₂ from zero, W₁ from `ε · orthogonal`)
            or `two-matrix-symmetric` (`W₁ = W₂ᵀ = ε · orthogonal`).
        initial_scale: ε of two-matrix blocks; none for one-matrix blocks, which start at zero.
        embedding_scale: γ of a trained embedding before the blocks, an isometry times γ; `None`: no embedding.
        classifier_scale: κ; the classifier starts as κ times random orthonormal rows, at 0 as zero.

    Raises:
        InvalidInputError: fewer than 2 weight matrices, a scale that is not a finite number above 0 (κ: 0 or above), an
            ε where there is none.

    >>> ResidualSpec(depth=6).blocks
    5
    """

    depth: int
    block_scale: float = 1.0
    label_scale: float = 1.0
    block: BlockKind = "one-matrix"
    initial_scale: float | None = None
    embedding_scale: float | None = None
    classifier_scale: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.depth, bool) or self.depth != int(self.depth) or self.depth < 2:
            raise InvalidInputError(
                got=f"depth = {self.depth}",
                expected="at least 2: one block and the classifier",
                next_step="raise `depth`",
            )
        object.__setattr__(self, "depth", int(self.depth))
        if self.block not in get_args(BlockKind):
            raise InvalidInputError(
                got=f"block = {self.block!r}",
                expected=f"one of {', '.join(get_args(BlockKind))}",
                next_step="choose one of these for `block`",
            )
        self._require_positive("block_scale", "blocks with a scale of 0 compute nothing")
        self._require_positive("label_scale", "labels are divided by it")
        if self.embedding_scale is not None:
            self._require_positive("embedding_scale", "an embedding of scale 0 passes nothing on")
        if not (math.isfinite(self.classifier_scale) and self.classifier_scale >= 0):
            raise InvalidInputError(
                got=f"classifier_scale = {self.classifier_scale}",
                expected="0 (from zero) or a finite number above",
                next_step="set `classifier_scale` to 0 or more",
            )
        if self.block == "one-matrix" and self.initial_scale is not None:
            raise InvalidInputError(
                got=f"initial_scale = {self.initial_scale} with one-matrix blocks",
                expected="no initial scale: these blocks start at zero",
                next_step="leave out `initial_scale`, or set `block` to two-matrix",
            )
        if self.block != "one-matrix":
            if self.initial_scale is None:
                object.__setattr__(self, "initial_scale", 0.3)
            self._require_positive("initial_scale", "two-matrix blocks that start at zero never learn")

    def _require_positive(self, name: str, why: str) -> None:
        value = getattr(self, name)
        if not (math.isfinite(value) and value > 0):
            raise InvalidInputError(
                got=f"{name} = {value}", expected=f"a finite number above 0: {why}", next_step=f"raise `{name}`"
            )

    @property
    def blocks(self) -> int:
        """m, the number of residual blocks."""
        return self.depth - 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
