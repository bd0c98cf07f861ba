"""U5 and RL5: where compression happens, and what an activation can do, for any features of any network."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import sympy as sp
import z3
from flint import arb, fmpq, fmpq_mat

from .balls import at_most, ball, decided, trace
from .instances import random_features, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .quantities import class_scatter, moments
from .scalar import for_all

__all__ = ["STATEMENT"]


def _instances(scope: Scope) -> Iterator[tuple[str, fmpq_mat, tuple[int, ...]]]:
    rng = scope.rng("U5")
    shapes = [((3, 3), 3), ((2, 4, 3), 4), ((1, 5), 2), ((2, 2, 2, 2), 5)]
    for number in range(scope.count(8, 120, 500)):
        counts, dimension = shapes[number % 4]
        spread = ("1/4", "1", "3")[number // 4 % 3]
        yield f"features {number}", random_features(rng, counts=counts, dimension=dimension, spread=spread), counts


def _map(features: fmpq_mat, function) -> fmpq_mat:
    return fmpq_mat(features.nrows(), features.ncols(), [function(entry) for entry in features.entries()])


def _positive(features: fmpq_mat) -> fmpq_mat:
    return _map(features, lambda v: v if v > 0 else fmpq(0))


def _pairs(features: fmpq_mat, counts: tuple[int, ...]) -> fmpq:
    """Σ_k p_k (1/2n_k²) Σ_{i,j∈k} ‖z_i - z_j‖²."""
    total, start, N = fmpq(0), 0, sum(counts)
    for n in counts:
        inner = fmpq(0)
        for i in range(start, start + n):
            for j in range(start, start + n):
                for row in range(features.nrows()):
                    inner += (features[row, i] - features[row, j]) ** 2
        total += fmpq(n, N) * inner / (2 * n * n)
        start += n
    return total


def _sum(scope: Scope) -> Evidence:
    """log C_out - log C_in adds up: differences of logarithms telescope."""
    del scope
    w = sp.symbols("w0:4", positive=True)
    b = sp.symbols("b0:4", positive=True)
    whole = sp.log(w[3] / b[3]) - sp.log(w[0] / b[0])
    parts = sum(sp.log(w[i + 1]) - sp.log(w[i]) - sp.log(b[i + 1]) + sp.log(b[i]) for i in range(3))
    gap = sp.simplify(sp.expand_log(whole, force=True) - parts)
    return discharged("SymPy, a chain of three modules") if gap == 0 else refuted(str(gap))


def _identity(scope: Scope, *, factor: int = 2) -> Evidence:
    """tr Σ_W as pairwise distances, exactly; and after a linear map tr(WΣ_WWᵀ)."""
    rng = scope.rng("U5 maps")
    triples = []
    for name, Z, counts in _instances(scope):
        within = moments(Z, counts).within
        triples.append((f"{name}, pairs", abs(within - _pairs(Z, counts) * fmpq(2, factor)), fmpq(0)))
        W = random_matrix(3, Z.nrows(), rng)
        scatter, _ = class_scatter(Z, counts)
        after = moments(W * Z, counts).within
        triples.append((f"{name}, linear map", abs(after - trace(W * scatter * W.transpose())), fmpq(0)))
    return at_most(triples, noun="identities")


def _lipschitz(scope: Scope, *, slope: str = "1") -> Evidence:
    """Activations with |f(a) - f(b)| ≤ |a - b| never raise tr Σ_W: ReLU, leaky ReLU, hard tanh, |·|."""
    triples = []
    gain = fmpq(Fraction(slope).numerator, Fraction(slope).denominator)
    kinds = {
        "relu": lambda v: v * gain if v > 0 else fmpq(0),
        "leaky": lambda v: v * gain if v > 0 else v / 10,
        "clip": lambda v: max(fmpq(-1), min(fmpq(1), v)) * gain,
        "abs": lambda v: abs(v) * gain,
    }
    for name, Z, counts in _instances(scope):
        for kind, function in kinds.items():
            after = moments(_map(Z, function), counts).within
            triples.append((f"{name}, {kind}", after, moments(Z, counts).within))
    return at_most(triples, noun="activations")


def _sums(scope: Scope, *, squares: bool = False) -> Evidence:
    """A skip's sum: √S(u+v) ≤ √S(u) + √S(v), S = tr Σ_W and tr Σ_B."""
    rng = scope.rng("U5 skips")
    triples = []
    for name, Z, counts in _instances(scope):
        V = random_features(rng, counts=counts, dimension=Z.nrows(), spread="1/2")
        if rng.random() < 0.4:
            V = Z * fmpq(rng.randint(1, 9), 3)
        for which in ("within", "between"):
            both_, one, two = (ball(getattr(moments(item, counts), which)) for item in (Z + V, Z, V))
            left, right = (both_, one + two) if squares else (both_.sqrt(), one.sqrt() + two.sqrt())
            triples.append((f"{name}, {which}", left, right * ball("1000000000001/1000000000000")))
    return at_most(triples, noun="sums")


