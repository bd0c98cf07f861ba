"""Names of sites in a network: whole names, unique ends of names, patterns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from pnc.errors import InvalidInputError

__all__ = ["find_sites"]

_SHOWN = 8


def find_sites(model: nn.Module, sites: Iterable[str]) -> tuple[str, ...]:
    """The full names of the modules that are meant, in the order of the network, each once.

    A name stands for itself, the end of a name for the one module that it fits, and a pattern (`*`, `?`, `[…]`, each
    within one part of a name between dots) for all modules whose names end so. Where nothing is called `layer4`, as
    stages are in other packages' ResNets, `stage4` is looked for.

    Raises:
        InvalidInputError: a name that is not there (with the nearest ones), an end of several names.

    >>> net = nn.ModuleDict({"body": nn.ModuleDict({"stage1": nn.ReLU(), "stage2": nn.ReLU()})})
    >>> find_sites(net, ["layer2"]), find_sites(net, ["stage*"])
    (('body.stage2',), ('body.stage1', 'body.stage2'))
    >>> find_sites(net, ["stag2"])
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got site 'stag2', which the network has not; expected ...; did you mean ...
    """
    names = [name for name, _ in model.named_modules() if name]
    wanted = {found for site in sites for found in _found(site, names)}
    return tuple(name for name in names if name in wanted)


def _found(site: str, names: list[str]) -> list[str]:
    other = re.sub(r"\blayer(?=[\d*?\[])", "stage", site)
    for spelled in dict.fromkeys((site, other)):
        if spelled in names:
            return [spelled]
        matching = _matching(spelled, names)
        if len(matching) > 1 and not _is_pattern(spelled):
            raise InvalidInputError(
                got=f"site {site!r}, which ends the names of {len(matching)} modules",
                expected="one of " + ", ".join(matching[:_SHOWN]) + (", …" if len(matching) > _SHOWN else ""),
                next_step="say more of its name, or make it a pattern",
            )
        if matching:
            return matching
    # the nearest by its end too: `stage4.blok2` is near `body.stage4.block2`
    ends = {end: name for name in reversed(names) for end in _ends(name)}
    near = list(dict.fromkeys(ends[end] for end in difflib.get_close_matches(other, ends, n=6, cutoff=0.6)))[:3]
    raise InvalidInputError(
        got=f"site {site!r}, which the network has not",
        expected="the name of a module, the end of one, or a pattern such as '*.stage?'",
        next_step="did you mean " + " or ".join(map(repr, near)) + "?"
        if near
        else "choose among " + ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else ""),
    )


def _is_pattern(site: str) -> bool:
    return any(sign in site for sign in "*?[")


def _ends(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[first:]) for first in range(len(parts))]


def _matching(site: str, names: list[str]) -> list[str]:
    """Names whose last parts, as many as the site has, match its parts one by one."""
    wanted = site.split(".")
    return [
        name
        for name in names
        if len(parts := name.split(".")) >= len(wanted) and all(map(fnmatchcase, parts[-len(wanted) :], wanted))
    ]
