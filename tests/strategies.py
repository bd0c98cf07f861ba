"""Hypothesis strategies: labelled problems with bounded condition numbers, and networks that fit them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from pnc.data import Problem
from pnc.spec import NetworkSpec

__all__ = ["Case", "cases", "class_sizes", "feature_sets", "nearly_orthonormal", "networks", "problems"]

seeds = st.integers(0, 2**32 - 1)
counts_of_classes = st.integers(2, 12)
depths_of_networks = st.integers(2, 12)

KINDS = ("orthonormal", "nearly-orthonormal", "wide", "tall", "duplicated", "centred")


@dataclass(frozen=True)
class Case:
    """A problem, a network for it, and a seed for whatever else is drawn."""

    problem: Problem
    network: NetworkSpec
    seed: int
    kind: str


@st.composite
def class_sizes(draw, *, classes=counts_of_classes, largest: int = 5, balanced: bool | None = None):
    """Sizes of K classes, at least one class with two samples; equal or not as `balanced` says (`None`:
    either)."""
    K = draw(classes)
    equal = draw(st.booleans()) if balanced is None else balanced
    if equal:
        return (draw(st.integers(2, largest)),) * K
    sizes = draw(st.lists(st.integers(1, largest), min_size=K, max_size=K))
    return (sizes[0] + 1, *sizes[1:])


def nearly_orthonormal(rng: np.random.Generator, samples: int, dimension: int, theta: float) -> np.ndarray:
    """(N, d) inputs whose entrywise θ is exactly `theta`."""
    rows = np.linalg.qr(rng.standard_normal((dimension, samples)))[0].T
    perturbation = rng.uniform(-1, 1, (samples, samples))
    perturbation = (perturbation + perturbation.T) / 2
    perturbation *= theta / samples / np.abs(perturbation).max()
    values, vectors = np.linalg.eigh(np.eye(samples) + perturbation)
    return (vectors * np.sqrt(values)) @ vectors.T @ rows


@st.composite
def problems(draw, *, kinds=KINDS, sizes=None, max_theta: float = 0.95):
    """A problem of one of the kinds, samples in random order, and its kind.

    `wide` N < d and `tall` N > d are Gaussian clusters at a random scale with at least 1.4 times as many of
    the one as of the other, which keeps condition numbers below about 20; `duplicated` repeats a sample,
    within its class or not; `centred` subtracts the mean, so that one singular value of M vanishes.
    """
    kind = draw(st.sampled_from(kinds))
    sizes = draw(class_sizes() if sizes is None else sizes)
    rng = np.random.default_rng(draw(seeds))
    K, N = len(sizes), sum(sizes)
    y = rng.permutation(np.repeat(np.arange(K), sizes))
    if kind == "tall":
        d = int(rng.integers(2, max(3, int(N / 1.4) + 1)))
    else:
        d = N + int(rng.integers(1 + (2 * N) // 5, N + 2))
    if kind in ("orthonormal", "nearly-orthonormal"):
        X = nearly_orthonormal(rng, N, d, 0.0 if kind == "orthonormal" else max_theta * rng.random())
    else:
        X = rng.standard_normal((N, d)) / np.sqrt(d)
        X += rng.uniform(0.2, 1.0) * (rng.standard_normal((K, d)) / np.sqrt(d))[y]
        X *= 10 ** rng.uniform(-1, 1)
    if kind == "duplicated":
        first, second = rng.choice(N, 2, replace=False)
        X[first] = X[second]
    if kind == "centred":
        X -= X.mean(axis=0)
    return Problem(X=X, y=y, name=kind), kind


def signal_values(problem: Problem, label_scale: float) -> np.ndarray:
    """Singular values of (Y/α) X⁺ above rounding, descending: computed apart from the library."""
    Y = np.eye(problem.classes)[problem.y].T / label_scale
    s = np.linalg.svd(Y @ np.linalg.pinv(problem.X.T), compute_uv=False)
    return s[s > 1e-10 * s[0]]


@st.composite
def networks(draw, problem: Problem, *, depths=depths_of_networks, widths=("none", "narrow", "equal", "broad")):
    """A network whose residual scale is 0.1 to 0.8 of the smallest signal scale; seldom, so that it hides
    some signal."""
    L = draw(depths)
    α = draw(st.sampled_from([1.0, 100.0]))
    s = signal_values(problem, α)
    d, K = problem.dimension, problem.classes
    gaps = np.flatnonzero(s[1:] * 2 < s[:-1])
    if gaps.size and draw(st.integers(0, 3)) == 0:
        i = int(gaps[0])
        ε = (np.sqrt(s[i] * s[i + 1]) / 2) ** (1 / L)  # 2 ε^L lies in a gap: what is below it is residual
    else:
        # 2 ε^L < 0.9 s_min, or the smallest direction would not be signal
        ε = min(draw(st.floats(0.1, 0.8)), 0.45 ** (1 / L)) * s[-1] ** (1 / L)
    kind = draw(st.sampled_from(widths))
    width = {
        "none": None,
        "narrow": min(K, d) + draw(st.integers(0, max(d - min(K, d) - 1, 0))),
        "equal": max(d, K),
        "broad": max(d, K) + draw(st.integers(1, 8)),
    }[kind]
    return NetworkSpec(depth=L, width=width, residual_scale=float(ε), label_scale=α)


@st.composite
def cases(draw, *, kinds=KINDS, sizes=None, max_theta: float = 0.95, **network):
    """A problem and a network that fits it."""
    problem, kind = draw(problems(kinds=kinds, sizes=sizes, max_theta=max_theta))
    return Case(problem=problem, network=draw(networks(problem, **network)), seed=draw(seeds), kind=kind)


@st.composite
def feature_sets(draw, *, max_samples: int = 60, max_dimension: int = 12):
    """Features Z (N, d) and labels of any network whatsoever: clusters of any tightness, norm and class
    size."""
    rng = np.random.default_rng(draw(seeds))
    K = draw(st.integers(2, 6))
    N = draw(st.integers(2 * K, max_samples))
    d = draw(st.integers(1, max_dimension))
    y = np.concatenate([np.arange(K), rng.integers(0, K, N - K)])
    centres = rng.standard_normal((K, d)) * 10 ** rng.uniform(-1, 1, (K, 1)) + rng.standard_normal(d)
    tightness = 10 ** draw(st.floats(-3, 1))
    return centres[y] + tightness * rng.standard_normal((N, d)) * rng.exponential(size=(N, 1)), y
