"""Docstrings as Markdown: examples become blocks of code, and arguments that share a description get one each."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", flags=re.MULTILINE)
_SHARED = re.compile(r"^( +)(\w+(?:, \w+)+): ", flags=re.MULTILINE)


def _one_each(found: re.Match[str]) -> str:
    indent, (*others, last) = found[1], found[2].split(", ")
    return "".join(f"{indent}{name}: see `{last}`.\n" for name in others) + f"{indent}{last}: "


class Doctests(griffe.Extension):
    def on_instance(self, *, obj: griffe.Object | griffe.Alias, **kwargs: Any) -> None:
        if obj.docstring is not None:
            text = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
            obj.docstring.value = _SHARED.sub(_one_each, text)
