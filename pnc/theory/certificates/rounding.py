"""Rounding of the certificate's sums, products and decompositions: docs/certificate.md, section 4."""

from __future__ import annotations

import numpy as np

__all__ = ["UNIT_ROUNDOFF", "gamma", "orthonormality_defect", "reduced_factor", "rounded_up", "spectral_norm_upper"]

UNIT_ROUNDOFF = 2.0**-53


def gamma(terms: int, roundoff: float = UNIT_ROUNDOFF) -> float:
    """γ_n = n u / (1 - n u), the relative error bound of an inner product of n terms (Higham, Lemma 3.1)."""
    product = terms * roundoff
    return product / (1 - product) if product < 1 else np.inf


def rounded_up(value: float | np.floating, operations: int) -> float:
    """Round a computed non-negative number up, past the error of the sums and products behind it."""
    return float(value * (1 + 2 * gamma(operations + 8)))


def orthonormality_defect(basis: np.ndarray) -> float:
    """Bound on ‖B - U‖_F with U exactly orthonormal: ‖BᵀB - I‖_F, as |σ - 1| <= |σ² - 1| for σ >= 0."""
    size = basis.shape[1]
    if size == 0:
        return 0.0
    defect = np.linalg.norm(basis.T @ basis - np.eye(size))
    defect += gamma(basis.shape[0] + 2) * np.linalg.norm(np.abs(basis).T @ np.abs(basis))
    return rounded_up(defect, basis.size)


def reduced_factor(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Triangular R and error e with ‖A - U R‖_F <= e for an exactly orthonormal U, checked after the fact."""
    q, r = np.linalg.qr(matrix)
    if r.size == 0:
        return r, 0.0
    error = np.linalg.norm(matrix - q @ r) + gamma(q.shape[1] + 2) * np.linalg.norm(np.abs(q) @ np.abs(r))
    error += UNIT_ROUNDOFF * np.linalg.norm(matrix) + orthonormality_defect(q) * np.linalg.norm(r)
    return r, rounded_up(error, matrix.size + r.size)


def spectral_norm_upper(matrix: np.ndarray) -> float:
    """Upper bound on the largest singular value, from a decomposition that is checked after the fact."""
    if matrix.size == 0:
        return 0.0
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    scaled = s[:, None] * vt
    gap = np.linalg.norm(matrix - u @ scaled) + gamma(s.size + 4) * np.linalg.norm(np.abs(u) @ np.abs(scaled))
    gap += UNIT_ROUNDOFF * np.linalg.norm(matrix)
    return rounded_up(s.max() * (1 + orthonormality_defect(u)) * (1 + orthonormality_defect(vt.T)) + gap, matrix.size)
