"""`ClassTable`: a layer class by class: how wide each is, and which other class is nearest to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pnc.curves.reading import read_list, read_mapping, read_numbers, read_whole

__all__ = ["ClassTable"]

_NUMBERS = ("spread", "angle", "margin", "share")


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassTable:
    """One entry a class, of one layer; all but the angle are dimensionless, and NaN where they are undefined.

    Args:
        spread: (K,) C_k, the mean squared distance of a class's samples from their mean, over tr Σ_B; Σ_k p_k C_k = C.
        nearest: (K,) the class whose mean has the largest cosine with this class's mean.
        angle: (K,) between these two means, degrees.
        margin: (K,) distance of these two means, over the sum of both classes' root mean square distances.
        share: (K,) D over 1 - the cosine of the two: 1 for the classes that D is made of, less for all others.
        cosines: (K, K) of all class means, where there are at most 100 classes; otherwise `None`.
    """

    spread: Float[np.ndarray, " K"]
    nearest: Int[np.ndarray, " K"]
    angle: Float[np.ndarray, " K"]
    margin: Float[np.ndarray, " K"]
    share: Float[np.ndarray, " K"]
    cosines: Float[np.ndarray, "K K"] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_dict(cls, name: str, data: object) -> ClassTable:
        """The inverse of `to_dict`.

        Args:
            name: what to call it in an error.
            data: an object.

        Raises:
            InvalidInputError: an entry that no measurement writes.

        >>> table = ClassTable.from_dict("t", {"spread": [1, 2], "nearest": [1, 0], "angle": [90, 90],
        ...                                    "margin": [3, 3], "share": [1, 1]})
        >>> table.nearest.tolist()
        [1, 0]
        """
        found: Mapping[str, Any] = read_mapping(name, data)
        cosines = found.get("cosines")
        return cls(
            nearest=np.array(read_list(name, found.get("nearest"), read_whole), dtype=np.int64),
            cosines=None if cosines is None else np.array(read_list(name, cosines, read_numbers), dtype=np.float64),
            **{part: read_numbers(name, found.get(part)) for part in _NUMBERS},
        )
