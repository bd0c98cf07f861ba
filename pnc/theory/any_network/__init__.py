"""Inequalities for any network, in numbers that a measurement has (theory note, section 4); not from the papers.

| statement | what it says | file |
|---|---|---|
| U5, RL5 | what a linear map, a skip and ReLU can do to the scatters and to cosines | `modules` |
| U6 | a linear readout's error from fuzziness | `readout` |
| U7 | the rank of weights from compression | `weight_rank` |
"""

from pnc.theory.any_network.modules import (
    attributed_compression,
    linear_within_factor,
    rectified_cosine_bound,
    sum_scatter_bound,
)
from pnc.theory.any_network.readout import readout_error, readout_error_bound
from pnc.theory.any_network.weight_rank import weight_tail_bound

__all__ = [
    "attributed_compression",
    "linear_within_factor",
    "readout_error",
    "readout_error_bound",
    "rectified_cosine_bound",
    "sum_scatter_bound",
    "weight_tail_bound",
]
