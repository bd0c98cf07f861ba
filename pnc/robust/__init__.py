"""Robustness: adversarial attacks and noise, with the checks that expose a defence that only masks gradients.

Importing it loads torch; the attack library is loaded by the first attack.
"""

import warnings
from typing import Any

from pnc.robust.attacks.deepfool import DeepFoolResult, deepfool
from pnc.robust.attacks.kinds import ATTACKS, AUTO_ATTACK, BIM, FGSM, PGD, attack_named
from pnc.robust.attacks.spec import AttackSpec
from pnc.robust.attacks.starts import random_starts
from pnc.robust.attacks.within_ball import run_attack
from pnc.robust.evaluate import Robustness, evaluate_robustness
from pnc.robust.masking.attacked_images import AttackedImages
from pnc.robust.masking.checks import CHECKS, Check, Checks, check_masking
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.network.predictions import clean_accuracy, predicted_classes, predicted_logits
from pnc.robust.noise import pixel_noise, replaced_pixels
from pnc.robust.results import Accuracy, AttackResult, NoiseResult
from pnc.statistics import share_bound, share_interval

__all__ = [
    "ATTACKS",
    "AUTO_ATTACK",
    "BIM",
    "CHECKS",
    "FGSM",
    "PGD",
    "Accuracy",
    "AttackResult",
    "AttackSpec",
    "AttackedImages",
    "Check",
    "Checks",
    "DeepFoolResult",
    "NoiseResult",
    "PixelModel",
    "Robustness",
    "attack_named",
    "check_masking",
    "clean_accuracy",
    "deepfool",
    "evaluate_robustness",
    "pixel_noise",
    "predicted_classes",
    "predicted_logits",
    "random_starts",
    "replaced_pixels",
    "run_attack",
    "share_bound",
    "share_interval",
]


def __getattr__(name: str) -> Any:
    if name == "Bench":
        warnings.warn(
            "pnc.robust.Bench is now AttackedImages; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return AttackedImages
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
