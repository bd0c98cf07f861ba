"""What each quantity of a layer is called in words, and its unit: for datasets, tables and the JSON schema."""

from __future__ import annotations

__all__ = ["NUMBERS_OF_LAYERS", "QUANTITIES", "described"]

_NONE, _SQUARED, _SHARE = "1", "squared feature norm", "share, from 0 to 1"

QUANTITIES: dict[str, tuple[str, str]] = {
    "layer": ("layer, 0 is the input", _NONE),
    "name": ("name of the layer", "text"),
    "compression": ("compression C = tr Σ_W / tr Σ_B", _NONE),
    "discrimination": ("discrimination D = 1 - largest cosine of two class means", _NONE),
    "within_scatter": ("within-class scatter tr Σ_W", _SQUARED),
    "between_scatter": ("between-class scatter tr Σ_B", _SQUARED),
    "separation_fuzziness": ("separation fuzziness tr(Σ_W Σ_B⁺)", _NONE),
    "compression_error": ("standard error of C from sampling", _NONE),
    "compression_bias": ("expected C less that of infinitely many samples", _NONE),
    "discrimination_error": ("standard error of D from sampling", _NONE),
    "noise_floor": ("C below which rounding is measured", _NONE),
    "dimension": ("entries of a sample's features", _NONE),
    "between_rank": ("directions between class means", _NONE),
    "class_distance_normalised_variance": ("class-distance normalised variance, mean over pairs", _NONE),
    "smallest_separation": ("smallest squared distance of two class means", _SQUARED),
    "projected_separation": ("the bracket of U4", _SQUARED),
    "smallest_mean_square": ("smallest squared norm of a class mean", _SQUARED),
    "mean_square": ("mean squared norm of the class means", _SQUARED),
    "largest_mean_square": ("largest squared norm of a class mean", _SQUARED),
    "nearest_centre_accuracy": ("accuracy of the nearest class centre on its own samples", _SHARE),
    "linear_probe_accuracy": ("accuracy of a linear probe on its own samples", _SHARE),
    "projected_centre_accuracy": ("accuracy of the nearest centre in K - 1 components on its own samples", _SHARE),
    "held_out_nearest_centre_accuracy": ("accuracy of the nearest class centre on held-out samples", _SHARE),
    "held_out_linear_probe_accuracy": ("accuracy of a linear probe on held-out samples", _SHARE),
    "held_out_projected_centre_accuracy": ("accuracy of the nearest centre in K - 1 components, held out", _SHARE),
    "predicted_compression": ("compression C, predicted", _NONE),
    "predicted_discrimination": ("discrimination D, predicted", _NONE),
    "relative_error": ("C measured over predicted, less 1", _NONE),
    "difference_of_discrimination": ("1 - D measured, less predicted", _NONE),
    "compression_lower": ("lower bound of C (T5)", _NONE),
    "compression_upper": ("upper bound of C (T5)", _NONE),
    "discrimination_lower": ("lower bound of D (T6)", _NONE),
    "discrimination_upper": ("upper bound of D (T6)", _NONE),
    "certified_compression_lower": ("lower end of the certificate of C (T8)", _NONE),
    "certified_compression_upper": ("upper end of the certificate of C (T8)", _NONE),
    "certified_discrimination_lower": ("lower end of the certificate of D (T8)", _NONE),
    "certified_discrimination_upper": ("upper end of the certificate of D (T8)", _NONE),
}
"""Name → (in words, unit); "1" is a pure number."""

_NAMES = list(QUANTITIES)
NUMBERS_OF_LAYERS = tuple(_NAMES[_NAMES.index("compression_error") : _NAMES.index("predicted_compression")])
"""Fields of `LayerNotes` that are one number a layer."""


def described(name: str) -> dict[str, str]:
    """Attributes of a variable.

    >>> described("within_scatter")
    {'long_name': 'within-class scatter tr Σ_W', 'units': 'squared feature norm'}
    """
    long_name, units = QUANTITIES[name]
    return {"long_name": long_name, "units": units}
