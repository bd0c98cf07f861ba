"""Distances and norms of class means, which U3 and U4 need beside C and D."""

from __future__ import annotations

import torch

from pnc.measure.accumulate.moments import ClassMoments

__all__ = ["class_geometry"]


@torch.no_grad()
def class_geometry(moments: ClassMoments) -> dict[str, float]:
    """Five numbers of the class means (theory note, section 4), squared feature norm.

    `smallest_separation`: Δ² = min_{k≠k'} ‖μ_k - μ_k'‖²; `projected_separation`: the bracket of U4,
    min_{k≠k'} [‖μ_k - μ_k'‖² - tr Σ_W (1/p_k + 1/p_k')], which may be negative; `smallest_mean_square`: min_k ‖μ_k‖²;
    `mean_square`: Σ_k p_k ‖μ_k‖²; `largest_mean_square`: max_k ‖μ_k‖².

    Args:
        moments: every class must have a sample.

    >>> moments = ClassMoments(classes=2, dimension=1).update([[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1])
    >>> [class_geometry(moments)[name] for name in ("smallest_separation", "projected_separation", "mean_square")]
    [16.0, 12.0, 13.0]
    """
    means, p = moments.means, moments.counts.to(torch.float64) / moments.samples
    # differences, not a Gram matrix: two near means far from the origin keep their digits; a class at a time
    rows = [(means[k + 1 :] - means[k]).square().sum(1) for k in range(moments.classes - 1)]
    distances = torch.cat(rows)
    inverse = torch.cat([1 / p[k + 1 :] + 1 / p[k] for k in range(moments.classes - 1)])
    squares = means.square().sum(1)
    return {
        "smallest_separation": float(distances.min()),
        "projected_separation": float((distances - moments.within_scatter() * inverse).min()),
        "smallest_mean_square": float(squares.min()),
        "mean_square": float(p @ squares),
        "largest_mean_square": float(squares.max()),
    }
