"""N1: what the layers of a wide network with independent random weights do to the classes, for any data.

| what | file |
|---|---|
| the description of a network's layers, weights by their variance | `architecture` |
| `E[φ(u)φ(v)]` of Gaussian pre-activations, for each activation | `duals` |
| the kernel of every layer: dense, convolutional, pooled, residual | `kernels` |
| the first correction in 1/width and the spread over draws | `finite_width` |
| all of it as a `LayerCurve` with intervals | `predict` |
"""

from pnc.theory.initialisation.architecture import (
    Activation,
    Average,
    Convolution,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Named,
    Residual,
    Scale,
)
from pnc.theory.initialisation.duals import ACTIVATIONS, dual_moment
from pnc.theory.initialisation.finite_width import FiniteWidth, finite_width
from pnc.theory.initialisation.kernels import kernels, needs_sampling
from pnc.theory.initialisation.predict import InitialPrediction, predict_initialisation

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Average",
    "Convolution",
    "Dense",
    "FiniteWidth",
    "Flatten",
    "InitialPrediction",
    "Layer",
    "MaxPool",
    "Named",
    "Residual",
    "Scale",
    "dual_moment",
    "finite_width",
    "kernels",
    "needs_sampling",
    "predict_initialisation",
]
