"""T8, the certificate: intervals for C_l and D_l that given weights must obey, from few numbers of them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

import numpy as np
import sympy as sp
import z3
from flint import arb, fmpq, fmpq_mat

from pnc.theory.certificates import certify

from .balls import at_most, ball, meets
from .classical import STANDARD_MODEL, SUBMULTIPLICATIVE, applied
from .instances import random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged
from .quantities import moments
from .rewriting import Algebra, Instance
from .scalar import choice, for_all
from .t8_blocks import Blocks, Bounds, attaining, factors, gains, instances, norm

__all__ = ["STATEMENT"]


def _theorems(
    scope: Scope, *, couple: bool = True, lower_gain: bool = True, tighten: Fraction = Fraction(0), sharp: bool = False
) -> Iterator[tuple[str, arb, arb]]:
    for blocks in [attaining(which) for which in ("low", "high")] if sharp else instances(scope):
        within, between, means = factors(blocks)
        runs = [Bounds(blocks, m, couple, lower_gain) for m in (within, between)]
        singles = []
        for k in range(len(blocks.counts)):
            column = fmpq_mat(means.nrows(), 1, [means[r, k] for r in range(means.nrows())])
            singles.append(Bounds(blocks, column, couple, lower_gain))
        features = blocks.data
        for layer in range(len(blocks.layers)):
            features = blocks.apply(layer, features)
            for run in (*runs, *singles):
                run.advance(layer)
            found = moments(features, blocks.counts)
            samples = sum(blocks.counts)
            name = f"{blocks.name}, layer {layer + 1}"
            ends = [run.interval() for run in runs]
            for label, seen, (low, high) in zip(("tr Σ_W", "tr Σ_B"), (found.within, found.between), ends):
                shrink = (high - low) * ball(tighten) / 2
                yield f"{name}, {label} above", ball(seen * samples), high - shrink
                yield f"{name}, {label} below", low + shrink, ball(seen * samples)
            (w_low, w_high), (b_low, b_high) = ends
            yield f"{name}, C below", w_low / b_high, ball(found.compression)
            if b_low > 0:
                yield f"{name}, C above", ball(found.compression), w_high / b_low
            yield from _cosine_bounds(name, blocks, singles, found)


def _cosine_bounds(name: str, blocks: Blocks, singles: list[Bounds], found) -> Iterator[tuple[str, arb, arb]]:
    """(6) and (7) for every pair of classes."""
    for a, b in combinations(range(len(blocks.counts)), 2):
        first, second = singles[a], singles[b]
        centre = ball((first.signal.transpose() * second.signal)[0, 0])
        spread = arb(0)
        for i in first.masses:
            low, high = first.low[i], first.high[i]
            gram = ball((blocks.part(first.start, i).transpose() * blocks.part(second.start, i))[0, 0])
            centre += (high * high + low * low) / 2 * gram
            spread += (high * high - low * low) / 2 * first.masses[i] * second.masses[i]
            spread += high * first.masses[i] * second.leak[i] + first.leak[i] * high * second.masses[i]
            spread += first.leak[i] * second.leak[i]
        inner = ball(found.inner(a, b))
        yield f"{name}, ⟨μ_{a}, μ_{b}⟩", abs(inner - centre), spread + arb("1e-25")
        (low_a, high_a), (low_b, high_b) = first.interval(), second.interval()
        if not (low_a > 0 and low_b > 0):
            continue
        small, large = (low_a * low_b).sqrt(), (high_a * high_b).sqrt()
        for sign in (1, -1):
            top = sign * centre + spread
            if top.contains(0):
                continue
            bound = top / small if top >= 0 else top / large
            yield f"{name}, cos {a}{b}", sign * found.cosine(a, b), bound + arb("1e-25")


def _whole(scope: Scope, **change) -> Evidence:
    return at_most(_theorems(scope, **change), noun="bounds of Theorems 1 and 2")


def _sharp(scope: Scope) -> Evidence:
    """The two data sets have the same summary, and tr Σ_W sits on the two ends."""
    del scope

    def pairs():
        starts = [attaining(which) for which in ("low", "high")]
        within = [factors(blocks)[0] for blocks in starts]
        for index in (1, 2):
            masses = [norm(blocks.part(f, index)) for blocks, f in zip(starts, within)]
            yield f"mass of group {index}", masses[0], masses[1]
        for end, blocks, factor in zip((0, 1), starts, within):
            run, features = Bounds(blocks, factor), blocks.data
            for layer in range(3):
                features = blocks.apply(layer, features)
                run.advance(layer)
                seen = moments(features, blocks.counts).within * 4
                yield f"{blocks.name}, layer {layer + 1}", seen, run.interval()[end]

    return meets(pairs(), noun="numbers at the ends")


# --- the steps of the proof -------------------------------------------------------------------------------------------


def _triangular(scope: Scope, *, forward: bool = True) -> Evidence:
    """E_j projects on F^j (before), D_j on F^j_l = W F^j (after), F^2 ⊂ F^1: no part of W F^1 lies on U_l."""
    algebra = Algebra()
    W = algebra.symbol("W", "b", "a")
    first, second = algebra.symbol("E_1", "a", "a", symmetric=True), algebra.symbol("E_2", "a", "a", symmetric=True)
    image, deeper = algebra.symbol("D_1", "b", "b", symmetric=True), algebra.symbol("D_2", "b", "b", symmetric=True)
    for letter in (first, second, image, deeper):
        algebra.rule(letter * letter, letter, "projections")
    algebra.rule(image * W * first, W * first, "F^1_l = W F^1")
    algebra.rule(deeper * W * second, W * second, "F^2_l = W F^2")
    algebra.rule(first * second, second, "F² inside F¹")
    algebra.rule(image * deeper, deeper, "F²_l inside F¹_l")
    algebra.rule(image * W * second, W * second, "F^1_l contains W F^2")
    rng = scope.rng("T8 flags")
    weight = random_matrix(5, 4, rng)
    basis = random_matrix(4, 2, rng)
    one = fmpq_mat(4, 1, [basis[r, 0] for r in range(4)])

    def projector(m: fmpq_mat) -> fmpq_mat:
        return m * (m.transpose() * m).inv() * m.transpose()

    model = Instance(
        matrices={
            "W": weight,
            "E_1": projector(basis),
            "E_2": projector(one),
            "D_1": projector(weight * basis),
            "D_2": projector(weight * one),
        },
        name="flags in dimension 4 and 5",
    )
    if not forward:  # the other direction: the signal into the residual
        return algebra.proves(image * W * (1 - first), sp.Integer(0), instances=[model])
    return both(
        algebra.proves((1 - image) * W * first, sp.Integer(0), instances=[model]),
        algebra.proves((image - deeper) * W * second, sp.Integer(0), instances=[model]),
    )


def _recursion(scope: Scope) -> Evidence:
    """Row i of (1) on coordinates s, T̄_j b_j + p_j: the same form with p_i' = T p_i + C_0 s + C_1 x_1."""
    del scope
    algebra = Algebra()
    names = {
        "S": ("k", "k"), "C0": ("h", "k"), "C1": ("h", "g"), "T1": ("g", "g"), "T2": ("h", "h"), "C": ("g", "k"),
        "s": ("k", "m"), "b1": ("g", "m"), "b2": ("h", "m"), "p1": ("g", "m"), "p2": ("h", "m"),
        "A1": ("g", "g"), "A2": ("h", "h"),
    }  # fmt: skip
    x = {name: algebra.symbol(name, *shape) for name, shape in names.items()}
    one, two = x["A1"] * x["b1"] + x["p1"], x["A2"] * x["b2"] + x["p2"]
    return both(
        algebra.proves(
            x["C"] * x["s"] + x["T1"] * one, (x["T1"] * x["A1"]) * x["b1"] + (x["T1"] * x["p1"] + x["C"] * x["s"])
        ),
        algebra.proves(
            x["C0"] * x["s"] + x["C1"] * one + x["T2"] * two,
            (x["T2"] * x["A2"]) * x["b2"] + (x["T2"] * x["p2"] + x["C0"] * x["s"] + x["C1"] * one),
        ),
    )


