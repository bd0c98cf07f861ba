"""One line each for what a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnc.cli.output import number
from pnc.data import Inputs
from pnc.spec import NetworkSpec, SimulationSpec, VariantSpec
from pnc.theory import measure_data

if TYPE_CHECKING:
    from pnc.simulate import UsedCoordinates

__all__ = ["describe_network", "describe_problem", "describe_training", "describe_variant"]


def describe_problem(problem: Inputs) -> str:
    """Sizes, θ, and the notes of the problem."""
    data = measure_data(problem)
    counts = problem.counts
    sizes = f"n = {counts[0]}" if problem.balanced else f"n = {counts.min()}…{counts.max()}"
    text = f"problem: {problem.name}, K = {problem.classes}, {sizes}, N = {problem.samples}, d = {problem.dimension}"
    if data.gram_invertible:
        text += f", θ = {number(data.theta_entrywise, 3)} (spectral {number(data.theta_spectral, 3)})"
    else:
        text += f", rank {data.rank}"
    scale = problem.provenance.get("scale") or problem.provenance.get("preprocessing", {}).get("scale")
    if isinstance(scale, str):
        text += f", scale {scale}"
    return "\n".join([text, *(f"note: {note}" for note in problem.notes)])


def describe_network(network: NetworkSpec) -> str:
    """Depth, width, ε and α."""
    width = "any width ≥ d" if network.width is None else f"width {network.width}"
    return (
        f"network: L = {network.depth}, {width}, ε = {number(network.residual_scale)}, "
        f"α = {number(network.label_scale)}"
    )


def describe_variant(variant: VariantSpec) -> str:
    """Skip connections, loss, weight decay."""
    parts = []
    if variant.skip is not None:
        blocks = {"one-matrix": "I + βW", "two-matrix": "I + βW₂W₁", "two-matrix-symmetric": "I + βW₂W₁, W₁ = W₂ᵀ"}
        parts.append(f"residual blocks {blocks[variant.block]}, β = {number(variant.skip)}")
        if variant.embedding is not None:
            parts.append(f"embedding γ = {number(variant.embedding)}")
        start = "zero" if variant.classifier == 0 else f"{number(variant.classifier)} × random orthonormal rows"
        parts.append(f"classifier from {start}")
    if variant.skip is None or variant.loss != "mse":
        parts.append({"mse": "squared error", "cross-entropy": "cross-entropy"}[variant.loss])
    if variant.weight_decay:
        parts.append(f"weight decay λ = {number(variant.weight_decay)}")
    return "variant: " + ", ".join(parts)


def describe_training(train: SimulationSpec, *, device: str, coordinates: UsedCoordinates, sizes: str) -> str:
    """Initial weights, engine, coordinates and their size, device."""
    held = f"{coordinates.kind} coordinates ({sizes})"
    if coordinates.kind == "krylov":
        held = (
            f"Krylov coordinates ({coordinates.dimensions} of {coordinates.of} dimensions, "
            f"{number(coordinates.cut_off, 2)} of the update cut off)"
        )
    return f"training: {train.weights} weights, {train.engine}, {held}, {train.dtype} on {device}, seed {train.seed}"
