"""U6 and U7: what moments say of a linear readout, and what compression says of the rank of weights."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp
from flint import arb, fmpq, fmpq_mat

from .balls import at_most, ball, eigenvalues, frobenius_square, identity, rational, trace
from .instances import labels, random_features, random_matrix, within_projection
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant
from .quantities import class_scatter, moments
from .rewriting import Algebra, Instance
from .scalar import for_all
from .t4_separation_fuzziness import pseudo_inverse

__all__ = ["STATEMENT"]


def _features(scope: Scope) -> Iterator[tuple[str, fmpq_mat, tuple[int, ...]]]:
    """Balanced classes, total scatter and class means of full rank."""
    rng = scope.rng("U6")
    shapes = [((4, 4), 3), ((4, 4, 4), 3), ((3, 3, 3), 4), ((3, 3, 3, 3), 4)]
    number, wanted = 0, scope.count(8, 80, 320)
    while number < wanted:
        counts, dimension = shapes[number % 4]
        Z = random_features(rng, counts=counts, dimension=dimension, spread=("1/4", "1", "3")[number // 4 % 3])
        within, between = class_scatter(Z, counts)
        if within.rank() == dimension and between.rank() == len(counts) - 1:
            yield f"features {number}, K = {len(counts)}, d = {dimension}", Z, counts
            number += 1


def _one_minus(Z: fmpq_mat, counts: tuple[int, ...]) -> fmpq:
    """1 - R² of least squares of centred one-hot labels on centred features, from the residual itself."""
    N = sum(counts)
    centre = identity(N) - fmpq_mat(N, N, [fmpq(1, N)] * N**2)
    z, y = Z * centre, labels(counts) * centre
    weights = y * z.transpose() * (z * z.transpose()).inv()
    return frobenius_square(y - weights * z) / frobenius_square(y)


def _readout(scope: Scope, *, classes_off: int = 1) -> Evidence:
    """R² = tr(Σ_T⁻¹Σ_B)/(K-1), exactly."""
    triples = []
    for name, Z, counts in _features(scope):
        within, between = class_scatter(Z, counts)
        share = trace((within + between).inv() * between) / (len(counts) - classes_off)
        triples.append((name, abs(1 - _one_minus(Z, counts) - share), fmpq(0)))
    return at_most(triples, noun="feature sets")


def _bound(scope: Scope, *, factor: str = "1", classes_off: int = 1) -> Evidence:
    """1 - R² ≤ F/(K-1+F), F = tr(Σ_WΣ_B⁺)."""
    triples = []
    for name, Z, counts in _features(scope):
        within, between = class_scatter(Z, counts)
        fuzziness = trace(within * pseudo_inverse(between))
        bound = fuzziness / (len(counts) - classes_off + fuzziness) * rational(factor)
        triples.append((name, _one_minus(Z, counts), bound))
    return at_most(triples, noun="feature sets")


def _concave(scope: Scope) -> Evidence:
    """Jensen for u/(1+u): its mean over K-1 numbers is at most its value at their mean; tangent line, by z3."""
    del scope
    return for_all(
        "u m",
        lambda u, m: u * (1 + m) * (1 + m) <= (m * (1 + m) + (u - m)) * (1 + u),
        given=lambda u, m: [u >= 0, m >= 0],
    )


def _gauss_markov(scope: Scope) -> Evidence:
    """Σ 1/λ_i ≤ F: with Σ_B = BBᵀ (full column rank), (BᵀΣ_W⁻¹B)⁻¹ ≤ B⁺Σ_W B⁺ᵀ; the gap is a Gram matrix."""
    algebra = Algebra()
    T = algebra.T
    B = algebra.symbol("B", "d", "r")
    W = algebra.symbol("W", "d", "d", functional=True)  # Σ_W
    A = algebra.symbol("A", "r", "r", functional=True)  # BᵀΣ_W⁻¹B
    P = algebra.symbol("P", "r", "d")  # B⁺
    algebra.rule(T(B) * W**-1 * B, A, "A = BᵀΣ_W⁻¹B", transposed=False)
    algebra.rule(P * B, sp.Integer(1), "B⁺B = I")
    gap = P - A**-1 * T(B) * W**-1
    rng = scope.rng("Gauss–Markov")
    b = random_matrix(4, 2, rng)
    factor = random_matrix(4, 4, rng) + identity(4) * 3
    w = factor * factor.transpose()
    model = Instance(
        matrices={
            "B": b,
            "W": w,
            "A": b.transpose() * w.inv() * b,
            "P": (b.transpose() * b).inv() * b.transpose(),
        },
        name="d = 4, r = 2",
    )
    return algebra.proves(P * W * T(P) - A**-1, gap * W * T(gap), instances=[model])


def _low_rank(scope: Scope, *, factor: str = "1", scatter_counts: bool = True) -> Evidence:
    """U7 on exact layers: √Σ_{i>K} σ_i(W)² ≤ (‖∇R‖ + √(mean‖δ‖²)√tr Σ_W)/λ, λW = ∇R - (1/N) Σ δ_i z_iᵀ."""
    rng = scope.rng("U7")
    triples = []
    for number in range(scope.count(8, 60, 240)):
        counts = ((3, 3), (4, 2, 3))[number % 2]
        N, K, dimension, outputs = sum(counts), len(counts), 4, 4
        Z = random_features(rng, counts=counts, dimension=dimension, spread=("1/9", "1")[number // 2 % 2])
        if number % 4 < 2:  # δ along the input's own deviations, where the bound is nearest
            δ = random_matrix(outputs, dimension, rng) * (Z * within_projection(counts))
        else:
            δ = random_matrix(outputs, N, rng)
        gradient = random_matrix(outputs, dimension, rng, denominator=60)
        decay = rational("1/5")
        W = (gradient - δ * Z.transpose() * fmpq(1, N)) * (1 / decay)
        values = eigenvalues(W.transpose() * W)
        tail = sum(values[: dimension - K], start=arb(0))
        scatter = ball(moments(Z, counts).within)
        error = ball(frobenius_square(δ) / N) * int(scatter_counts)
        bound = (ball(frobenius_square(gradient)).sqrt() + (error * scatter).sqrt()) / ball(decay)
        # a sum of eigenvalues that may touch 0 from either side
        triples.append((f"layer {number}", arb(tail.abs_upper()).sqrt(), bound * ball(factor)))
    return at_most(triples, noun="layers")


def _split(scope: Scope) -> Evidence:
    """With z_i = μ_k + t_i the means' part of (1/N) Σ δ_i z_iᵀ has rank ≤ K; the rest obeys Cauchy–Schwarz."""
    rng = scope.rng("U7 split")
    triples = []
    for number in range(scope.count(6, 40, 160)):
        counts = ((3, 3), (4, 2, 3))[number % 2]
        N = sum(counts)
        Z = random_features(rng, counts=counts, dimension=5, spread="1")
        δ = random_matrix(4, N, rng)
        projector = within_projection(counts)
        means, rest = Z - Z * projector, Z * projector
        triples.append((f"{number}, rank", fmpq((δ * means.transpose()).rank()), fmpq(len(counts))))
        left = frobenius_square(δ * rest.transpose() * fmpq(1, N))
        right = frobenius_square(δ) / N * moments(Z, counts).within
        triples.append((f"{number}, Cauchy–Schwarz", left, right))
    return at_most(triples, noun="sums")


