"""Trained ReLU networks without biases, squared error: what can be said without a fitted constant; not from the papers.

| statement | what it says | file |
|---|---|---|
| RL1, RL3 | the within-class law with one measured share a layer; the floor at the first layer | `layer_laws` |
| RL2 | C_l and D_l from training one point a class | `class_flow` |
| RL4 | weight decay: signal of long training, how slowly the last shared direction dies | `long_training` |
| RL6 | Gaussian gates (an approximation): C_l and D_l from weights and the input's class moments | `gaussian_gates` |

RL5 (twins, cosines, disjoint classes) holds for any features: `pnc.theory.any_network`.
"""

from pnc.theory.rectified.class_flow import RectifiedPrediction, predict_rectified
from pnc.theory.rectified.gaussian_gates import gaussian_gates, memorisation, rectified_gaussian
from pnc.theory.rectified.layer_laws import (
    deviations_left,
    gate_share,
    never_revived_compression,
    never_revived_scatter,
    rectified_within_ratio,
)
from pnc.theory.rectified.long_training import rectified_mean_norms, rectified_signal, remaining_cosine

__all__ = [
    "RectifiedPrediction",
    "deviations_left",
    "gate_share",
    "gaussian_gates",
    "memorisation",
    "never_revived_compression",
    "never_revived_scatter",
    "predict_rectified",
    "rectified_gaussian",
    "rectified_mean_norms",
    "rectified_signal",
    "rectified_within_ratio",
    "remaining_cosine",
]