def _twins(scope: Scope, *, cross: int = 2) -> Evidence:
    """RL5 (1): tr Σ_W(z) = tr Σ_W(z₊) + tr Σ_W(z₋) + 2 Σ_k p_k ⟨E_k z₊, E_k z₋⟩, z = z₊ - z₋."""
    triples = []
    for name, Z, counts in _instances(scope):
        up, down = _positive(Z), _positive(Z * -1)
        a, b = moments(up, counts), moments(down, counts)
        N, meeting = sum(counts), fmpq(0)
        for k, n in enumerate(counts):
            meeting += fmpq(n, N) * sum((x * y for x, y in zip(a.means[k], b.means[k])), start=fmpq(0))
        gap = moments(Z, counts).within - a.within - b.within - cross * meeting
        triples.append((name, abs(gap), fmpq(0)))
    return at_most(triples, noun="feature sets")


def _distances(scope: Scope, *, half: str = "1/2") -> Evidence:
    """RL5 (2): ½(a-b)² ≤ (a₊-b₊)² + (a₋-b₋)² ≤ (a-b)², a number at a time; sums follow."""
    del scope
    share = Fraction(half)

    # of reals, hence reals, which the library does not say
    def positive(x) -> z3.ArithRef:
        return cast("z3.ArithRef", z3.If(x > 0, x, 0))

    def gap(a, b) -> z3.ArithRef:
        return cast("z3.ArithRef", positive(a) - positive(b))

    def claim(a, b):
        whole = (a - b) * (a - b)
        up, down = gap(a, b), gap(-a, -b)
        parts = z3.Sum(up * up, down * down)
        return z3.And(whole * z3.Q(share.numerator, share.denominator) <= parts, parts <= whole)

    return for_all("a b", claim)


def _cosine_step(scope: Scope) -> Evidence:
    """σ(‖a₊‖‖b₋‖ + ‖a₋‖‖b₊‖) ≤ σ‖a‖‖b‖: (ps + qr)² ≤ (p²+q²)(r²+s²)."""
    del scope
    return for_all("p q r s", lambda p, q, r, s: (p * s + q * r) * (p * s + q * r) <= (p * p + q * q) * (r * r + s * s))


def _orthant(scope: Scope) -> Evidence:
    """û·v ≤ √(1 - c'²)‖v‖ for v ≥ 0 with v ⟂ w, cos(u, w) = c': Bessel's inequality on w and v, exactly."""
    rng = scope.rng("RL5 cosine")
    triples = []
    for number in range(scope.count(40, 400, 2000)):
        size = 2 + number % 5
        a, b = random_matrix(size, 1, rng), random_matrix(size, 1, rng)
        u, w, v = _positive(a), _positive(b), _positive(b * -1)
        uu, ww, vv = (trace(x.transpose() * x) for x in (u, w, v))
        if 0 in (uu, ww, vv):
            continue
        uw, uv = trace(u.transpose() * w), trace(u.transpose() * v)
        triples.append((f"{number}, w ⟂ v", abs(trace(w.transpose() * v)), fmpq(0)))
        triples.append((f"{number}", uv**2 * ww + uw**2 * vv, uu * ww * vv))
    return at_most(triples, noun="vectors")