def _eckart_young(scope: Scope) -> Evidence:
    """√Σ_{i>K} σ_i(A+E)² ≤ ‖E‖_F for rank A ≤ K: the best approximation of rank K is no worse than A."""
    rng = scope.rng("Eckart–Young")
    triples = []
    for number in range(scope.count(10, 80, 300)):
        A = random_matrix(4, 2, rng) * random_matrix(2, 5, rng)
        E = random_matrix(4, 5, rng, denominator=(3, 30)[number % 2])
        values = eigenvalues((A + E) * (A + E).transpose())
        tail = values[0] + values[1]
        triples.append((f"{number}", tail, ball(frobenius_square(E))))
    return at_most(triples, noun="perturbed matrices")


STATEMENT = Statement(
    number="U6",
    title="readout and rank of weights from moments",
    text="Balanced classes, rank Σ_B = K-1, least squares of centred one-hot labels on centred features: "
    "R² = tr(Σ_T⁺Σ_B)/(K-1) and 1 - R² ≤ F/(K-1+F), F = tr(Σ_WΣ_B⁺) (U6). A linear layer with weight decay in the "
    "loss, R = mean ℓ + (λ/2)‖W‖², δ_i the gradient of ℓ_i at its output: √(Σ_{i>K} σ_i(W)²) ≤ (‖∇_W R‖_F + "
    "√(mean‖δ_i‖²) √(tr Σ_W of its input))/λ (U7). Any network, any time; not for decoupled decay.",
    assumptions=("equal classes and class means of rank K-1 (U6)", "weight decay in the loss (U7)"),
    tightness=("5", "8"),
    remarks=("Both bounds are attained: attacks come within 0.1 %.",),
    steps=(
        Step(
            key="1",
            kind=Kind.BALL,
            claim="R² = tr(Σ_T⁻¹Σ_B)/(K-1)",
            because="Σ_ZYΣ_YZ = Σ_B/K, total variance of the labels (K-1)/K; exact least squares",
            check=_readout,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="(BᵀΣ_W⁻¹B)⁻¹ ≤ B⁺Σ_WB⁺ᵀ, so Σ 1/λ_i ≤ F for the eigenvalues λ_i of Σ_W⁻¹Σ_B",
            because="Gauss–Markov: the gap is a Gram matrix",
            check=_gauss_markov,
        ),
        Step(
            key="3",
            kind=Kind.INEQUALITY,
            claim="u/(1+u) is concave: mean of 1/(1+λ_i) ≤ value at the mean of 1/λ_i",
            because="tangent line",
            check=_concave,
            references=("demoura2008z3", "jensen1906"),
        ),
        Step(
            key="4",
            kind=Kind.INEQUALITY,
            claim="m/(1+m) at m ≤ F/(K-1) is at most F/(K-1+F)",
            because="monotone",
            check=lambda s: for_all(
                "m F k",
                lambda m, F, k: m * (k + F) <= F * (1 + m),
                given=lambda m, F, k: [m >= 0, k >= 1, m * k <= F],
            ),
            references=("demoura2008z3",),
        ),
        Step(key="5", kind=Kind.BALL, claim="1 - R² ≤ F/(K-1+F)", because="exact features", check=_bound),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="U7: the means' part has rank ≤ K; the rest is below √(mean‖δ‖²)√tr Σ_W",
            because="z_i = μ_k + t_i; Cauchy–Schwarz",
            check=_split,
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="U7: singular values beyond K of A + E are below ‖E‖_F",
            because="Eckart and Young",
            check=_eckart_young,
        ),
        Step(
            key="8",
            kind=Kind.BALL,
            claim="U7 on exact layers",
            because="λW = ∇R - (1/N) Σ δ_i z_iᵀ",
            check=_low_rank,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="K for K-1", claim="R² = tr(Σ_T⁻¹Σ_B)/K", check=lambda s: _readout(s, classes_off=0)),
        WrongVariant(name="half of it", claim="1 - R² ≤ ½F/(K-1+F)", check=lambda s: _bound(s, factor="1/2")),
        WrongVariant(name="K+1 for K-1", claim="1 - R² ≤ F/(K+1+F)", check=lambda s: _bound(s, classes_off=-1)),
        WrongVariant(name="no scatter", claim="‖∇_W R‖_F/λ alone", check=lambda s: _low_rank(s, scatter_counts=False)),
        WrongVariant(name="a tenth of it", claim="a tenth of the bound", check=lambda s: _low_rank(s, factor="1/10")),
    ),
)
