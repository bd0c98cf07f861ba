"""The attack: a search that tries to break every inequality of the theory.

Data and weights are parametrised so that each statement's hypotheses hold for every parameter (an entrywise box by
tanh, a given C by scaling), many restarts climb the gradient of `reach` at once (torch, float64), and the best point
is evaluated again with balls on the exact rational instance, so that rounding can neither hide nor fake a violation.

    reach = (value - limit) / (bound - limit),     slack = 1 - reach

`limit` is what bound and value tend to as the perturbation vanishes (θ → 0; C → 0 for U1 and U2). A violation is a
slack below 0; a bound that is attained has slack 0. The values are derived here a second time; nothing of
`pnc.theory` is imported.

    inequality            what an attack consists of
    engine                the search and what it found: attack, attack_all, replay
    catalogue             all attacks, and two refuted conjectures
    nearly_orthonormal    T5, T5', T6, T6' on data with entrywise θ; bounds holds their right-hand sides
    remainder             T6, T6': the remainder of D_l
    moments               T7
    features              free features for U1 to U4
    principal_components  U1, U2
    predicted             U1, U2 on T1's features
    nearest_centre        U3, U4
    readout               U5 (cosines through ReLU), U6, U7
    residual_blocks       R3
    tensors, exact        the arithmetic they share, in torch and in balls
"""

from .catalogue import ATTACKS, CONJECTURES
from .engine import AttackResult, attack, attack_all, replay
from .inequality import Attack

__all__ = ["ATTACKS", "CONJECTURES", "Attack", "AttackResult", "attack", "attack_all", "replay"]