def _leak_bound(scope: Scope) -> Evidence:
    """‖p'‖ ≤ βπ + κ_0‖s‖ + κ(β̄m + π_1) and the two ends of (4)."""
    del scope
    largest = lambda x: choice(x >= 0, x, 0)  # noqa: E731
    return both(
        for_all(
            "x y p a b m q",
            lambda x, y, p, a, b, m, q: z3.And(
                largest(a * m - q) * largest(a * m - q) <= x * x, x * x <= (b * m + q) * (b * m + q)
            ),
            # x = ‖T b + p‖, y = ‖T b‖ in [ᾱm, β̄m], p = ‖p‖ ≤ π: triangle inequality both ways
            given=lambda x, y, p, a, b, m, q: [
                x >= 0, y >= 0, p >= 0, a >= 0, b >= a, m >= 0, p <= q, a * m <= y, y <= b * m, x <= y + p, y <= x + p
            ],
        ),
        for_all(
            "P x y z B k0 k1 pi s X1",
            lambda P, x, y, z, B, k0, k1, pi, s, X1: P <= B * pi + k0 * s + k1 * X1,
            given=lambda P, x, y, z, B, k0, k1, pi, s, X1: [
                P <= x + y + z, x <= B * pi, y <= k0 * s, z <= k1 * X1, B >= 0, pi >= 0
            ],
        ),
    )  # fmt: skip


