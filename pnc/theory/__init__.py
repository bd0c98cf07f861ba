"""Closed forms and bounds of progressive compression and discrimination: NumPy only, float64, no torch.

Numbers are those of the theory note (docs/theory.md).

| statement | what it says | file |
|---|---|---|
| section 1 | minimum-norm map, signal and residual | `signal`, `layer_statistics` |
| A1–A3, θ | assumptions measured, and what they leave applicable | `assumptions` |
| A1–A3 | weights that satisfy them exactly | `exact_weights` |
| T1, T3 | Gram matrix of a layer | `gram_law` |
| T2, T3 | class means, scatters, compression; discrimination | `compression`, `discrimination` |
| T4 | separation fuzziness | `separation_fuzziness` |
| T1–T4 | all of it as a `LayerCurve` | `predict` |
| any | the curve of layers whose Gram matrices are known | `gram_curve` |
| T5 | compression rate, two-sided | `compression_bounds` |
| T6 | discrimination, two-sided | `discrimination_bounds` |
| T5, T6 | per-layer bounds of a problem | `bounds` |
| T5', T6', T9' | the sharp forms | `sharp_bounds` |
| T7 | moment law of both traces | `moment_law` |
| T8 | intervals that real weights are guaranteed to obey | `certificate` |
| R0–R8 | deep linear residual networks | `residual` |
| V1–V5 | weight decay | `weight_decay` |
| U5–U7, RL5 | modules, readout, rank of weights, any ReLU features | `any_network` |
| RL1–RL4, RL6 | trained ReLU networks | `rectified` |
| E1 | T3 for any measured map | `given_map` |
| E2–E4 | cross-entropy | `cross_entropy` |
| T9 | PyTorch's default weights, first order | `default_weights` |
| U1, U2 | variance rank and stable rank from compression | `variance_rank`, `stable_rank_bound` |
| U3, U4 | nearest-centre error | `nearest_centre_error`, `projected_nearest_centre_error` |
| Y1 | growth of signal directions, C_l(t), D_l(t), the plateau | `dynamics` |
| Spectrum | eigenvalues and ranks of a layer | `spectrum` |
| section 6 | what rounding alone may do | `rounding` |
"""

from pnc.theory.any_network import (
    attributed_compression,
    linear_within_factor,
    readout_error,
    readout_error_bound,
    rectified_cosine_bound,
    sum_scatter_bound,
    weight_tail_bound,
)
from pnc.theory.assumptions import (
    Applicability,
    DataAssumptions,
    WeightAssumptions,
    applicable_statements,
    measure_data,
    measure_weights,
)
from pnc.theory.bounds import LayerBounds, bounds
from pnc.theory.certificates import (
    Certificate,
    InputMoments,
    WeightSummary,
    certify,
    summarise_weights,
)
from pnc.theory.compression import between_scatter, class_mean_gram, compression, within_scatter
from pnc.theory.compression_bounds import (
    RatioBounds,
    compression_ratio_bounds,
    compression_ratio_bounds_of_gram,
)
from pnc.theory.cross_entropy import (
    deviation_growth,
    final_margin,
    losing_depth,
    margin_growth,
    margin_of_loss,
    predict_cross_entropy,
    simplex_expected,
)
from pnc.theory.default_weights import DefaultWeightsRates, default_weights_rates
from pnc.theory.discrimination import discrimination, discrimination_of_gram
from pnc.theory.discrimination_bounds import (
    DiscriminationBounds,
    discrimination_bounds,
    explicit_discrimination_bound,
)
from pnc.theory.dynamics import (
    Dynamics,
    plateau_time,
    predict_dynamics,
    signal_growth,
    time_to_reach,
    unaligned_growth,
)
from pnc.theory.exact_weights import exact_weights, residual_projection_of
from pnc.theory.given_map import (
    predict_from_map,
)
from pnc.theory.gram_curve import curve_of_grams
from pnc.theory.gram_law import layer_features, layer_gram
from pnc.theory.layer_statistics import LayerStatistics, ResidualStatistics, layer_statistics
from pnc.theory.moment_law import (
    MomentLaw,
    SpectralMeasures,
    jensen_lower_bound,
    moment_law,
    spectral_measures,
)
from pnc.theory.nearest_centre_error import (
    nearest_centre_error_bound,
    nearest_centre_error_bound_from_curve,
    smallest_separation_bound,
)
from pnc.theory.predict import predict
from pnc.theory.projected_nearest_centre_error import projected_nearest_centre_error_bound
from pnc.theory.rectified import (
    RectifiedPrediction,
    deviations_left,
    gate_share,
    gaussian_gates,
    memorisation,
    never_revived_compression,
    never_revived_scatter,
    predict_rectified,
    rectified_gaussian,
    rectified_mean_norms,
    rectified_signal,
    rectified_within_ratio,
    remaining_cosine,
)
from pnc.theory.residual import (
    DepthLimit,
    ResidualSpec,
    depth_limit,
    effective_depth,
    predict_residual,
    residual_gram,
    residual_ratio_bounds,
)
from pnc.theory.rounding import rounding_allowance
from pnc.theory.separation_fuzziness import separation_fuzziness
from pnc.theory.sharp_bounds import (
    SharpRatioBounds,
    default_weights_ratios,
    sharp_cosine_bound,
    sharp_cosine_remainder,
    sharp_ratio_bounds,
)
from pnc.theory.signal import SIGNAL_MARGIN, DataModes, SignalModes, data_modes, signal_modes
from pnc.theory.spectrum import (
    layer_spectrum,
    orthonormal_spectrum,
    predicted_effective_rank,
    predicted_numerical_rank,
    predicted_stable_rank,
)
from pnc.theory.stable_rank_bound import stable_rank_bound
from pnc.theory.variance_rank import variance_rank_bound, variance_share_bound
from pnc.theory.variant import (
    predict_variant,
)
from pnc.theory.weight_decay import (
    ClassFate,
    RegularisedMap,
    class_fates,
    class_growth,
    death_decay,
    escape_decay,
    first_death,
    minority_curves,
    predict_weight_decay,
    regularised_map,
    surviving_value,
)

