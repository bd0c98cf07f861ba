"""The assumptions on the full matrices, as the paper checks them, without ever forming a full hidden matrix.

A1–A3 ask for what is reachable from the data. The paper's own checks take whole matrices: ‖W_{L:1} - M‖_F on every
input, imbalance on every hidden direction, singular values by their place in the list. What the exact reduction (Y2)
leaves out of them is known: outside the reduced coordinates a hidden matrix is still ε times an isometry, and W_1 is ε
times one on the complement of the data. Only how that complement meets the classifier's rows is random; it comes from
the same draw as in full coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy.linalg
from jaxtyping import Float

from pnc.data import Problem
from pnc.simulate.economical import economical
from pnc.simulate.initial import classifier_overlap
from pnc.simulate.run import Simulation

__all__ = ["FullChecks", "full_checks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FullChecks:
    """A1–A3 of the full weight matrices.

    Args:
        map_error: ‖W_{L:1} - M‖_F, in labels per feature, on the data's span and off it.
        imbalance: (L-1,) ‖W_{l+1}ᵀW_{l+1} - W_lW_lᵀ‖_F / ‖W_l‖_F, l = 1…L-1.
        residual_variance: (L-1,) variance of σ_i(W_l), K+1 ≤ i ≤ d-K, l = 1…L-1; NaN where there is no such i.
    """

    map_error: float
    imbalance: Float[np.ndarray, " H"]
    residual_variance: Float[np.ndarray, " H"]


def full_checks(run: Simulation, problem: Problem) -> FullChecks | None:
    """The checks of a trained network; `None` for reduced coordinates that do not determine them.

    They do where the initial weights are orthogonal and no narrower than the inputs.

    >>> from pnc.simulate import simulate
    >>> from pnc.spec import NetworkSpec, SimulationSpec
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> network = NetworkSpec(depth=3, width=20)
    >>> found = [
    ...     full_checks(simulate(problem, network, SimulationSpec(coordinates=c)), problem) for c in ("reduced", "full")
    ... ]
    >>> bool(np.isclose(found[0].map_error, found[1].map_error, rtol=1e-3))  # two integrators, each to its tolerance
    True
    """
    network, train = run.network, run.train
    K, d = problem.classes, problem.dimension
    data = economical(problem, network)
    target = data.target / data.scale  # M on the span
    if train.coordinates == "full":
        product = np.linalg.multi_dot(run.weights[::-1])
        return FullChecks(
            map_error=float(np.linalg.norm(product - target @ data.basis.T)),
            imbalance=np.array(
                [
                    np.linalg.norm(b.T @ b - a @ a.T) / np.linalg.norm(a)
                    for a, b in zip(run.weights[:-1], run.weights[1:], strict=True)
                ]
            ),
            residual_variance=_variances([_singular_values(w) for w in run.weights[:-1]], K, d),
        )
    width = network.stated_width
    if train.weights != "orthogonal" or width < d:
        return None
    weights, _ = run.written_out()
    ε, m, r = network.residual_scale, data.scale.size, weights[0].shape[0]
    off, rest = d - m, width - r  # inputs off the span, hidden directions outside the reduced coordinates
    overlap = classifier_overlap(data, network, seed=train.seed)  # (p, d - m)
    after = np.linalg.multi_dot([*weights[:0:-1], np.eye(r)])  # W_{L:2}
    on_span = after @ weights[0] - target
    off_span = after[:, m:] @ (ε * overlap)

    squares = []
    for l, (a, b) in enumerate(zip(weights[:-1], weights[1:], strict=True), start=1):
        difference = b.T @ b - a @ a.T
        square = np.sum(difference**2)
        first, last = l == 1, l == network.depth - 1
        if first:  # W_1W_1ᵀ is ε² on the image of the complement, which overlaps the reduced coordinates
            square += ε**4 * off - 2 * ε**2 * np.sum((difference[m:, m:] @ overlap) * overlap)
        if first and not last:  # W_2ᵀW_2 is ε² outside the reduced coordinates
            square += ε**4 * (rest - 2 * off + 2 * np.sum(overlap**2))
        if last and not first:  # W_LᵀW_L is 0 there
            square += ε**4 * rest
        norm = np.sum(a**2) + ε**2 * (off if first else rest)
        squares.append(max(square, 0.0) / norm)

    shares, directions = np.linalg.eigh(np.eye(off) - overlap.T @ overlap)
    root = np.sqrt(np.maximum(shares, 0))[:, None] * directions.T  # what is left of W_1 outside the reduced coordinates
    first = np.zeros((r + off, d))
    first[:r, :m], first[m:r, m:], first[r:, m:] = weights[0], ε * overlap, ε * root
    values = [_singular_values(first)]
    for w in weights[1:-1]:
        values.append(np.sort(np.concatenate([_singular_values(w), np.full(rest, ε)]))[::-1])
    return FullChecks(
        map_error=float(np.sqrt(np.sum(on_span**2) + np.sum(off_span**2))),
        imbalance=np.sqrt(squares),
        residual_variance=_variances(values, K, d),
    )


def _singular_values(matrix: np.ndarray) -> Float[np.ndarray, " k"]:
    # SciPy states no type, and what it is read as holds all that `svd` may return
    return cast("np.ndarray", scipy.linalg.svdvals(matrix))


def _variances(values: list[np.ndarray], classes: int, dimension: int) -> Float[np.ndarray, " H"]:
    chosen = [v[classes : dimension - classes] for v in values]
    return np.array([v.var() if v.size else np.nan for v in chosen])
