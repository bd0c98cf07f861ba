"""U7: compression of its input makes a layer's weights low-rank, under weight decay."""

from __future__ import annotations

import math

from pnc.errors import InvalidInputError

__all__ = ["weight_tail_bound"]


def weight_tail_bound(
    *, gradient_norm: float, mean_square_error_signal: float, within_scatter: float, weight_decay: float
) -> float:
    """The most that `√(Σ_{i>K} σ_i(W)²)` of a linear layer can be, K the number of classes (theory note, U7).

        (‖∇_W R‖_F + √(mean ‖δ_i‖²) √(tr Σ_W))/λ,     R = mean ℓ + (λ/2)‖W‖²

    Any network at any time of its training, weight decay in the loss; not for decoupled decay (AdamW). Attained.

    Args:
        gradient_norm: ‖∇_W R‖_F, of the loss with its decay, over all samples.
        mean_square_error_signal: mean over samples of ‖δ_i‖², δ_i the gradient of ℓ_i at the layer's output.
        within_scatter: tr Σ_W of the layer's input.
        weight_decay: λ.

    Raises:
        InvalidInputError: a negative number, or λ not above 0.

    >>> weight_tail_bound(gradient_norm=0.0, mean_square_error_signal=0.04, within_scatter=0.25, weight_decay=0.1)
    1.0
    """
    numbers = (gradient_norm, mean_square_error_signal, within_scatter)
    if not all(math.isfinite(x) and x >= 0 for x in numbers) or not (math.isfinite(weight_decay) and weight_decay > 0):
        raise InvalidInputError(
            got=f"norms and scatters {numbers}, weight_decay = {weight_decay}",
            expected="numbers of 0 or more, and a weight decay above 0",
            next_step="use it for a network trained with weight decay in its loss",
        )
    return (gradient_norm + math.sqrt(mean_square_error_signal * within_scatter)) / weight_decay
