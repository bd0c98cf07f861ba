"""R1, R2 and R6 to R8 as a `LayerCurve`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from pnc.curves import LayerCurve, Origin
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.compression import between_scatter, compression, within_scatter
from pnc.theory.discrimination import discrimination
from pnc.theory.layer_statistics import LayerStatistics, ResidualStatistics, statistics_of_modes
from pnc.theory.residual.growth import block_growth, embedded_growth
from pnc.theory.residual.random_classifier import random_classifier_images
from pnc.theory.residual.spec import ResidualSpec
from pnc.theory.residual.two_matrix_blocks import two_matrix_growth, two_matrix_residual
from pnc.theory.separation_fuzziness import separation_fuzziness
from pnc.theory.signal import DataModes, SignalModes, data_modes, fitted_modes

__all__ = ["predict_residual", "residual_gram", "residual_statistics"]

_WHITE = 1e-6  # how far singular values of the data may be apart to count as one


def residual_statistics(problem: Problem, network: ResidualSpec) -> LayerStatistics:
    """What R1, R6 and R7 need to know of a problem: the factor of a block in each signal direction, and in the rest.

    Raises:
        InvalidInputError: no direction to learn.
        NotApplicableError: a network that none of them covers, or data that are not whitened for R7.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> residual_statistics(problem, ResidualSpec(depth=4)).statement
    'R1'
    """
    modes, data = _modes(problem, network), data_modes(problem)
    if network.classifier_scale > 0:
        raise NotApplicableError(
            statement="R1", assumption="a classifier from zero", instead="use predict_residual (R8)"
        )
    m, β, γ, scale, first = network.blocks, network.block_scale, network.embedding_scale, 1.0, None
    if network.block == "one-matrix" and γ is None:
        statement, growth = "R1", np.sqrt(block_growth(modes.values, blocks=m, block_scale=β))
    elif network.block == "one-matrix" and γ is not None:
        first, x = embedded_growth(modes.values, blocks=m, block_scale=β, embedding_scale=γ)
        statement, growth = "R6", np.sqrt(x)
    elif γ is None:
        _require_white(data, "R7")
        symmetric, ε = network.block == "two-matrix-symmetric", network.initial_scale
        assert ε is not None
        growth = two_matrix_growth(modes.values, blocks=m, block_scale=β, initial_scale=ε, symmetric=symmetric)
        scale = two_matrix_residual(block_scale=β, initial_scale=ε, symmetric=symmetric)
        statement = "R7"
    else:
        raise NotApplicableError(
            statement="R6", assumption="one-matrix blocks behind the embedding", instead="simulate this network"
        )
    statistics = statistics_of_modes(
        problem,
        modes,
        statement=statement,
        layers=network.depth,
        signal_scales=growth,
        residual_scale=scale,
        fitted=True,
        label_scale=network.label_scale,
    )
    return statistics if first is None or γ is None else _embedded(statistics, np.sqrt(first), γ)


def _embedded(statistics: LayerStatistics, signal: Float[np.ndarray, " r"], rest: float) -> LayerStatistics:
    """The same, seen from behind an embedding that multiplies the signal directions and all others by so much."""

    def seen(residual: ResidualStatistics) -> ResidualStatistics:
        scaled = residual.scaled(rest**2, residual.text)
        return replace(scaled, cross_of_means=signal[:, None] * scaled.cross_of_means)

    return replace(
        statistics,
        signal_means=statistics.signal_means * signal,
        signal_within=statistics.signal_within * np.outer(signal, signal),
        residual_input=seen(statistics.residual_input),
        residual_hidden=seen(statistics.residual_hidden),
    )


def residual_gram(problem: Problem, network: ResidualSpec, layer: int) -> Float[np.ndarray, "N N"]:
    """Gram matrix of the features after `layer` blocks, `Yᵀ H⁻¹ g(H)^l Y + (G - YᵀH⁻¹Y)` (theory note, R1).

    For N > d with Ŷ = M X for Y; with an embedding or two-matrix blocks as R6 and R7 say.

    Args:
        layer: 0…m.

    Returns:
        (N, N), squared feature norm.

    Raises:
        InvalidInputError: a layer outside 0…m.
        NotApplicableError: as `residual_statistics`.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> bool(np.allclose(residual_gram(problem, ResidualSpec(depth=3), 0), np.eye(4)))
    True
    """
    if not 0 <= layer < network.depth:
        raise InvalidInputError(
            got=f"layer {layer}",
            expected=f"a layer 0…{network.blocks} of {network.blocks} blocks",
            next_step="layer 0 is what the blocks start from, layer m what the classifier sees",
        )
    statistics, V = residual_statistics(problem, network), _modes(problem, network).right
    scores = problem.X @ V
    residual = problem.X - scores @ V.T
    signal, rest = statistics.signal_scales**layer, statistics.residual_scale**layer
    if network.embedding_scale is not None:
        e, _ = embedded_growth(
            _modes(problem, network).values,
            blocks=network.blocks,
            block_scale=network.block_scale,
            embedding_scale=network.embedding_scale,
        )
        signal, rest = signal * np.sqrt(e), rest * network.embedding_scale
    features = (scores * signal) @ V.T + rest * residual
    return features @ features.T


def predict_residual(problem: Problem, network: ResidualSpec) -> LayerCurve:
    """Compression, discrimination, scatters and fuzziness after 0…m residual blocks (theory note, R1, R2; R6 to R8).

    The network is trained by gradient flow to `Y/α` from zero weights, or from those that the specification names. No
    constant is fitted. Layer 0 is the input, behind the embedding where there is one. None of this is in the papers:
    it was derived for this project.

    Returns:
        `LayerCurve` of layers 0…m.

    Raises:
        InvalidInputError: no direction to learn.
        NotApplicableError: a network or data that none of R1 and R6 to R8 covers, by the assumption that fails.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> curve = predict_residual(problem, ResidualSpec(depth=4))
    >>> curve.origin.statement, bool(np.allclose(np.diff(np.log(curve.compression), 2), 0))
    ('R1', True)
    """
    modes, data = _modes(problem, network), data_modes(problem)
    if network.classifier_scale > 0:
        curves = _random_classifier(problem, network, modes)
        statement = "R8"
    else:
        statistics = residual_statistics(problem, network)
        statement = statistics.statement
        curves = {
            "compression": compression(statistics),
            "discrimination": discrimination(statistics),
            "within_scatter": within_scatter(statistics),
            "between_scatter": between_scatter(statistics),
            "separation_fuzziness": separation_fuzziness(statistics),
        }
    return LayerCurve(
        layers=np.arange(network.depth),
        origin=Origin(
            kind="theory",
            statement=statement,
            reason=_REASONS[statement],
            samples=data.samples,
            classes=problem.classes,
            dtype="float64",
            further={
                "signal_directions": modes.directions,
                "truncated_directions": modes.truncated.tolist(),
                "labels_interpolated": data.interpolates,
                "dimension": data.dimension,
                "rank": data.rank,
                "network": network.to_dict(),
            },
        ),
        compression=curves["compression"],
        discrimination=curves["discrimination"],
        within_scatter=curves["within_scatter"],
        between_scatter=curves["between_scatter"],
        separation_fuzziness=curves.get("separation_fuzziness"),
    )


_REASONS = {
    "R1": "residual blocks and a classifier from zero",
    "R6": "residual blocks from zero behind a trained embedding",
    "R7": "two-matrix residual blocks, whitened data",
    "R8": "a classifier from random orthonormal rows, whitened data; exact as the dimension grows",
}


def _random_classifier(problem: Problem, network: ResidualSpec, modes: SignalModes) -> dict[str, np.ndarray]:
    """R8: the signal directions' images, and those of the classifier's rows among what is not signal."""
    if network.block != "one-matrix" or network.embedding_scale is not None:
        raise NotApplicableError(
            statement="R8", assumption="one-matrix blocks and no embedding", instead="simulate this network"
        )
    data = data_modes(problem)
    _require_white(data, "R8")
    if not data.interpolates:
        raise NotApplicableError(
            statement="R8",
            assumption="labels that a linear map fits (N ≤ d, or copies of samples)",
            instead="use a classifier from zero (R1), or simulate",
        )
    images = [
        random_classifier_images(
            float(value),
            blocks=network.blocks,
            block_scale=network.block_scale,
            classifier_scale=network.classifier_scale,
            span_share=(data.rank - modes.directions) / (data.dimension - modes.directions),
        )
        for value in modes.values
    ]
    lengths = np.sqrt(np.sum(np.array(images) ** 2, axis=2))  # (r, layers, 2)
    statistics = statistics_of_modes(
        problem,
        modes,
        statement="R8",
        layers=network.depth,
        signal_scales=np.ones(modes.directions),
        residual_scale=1.0,
        fitted=True,
        label_scale=network.label_scale,
    )
    within, between, C, D = np.empty((4, network.depth))
    mass = data.singular_values[0] ** 2 / data.samples
    for l in range(network.depth):
        at = replace(statistics, signal_scales=lengths[:, l, 0] ** (1 / max(l, 1)))
        grown = mass * float(np.sum(lengths[:, l, 1] ** 2 - 1))
        within[l] = within_scatter(statistics)[0] + grown
        between[l], D[l] = between_scatter(at)[l], discrimination(at)[l]
        C[l] = within[l] / between[l]
    return {"compression": C, "discrimination": D, "within_scatter": within, "between_scatter": between}


def _modes(problem: Problem, network: ResidualSpec) -> SignalModes:
    modes = fitted_modes(problem, label_scale=network.label_scale)
    if not modes.directions:
        raise InvalidInputError(
            got="inputs that no linear map tells apart",
            expected="at least one direction to learn",
            next_step="check that the inputs depend on the labels",
        )
    return modes


def _require_white(data: DataModes, statement: str) -> None:
    spread = float(data.singular_values[0] / data.singular_values[-1]) - 1
    if spread > _WHITE:
        raise NotApplicableError(
            statement=statement,
            assumption=f"whitened data (all singular values of X equal), measured {spread:.2g} apart",
            instead="use R1 with one-matrix blocks and a classifier from zero, which covers any data, or simulate",
        )
