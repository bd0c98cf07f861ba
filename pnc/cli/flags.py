"""From the parameters that the library's messages name to the flags of the command that is running.

The library knows nothing of a command line: it writes "lower `learning_rate`", or "pass `epsilon=0.3`". Where the
running command has such an option, people read "lower --learning-rate" and "pass --epsilon 0.3"; elsewhere the words
stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from typer.core import TyperCommand

from pnc.errors import PncError

__all__ = ["Command", "Flags", "in_flags", "running_flags"]

# parameters of the library that are no option's field and have another name on every command line
_OTHER_NAMES = {"kind": "data", "residual_scale": "epsilon"}

_NAMED = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")
_GOT = re.compile(r"^got ([a-z_]+)(?= = )")

Flags = Mapping[str, tuple[str, str | None]]
"""Name of each option → its flag, and the one that switches it off: "" where there is none, `None` for options with a
value."""

_running: ContextVar[Flags | None] = ContextVar("flags of the running command", default=None)


class Command(TyperCommand):
    """A command whose errors name its own flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words, among them those of `--config`."""
        with self._errors_in_flags():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run it, its flags known to `in_flags`."""
        with self._errors_in_flags():
            return super().invoke(ctx)

    @contextmanager
    def _errors_in_flags(self) -> Iterator[None]:
        with running_flags(_flags(self)):
            try:
                yield
            except PncError as error:
                error.args = (in_flags(str(error)), *error.args[1:])
                raise


@contextmanager
def running_flags(flags: Flags) -> Iterator[None]:
    """While a command runs that has these."""
    token = _running.set(flags)
    try:
        yield
    finally:
        _running.reset(token)


def _flags(command: Any) -> dict[str, tuple[str, str | None]]:
    found: dict[str, tuple[str, str | None]] = {}
    for parameter in command.params:
        if not parameter.opts[0].startswith("-"):
            found[parameter.name] = (parameter.metavar or parameter.name.upper(), None)
            continue
        truth = getattr(parameter, "is_flag", False)
        off = next(iter(parameter.secondary_opts), "") if truth else None
        found[parameter.name] = (max(parameter.opts, key=len), off)
    other = {leaf.field.name: leaf.name for spec in _specs(command.callback) for leaf in spec.leaves()}
    for parameter, name in {**_OTHER_NAMES, **other}.items():
        if name in found:
            found.setdefault(parameter, found[name])
    return found


def _specs(callback: Any) -> Iterable[Any]:
    """The specs whose fields `pnc.cli.declared` made the command's options of."""
    return getattr(callback, "__specs__", {}).values()


def in_flags(text: str) -> str:
    """A message with the running command's flags in the place of the parameters that it has as options.

    >>> with running_flags({"residual_scale": ("--epsilon", None), "checks": ("--checks", "--no-checks")}):
    ...     in_flags("got residual_scale = 0; pass `residual_scale=0.3` or `checks=False`, raise `steps`")
    'got epsilon = 0; pass --epsilon 0.3 or --no-checks, raise `steps`'
    """
    flags = _running.get()
    if not flags:
        return text

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name not in flags:
            return match[0]
        on, off = flags[name]
        if value is None or (off is not None and value == "True"):
            return on
        if off is not None and value == "False":
            return off or f"no {on}"
        return f"{on} {value}"

    def got(match: re.Match[str]) -> str:
        on, _ = flags.get(match[1], ("", None))
        return f"got {on[2:].replace('-', '_') if on.startswith('--') else match[1]}"

    return _GOT.sub(got, _NAMED.sub(flag, text))
