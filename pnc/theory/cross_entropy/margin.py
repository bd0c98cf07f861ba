"""E2 and E3: the margin between the right logit and the others, in time, from the loss, and under weight decay."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.theory.numerics import root_between
from pnc.theory.weight_decay import check_decay

__all__ = ["final_margin", "loss_of_margin", "margin_growth", "margin_of_loss"]


def margin_of_loss(loss: float, classes: int) -> float:
    """The margin z of balanced classes from the mean cross-entropy, `z = ln(K-1) - ln(e^loss - 1)` (theory note, E2).

    Args:
        loss: mean cross-entropy in nats, above 0; ln K is where training starts.
        classes: K.

    Raises:
        InvalidInputError: a loss that is not above 0, or above ln K, or fewer than 2 classes.

    >>> margin_of_loss(math.log(5), 5)
    0.0
    """
    if classes < 2 or not (math.isfinite(loss) and 0 < loss <= math.log(classes) * (1 + 1e-12)):
        raise InvalidInputError(
            got=f"a loss of {loss} with {classes} classes",
            expected="a mean cross-entropy above 0 and at most ln K, in nats",
            next_step="pass the training loss of a network that has learned something for `loss`",
        )
    return max(0.0, math.log(classes - 1) - math.log(math.expm1(loss))) if loss < math.log(classes) else 0.0


def loss_of_margin(margin: float, classes: int) -> float:
    """The mean cross-entropy at margin z, `ln(1 + (K-1)e^{-z})` (theory note, E2).

    >>> bool(np.isclose(loss_of_margin(margin_of_loss(0.01, 4), 4), 0.01))
    True
    """
    return math.log1p((classes - 1) * math.exp(-margin))


def margin_growth(
    times: Float[np.ndarray, " T"],
    *,
    classes: int,
    samples_per_class: int,
    depth: int,
    start: float,
    weight_decay: float = 0.0,
) -> Float[np.ndarray, " T"]:
    """The margin z(t) of gradient flow on the cross-entropy, balanced aligned weights (theory note, E2 and E3).

        ẋ = x^{L-1}/(√n (e^z + K - 1)) - λx,     σ = x^L,     z = σ/√n,     x(0) = ε

    Late, without decay: `e^z ≈ L n^{-1/L} t z^{2-2/L}`.

    Args:
        times: (T,) not negative, in units of 1 / (loss per squared weight).
        classes: K.
        samples_per_class: n.
        depth: L.
        start: ε.
        weight_decay: λ.

    Returns:
        (T,) of z, in logits.

    Raises:
        InvalidInputError: a number out of range.

    >>> z = margin_growth(np.array([0.0, 1e3]), classes=3, samples_per_class=4, depth=3, start=0.3)
    >>> bool(np.isclose(z[0], 0.3**3 / 2)), bool(z[1] > 3)
    (True, True)
    """
    from pnc.theory.dynamics import checked_times, solve_flow

    _check(classes, samples_per_class, depth)
    check_decay(weight_decay)
    times = checked_times(times)
    if not (math.isfinite(start) and start > 0):
        raise InvalidInputError(got=f"start = {start}", expected="a number above 0", next_step="raise `start`")
    root = math.sqrt(samples_per_class)

    def slope(_: float, y: np.ndarray) -> np.ndarray:  # y = log x
        x = np.exp(y)
        z = np.minimum(x**depth / root, 700.0)
        return x ** (depth - 2) / (root * (np.exp(z) + classes - 1)) - weight_decay

    return np.exp(depth * solve_flow(slope, np.array([math.log(start)]), times)[:, 0]) / root


def final_margin(*, classes: int, samples_per_class: int, depth: int, weight_decay: float) -> float:
    """The margin that weight decay λ ends at (theory note, E3).

        x^{L-2} = λ √n (e^z + K - 1),     z = x^L/√n

    The largest root, the stable one; 0 where there is none: above that λ the network forgets.

    Args:
        classes: K.
        samples_per_class: n.
        depth: L.
        weight_decay: λ, above 0.

    Raises:
        InvalidInputError: a number out of range; λ = 0, which has no final margin.

    >>> z = final_margin(classes=3, samples_per_class=4, depth=2, weight_decay=0.01)
    >>> bool(np.isclose(np.exp(z) + 2, 1 / (0.01 * 2)))
    True
    """
    _check(classes, samples_per_class, depth)
    check_decay(weight_decay)
    if weight_decay == 0:
        raise InvalidInputError(
            got="weight_decay = 0",
            expected="a number above 0: without decay the margin grows for ever",
            next_step="use margin_growth, which has a clock",
        )
    root = math.sqrt(samples_per_class)
    pull = math.log(weight_decay * root)

    def excess(z: float) -> float:
        """log of growth over decay; concave in log z, so it has two zeros at most."""
        return (1 - 2 / depth) * math.log(root * z) - pull - float(np.logaddexp(z, math.log(classes - 1)))

    def top_slope(z: float) -> float:
        return (1 - 2 / depth) - z / (1 + (classes - 1) * math.exp(-z))

    if depth == 2:
        rest = 1 / (weight_decay * root) - (classes - 1)
        return max(0.0, math.log(rest)) if rest > 0 else 0.0
    top = root_between(top_slope, 1e-12, classes + 2.0)
    if excess(top) <= 0:
        return 0.0
    high = 2 * top
    while excess(high) > 0:
        high *= 2
    return root_between(excess, top, high)


def _check(classes: int, samples_per_class: int, depth: int) -> None:
    if classes < 2 or samples_per_class < 1 or depth < 2:
        raise InvalidInputError(
            got=f"{classes} classes of {samples_per_class} samples, depth {depth}",
            expected="at least 2 classes, 1 sample in each and 2 layers",
            next_step="raise what is too small",
        )
