"""Deep linear residual networks: what each block does to the classes.

None of it is in the papers; derived for this project (docs/theory.md, section 9).

| statement | what it says | file |
|---|---|---|
| | the network | `spec` |
| R1, R6 | the factor of a block in each signal direction | `growth` |
| R3 | compression a block, two-sided | `bounds` |
| R4, R5 | how linear D_l is; many blocks | `limits` |
| R7 | blocks with two matrices | `two_matrix_blocks` |
| R8 | a classifier from random rows | `random_classifier` |
| R1, R2, R6–R8 | all of it as a `LayerCurve` | `predict` |
"""

from pnc.theory.residual.bounds import residual_ratio_bounds
from pnc.theory.residual.growth import block_growth, embedded_growth
from pnc.theory.residual.limits import DepthLimit, depth_limit, effective_depth, remaining_angle
from pnc.theory.residual.predict import predict_residual, residual_gram, residual_statistics
from pnc.theory.residual.random_classifier import random_classifier_images
from pnc.theory.residual.spec import BlockKind, ResidualSpec
from pnc.theory.residual.two_matrix_blocks import two_matrix_growth, two_matrix_residual

__all__ = [
    "BlockKind",
    "DepthLimit",
    "ResidualSpec",
    "block_growth",
    "depth_limit",
    "effective_depth",
    "embedded_growth",
    "predict_residual",
    "random_classifier_images",
    "remaining_angle",
    "residual_gram",
    "residual_ratio_bounds",
    "residual_statistics",
    "two_matrix_growth",
    "two_matrix_residual",
]
