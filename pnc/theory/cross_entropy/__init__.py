"""Deep linear networks trained on the cross-entropy. None of it is in the papers (docs/theory.md, section 11).

| statement | what it says | file |
|---|---|---|
| E1 | T3 for any measured map | `pnc.theory.given_map` |
| E2, E3 | the margin in time, from the loss, and under weight decay | `margin` |
| E2, E3 | every layer | `predict` |
| E4 | whether the simplex is reached | `simplex` |
"""

from pnc.theory.cross_entropy.margin import final_margin, loss_of_margin, margin_growth, margin_of_loss
from pnc.theory.cross_entropy.predict import predict_cross_entropy
from pnc.theory.cross_entropy.simplex import (
    cross_polytope_cost,
    deviation_growth,
    healing_margin,
    losing_depth,
    simplex_cost,
    simplex_expected,
)

__all__ = [
    "cross_polytope_cost",
    "deviation_growth",
    "final_margin",
    "healing_margin",
    "losing_depth",
    "loss_of_margin",
    "margin_growth",
    "margin_of_loss",
    "predict_cross_entropy",
    "simplex_cost",
    "simplex_expected",
]
