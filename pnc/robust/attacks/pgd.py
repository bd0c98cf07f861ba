"""Projected gradient descent: the basic iterative method from random points of the ball."""

from pnc.robust.attacks.kinds import AttackKind

__all__ = ["PGD"]

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