def _submultiplicative(scope: Scope) -> Evidence:
    uses = []
    for blocks in instances(scope)[:6]:
        for part in (1, 2):
            block = blocks.layers[0][part][part]
            low = Fraction(int(float(gains(block)[0].lower()) * 1000), 1000)
            uses.append((block, blocks.part(blocks.data, part), fmpq(low.numerator, low.denominator)))
    return applied(SUBMULTIPLICATIVE, scope, uses)


def _quotients(scope: Scope) -> Evidence:
    """(5) and (7): quotients of intervals; a maximum lies between the maxima of the ends."""
    del scope
    return both(
        for_all(
            "w b w1 w2 b1 b2",
            lambda w, b, w1, w2, b1, b2: z3.And(w1 / b2 <= w / b, w / b <= w2 / b1),
            given=lambda w, b, w1, w2, b1, b2: [w1 <= w, w <= w2, b1 <= b, b <= b2, b1 > 0, w1 >= 0],
        ),
        for_all(
            "x t q q1 q2",
            lambda x, t, q, q1, q2: z3.And(z3.Implies(t >= 0, x / q <= t / q1), z3.Implies(t < 0, x / q <= t / q2)),
            given=lambda x, t, q, q1, q2: [x <= t, q1 > 0, q1 <= q, q <= q2],
        ),
        for_all(
            "a x b A X B",
            lambda a, x, b, A, X, B: z3.And(
                choice(a >= A, a, A) <= choice(x >= X, x, X), choice(x >= X, x, X) <= choice(b >= B, b, B)
            ),
            given=lambda a, x, b, A, X, B: [a <= x, x <= b, A <= X, X <= B],
        ),
    )


def _inner_products(scope: Scope) -> Evidence:
    """ᾱ² ≤ λ ≤ β̄² is the middle ± half the width; the leaks add at most three products of norms."""
    del scope
    return both(
        for_all(
            "v a b",
            lambda v, a, b: z3.And(
                v - (a * a + b * b) / 2 <= (b * b - a * a) / 2, (a * a + b * b) / 2 - v <= (b * b - a * a) / 2
            ),
            given=lambda v, a, b: [a >= 0, b >= a, a * a <= v, v <= b * b],
        ),
        for_all(
            "t u p q B m M x y",
            lambda t, u, p, q, B, m, M, x, y: t * q + p * u + p * q <= B * m * y + x * B * M + x * y,
            given=lambda t, u, p, q, B, m, M, x, y: [
                0 <= t, t <= B * m, 0 <= u, u <= B * M, 0 <= p, p <= x, 0 <= q, q <= y, B >= 0, m >= 0, M >= 0
            ],
        ),
    )  # fmt: skip


def _polar(scope: Scope) -> Evidence:
    """|σ - 1| ≤ |σ² - 1| for σ ≥ 0: the polar factor is nearer than BᵀB is to I."""
    del scope
    return for_all("x", lambda x: (x - 1) * (x - 1) <= (x * x - 1) * (x * x - 1), given=lambda x: [x >= 0])


def _error_recursion(scope: Scope) -> Evidence:
    """W_{l:1}x = U y + f with y_l = R y_{l-1}, E = W U - U'R: f_l = W f_{l-1} + E y_{l-1}."""
    del scope
    algebra = Algebra()
    W, U, V = algebra.symbol("W", "b", "a"), algebra.symbol("U", "a", "r"), algebra.symbol("U'", "b", "q")
    R, y, f = algebra.symbol("R", "q", "r"), algebra.symbol("y", "r", "m"), algebra.symbol("f", "a", "m")
    return algebra.proves(W * (U * y + f), V * (R * y) + (W * f + (W * U - V * R) * y))


def _standard_model(scope: Scope) -> Evidence:
    rng = np.random.default_rng(scope.seed + 3)
    uses = [(rng.standard_normal(n), rng.standard_normal(n)) for n in (2, 17, 300)]
    return applied(STANDARD_MODEL, scope, uses)