def _cosines(scope: Scope, *, sharper: bool = False) -> Evidence:
    """RL5 (3): c = cos(a,b) < 0 ⇒ cos(a₊,b₊)² ≤ 1 - c², on random vectors and where it is attained."""
    rng = scope.rng("RL5 whole")
    triples = []
    for number in range(scope.count(60, 1500, 8000)):
        size = 2 + number % 5
        a, b = random_matrix(size, 1, rng), random_matrix(size, 1, rng)
        if number % 10 == 0:  # near where it is attained
            a, b = fmpq_mat(2, 1, [fmpq(1), fmpq(-1000)]), random_matrix(2, 1, rng)
        ab, aa, bb = trace(a.transpose() * b), trace(a.transpose() * a), trace(b.transpose() * b)
        u, w = _positive(a), _positive(b)
        uu, ww = trace(u.transpose() * u), trace(w.transpose() * w)
        if ab >= 0 or 0 in (uu, ww):
            continue
        after = trace(u.transpose() * w) ** 2 / (uu * ww)
        limit = 1 - ab**2 / (aa * bb)
        triples.append((f"{number}", after, limit**2 if sharper else limit))
    return at_most(triples, noun="pairs at obtuse angles")


def _attained(scope: Scope) -> Evidence:
    """a = (1, -q), b = (cos f, sin f): c → -sin f as q grows, and cos(a₊, b₊) = cos f."""
    del scope
    triples = []
    for cosine, sine in ((fmpq(3, 5), fmpq(4, 5)), (fmpq(4, 5), fmpq(3, 5)), (fmpq(5, 13), fmpq(12, 13))):
        a, b = fmpq_mat(2, 1, [fmpq(1), fmpq(-(10**6))]), fmpq_mat(2, 1, [cosine, sine])
        c2 = trace(a.transpose() * b) ** 2 / trace(a.transpose() * a)
        triples.append((f"cos f = {cosine}", (1 - c2) - cosine**2, fmpq(1, 10**5)))
    return at_most(triples, noun="near-attained instances")


def _disjoint(scope: Scope) -> Evidence:
    """RL5 (4): after ReLU all cosines are ≥ 0, so D ≤ 1, and = 0 iff no unit is active in both classes' means."""
    triples = []
    for name, Z, counts in _instances(scope):
        found = moments(_positive(Z), counts)
        for a in range(len(counts)):
            for b in range(a):
                inner = found.inner(a, b)
                shared = any(x > 0 and y > 0 for x, y in zip(found.means[a], found.means[b]))
                triples.append((f"{name}, sign", fmpq(0), inner))
                triples.append(decided(f"{name}, support", (inner == 0) == (not shared)))
    return at_most(triples, noun="pairs of classes")


def _gates(scope: Scope, *, loose: str = "1") -> Evidence:
    """RL5 (5): |√S(relu z) - √S(G_k z)| ≤ √S(z·1{gate ≠ class-mean gate}), S = tr Σ_W with G_k fixed gates a class."""
    triples = []
    for name, Z, counts in _instances(scope):
        gates, start = [], 0
        for k, n in enumerate(counts):
            mean = moments(Z, counts).means[k]
            gates += [[v > 0 for v in mean]] * n
            start += n
        rows, columns = Z.nrows(), Z.ncols()
        fixed = fmpq_mat(
            rows, columns, [Z[i, j] if gates[j][i] else fmpq(0) for i in range(rows) for j in range(columns)]
        )
        relu = _positive(Z)
        left = ball(moments(relu, counts).within).sqrt() - ball(moments(fixed, counts).within).sqrt()
        right = ball(moments(relu - fixed, counts).within).sqrt()
        triples.append((name, abs(left), right * ball(loose) + arb("1e-40")))
    return at_most(triples, noun="feature sets")


