"""`AttackKind`: what tells one attack from another; each is a table in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["AttackKind"]


@dataclass(frozen=True, kw_only=True)
class AttackKind:
    """One attack of the library.

    Args:
        name: of it, here.
        title: one line for people.
        classes: norm → name of the class in `foolbox.attacks`; empty where another library has it.
        random_start: whether it begins at a random point of the ball, drawn for each sample alone.
        one_step: whether it takes one step to the edge of the ball.
    """

    name: str
    title: str
    classes: Mapping[str, str] = field(default_factory=dict)
    random_start: bool = False
    one_step: bool = False
