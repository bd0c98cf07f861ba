"""The fast gradient sign method: one step to the edge of the ball."""

from pnc.robust.attacks.kinds import AttackKind

__all__ = ["FGSM"]

FGSM = AttackKind(
    name="fgsm",
    title="one gradient step",
    classes={"linf": "LinfFastGradientAttack", "l2": "L2FastGradientAttack"},
    one_step=True,
)
"""x' = clip(x + ε s(∇ₓ loss)), with s(g) = sign g for ℓ∞ and g/‖g‖₂ for ℓ2; clip to [0, 1].

Goodfellow, Shlens, Szegedy, *Explaining and Harnessing Adversarial Examples*, ICLR 2015 (arXiv:1412.6572).
"""