STATEMENT = Statement(
    number="U5",
    title="where compression happens",
    text="Any features. log C_out - log C_in = Σ over modules (Δ log tr Σ_W - Δ log tr Σ_B). tr Σ_W = Σ_k p_k/(2n_k²) "
    "Σ_{i,j∈k} ‖z_i - z_j‖², so an activation with Lipschitz constant 1 never raises it; a linear map makes it "
    "tr(WΣ_WWᵀ); √S(u+v) ≤ √S(u) + √S(v) for S = tr Σ_W, tr Σ_B. ReLU (RL5): tr Σ_W(z) = tr Σ_W(z₊) + tr Σ_W(z₋) + "
    "2Σ_k p_k⟨E_k z₊, E_k z₋⟩; ½‖a-b‖² ≤ ‖a₊-b₊‖² + ‖a₋-b₋‖² ≤ ‖a-b‖²; cos(a,b) = c < 0 ⇒ cos(a₊,b₊) ≤ √(1-c²); "
    "D ≤ 1 after ReLU, = 1 iff the classes' active sets are disjoint; "
    "|√S(relu z) - √S(G_k z)| ≤ √S(z·1{gate differs}).",
    assumptions=("class weights p_k are the samples' shares",),
    tightness=("8",),
    remarks=("Nothing of this kind bounds tr Σ_B from below through ReLU: two points with equal images refute it.",),
    steps=(
        Step(key="1", kind=Kind.IDENTITY, claim="log C adds up over a chain", because="telescoping", check=_sum),
        Step(
            key="2",
            kind=Kind.BALL,
            claim="tr Σ_W as pairwise distances; through a linear map",
            because="exact features",
            check=_identity,
        ),
        Step(
            key="3",
            kind=Kind.BALL,
            claim="Lipschitz activations never raise tr Σ_W",
            because="each distance in step 2 falls",
            check=_lipschitz,
        ),
        Step(
            key="4",
            kind=Kind.BALL,
            claim="√S of a sum",
            because="√S is a seminorm: a Euclidean norm of centred features",
            check=_sums,
        ),
        Step(key="5", kind=Kind.BALL, claim="RL5 (1), the twin identity", because="exact features", check=_twins),
        Step(
            key="6",
            kind=Kind.INEQUALITY,
            claim="RL5 (2): both inequalities for numbers",
            because="z3, by cases of the signs",
            check=_distances,
            references=("demoura2008z3",),
        ),
        Step(
            key="7",
            kind=Kind.INEQUALITY,
            claim="RL5 (3): a·b ≥ -(a₊·b₋ + a₋·b₊) ≥ -σ(‖a₊‖‖b₋‖ + ‖a₋‖‖b₊‖) ≥ -σ‖a‖‖b‖, σ² = 1 - cos²(a₊,b₊)",
            because="Bessel on b₊ ⟂ b₋ (and a₊ ⟂ a₋), then Cauchy–Schwarz",
            check=lambda s: both(_cosine_step(s), _orthant(s)),
            references=("demoura2008z3",),
        ),
        Step(
            key="8",
            kind=Kind.BALL,
            claim="RL5 (3) on random pairs, and near where it is attained",
            because="squares are rational",
            check=lambda s: both(_cosines(s), _attained(s)),
        ),
        Step(key="9", kind=Kind.BALL, claim="RL5 (4)", because="sums of non-negative terms", check=_disjoint),
        Step(
            key="10",
            kind=Kind.BALL,
            claim="RL5 (5)",
            because="step 4 for relu z = G_k z + the rest, where gates differ",
            check=_gates,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="pairs counted once", claim="p_k/n_k² Σ_{i,j}", check=lambda s: _identity(s, factor=1)),
        WrongVariant(name="slope 1.1", claim="Lipschitz constant 1.1", check=lambda s: _lipschitz(s, slope="11/10")),
        WrongVariant(name="scatters add up", claim="S(u+v) ≤ S(u) + S(v)", check=lambda s: _sums(s, squares=True)),
        WrongVariant(name="cross term once", claim="+ Σ_k p_k⟨…⟩", check=lambda s: _twins(s, cross=1)),
        WrongVariant(name="nothing lost", claim="0.6‖a-b‖² ≤ …", check=lambda s: _distances(s, half="3/5")),
        WrongVariant(name="1 - c²", claim="cos(a₊,b₊) ≤ 1 - c²", check=lambda s: _cosines(s, sharper=True)),
        WrongVariant(name="gates half", claim="≤ ½√S(…)", check=lambda s: _gates(s, loose="1/2")),
    ),
)
