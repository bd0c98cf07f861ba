"""RL2: a trained ReLU network's C_l and D_l from training one point a class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pnc.curves import LayerCurve, Origin
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.rectified.layer_laws import gate_share, rectified_within_ratio

__all__ = ["RectifiedPrediction", "predict_rectified"]

_ARC = 0.03  # longest step of all weights together: far shorter than any of their norms
_STEP = 0.05  # longest step in time, for class means of norm 1
_FITTED = 1e-6  # of the squared error, relative to the targets'


@dataclass(frozen=True, kw_only=True, eq=False)
class RectifiedPrediction:
    """What RL2 predicts of a trained ReLU network.

    Args:
        curve: layers 0…L-1 after the activation, the mean over draws (of log tr Σ_W and log tr Σ_B, and of D_l).
        draws: the curve of each draw of the initial weights; they differ by a few per cent.
        open_shares: (L-1, K) share of the neurons of layers 1…L-1 that each class's mean switches on, mean over draws.
    """

    curve: LayerCurve
    draws: tuple[LayerCurve, ...]
    open_shares: Float[np.ndarray, "hidden K"]


def predict_rectified(
    X: Float[np.ndarray, "N d"],
    y: Int[np.ndarray, " N"],
    *,
    depth: int,
    width: int,
    residual_scale: float,
    draws: int = 3,
    seed: int = 0,
    most_steps: int = 20_000,
) -> RectifiedPrediction:
    """C_l and D_l of a ReLU network trained to zero squared error, from its class means alone (theory note, RL2).

        tr Σ_B, D_l, q_l of a network trained on the K class means;   tr Σ_W^l = ε² q_l tr Σ_W^{l-1}  (RL1)

    No biases, initial weights ε times orthogonal, one-hot targets, no weight decay. Training K points takes seconds; no
    closed form is known, for without decay D_l tends neither to 1 nor to any constant. On clusters, depth 3, tr Σ_B
    grows a layer as predicted to 3 %, D_l is right to 0.05, C_l to 20 % where the clusters are narrow (s = 0.3) and to
    33 % where they are not (s = 0.6): gates are then less constant within a class. Fails where samples are not fitted
    along their deviations from the class mean, and at layer 1 on orthogonal samples (RL3), as RL1 does.

    Args:
        X: (N, d) samples.
        y: (N,) integer labels 0…K-1, every class present.
        depth: L, weight matrices.
        width: of the hidden layers.
        residual_scale: ε.
        draws: initial weights that the K points are trained from.
        seed: of the first draw.
        most_steps: of descent.

    Raises:
        InvalidInputError: numbers out of range, labels that do not fit, or a width below the number of classes.
        NotApplicableError: descent that has not fitted the class means: too small weights, or none that leads there.

    >>> X = np.repeat(np.eye(2), 2, axis=0) + 0.1 * np.eye(4)[:, [2, 3]] @ np.array([[1.0, -1], [-1, 1]])
    >>> law = predict_rectified(X, np.array([0, 0, 1, 1]), depth=2, width=20, residual_scale=0.5)
    >>> bool(law.curve.compression[1] < law.curve.compression[0]), law.open_shares.shape
    (True, (1, 2))
    """
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    if X.ndim != 2 or y.shape != X.shape[:1] or y.size == 0 or y.min() < 0 or not np.bincount(y).all():
        raise InvalidInputError(
            got=f"samples of shape {X.shape} and labels of shape {y.shape}",
            expected="(N, d) and (N,), labels 0…K-1 with every class present",
            next_step="flatten the samples and number the classes from 0",
        )
    counts = np.bincount(y)
    K, d = counts.size, X.shape[1]
    usable = depth >= 2 and width >= K >= 2 and math.isfinite(residual_scale) and residual_scale > 0
    if not usable or draws < 1:
        raise InvalidInputError(
            got=f"depth = {depth}, width = {width}, residual_scale = {residual_scale}, {K} classes, draws = {draws}",
            expected="depth 2 or more, at least as many units as classes, at least 2 classes, a scale above 0, a draw",
            next_step="describe a network with a hidden layer",
        )
    shares = counts / counts.sum()
    means = np.stack([X[y == k].mean(axis=0) for k in range(K)])
    scatters = np.array([np.sum((X[y == k] - means[k]) ** 2) for k in range(K)]) / y.size
    # an orthonormal basis of the means' span: nothing else of the inputs is met
    basis, coordinates = np.linalg.qr(means.T)
    curves, opened = [], []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        weights = [
            residual_scale * _orthogonal(width, d, rng) @ basis,
            *(residual_scale * _orthogonal(width, width, rng) for _ in range(depth - 2)),
            residual_scale * _orthogonal(K, width, rng),
        ]
        features = _trained(weights, coordinates.T, shares, most_steps)
        curve, open_shares = _curve(features, shares, scatters, residual_scale, min(1.0, width / d))
        curves.append(curve)
        opened.append(open_shares)
    return RectifiedPrediction(curve=_mean(curves), draws=tuple(curves), open_shares=np.mean(opened, axis=0))


def _orthogonal(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def _trained(weights: list[np.ndarray], points: np.ndarray, shares: np.ndarray, most_steps: int) -> list[np.ndarray]:
    """Features of every layer, (K, width) each, once the K points are fitted; the weights are changed in place."""
    K = len(points)
    targets, loss = np.eye(K), math.inf
    longest = _STEP / float(np.max(shares) * np.max(np.sum(points**2, axis=1)))
    for _ in range(most_steps):
        features, pre = [points], []
        for W in weights[:-1]:
            pre.append(features[-1] @ W.T)
            features.append(np.maximum(pre[-1], 0))
        pull = (features[-1] @ weights[-1].T - targets) * shares[:, None]
        loss = float(np.sum(pull**2 / shares[:, None]))
        if loss < _FITTED:
            return features
        pulls = [pull]
        for W, before in zip(weights[:0:-1], pre[::-1]):
            pulls.append((pulls[-1] @ W) * (before > 0))
        pulls.reverse()
        # ‖δᵀz‖² = tr(δδᵀ zzᵀ): K × K matrices in place of the gradient
        square = sum(float(np.sum((p @ p.T) * (z @ z.T))) for p, z in zip(pulls, features))
        step = min(longest, _ARC / math.sqrt(square))
        for W, p, z in zip(weights, pulls, features):
            W -= (step * p).T @ z
    raise NotApplicableError(
        statement="RL2",
        assumption=f"class means that descent fits, squared error {loss:.2g} after {most_steps} steps",
        instead="raise `residual_scale` or `most_steps`",
    )


def _curve(
    features: list[np.ndarray], shares: np.ndarray, scatters: np.ndarray, scale: float, kept: float
) -> tuple[LayerCurve, np.ndarray]:
    """The curve by RL1; a wide input meets only `kept` of its dimensions in the first layer."""
    K = len(shares)
    opened = np.array([np.mean(z > 0, axis=1) for z in features[1:]])
    within, per_class = [float(scatters.sum())], scatters
    for layer, q in enumerate(opened):
        factor = kept if layer == 0 else 1.0
        share = gate_share(per_class, q) if within[-1] > 0 else 0.0
        within.append(within[-1] * factor * rectified_within_ratio(scale, share))
        per_class = per_class * factor * scale**2 * q
    between = [float(shares @ np.sum((z - shares @ z) ** 2, axis=1)) for z in features]
    angles = []
    for z in features:
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        cosines = unit @ unit.T
        cosines[np.eye(K, dtype=bool)] = -np.inf
        angles.append(1 - float(cosines.max()))
    origin = Origin(kind="theory", statement="RL2", classes=K)
    return _as_curve(np.array(within), np.array(between), np.array(angles), origin), opened


def _as_curve(within: np.ndarray, between: np.ndarray, angles: np.ndarray, origin: Origin) -> LayerCurve:
    return LayerCurve(
        layers=np.arange(len(within)),
        compression=within / between,
        discrimination=angles,
        within_scatter=within,
        between_scatter=between,
        origin=origin,
    )


def _mean(curves: list[LayerCurve]) -> LayerCurve:
    # scatters of draws differ by factors
    between = np.exp(np.mean(np.log([curve.between_scatter for curve in curves]), axis=0))
    with np.errstate(divide="ignore"):
        within = np.exp(np.mean(np.log([curve.within_scatter for curve in curves]), axis=0))
    angles = np.mean([curve.discrimination for curve in curves], axis=0)
    return _as_curve(within, between, angles, curves[0].origin)
