"""The experiments and the proofs lie beside the library: a clone has `sims` and `proofs_check`, a wheel installs them
as `pnc_experiments` and `pnc_proofs`, names that no other package has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pnc

__all__ = ["beside"]


def beside(installed: str, source: str) -> str | None:
    """The name under which a package that belongs to this very copy of `pnc` can be imported, if it can be.

    A package of that name from elsewhere, such as another project's `sims`, is passed over.

    >>> beside("pnc_experiments", "sims") in ("pnc_experiments", "sims")
    True
    >>> beside("nothing_of_ours", "numpy") is None
    True
    """
    root = Path(pnc.__file__).resolve().parents[1]
    # a wheel; a clone that is the current folder or on the path; an editable install, which maps the names
    for name, folder in ((installed, installed), (source, source), (installed, source)):
        spec = importlib.util.find_spec(name)
        places = [] if spec is None else spec.submodule_search_locations or []
        if root / folder in (Path(place).resolve() for place in places):
            return name
    return None
