"""Deep linear networks trained with weight decay. None of it is in the papers (docs/theory.md, section 10).

| statement | what it says | file |
|---|---|---|
| V1 | the map M_λ | `regularised_map` |
| V1, V2 | every layer at a time, and in the limit | `predict` |
| V3, V4 | when a direction dies, when it never starts | `thresholds` |
| V5 | minority classes die first | `minority` |
"""

from pnc.theory.weight_decay.minority import (
    ClassFate,
    MinorityCurves,
    class_fates,
    class_growth,
    minority_curves,
)
from pnc.theory.weight_decay.predict import decayed_scale, predict_weight_decay
from pnc.theory.weight_decay.regularised_map import RegularisedMap, check_decay, regularised_map
from pnc.theory.weight_decay.thresholds import (
    death_decay,
    escape_decay,
    first_death,
    surviving_value,
    value_at_death,
)

__all__ = [
    "ClassFate",
    "MinorityCurves",
    "RegularisedMap",
    "check_decay",
    "class_fates",
    "class_growth",
    "death_decay",
    "decayed_scale",
    "escape_decay",
    "first_death",
    "minority_curves",
    "predict_weight_decay",
    "regularised_map",
    "surviving_value",
    "value_at_death",
]