def _exact(matrix: np.ndarray) -> fmpq_mat:
    entries = []
    for value in np.asarray(matrix, dtype=np.float64).ravel():
        top, bottom = float(value).as_integer_ratio()
        entries.append(fmpq(top, bottom))
    return fmpq_mat(matrix.shape[0], matrix.shape[1], entries)


def _package(scope: Scope) -> Evidence:
    """`pnc.theory.certificates` on float64 weights against C_l, D_l of the same numbers in rational arithmetic."""
    rng = np.random.default_rng(scope.seed + 8)
    count = scope.count(24, 480, 1920)

    def triples():
        for number in range(count):
            classes, n, depth, scale = 2 + number % 2, 2, 3 + number % 2, 0.3
            samples = classes * n
            width = samples + 2 + number % 3
            data = np.linalg.qr(rng.standard_normal((samples + 1, samples)))[0].T
            data = data + 0.1 * rng.standard_normal(data.shape) / samples
            weights = _float_weights(rng, data, classes, n, depth, width, scale, kind=number % 4)
            result = certify(weights, data, np.repeat(np.arange(classes), n), evaluation_roundoff=0.0)
            features, counts = _exact(data.T), (n,) * classes
            for layer in range(depth):
                if layer:
                    features = _exact(weights[layer - 1]) * features
                found = moments(features, counts)
                name = f"weights {number}, layer {layer}"
                seen = ball(found.compression)
                low, high = result.compression_lower[layer], result.compression_upper[layer]
                yield f"{name}, C below", ball(Fraction(float(low))), seen
                if np.isfinite(high):
                    yield f"{name}, C above", seen, ball(Fraction(float(high)))
                low, high = result.discrimination_lower[layer], result.discrimination_upper[layer]
                yield f"{name}, D below", ball(Fraction(float(low))), found.discrimination
                yield f"{name}, D above", found.discrimination, ball(Fraction(float(high)))

    found = at_most(triples(), noun="ends of certified intervals against exact C_l, D_l")
    # which end is nearest depends on the machine's linear algebra, whether they hold does not
    return (
        discharged(f"{count} weight sets: exact, perturbed by 1e-6 and 3e-2, Gaussian; every end holds")
        if found.holds
        else found
    )


def _float_weights(
    rng: np.random.Generator, data: np.ndarray, classes: int, n: int, depth: int, width: int, scale: float, *, kind: int
) -> list[np.ndarray]:
    """Exact A1-A3 up to rounding, perturbed by 1e-6 and by 3e-2, and Gaussian weights."""
    dimension = data.shape[1]
    if kind == 3:
        sizes = [dimension] + [width] * (depth - 1) + [classes]
        return [rng.standard_normal((b, a)) / np.sqrt(a) for a, b in zip(sizes, sizes[1:])]
    targets = np.kron(np.eye(classes), np.ones((1, n)))
    m = targets @ np.linalg.pinv(data.T)
    left, values, right = np.linalg.svd(m, full_matrices=False)
    core = scale * np.eye(dimension) + right.T @ np.diag(values ** (1 / depth) - scale) @ right
    frame, weights = np.eye(dimension), []
    for _ in range(depth - 1):
        after = np.linalg.qr(rng.standard_normal((width, dimension)))[0]
        weights.append(after @ core @ frame.T)
        frame = after
    weights.append(left @ np.diag(values ** (1 / depth)) @ right @ frame.T)
    size = (0.0, 1e-6, 3e-2)[kind]
    return [w + size * np.linalg.norm(w, 2) * rng.standard_normal(w.shape) / np.sqrt(w.shape[1]) for w in weights]


