"""All attacks by name, in the order of the theory note."""

from __future__ import annotations

from collections.abc import Mapping

from pnc.errors import InvalidInputError

from . import (
    moments,
    nearest_centre,
    nearly_orthonormal,
    predicted,
    principal_components,
    readout,
    rectified,
    remainder,
    residual_blocks,
)
from .inequality import Attack

__all__ = ["ATTACKS", "CONJECTURES", "find"]

ATTACKS: Mapping[str, Attack] = {
    **nearly_orthonormal.COMPRESSION_RATE,
    **remainder.DISCRIMINATION,
    **nearly_orthonormal.LARGEST_COSINE,
    **moments.LOG_CONVEXITY,
    **principal_components.RANK,
    **predicted.RANK_OF_PREDICTED,
    **nearest_centre.SEPARABILITY,
    **readout.READOUT,
    **rectified.RECTIFIED,
    **residual_blocks.RESIDUAL_BLOCKS,
}

CONJECTURES: Mapping[str, Attack] = nearly_orthonormal.REFUTED


def find(name: str) -> Attack:
    """The attack of that name.

    Raises:
        InvalidInputError: an unknown name.

    >>> find("U2").statement
    'U2: stable rank ≤ (1+C)(K-1)'
    """
    known = {**ATTACKS, **CONJECTURES}
    if name not in known:
        raise InvalidInputError(
            got=f"attack {name!r}", expected=f"one of {', '.join(known)}", next_step="choose one of them"
        )
    return known[name]
