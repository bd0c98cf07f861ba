"""RL6: ReLU networks under the approximation that pre-activations are Gaussian within each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pnc.curves import LayerCurve, Origin
from pnc.errors import InvalidInputError

__all__ = ["gaussian_gates", "memorisation", "rectified_gaussian"]

_ORDER = 12  # of Mehler's series, which the correlations' powers make short


def rectified_gaussian(
    mean: Float[np.ndarray, " ..."], variance: Float[np.ndarray, " ..."]
) -> tuple[Float[np.ndarray, " ..."], Float[np.ndarray, " ..."]]:
    """Mean and variance of `max(z, 0)` for a Gaussian z (theory note, RL6; exact).

        t = m/√v:   E z₊ = √v (tΦ(t) + φ(t)),     Var z₊ = v((1 + t²)Φ(t) + tφ(t)) - (E z₊)²

    Args:
        mean: m.
        variance: v, of 0 or more.

    Raises:
        InvalidInputError: a negative variance.

    >>> mean, variance = rectified_gaussian(np.array([0.0, 3.0]), np.array([1.0, 0.0]))
    >>> mean.round(6).tolist(), variance.round(6).tolist()
    ([0.398942, 3.0], [0.340845, 0.0])
    """
    from scipy.special import ndtr  # keeps `import pnc` light

    m, v = np.asarray(mean, dtype=float), np.asarray(variance, dtype=float)
    if np.any(v < 0):
        raise InvalidInputError(
            got=f"a variance of {v.min():.3g}", expected="0 or more", next_step="pass within-class variances"
        )
    spread = np.sqrt(v)
    t = np.divide(m, spread, out=np.zeros_like(m), where=spread > 0)
    density, below = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi), ndtr(t)
    first = np.where(spread > 0, spread * (t * below + density), np.maximum(m, 0))
    # about the shut or the open side, whichever is nearer: no difference of large numbers for t far above 0
    shut = ndtr(-t)
    lost = density - t * shut  # E (t + x)₋
    second_lost = (1 + t**2) * shut - t * density
    open_ = 1 - 2 * (t * lost + second_lost) + second_lost - lost**2
    closed = (1 + t**2) * below + t * density - (t * below + density) ** 2
    return first, v * np.maximum(np.where(t > 0, open_, closed), 0)


def gaussian_gates(
    weights: Sequence[Float[np.ndarray, "_ _"]],
    biases: Sequence[Float[np.ndarray, " _"] | None],
    X: Float[np.ndarray, "N d"],
    y: Int[np.ndarray, " N"],
) -> LayerCurve:
    """C_l and D_l of a ReLU network from its weights and the class moments of its input (theory note, RL6).

    **An approximation, not a law:** within each class the pre-activations of every layer are taken for jointly
    Gaussian. Means and variances then follow unit by unit (`rectified_gaussian`), covariances by Mehler's series.
    Before training C_l is right to 6 %. On held-out images of MLPs fitted to 1,000 images the law is 0.70–1.06 of
    C_l, the worse the deeper. On their *training* images it is 4 times too large at the fifth layer: they collapse
    single samples beyond what class moments know (see `memorisation`).

    Args:
        weights: of the hidden layers, (out, in) each, the first first; a ReLU follows each.
        biases: of the same layers; `None` where there is none.
        X: (N, d) samples: only their class means and covariances are used.
        y: (N,) integer labels 0…K-1, every class present.

    Returns:
        Layers 0…: the input, and each hidden layer after its ReLU.

    Raises:
        InvalidInputError: shapes that do not fit together.

    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((400, 5)) + np.repeat(np.eye(5)[:2], 200, axis=0), np.repeat([0, 1], 200)
    >>> W = rng.standard_normal((30, 5))
    >>> Z = np.maximum(X @ W.T, 0)
    >>> within = sum(Z[y == k].var(axis=0).sum() for k in (0, 1)) / 2
    >>> bool(abs(gaussian_gates([W], [None], X, y).within_scatter[1] / within - 1) < 0.05)
    True
    """
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    sizes = [X.shape[-1], *(np.shape(W)[0] for W in weights)]
    fits = X.ndim == 2 and y.shape == X.shape[:1] and y.size > 0 and len(biases) == len(weights) > 0
    fits = fits and all(np.shape(W) == (b, a) for W, a, b in zip(weights, sizes, sizes[1:]))
    fits = fits and all(b is None or np.shape(b) == np.shape(W)[:1] for W, b in zip(weights, biases))
    if not fits or y.min() < 0 or not np.bincount(y).all():
        raise InvalidInputError(
            got=f"weights {[np.shape(W) for W in weights]}, {len(biases)} biases, samples {X.shape}, labels {y.shape}",
            expected="(out, in) matrices that follow one another from (N, d) samples, a bias each, labels 0…K-1",
            next_step="pass the hidden layers only, and number the classes from 0",
        )
    K = int(y.max()) + 1
    shares = np.bincount(y) / y.size
    means = np.stack([X[y == k].mean(axis=0) for k in range(K)])
    roots = [(X[y == k] - means[k]) / np.sqrt(np.sum(y == k)) for k in range(K)]
    covariances = [root.T @ root for root in roots]
    rows = [_moments(means, covariances, shares)]
    for W, b in zip(weights, biases):
        means = means @ np.asarray(W, dtype=float).T + (0.0 if b is None else np.asarray(b, dtype=float))
        passed = [_rectified_moments(mean, W @ S @ W.T) for mean, S in zip(means, covariances)]
        means, covariances = np.stack([mean for mean, _ in passed]), [S for _, S in passed]
        rows.append(_moments(means, covariances, shares))
    within, between, angles = np.array(rows).T
    return LayerCurve(
        layers=np.arange(len(rows)),
        compression=within / between,
        discrimination=angles,
        within_scatter=within,
        between_scatter=between,
        origin=Origin(
            kind="theory",
            statement="RL6",
            samples=int(y.size),
            classes=K,
            remarks=("an approximation: Gaussian gates",),
        ),
    )


def _rectified_moments(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance after ReLU: `√(v_i v_j) Σ_k a_k(t_i) a_k(t_j) ρ^k/k!`, a_k the k-th derivative's mean."""
    from scipy.special import ndtr  # keeps `import pnc` light

    variance = np.maximum(np.diag(covariance), 0)
    first, second = rectified_gaussian(mean, variance)
    spread = np.sqrt(variance)
    t = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    scale = np.where(spread > 0, spread, 1)
    ρ = covariance / scale[:, None] / scale
    density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
    # a_1 = Φ, a_2 = φ, a_k = (-1)^k He_{k-2}(t) φ; a_k/√k! by the three-term recursion of He_k/√k!
    hermite, next_hermite = np.ones_like(t), t.copy()
    power, total = ρ.copy(), np.outer(ndtr(t), ndtr(t)) * ρ
    for k in range(2, _ORDER + 1):
        power *= ρ
        a = hermite * density / np.sqrt(k * (k - 1))  # He_{k-2}/√(k-2)! over √(k(k-1)) is He_{k-2}/√k!
        total += np.outer(a, a) * power
        hermite, next_hermite = next_hermite, (t * next_hermite - np.sqrt(k - 1) * hermite) / np.sqrt(k)
    total *= spread[:, None] * spread
    total[np.diag_indices_from(total)] = second
    return first, total


