"""How far float64 features of trained or constructed weights may be from the exact law, from rounding
alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.curves import FIELDS
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.compression import between_scatter, within_scatter
from pnc.theory.layer_statistics import LayerStatistics, layer_statistics
from pnc.theory.separation_fuzziness import centred_mean_rank, separation_fuzziness
from pnc.theory.signal import data_modes

__all__ = ["rounding_allowance"]

UNIT_ROUNDOFF = float(np.finfo(np.float64).eps)


def rounding_allowance(
    problem: Problem,
    network: NetworkSpec,
    *,
    quantity: str = "compression",
    residual_projection: Float[np.ndarray, "m d"] | None = None,
) -> Float[np.ndarray, " L"]:
    """Relative error of a measured quantity that rounding may cause, layer by layer (theory note, section 6).

    Features computed in float64 are off by a matrix of root mean square norm at most `c u κ σ_s^l ‖x_s‖` a
    sample, from the weights' own rounding (condition number κ of X) and from l products; ‖x_s‖ is the size of
    the signal scores. Against the within-class features, of size `√(tr Σ_W^l) ~ ε^l`, that is
    `η ~ c u κ (σ_s/ε)^l`, and a square is off by `2η + η²`. Fuzziness sees the noise through Σ_B^{+1/2}; the
    between-class scatter and D_l see it against the means.

    Args:
        quantity: `"compression"`, `"within_scatter"`, `"between_scatter"`, `"discrimination"` (absolute error
            there: D_l may be 0) or `"separation_fuzziness"`.
        residual_projection: as in `predict`.

    Returns:
        (L,) relative errors; ∞ where the exact value is zero, which rounding never measures as zero.

    Raises:
        InvalidInputError: an unknown quantity.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> network = NetworkSpec(depth=8, residual_scale=0.01)
    >>> allowance = rounding_allowance(problem, network)
    >>> bool(allowance[0] < 1e-13), bool(allowance[7] > 1e-3)
    (True, True)
    """
    if quantity not in FIELDS:
        raise InvalidInputError(
            got=f"quantity = {quantity!r}",
            expected=f"one of {', '.join(FIELDS)}",
            next_step="choose one of these",
        )
    statistics = layer_statistics(problem, network, residual_projection=residual_projection)
    data = data_modes(problem)
    l = np.arange(network.depth)
    squares = np.diag(statistics.signal_within) + statistics.priors @ statistics.signal_means**2
    signal = np.sqrt((statistics.signal_scales[None, :] ** (2 * l[:, None])) @ squares)
    constant = 4 * np.sqrt(data.rank)  # one rounding a term of an inner product; they add as random signs
    noise = constant * UNIT_ROUNDOFF * (l + 1) * data.condition * signal
    # what the residual scale itself carries is rounded too
    noise += constant * UNIT_ROUNDOFF * (l + 1) * np.sqrt(within_scatter(statistics))
    within, between = within_scatter(statistics), between_scatter(statistics)
    if quantity == "within_scatter":
        return _of_square(noise, np.sqrt(within))
    if quantity == "between_scatter":
        return _of_square(noise, np.sqrt(between))
    if quantity == "compression":
        return _of_square(noise, np.sqrt(within)) + _of_square(noise, np.sqrt(between))
    if quantity == "discrimination":
        means = [np.linalg.norm(statistics.mean_factor(int(i)), axis=1).min() for i in l]
        return 2 * _of_square(noise, np.array(means))
    return _of_fuzziness(statistics, noise)


def _of_square(noise: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Relative error of the square of a norm `size` when it is off by `noise`."""
    η = np.divide(noise, size, out=np.full(noise.shape, np.inf), where=size > 0)
    return 2 * η + η**2


def _of_fuzziness(statistics: LayerStatistics, noise: np.ndarray) -> np.ndarray:
    fuzziness = separation_fuzziness(statistics)
    allowances = np.full(noise.shape, np.inf)
    root_p = np.sqrt(statistics.priors)[:, None]
    for l in statistics.layers():
        rank = centred_mean_rank(statistics, l)
        if rank == 0 or not fuzziness[l] > 0:
            continue
        means = root_p * statistics.centred(statistics.mean_factor(l))
        smallest = np.linalg.svd(means, compute_uv=False)[rank - 1]
        through = np.array([noise[l] * np.sqrt(rank) / smallest])  # noise seen through Σ_B^{+1/2}
        turned = _of_square(noise[l : l + 1], np.array([smallest]))  # error of Σ_B itself
        allowances[l] = (_of_square(through, np.sqrt(fuzziness[l : l + 1])) + 2 * turned)[0]
    return allowances
