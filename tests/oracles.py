"""Slow, independent answers: loops over samples in plain NumPy, and the same in 50-digit arithmetic.

Nothing here imports `pnc.theory` or `pnc.measure`; a formula is written out from its definition, sample by
sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import mpmath as mp
import numpy as np

DIGITS = 50


@dataclass(frozen=True)
class Measured:
    """What a layer shows, measured by loops."""

    within_scatter: float
    between_scatter: float
    compression: float
    discrimination: float
    separation_fuzziness: float


def features_of_layers(weights, X):
    """Z_0…Z_{L-1} (N, d_l) by applying one weight matrix after another."""
    layers = [np.asarray(X, dtype=np.float64)]
    for W in weights[:-1]:
        layers.append(layers[-1] @ np.asarray(W).T)
    return layers


def measure_layer(Z, y, *, mean_rank=None) -> Measured:
    """C, D, both scatters and tr(Σ_W Σ_B⁺) of features Z (N, d) by the definitions, one sample at a time.

    `mean_rank`: the rank of Σ_B, min(K-1, d) unless the class means are known to be degenerate.
    """
    Z, y = np.asarray(Z, dtype=np.float64), np.asarray(y)
    classes = sorted({int(label) for label in y})
    N = len(y)
    means = {}
    for k in classes:
        members = [Z[i] for i in range(N) if y[i] == k]
        means[k] = sum(members[1:], members[0].copy()) / len(members)
    overall = sum((Z[i] for i in range(1, N)), Z[0].copy()) / N
    within = 0.0
    for i in range(N):
        deviation = Z[i] - means[int(y[i])]
        within += float(deviation @ deviation) / N
    between = 0.0
    for k in classes:
        deviation = means[k] - overall
        between += float(deviation @ deviation) * sum(1 for label in y if label == k) / N
    cosines = [
        float(means[a] @ means[b]) / float(np.linalg.norm(means[a]) * np.linalg.norm(means[b]))
        for a in classes
        for b in classes
        if a != b
    ]
    # tr(Σ_W Σ_B⁺): within over between variance, summed over the principal axes of the class means
    rows = np.array([np.sqrt(np.mean(y == k)) * (means[k] - overall) for k in classes])
    _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
    fuzziness = 0.0
    for j in range(min(len(classes) - 1, Z.shape[1]) if mean_rank is None else mean_rank):
        along = 0.0
        for i in range(N):
            along += float((Z[i] - means[int(y[i])]) @ axes[j]) ** 2 / N
        fuzziness += along / sizes[j] ** 2
    return Measured(
        within_scatter=within,
        between_scatter=between,
        compression=within / between if between > 0 else float("nan"),
        discrimination=1 - max(cosines),
        separation_fuzziness=fuzziness,
    )


# --- 50 digits ---


def _matrix(array) -> mp.matrix:
    return mp.matrix(np.asarray(array, dtype=np.float64).tolist())


def _orthogonal(rng, size: int) -> mp.matrix:
    """An orthogonal matrix to 50 digits: Gram–Schmidt, twice, of Gaussian columns."""
    columns = [mp.matrix(list(map(mp.mpf, rng.standard_normal(size)))) for _ in range(size)]
    return _gram_schmidt(columns, size)


def _gram_schmidt(columns, size: int) -> mp.matrix:
    basis = []
    for column in columns:
        for _ in range(2):
            for b in basis:
                column = column - b * (b.T * column)[0]
        basis.append(column / mp.sqrt((column.T * column)[0]))
    out = mp.matrix(size, len(basis))
    for j, b in enumerate(basis):
        for i in range(size):
            out[i, j] = b[i]
    return out


def exact_weights_50_digits(X, y, *, depth, residual_scale, label_scale, width, seed):
    """W_1…W_L that satisfy A1–A3 to 50 digits, with the rows Π of W_1's residual; every direction of M is
    signal.

    M from the normal equations (of whichever of X, Xᵀ has full column rank), its modes from an
    eigendecomposition of M Mᵀ: another road than the library's singular value decompositions.
    """
    mp.mp.dps = DIGITS
    rng = np.random.default_rng(seed)
    N, d = np.asarray(X).shape
    K = int(max(y)) + 1
    columns = _matrix(X).T  # (d, N), as the theory note writes it
    labels = mp.matrix(K, N)
    for i in range(N):
        labels[int(y[i]), i] = 1 / mp.mpf(label_scale)
    if d >= N:
        M = labels * mp.inverse(columns.T * columns) * columns.T
    else:
        M = labels * columns.T * mp.inverse(columns * columns.T)
    squares, left = mp.eigsy(M * M.T)
    order = sorted(range(K), key=lambda i: -squares[i])
    r = min(K, d)
    s = [mp.sqrt(squares[i]) for i in order[:r]]
    U = mp.matrix(K, r)
    for j, i in enumerate(order[:r]):
        for k in range(K):
            U[k, j] = left[k, i]
    V = M.T * U
    signal_columns = [V[:, j] / s[j] for j in range(r)]
    rows = min(width, d)
    fillers = [mp.matrix(list(map(mp.mpf, rng.standard_normal(d)))) for _ in range(rows - r)]
    basis = _gram_schmidt(signal_columns + fillers, d)  # signal first, then a random part of its complement
    ε = mp.mpf(residual_scale)
    scales = [value ** (mp.mpf(1) / depth) for value in s]
    middle = mp.diag(scales + [ε] * (width - r))
    rotation = _orthogonal(rng, width)
    weights = [rotation[:, :rows] * mp.diag(scales + [ε] * (rows - r)) * basis.T]
    for _ in range(depth - 2):
        turned = _orthogonal(rng, width)
        weights.append(turned * middle * rotation.T)
        rotation = turned
    weights.append(U * mp.diag(scales) * rotation[:, :r].T)
    projection = np.array([[float(basis[i, j]) for i in range(d)] for j in range(r, rows)]).reshape(rows - r, d)
    return weights, projection


def measure_layers_50_digits(weights, X, y) -> list[Measured]:
    """C, D, scatters and fuzziness of layers 0…L-1 to 50 digits, returned as floats."""
    mp.mp.dps = DIGITS
    y = [int(label) for label in y]
    K, N = max(y) + 1, len(y)
    counts = [y.count(k) for k in range(K)]
    Z = _matrix(X).T
    results = []
    for W in weights:
        size = Z.rows
        means = []
        for k in range(K):
            mean = mp.matrix(size, 1)
            for i in range(N):
                if y[i] == k:
                    mean += Z[:, i] / counts[k]
            means.append(mean)
        overall = mp.matrix(size, 1)
        for k in range(K):
            overall += means[k] * counts[k] / N
        deviations = [Z[:, i] - means[y[i]] for i in range(N)]
        within = sum((v.T * v)[0] for v in deviations) / N
        offsets = [(means[k] - overall) * mp.sqrt(mp.mpf(counts[k]) / N) for k in range(K)]
        between = sum((v.T * v)[0] for v in offsets)
        norms = [mp.sqrt((m.T * m)[0]) for m in means]
        top = max((means[a].T * means[b])[0] / (norms[a] * norms[b]) for a in range(K) for b in range(K) if a != b)
        # Σ_B = Φ Φᵀ with Φ (size, K): its pseudo-inverse through the K × K Gram matrix, whose null vector is
        # √p
        gram = mp.matrix(K, K)
        for a in range(K):
            for b in range(K):
                gram[a, b] = (offsets[a].T * offsets[b])[0]
        squares, turns = mp.eigsy(gram)
        kept = sorted(range(K), key=lambda i: -squares[i])[: K - 1]
        fuzziness = mp.mpf(0)
        for j in kept:
            axis = mp.matrix(size, 1)
            for a in range(K):
                axis += offsets[a] * turns[a, j]
            along = sum((v.T * axis)[0] ** 2 for v in deviations) / N
            fuzziness += along / squares[j] ** 2
        results.append(
            Measured(
                within_scatter=float(within),
                between_scatter=float(between),
                compression=float(within / between),
                discrimination=float(1 - top),
                separation_fuzziness=float(fuzziness),
            )
        )
        Z = W * Z
    return results
