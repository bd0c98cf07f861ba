"""`VariantSpec`: what differs from a plain deep linear network trained on the squared error alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pnc.fields import Number, Option, check_fields
from pnc.spec.shared import NETWORK, TRAINING

__all__ = ["LinearLoss", "SkipBlock", "VariantSpec"]

SkipBlock = Literal["one-matrix", "two-matrix", "two-matrix-symmetric"]
LinearLoss = Literal["mse", "cross-entropy"]


@dataclass(frozen=True, kw_only=True)
class VariantSpec:
    """Skip connections, weight decay, another loss: what sections 9 to 11 of the theory note speak of.

    Args:
        skip: β: blocks `I + βW` in place of weight matrices, depth - 1 of them, and a classifier; all from zero unless
            the other fields say otherwise.
        block: matrices a block (R7); two-matrix blocks start from ε times orthogonal weights.
        embedding: γ of a trained embedding before the blocks, an isometry times γ (R6).
        classifier: κ of a classifier that starts as κ times random orthonormal rows (R8).
        loss: of training.
        weight_decay: λ: `dW = -∇ - λW`.
        time: of training, in units of 1 / (loss per squared weight), for weight decay or cross-entropy.
        training_loss: cross-entropy of training, in nats, at which layers are looked at.

    Raises:
        InvalidInputError: a number out of range.

    >>> VariantSpec().plain, VariantSpec(skip=1.0).plain
    (True, False)
    """

    skip: Annotated[
        float | None,
        Number(above=0, advice="leave out `skip` for a network without skip connections"),
        Option("β: depth - 1 blocks I + βW and a classifier, from zero (R1 to R8).", panel=NETWORK),
    ] = None
    block: Annotated[
        SkipBlock, Option("Matrices of a block; with --skip.", name="skip_block", panel=NETWORK, choices=True)
    ] = "one-matrix"
    embedding: Annotated[
        float | None,
        Number(above=0, advice="leave out `skip_embedding` for none"),
        Option("γ: a trained embedding, γ times an isometry; with --skip.", name="skip_embedding", panel=NETWORK),
    ] = None
    classifier: Annotated[
        float,
        Number(least=0, advice="pass for instance `skip_classifier=0`"),
        Option("κ: the classifier starts as κ times random rows; with --skip.", name="skip_classifier", panel=NETWORK),
    ] = 0.0
    loss: Annotated[LinearLoss, Option("Squared error, or cross-entropy.", panel=TRAINING, choices=True)] = "mse"
    weight_decay: Annotated[
        float,
        Number(least=0, advice="pass for instance `weight_decay=0.01`"),
        Option("λ: dW = -∇ - λW.", panel=TRAINING),
    ] = 0.0
    time: Annotated[
        float | None,
        Number(above=0, advice="pass for instance `time=100`"),
        Option("Time of training, with weight decay or cross-entropy; default the limit.", panel=TRAINING),
    ] = None
    training_loss: Annotated[
        float | None,
        Number(above=0, advice="pass for instance `training_loss=0.001`"),
        Option("Cross-entropy of training at which layers are looked at.", panel=TRAINING),
    ] = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def plain(self) -> bool:
        """Whether nothing differs."""
        return self == VariantSpec()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
