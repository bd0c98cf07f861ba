"""The assumptions that statements name, in the words of the proofs, and where the package measures each.

`measured_by` names the attribute of `pnc.theory.assumptions` that says how far given data or weights are from it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "A1",
    "A2",
    "A3",
    "ALL",
    "BALANCE",
    "ENTRYWISE",
    "EQUAL_CLASSES",
    "INVERTIBLE",
    "SIGNAL",
    "SPECTRAL",
    "WIDE",
    "Assumption",
]


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A named hypothesis.

    Args:
        name: short.
        text: exactly what is assumed.
        measured_by: `class.attribute` in `pnc.theory.assumptions`, or empty where it is a property of the spec.
    """

    name: str
    text: str
    measured_by: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


A1 = Assumption(
    name="A1 (minimum norm)",
    text="W_{L:1} = M = (Y/α) X⁺ as matrices (its rows lie in span X)",
    measured_by="WeightAssumptions.map_error",
)
A2 = Assumption(
    name="A2 (balance, one-sided)",
    text="(W_{l+1}ᵀW_{l+1} - W_lW_lᵀ) W_{l:1} = 0 for l ≤ L-2, and (W_LᵀW_L - W_{L-1}W_{L-1}ᵀ) W_{L-1:1} V = 0, "
    "V the row space of M",
    measured_by="WeightAssumptions.imbalance",
)
A3 = Assumption(
    name="A3 (low rank)",
    text="apart from the signal, every singular value of W_1 is ε (the other W_l follow by A2)",
    measured_by="WeightAssumptions.residual_interval",
)
BALANCE = Assumption(
    name="balance",
    text="(W_{l+1}ᵀW_{l+1} - W_lW_lᵀ) W_{l:1} = 0 for 1 ≤ l ≤ L-2; nothing about convergence or spectra",
    measured_by="WeightAssumptions.imbalance",
)
INVERTIBLE = Assumption(
    name="G invertible",
    text="the samples are linearly independent (N ≤ d)",
    measured_by="DataAssumptions.gram_invertible",
)
SIGNAL = Assumption(name="signal", text="M has full row rank K, every s_k > 0")
WIDE = Assumption(name="d_h ≥ d", text="no layer is narrower than the input")
SPECTRAL = Assumption(name="θ, spectral", text="‖G - I‖₂ ≤ θ < 1", measured_by="DataAssumptions.theta_spectral")
ENTRYWISE = Assumption(name="θ, entrywise", text="|G_ij - δ_ij| ≤ θ/N", measured_by="DataAssumptions.theta_entrywise")
EQUAL_CLASSES = Assumption(name="equal classes", text="n samples in each class", measured_by="DataAssumptions.balanced")

ALL = (A1, A2, A3, BALANCE, INVERTIBLE, SIGNAL, WIDE, SPECTRAL, ENTRYWISE, EQUAL_CLASSES)
