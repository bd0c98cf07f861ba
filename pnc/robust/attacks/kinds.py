"""The attacks within a ball: what tells one from another, where it was published, and how to find it by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pnc.fields import nearest

__all__ = ["ATTACKS", "AUTO_ATTACK", "BIM", "FGSM", "PGD", "AttackKind", "attack_named"]


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


FGSM = AttackKind(
    name="fgsm",
    title="one gradient step",
    classes={"linf": "LinfFastGradientAttack", "l2": "L2FastGradientAttack"},
    one_step=True,
)
"""x' = clip(x + ε s(∇ₓ loss)), with s(g) = sign g for ℓ∞ and g/‖g‖₂ for ℓ2; clip to [0, 1].

Goodfellow, Shlens, Szegedy, *Explaining and Harnessing Adversarial Examples*, ICLR 2015 (arXiv:1412.6572).
"""

BIM = AttackKind(
    name="bim",
    title="iterated gradient steps from the image",
    classes={"linf": "LinfBasicIterativeAttack", "l2": "L2BasicIterativeAttack"},
)
"""x₀ = x, x_{t+1} = clip(P(x_t + step · s(∇ₓ loss(x_t)))), P onto the ball, s as for FGSM.

Kurakin, Goodfellow, Bengio, *Adversarial Examples in the Physical World*, 2016 (arXiv:1607.02533).
"""

PGD = AttackKind(
    name="pgd",
    title="iterated gradient steps from random points",
    classes={"linf": "LinfProjectedGradientDescentAttack", "l2": "L2ProjectedGradientDescentAttack"},
    random_start=True,
)
"""As BIM with x₀ uniform in the ball (see `random_starts`), once a restart.

Madry, Makelov, Schmidt, Tsipras, Vladu, *Towards Deep Learning Models Resistant to Adversarial Attacks*, ICLR 2018
(arXiv:1706.06083).
"""

AUTO_ATTACK = AttackKind(name="auto", title="AutoAttack of the Adversarial Robustness Toolbox, where it is installed")
"""APGD with cross-entropy and with the difference-of-logits ratio (5 restarts of `steps`), DeepFool, Square.

Croce, Hein, *Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks*, ICML
2020 (arXiv:2003.01690). The toolbox's version has DeepFool in the place of FAB. It draws its random numbers a batch at
a time: unlike those of the other attacks, they depend on the batch size.
"""

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