__all__ = [
    "SIGNAL_MARGIN",
    "Applicability",
    "Certificate",
    "ClassFate",
    "DataAssumptions",
    "DataModes",
    "DefaultWeightsRates",
    "DepthLimit",
    "DiscriminationBounds",
    "Dynamics",
    "InputMoments",
    "LayerBounds",
    "LayerStatistics",
    "MomentLaw",
    "RatioBounds",
    "RectifiedPrediction",
    "RegularisedMap",
    "ResidualSpec",
    "ResidualStatistics",
    "SharpRatioBounds",
    "SignalModes",
    "SpectralMeasures",
    "WeightAssumptions",
    "WeightSummary",
    "applicable_statements",
    "attributed_compression",
    "between_scatter",
    "bounds",
    "certify",
    "class_fates",
    "class_growth",
    "class_mean_gram",
    "compression",
    "compression_ratio_bounds",
    "compression_ratio_bounds_of_gram",
    "curve_of_grams",
    "data_modes",
    "death_decay",
    "default_weights_rates",
    "default_weights_ratios",
    "depth_limit",
    "deviation_growth",
    "deviations_left",
    "discrimination",
    "discrimination_bounds",
    "discrimination_of_gram",
    "effective_depth",
    "escape_decay",
    "exact_weights",
    "explicit_discrimination_bound",
    "final_margin",
    "first_death",
    "gate_share",
    "gaussian_gates",
    "jensen_lower_bound",
    "layer_features",
    "layer_gram",
    "layer_spectrum",
    "layer_statistics",
    "linear_within_factor",
    "losing_depth",
    "margin_growth",
    "margin_of_loss",
    "measure_data",
    "measure_weights",
    "memorisation",
    "minority_curves",
    "moment_law",
    "nearest_centre_error_bound",
    "nearest_centre_error_bound_from_curve",
    "never_revived_compression",
    "never_revived_scatter",
    "orthonormal_spectrum",
    "plateau_time",
    "predict",
    "predict_cross_entropy",
    "predict_dynamics",
    "predict_from_map",
    "predict_rectified",
    "predict_residual",
    "predict_variant",
    "predict_weight_decay",
    "predicted_effective_rank",
    "predicted_numerical_rank",
    "predicted_stable_rank",
    "projected_nearest_centre_error_bound",
    "readout_error",
    "readout_error_bound",
    "rectified_cosine_bound",
    "rectified_gaussian",
    "rectified_mean_norms",
    "rectified_signal",
    "rectified_within_ratio",
    "regularised_map",
    "remaining_cosine",
    "residual_gram",
    "residual_projection_of",
    "residual_ratio_bounds",
    "rounding_allowance",
    "separation_fuzziness",
    "sharp_cosine_bound",
    "sharp_cosine_remainder",
    "sharp_ratio_bounds",
    "signal_growth",
    "signal_modes",
    "simplex_expected",
    "smallest_separation_bound",
    "spectral_measures",
    "stable_rank_bound",
    "sum_scatter_bound",
    "summarise_weights",
    "surviving_value",
    "time_to_reach",
    "unaligned_growth",
    "variance_rank_bound",
    "variance_share_bound",
    "weight_tail_bound",
    "within_scatter",
]
