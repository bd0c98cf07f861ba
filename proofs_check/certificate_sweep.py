"""Sweep of T8: are the certificate's intervals ever violated, and how wide are they?

    python -m proofs_check.certificate_sweep --count 2000

draws random data (nearly orthonormal, Gaussian, more samples than dimensions, repeated samples, unequal
classes, centred, badly scaled) and random weights (exact A1-A3, perturbed by 1e-12 ... 1e-1 of their norm,
trained by gradient descent from the orthogonal, the default and the exact initial law, half-trained,
Gaussian), of random widths and depths, and holds the certificate against the measured C_l and D_l twice:
measured in float64, and measured in extended precision against the narrower certificate for that precision.
Then it prints, for the paper's own settings, how wide the intervals are. Exit status 3 if any interval is
violated. NumPy only.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import defaultdict

import numpy as np

from pnc.theory.certificates import InputMoments, certificate, summarise_weights

__all__ = [
    "exact_weights", "initial_weights", "main", "measure", "nearly_orthonormal", "paper_setting", "perturbed",
    "random_data", "random_weights", "train", "violations",
]  # fmt: skip

KINDS = (
    "exact", "exact, spread spectrum", "perturbed", "trained from orthogonal", "trained from default",
    "trained from exact", "half-trained", "gaussian",
)  # fmt: skip


# --- data
# ------------------------------------------------------------------------------------------------------


def random_data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, d) and labels of a random kind; see the module's docstring."""
    classes = int(rng.integers(2, 6))
    counts = rng.integers(1, 7, classes) if rng.random() < 0.5 else np.full(classes, rng.integers(1, 7))
    y = np.repeat(np.arange(classes), counts)
    samples = y.size
    kind = rng.choice(["orthonormal", "gaussian", "tall", "repeated", "centred"])
    if kind == "orthonormal":
        d = samples + int(rng.integers(0, 8))
        X = np.linalg.qr(rng.standard_normal((d, samples)))[0].T
        X = X + 10.0 ** rng.uniform(-6, -0.5) * rng.standard_normal((samples, d)) / np.sqrt(d * samples)
    else:
        d = int(rng.integers(1, 16)) if kind == "tall" else int(rng.integers(max(2, samples // 2), samples + 8))
        X = rng.standard_normal((samples, d)) / np.sqrt(d) + rng.uniform(0, 2) * rng.standard_normal((classes, d))[y]
        if kind == "repeated":
            X[rng.integers(0, samples, samples // 3)] = X[0]
        if kind == "centred":
            X = X - X.mean(axis=0)
    return X * (10.0 ** rng.uniform(-3, 3) if rng.random() < 0.1 else 1.0), y


# --- weights
# ---------------------------------------------------------------------------------------------------


def _isometry(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Haar-distributed matrix with orthonormal columns (rows >= columns) or rows."""
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def exact_weights(
    rng: np.random.Generator,
    X: np.ndarray,
    y: np.ndarray,
    depth: int,
    epsilon: float,
    width: int,
    spread: float = 0.0,
) -> list[np.ndarray]:
    """Weights that obey A1, A2 and (for `spread` 0) A3 exactly, up to rounding: theory note, T1's proof."""
    targets = np.eye(y.max() + 1)[y].T
    u, s, vt = np.linalg.svd(targets @ np.linalg.pinv(X.T), full_matrices=False)
    d = X.shape[1]
    signal = s > 1e-10 * max(s.max(), 1.0)
    u, s, vt = u[:, signal], s[signal] ** (1 / depth), vt[signal]
    rest = _complement(vt)
    scales = epsilon * np.exp(spread * rng.standard_normal(rest.shape[1]))
    root = vt.T * s @ vt + rest * scales @ rest.T  # (W_1ᵀW_1)^(1/2)
    rotations = [_isometry(rng, max(width, d), d) for _ in range(depth - 1)]
    if depth == 1:
        return [u * s @ vt]
    weights = [rotations[0] @ root]
    weights += [rotations[l] @ root @ rotations[l - 1].T for l in range(1, depth - 1)]
    return [*weights, u * s @ vt @ rotations[-1].T]


def _complement(vt: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the orthogonal complement of the rows."""
    return np.linalg.svd(np.vstack([vt, np.zeros((1, vt.shape[1]))]), full_matrices=True)[2][vt.shape[0] :].T


def initial_weights(rng: np.random.Generator, law: str, widths: list[int], epsilon: float) -> list[np.ndarray]:
    """Initial weights of the `orthogonal` (ε × isometry) or the `default` (uniform ±1/√fan_in) law."""
    shapes = [(b, a) for a, b in itertools.pairwise(widths)]
    if law == "orthogonal":
        return [epsilon * _isometry(rng, *shape) for shape in shapes]
    return [rng.uniform(-1, 1, shape) / np.sqrt(shape[1]) for shape in shapes]


def perturbed(rng: np.random.Generator, weights: list[np.ndarray], size: float) -> list[np.ndarray]:
    """Add to each matrix Gaussian noise whose spectral norm is `size` times the matrix's."""
    noise = [rng.standard_normal(w.shape) for w in weights]
    scale = [size * np.linalg.norm(w, 2) / np.linalg.norm(g, 2) for w, g in zip(weights, noise, strict=True)]
    return [w + c * g for w, c, g in zip(weights, scale, noise, strict=True)]


def train(
    weights: list[np.ndarray],
    X: np.ndarray,
    targets: np.ndarray,
    *,
    rate: float,
    steps: int,
    tolerance: float,
) -> tuple[list[np.ndarray], float]:
    """Full-batch gradient descent on ‖W_{L:1} X - targets‖²/N, X (d, N), targets (K, N).

    Returns the weights and the loss relative to ‖targets‖².
    """
    weights = [w.copy() for w in weights]
    scale = np.sum(targets**2)
    loss = np.inf
    for _ in range(steps):
        features = [X]
        for w in weights:
            features.append(w @ features[-1])
        backward = features[-1] - targets
        loss = float(np.sum(backward**2) / scale)
        if not loss > tolerance or not np.isfinite(loss) or loss > 1e3:
            break
        backward = backward * (2 / X.shape[1])
        for l in reversed(range(len(weights))):
            gradient = backward @ features[l].T
            backward = weights[l].T @ backward
            weights[l] -= rate * gradient
    return weights, loss


def random_weights(rng: np.random.Generator, kind: str, X: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], str]:
    """Weights of a kind of KINDS for the data, and a label for the table."""
    depth = int(rng.integers(2, 8))
    epsilon = 10.0 ** rng.uniform(-1.3, -0.1)
    d, classes = X.shape[1], int(y.max() + 1)
    if rng.random() < 0.3:
        widths = [d, *rng.integers(2, d + 8, depth - 1).tolist(), classes]
    else:
        widths = [d, *[int(rng.integers(max(2, d // 2), d + 8))] * (depth - 1), classes]
    exact = lambda spread=0.0: exact_weights(rng, X, y, depth, epsilon, widths[1], spread)  # noqa: E731
    if kind == "exact":
        return exact(), kind
    if kind == "exact, spread spectrum":
        return exact(float(rng.uniform(0, 1))), kind
    if kind == "perturbed":
        exponent = int(rng.integers(-12, 0))
        return perturbed(rng, exact(), 10.0**exponent), f"perturbed 1e{exponent}"
    if kind == "gaussian":
        return [rng.standard_normal((b, a)) * rng.uniform(0.2, 2) / np.sqrt(a)
                for a, b in itertools.pairwise(widths)], kind  # fmt: skip
    law = (
        kind.removeprefix("trained from ")
        if kind != "half-trained"
        else str(rng.choice(["orthogonal", "default", "exact"]))
    )
    start = perturbed(rng, exact(), 0.2) if law == "exact" else initial_weights(rng, law, widths, epsilon)
    steps = int(rng.integers(1, 60)) if kind == "half-trained" else 400
    targets = np.eye(classes)[y].T
    scale = float(np.linalg.norm(X, 2))
    rate = 0.2 * y.size / max(scale**2, scale)
    for _ in range(8):
        weights, loss = train(start, X.T, targets, rate=rate, steps=steps, tolerance=1e-16)
        if np.isfinite(loss) and loss <= 1e3 and all(np.all(np.isfinite(w)) for w in weights):
            return weights, kind
        rate /= 4
    return start, kind


# --- measurement, on its own
# -----------------------------------------------------------------------------------


def measure(
    weights: list[np.ndarray], X: np.ndarray, y: np.ndarray, dtype: type = np.float64
) -> tuple[np.ndarray, np.ndarray]:
    """C_l and D_l at layers 0 ... L-1, from the features themselves, evaluated layer by layer in `dtype`."""
    counts = np.bincount(y)
    z = X.astype(dtype)
    compression, discrimination = [], []
    for l in range(len(weights)):
        if l > 0:
            z = z @ weights[l - 1].T.astype(dtype)
        means = np.stack([z[y == k].mean(axis=0) for k in range(counts.size)])
        centre = (counts[:, None] * means).sum(axis=0) / dtype(y.size)
        within = np.sum((z - means[y]) ** 2)
        between = np.sum(counts[:, None] * (means - centre) ** 2)
        norms = np.sqrt(np.sum(means**2, axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            compression.append(within / between)
            cosine = (means @ means.T) / np.outer(norms, norms)
        discrimination.append(1 - np.max(cosine[~np.eye(counts.size, dtype=bool)]))
    return np.array(compression, dtype=dtype), np.array(discrimination, dtype=dtype)


def violations(
    weights: list[np.ndarray], X: np.ndarray, y: np.ndarray, groups: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Violated intervals as text; at layers 1 ... L-1 the half-width of C_l's interval and C_l's place.

    The half-width is relative to C_l, the place is 0 at the lower end and 1 at the upper. Both are nan where
    C_l is 0 but for rounding.
    """
    summary = summarise_weights(weights, InputMoments.from_samples(X, y), residual_groups=groups)
    found = []
    for dtype in (np.float64, np.longdouble):
        bound = certificate(summary, evaluation_roundoff=float(np.finfo(dtype).eps) / 2)
        compression, discrimination = measure(weights, X, y, dtype)
        for name, value, low, high in (
            ("C", compression, bound.compression_lower, bound.compression_upper),
            ("D", discrimination, bound.discrimination_lower, bound.discrimination_upper),
        ):
            outside = np.isfinite(value) & ~((low <= value) & (value <= high))
            found += [
                f"{name}_{l} = {value[l]!r} outside [{low[l]!r}, {high[l]!r}] ({dtype.__name__})"
                for l in np.flatnonzero(outside)
            ]
    value, low, high = (a[1:].astype(float) for a in (compression, bound.compression_lower, bound.compression_upper))
    measurable = value > 1e-24
    half = np.where(measurable, bound.compression_half_width[1:], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.where(measurable & np.isfinite(high), (value - low) / (high - low), np.nan)
    return found, half, place


# --- how wide the intervals are ---


def nearly_orthonormal(
    rng: np.random.Generator, classes: int, per_class: int, d: int, noise: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """The paper's inputs: orthonormal rows and noise of Frobenius norm about `noise`."""
    samples = classes * per_class
    X = np.linalg.qr(rng.standard_normal((d, samples)))[0].T
    X = X + noise * rng.standard_normal((samples, d)) / np.sqrt(d * samples)
    return X, np.repeat(np.arange(classes), per_class)


def paper_setting(
    rng: np.random.Generator,
    X: np.ndarray,
    y: np.ndarray,
    *,
    depth: int,
    epsilon: float,
    width: int,
    rate: float = 0.1,
    steps: int = 100_000,
) -> tuple[list[np.ndarray], np.ndarray, float]:
    """Net of a given width trained from ε × orthogonal, in Y2's reduced coordinates: weights, inputs, loss.

    There the hidden weights start at ε I and the classifier at ε × K Haar rows of the full width, of which
    only the components in the inputs' span and one K-dimensional remainder matter (theory note, Y2).
    """
    _, scale, vt = np.linalg.svd(X, full_matrices=False)
    span = X @ vt[scale > 1e-12 * scale[0]].T  # inputs in coordinates of their own span
    rank, classes = span.shape[1], int(y.max() + 1)
    rows = _isometry(rng, classes, width)
    remainder = np.linalg.qr(rows[:, rank:].T)[1].T
    size = rank + classes
    start = [epsilon * np.eye(size, rank), *[epsilon * np.eye(size)] * (depth - 2)]
    start.append(epsilon * np.hstack([rows[:, :rank], remainder]))
    weights, loss = train(start, span.T, np.eye(classes)[y].T, rate=rate, steps=steps, tolerance=1e-16)
    return weights, span, loss


def _print_perturbations(seed: int) -> int:
    print("\nexact weights on nearly orthonormal data, perturbed: half-width of C_l, worst layer, percent")
    bad = 0
    for exponent in range(-12, 0):
        worst = []
        for draw in range(20):
            rng = np.random.default_rng([seed, draw])
            X, y = nearly_orthonormal(rng, int(rng.integers(2, 5)), int(rng.integers(2, 8)), 40)
            depth, epsilon = int(rng.integers(2, 8)), float(rng.uniform(0.1, 0.4))
            weights = perturbed(rng, exact_weights(rng, X, y, depth, epsilon, 40), 10.0**exponent)
            found, half, _ = violations(weights, X, y, 2)
            bad += len(found)
            worst.append(100 * np.nanmax(half))
        print(f"  perturbation 1e{exponent:<4} median {np.median(worst):9.2g}   worst of 20 {max(worst):9.2g}")
    return bad


def _print_paper_settings(seed: int) -> int:
    print("\npaper's initial weights, trained to 1e-16: half-width of C_1 ... C_(L-1), percent")
    bad = 0
    for classes, per_class, depth, epsilon, width in (
        (3, 10, 6, 0.3, 300),
        (3, 10, 6, 0.3, 700),
        (3, 10, 4, 0.1, 300),
        (2, 20, 3, 0.03, 400),
        (10, 10, 5, 0.2, 300),
        (10, 10, 8, 0.3, 300),
    ):
        rng = np.random.default_rng(seed)
        X, y = nearly_orthonormal(rng, classes, per_class, classes * per_class + 20)
        weights, X, loss = paper_setting(rng, X, y, depth=depth, epsilon=epsilon, width=width)
        print(f"  K={classes} n={per_class} L={depth} ε={epsilon} width {width}, loss {loss:.0e}")
        for groups in (1, 2, 3):
            found, half, _ = violations(weights, X, y, groups)
            bad += len(found)
            moments = InputMoments.from_samples(X, y)
            size = summarise_weights(weights, moments, residual_groups=groups).size
            print(f"    {groups} group(s), {size:4} numbers: " + " ".join(f"{100 * h:6.2f}" for h in half))
    return bad


def main(argv: list[str] | None = None) -> int:
    """Run the sweep; 0 if nothing is violated, 3 otherwise."""
    parser = argparse.ArgumentParser(description="Sweep of the certificate T8.")
    parser.add_argument("--count", type=int, default=2000, help="number of weight sets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only-sweep", action="store_true", help="leave out the two tables of widths")
    arguments = parser.parse_args(argv)
    start = time.perf_counter()
    rows: dict[str, list[tuple[int, np.ndarray, np.ndarray]]] = defaultdict(list)
    layers = 0
    for index in range(arguments.count):
        rng = np.random.default_rng([arguments.seed, index])
        X, y = random_data(rng)
        weights, label = random_weights(rng, KINDS[index % len(KINDS)], X, y)
        found, half, place = violations(weights, X, y, groups=int(rng.integers(1, 5)))
        layers += len(weights)
        for line in found:
            print(f"VIOLATED, instance {index} ({label}): {line}")
        rows[label].append((len(found), half, place))
    print("half-widths in percent of C_l; nearest end: 0 is an end of the interval, 0.5 its middle")
    print(f"{'weights':26} {'sets':>5} {'violated':>8} {'median':>10} {'90 %':>10} {'nearest end':>12}")
    total = 0
    for label in sorted(rows):
        bad = sum(r[0] for r in rows[label])
        total += bad
        half, place = (np.concatenate([r[i] for r in rows[label]]) for i in (1, 2))
        half, place = half[np.isfinite(half)], place[np.isfinite(place)]
        nearest = np.min(np.minimum(place, 1 - place), initial=0.5)
        middle, tail = 100 * np.quantile(half, [0.5, 0.9]) if half.size else (np.nan, np.nan)
        print(f"{label:26} {len(rows[label]):5} {bad:8} {middle:10.3g} {tail:10.3g} {nearest:12.2g}")
    seconds = time.perf_counter() - start
    print(f"{arguments.count} weight sets, {layers} layers, {total} violations, {seconds:.0f} s")
    if not arguments.only_sweep:
        total += _print_perturbations(arguments.seed) + _print_paper_settings(arguments.seed)
    return 3 if total else 0


if __name__ == "__main__":
    sys.exit(main())
