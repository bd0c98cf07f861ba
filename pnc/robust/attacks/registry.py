"""Attacks by name."""

from __future__ import annotations

from pnc.fields import nearest
from pnc.robust.attacks.auto_attack import AUTO_ATTACK
from pnc.robust.attacks.bim import BIM
from pnc.robust.attacks.fgsm import FGSM
from pnc.robust.attacks.kinds import AttackKind
from pnc.robust.attacks.pgd import PGD

__all__ = ["ATTACKS", "attack_named"]

_KINDS = {kind.name: kind for kind in (FGSM, BIM, PGD, AUTO_ATTACK)}

ATTACKS = tuple(_KINDS)
"""The attacks within a ball that `run_attack` knows; `deepfool` and `pixel_noise` have no ball."""


def attack_named(name: str) -> AttackKind:
    """The attack of a name.

    Raises:
        InvalidInputError: there is none, with the nearest one.

    >>> attack_named("pgd").random_start
    True
    >>> attack_named("pdg")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got attack = 'pdg'; expected one of fgsm, bim, pgd, auto; did you mean pgd?
    """
    if name not in _KINDS:
        raise nearest("attack", name, ATTACKS)
    return _KINDS[name]