def _moments(means: np.ndarray, covariances: list[np.ndarray], shares: np.ndarray) -> tuple[float, float, float]:
    within = float(shares @ [np.trace(S) for S in covariances])
    between = float(shares @ np.sum((means - shares @ means) ** 2, axis=1))
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    cosines = (means / np.where(norms > 0, norms, np.nan)) @ (means / np.where(norms > 0, norms, np.nan)).T
    cosines[np.diag_indices_from(cosines)] = -np.inf
    return within, between if between > 0 else float("nan"), 1 - float(cosines.max())


def memorisation(
    training: LayerCurve, training_law: LayerCurve, held_out: LayerCurve, held_out_law: LayerCurve
) -> Float[np.ndarray, " layers"]:
    """How much more a layer compresses training samples than their class moments explain (theory note, RL6).

        (C_law/C)(training) / (C_law/C)(held out),     C_law from `gaussian_gates` of the same samples' moments

    1: training samples are treated as new ones. A network that fits single samples makes them tighter than any
    network could that knows their class's moments only, so the quotient grows. The quotient is exact; that it measures
    memorisation is an interpretation, tested on networks with shuffled labels.

    Args:
        training, held_out: measured after every hidden ReLU, the input first.
        training_law, held_out_law: `gaussian_gates` on the same samples.

    Raises:
        InvalidInputError: curves of different layers.

    >>> from dataclasses import replace
    >>> law = gaussian_gates([np.eye(2)], [None], np.array([[0.0, 1], [0, 2], [2, 0], [1, 0]]), np.array([0, 0, 1, 1]))
    >>> memorisation(law, law, law, law).tolist()
    [1.0, 1.0]
    """
    curves = (training, training_law, held_out, held_out_law)
    if any(curve.layers.tolist() != training.layers.tolist() for curve in curves):
        raise InvalidInputError(
            got=f"layers {[curve.layers.tolist() for curve in curves]}",
            expected="the same layers four times",
            next_step="measure the hidden layers after their activations",
        )
    return (training_law.compression / training.compression) / (held_out_law.compression / held_out.compression)
