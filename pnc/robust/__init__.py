"""Robustness: adversarial attacks and noise, with the checks that expose a defence that only masks gradients.

Importing it loads torch; the attack library is loaded by the first attack.
"""

from pnc.robust.attack import run_attack
from pnc.robust.auto_attack import AUTO_ATTACK
from pnc.robust.bench import Bench
from pnc.robust.bim import BIM
from pnc.robust.checks import CHECKS, Check, Checks, check_masking
from pnc.robust.clean import clean_accuracy, predicted_classes, predicted_logits
from pnc.robust.deepfool import DeepFoolResult, deepfool
from pnc.robust.evaluate import Robustness, evaluate_robustness
from pnc.robust.fgsm import FGSM
from pnc.robust.noise import pixel_noise, replaced_pixels
from pnc.robust.pgd import PGD
from pnc.robust.pixel_model import PixelModel
from pnc.robust.registry import ATTACKS, attack_named
from pnc.robust.result import Accuracy, AttackResult, NoiseResult
from pnc.robust.spec import AttackSpec
from pnc.robust.starts import random_starts
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
    "Bench",
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
