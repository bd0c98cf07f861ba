"""Where compression is too small to be told from rounding of the features."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError

__all__ = ["noise_floor", "resolved", "rounding_unit"]


def rounding_unit(dtype: str) -> float:
    """u, the spacing of 1 and the next number of a dtype.

    Whole numbers and long doubles are measured in float64, so theirs is that of float64.

    Raises:
        InvalidInputError: not the name of a real dtype.

    >>> rounding_unit("bfloat16"), rounding_unit("float64")
    (0.0078125, 2.220446049250313e-16)
    """
    kind = getattr(torch, dtype, None)
    if dtype.startswith(("int", "uint", "longdouble", "float96", "float128")):
        kind = torch.float64
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise InvalidInputError(
            got=f"dtype {dtype!r}",
            expected="the name of a real dtype, such as float32 or bfloat16",
            next_step="name the dtype that the features were computed in",
        )
    return torch.finfo(kind).eps


def noise_floor(
    *,
    dtype: str,
    dimension: int,
    largest_mean: float,
    between_scatter: float,
    repeated: bool = True,
) -> float:
    """d u² max_k ‖μ_k‖² / tr Σ_B: compression below it is rounding of the features (theory note, section 6).

    Args:
        dtype: name of the dtype that the features were computed in.
        dimension: d.
        largest_mean: max_k ‖μ_k‖, feature norm.
        between_scatter: tr Σ_B, squared feature norm; where it is 0 there is no compression and no floor
            (NaN).
        repeated: whether some class has more than one sample. If none has, tr Σ_W is 0 whatever the rounding,
            and so is the floor.

    >>> round(noise_floor(dtype="float32", dimension=100, largest_mean=1.0, between_scatter=1.0) * 1e12, 2)
    1.42
    """
    if not repeated:
        return 0.0
    if between_scatter == 0:
        return float("nan")
    return dimension * rounding_unit(dtype) ** 2 * largest_mean**2 / between_scatter


def resolved(curve: LayerCurve, tolerance: float) -> Bool[np.ndarray, " n_layers"]:
    """Which layers' C_l rounding leaves correct to a relative `tolerance`: C_l ≥ floor_l / tolerance.

    The floor is that of the theory note, section 6. False where C_l is NaN.

    Raises:
        InvalidInputError: a curve without noise floor (it was not measured), or a tolerance that is not above
            0.

    >>> from pnc.curves import LayerNotes
    >>> curve = LayerCurve(layers=[0, 1], compression=[1.0, 1e-12], discrimination=[1, 1],
    ...                    within_scatter=[1, 1e-12], between_scatter=[1, 1],
    ...                    notes=[LayerNotes(noise_floor=1e-12)] * 2)
    >>> resolved(curve, 0.1).tolist()
    [True, False]
    """
    floors = [note.noise_floor for note in curve.notes]
    if None in floors:
        raise InvalidInputError(
            got="a curve without one noise floor a layer",
            expected="a measured curve",
            next_step="measure it with pnc.measure.measure_features or `pnc measure --json`",
        )
    if not tolerance > 0:
        raise InvalidInputError(
            got=f"tolerance = {tolerance}", expected="a tolerance above 0", next_step="pass for instance 0.1"
        )
    return curve.compression >= np.array(floors, dtype=np.float64) / tolerance