STATEMENT = Statement(
    number="T8",
    title="certificate for real weights",
    text="Split the inputs' span V = U_0 ⊕ V_1 ⊕ … ⊕ V_g in any way and carry F^i = V_i ⊕ … ⊕ V_g through "
    "the weights, F^i_l = W_l F^i_{l-1}. "
    "In adapted bases W_l is block-triangular with signal block S_l, residual gains in [α_{l,i}, β_{l,i}] "
    "and leaks of norm κ_{l,ij}. "
    "With s_l = S_l s_{l-1}, π_{l,i} = β_{l,i}π_{l-1,i} + κ_{l,i0}‖s_{l-1}‖ + Σ_{1≤j<i} "
    "κ_{l,ij}(β̄_{l-1,j}m_j + π_{l-1,j}): "
    "‖s_l‖² + Σ_i max(0, ᾱ_i m_i - π_i)² ≤ ‖W_{l:1}x‖_F² ≤ ‖s_l‖² + Σ_i (β̄_i m_i + π_i)². Applied to R_w, "
    "R_b and class means it encloses "
    "tr Σ_W^l, tr Σ_B^l, C_l and, with inner products, D_l; without leaks both ends are attained.",
    assumptions=("none on weights or data; rounding in the standard model, no over- or underflow",),
    tightness=("7",),
    remarks=("Full text and what is read: docs/certificate.md.",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="W_l F^j ⊂ F^j_l has no component on U_l nor on V^i_l, i < j (Lemma 1)",
            because="projections on nested subspaces",
            check=_triangular,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="coordinates of W_{l:1}x are s_l and T̄_i b_i + p_i, p_i' = T_i p_i + C_{i0}s + Σ_j C_{ij}x_j",
            because="one layer of (1); induction on l",
            check=_recursion,
        ),
        Step(
            key="3",
            kind=Kind.CLASSICAL,
            claim="‖AB‖_F ≤ ‖A‖₂‖B‖_F and ‖AB‖_F ≥ σ_min(A)‖B‖_F",
            because="column by column",
            check=_submultiplicative,
            references=("horn2013matrix",),
        ),
        Step(
            key="4",
            kind=Kind.INEQUALITY,
            claim="‖p_i‖ ≤ π_i and both ends of (4)",
            because="triangle inequality in both directions; Pythagoras over orthogonal parts",
            check=_leak_bound,
            references=("demoura2008z3",),
        ),
        Step(
            key="5",
            kind=Kind.INEQUALITY,
            claim="intervals of C_l, of cosines by sign, and of their maximum",
            because="quotients of intervals",
            check=_quotients,
            references=("demoura2008z3",),
        ),
        Step(
            key="6",
            kind=Kind.INEQUALITY,
            claim="|⟨W_{l:1}μ_k, W_{l:1}μ_k'⟩ - c_kk'| ≤ h_kk'",
            because="TᵀT = ½(β̄²+ᾱ²)I + E, ‖E‖ ≤ ½(β̄²-ᾱ²); Cauchy-Schwarz for the leaks",
            check=_inner_products,
            references=("demoura2008z3",),
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="the theorems on exact triangular weights, leaks from 0 to order 1",
            because="an implementation of its own; gains enclosed by eigenvalues of TᵀT",
            check=_whole,
        ),
        Step(
            key="8",
            kind=Kind.INEQUALITY,
            claim="‖B - U‖_F ≤ ‖BᵀB - I‖_F for the polar factor U of a computed basis B",
            because="|σ-1| ≤ |σ²-1|",
            check=_polar,
            references=("demoura2008z3",),
        ),
        Step(
            key="9",
            kind=Kind.CLASSICAL,
            claim="a float64 inner product of n terms is off by at most γ_n Σ|a_i b_i|",
            because="standard model of floating-point arithmetic",
            check=_standard_model,
            references=("higham2002accuracy",),
        ),
        Step(
            key="10",
            kind=Kind.IDENTITY,
            claim="f_l = W_l f_{l-1} + E_l y_{l-1} collects all rounding of the stored blocks",
            because="E_l = W_l U - U'R",
            check=_error_recursion,
        ),
        Step(
            key="11",
            kind=Kind.BALL,
            claim="the package's intervals contain the exact C_l, D_l of the given float64 weights",
            because="weights and data are rational numbers: features without any rounding",
            check=_package,
        ),
        Step(
            key="12",
            kind=Kind.BALL,
            claim="without leaks both ends of tr Σ_W^l are attained by data with one and the same summary",
            because="all mass of each group on its largest or on its smallest gain",
            check=_sharp,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="leaks dropped", claim="π = 0", check=lambda s: _whole(s, couple=False)),
        WrongVariant(
            name="largest gain below too",
            claim="β̄ in place of ᾱ in the lower end",
            check=lambda s: _whole(s, lower_gain=False),
        ),
        WrongVariant(
            name="1 % too tight",
            claim="both ends moved in by 1 % of the half-width",
            check=lambda s: at_most(t for t in _theorems(s, tighten=Fraction(1, 100), sharp=True) if "tr Σ_W" in t[0]),
        ),
        WrongVariant(
            name="triangle the other way",
            claim="the signal does not leak into the residual",
            check=lambda s: _triangular(s, forward=False),
        ),
    ),
)
