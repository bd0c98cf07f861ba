"""The basic iterative method, also called iterative FGSM: small steps from the image itself."""

from pnc.robust.attacks.kinds import AttackKind

__all__ = ["BIM"]

BIM = AttackKind(
    name="bim",
    title="iterated gradient steps from the image",
    classes={"linf": "LinfBasicIterativeAttack", "l2": "L2BasicIterativeAttack"},
)
"""x₀ = x, x_{t+1} = clip(P(x_t + step · s(∇ₓ loss(x_t)))), P onto the ball, s as for FGSM.

Kurakin, Goodfellow, Bengio, *Adversarial Examples in the Physical World*, 2016 (arXiv:1607.02533).
"""
