"""N1 and RL6: kernels of wide networks before training, and the moments of a rectified Gaussian."""

from __future__ import annotations

from itertools import product

import sympy as sp
from flint import acb, arb, fmpq

from .balls import at_most, ball, meets, rational
from .instances import averaging, random_features, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, discharged, refuted
from .quantities import moments
from .scalar import nonnegative_on_box

__all__ = ["STATEMENT"]


def _layer(scope: Scope, *, gain: int = 1) -> Evidence:
    """E (w·x)(w·y) + b² = σ² x·y/d + b², exactly: over all signs of independent entries of variance σ²/d."""
    rng = scope.rng("N1 layer")
    triples = []
    for number in range(scope.count(6, 20, 60)):
        d = 2 + number % 4
        pair = random_matrix(d, 2, rng)
        σ2, b2 = fmpq(rng.randint(1, 9), 4), fmpq(rng.randint(0, 5), 3)
        total = fmpq(0)
        for signs in product((-1, 1), repeat=d):
            one, two = (sum((s * pair[i, c] for i, s in enumerate(signs)), start=fmpq(0)) for c in (0, 1))
            total += one * two
        mean = σ2 * total / (d * 2**d) + b2
        inner = sum((pair[i, 0] * pair[i, 1] for i in range(d)), start=fmpq(0))
        triples.append((f"pair {number}", abs(mean - σ2 * inner * gain / d - b2), fmpq(0)))
    return at_most(triples, noun="pairs of samples")


def _price(scope: Scope, *, sign: int = -1, share: int = 2) -> Evidence:
    """The kernel's derivative in ρ is P(u > 0, v > 0), whose own is the density at 0; both start right at ρ = 0."""
    del scope
    θ = sp.symbols("theta", positive=True)
    kernel = (sp.sin(θ) + (sp.pi + sign * θ) * sp.cos(θ)) / (share * sp.pi)
    both = (sp.pi - θ) / (2 * sp.pi)  # P(u > 0, v > 0)
    slope = sp.simplify(sp.diff(kernel, θ) / -sp.sin(θ) - both)
    density = sp.simplify(sp.diff(both, θ) / -sp.sin(θ) - 1 / (2 * sp.pi * sp.sin(θ)))
    x = sp.symbols("x", real=True)
    half = sp.integrate(x * sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi), (x, 0, sp.oo))
    start = sp.simplify(kernel.subs(θ, sp.pi / 2) - half**2), both.subs(θ, sp.pi / 2) - sp.Rational(1, 4)
    if (slope, density, *start) == (0, 0, 0, 0):
        return discharged("SymPy: dE/dρ = P(both on), dP/dρ = 1/(2π√(1-ρ²)), and both values at ρ = 0")
    return refuted(f"off by {slope}, {density}, {start}")


def _normal(x: acb) -> acb:
    return (-x * x / 2).exp() / (2 * acb.pi()).sqrt()


def _below(x: acb) -> acb:
    return (1 + (x / acb(2).sqrt()).erf()) / 2


def _moment(power: int, t: fmpq) -> arb:
    """E (x + t)₊^power by ball integration to x + t = 24, the rest enclosed: far below 1e-40 for t ≤ 3."""
    shift = acb(ball(t))

    def integrand(z, _):
        return z**power * _normal(z - shift)

    found = acb.integral(integrand, 0, 24)
    return found.real + arb(0, "1e-40")


def _quadrature(scope: Scope, *, sign: int = -1) -> Evidence:
    """E u₊v₊ = ∫ x₊φ(x) g(ρx, 1-ρ²) dx, g the mean of a rectified Gaussian, against the kernel."""
    pairs = []
    values = ("-9/10", "-1/3", "0", "1/4", "3/5", "19/20", "-3/5", "1/10", "4/5")
    for text in values[: scope.count(5, 9, 9)]:
        ρ = rational(text)
        θ = ball(ρ).acos()
        kernel = (θ.sin() + (arb.pi() + sign * θ) * ball(ρ)) / (2 * arb.pi())
        spread = acb((1 - ball(ρ) ** 2).sqrt())

        def integrand(x, _, ρ=ρ, spread=spread):
            t = acb(ball(ρ)) * x / spread
            return x * _normal(x) * spread * (t * _below(t) + _normal(t))

        found = acb.integral(integrand, 0, 18).real + arb(0, "1e-60")
        pairs.append((f"ρ = {text}", found, kernel))
    return meets(pairs, noun="correlations")


def _cosines(scope: Scope, *, factor: str = "1") -> Evidence:
    """A layer never lowers a cosine: (sin θ + (π-θ) cos θ)/π - cos θ = (sin θ - θ cos θ)/π ≥ 0 on [0, π]."""
    del scope
    c = ball(rational(factor))

    # divided by θ³, which is removable at 0: (sin θ - θ cos θ)/θ³ = Σ (-1)^j 2(j+1)/(2j+3)! θ^{2j}
    def series(θ: arb) -> arb:
        total, square = arb(0), θ * θ
        power = arb(1)
        for j in range(30):
            total += power * (-1) ** j * (2 * (j + 1)) / arb.fac_ui(2 * j + 3)
            power *= square
        return total + arb(0, "1e-30") - (c - 1)

    # π < 3.15
    return nonnegative_on_box(series, [(0, "63/20")])


def _gram(scope: Scope, *, centred: bool = True) -> Evidence:
    """tr Σ_W, tr Σ_B and the means' Gram matrix from the samples' Gram matrix alone."""
    rng = scope.rng("N1 gram")
    triples = []
    for number in range(scope.count(8, 40, 200)):
        counts = ((3, 3), (2, 4, 3), (1, 5))[number % 3]
        Z = random_features(rng, counts=counts, dimension=4)
        G, A, N = Z.transpose() * Z, averaging(counts), sum(counts)
        Q = A * G * A.transpose() if A.nrows() == len(counts) else A.transpose() * G * A
        found = moments(Z, counts)
        K = len(counts)
        means = sum((fmpq(counts[k], N) * Q[k, k] for k in range(K)), start=fmpq(0))
        both = sum((fmpq(counts[a] * counts[b], N * N) * Q[a, b] for a in range(K) for b in range(K)), start=fmpq(0))
        trace = sum((G[i, i] for i in range(N)), start=fmpq(0)) / N
        triples.append((f"features {number}, within", abs(found.within - (trace - means)), fmpq(0)))
        between = means - both if centred else means
        triples.append((f"features {number}, between", abs(found.between - between), fmpq(0)))
        triples.append((f"features {number}, angle", abs(found.inner(0, 1) - Q[0, 1]), fmpq(0)))
    return at_most(triples, noun="quantities")


def _rectified(scope: Scope, *, square: int = 1) -> Evidence:
    """RL6: d/dt E(x+t)₊ = Φ and d/dt E(x+t)₊² = 2E(x+t)₊, both 0 at -∞, for tΦ + φ and (1+t²)Φ + tφ."""
    del scope
    t = sp.symbols("t", real=True)
    φ = sp.exp(-(t**2) / 2) / sp.sqrt(2 * sp.pi)
    Φ = (1 + sp.erf(t / sp.sqrt(2))) / 2
    first, second = t * Φ + φ, (square + t**2) * Φ + t * φ
    gaps = sp.simplify(sp.diff(first, t) - Φ), sp.simplify(sp.diff(second, t) - 2 * first)
    ends = sp.limit(first, t, -sp.oo), sp.limit(second, t, -sp.oo)
    if gaps == (0, 0) and ends == (0, 0):
        return discharged("SymPy: both derivatives, and 0 at -∞")
    return refuted(f"derivatives off by {gaps}, ends {ends}")


def _rectified_numbers(scope: Scope, *, forget_mean: bool = False) -> Evidence:
    """RL6 against ball integration."""
    pairs = []
    for text in ("-2", "-1/2", "0", "1/3", "1", "3")[: scope.count(4, 6, 6)]:
        t = rational(text)
        T = ball(t)
        φ = (-T * T / 2).exp() / (2 * arb.pi()).sqrt()
        Φ = (1 + (T / arb(2).sqrt()).erf()) / 2
        first, second = _moment(1, t), _moment(2, t)
        pairs.append((f"t = {text}, mean", first, T * Φ + φ))
        law = (1 + T * T) * Φ + T * φ - (0 if forget_mean else (T * Φ + φ) ** 2)
        pairs.append((f"t = {text}, variance", second - first**2, law))
    return meets(pairs, noun="moments")


def _mehler(scope: Scope, *, shift: int = 2) -> Evidence:
    """RL6: the k-th derivative of tΦ + φ is Φ, φ, and (-1)^k He_{k-2} φ from k = 2 on."""
    del scope
    t = sp.symbols("t", real=True)
    φ = sp.exp(-(t**2) / 2) / sp.sqrt(2 * sp.pi)
    found = φ
    for k in range(2, 13):
        hermite = 2 ** (-sp.Rational(k - shift, 2)) * sp.hermite(k - shift, t / sp.sqrt(2))
        if sp.expand(sp.simplify(found / φ - (-1) ** k * hermite)) != 0:
            return refuted(f"derivative {k}")
        found = sp.diff(found, t)
    return discharged("SymPy, every k to 12; dHe_n φ = -He_{n+1} φ gives the others")


def _parseval(scope: Scope) -> Evidence:
    """Σ_{k ≤ 12} a_k²/k! ≤ Var z₊: what the series leaves out of a variance is never negative (Bessel)."""
    triples = []
    for text in ("-3", "-1", "0", "1/2", "2", "4")[: scope.count(4, 6, 6)]:
        T = ball(rational(text))
        φ = (-T * T / 2).exp() / (2 * arb.pi()).sqrt()
        Φ = (1 + (T / arb(2).sqrt()).erf()) / 2
        total, hermite, following = Φ * Φ, arb(1), T
        for k in range(2, 13):
            total += (hermite * φ) ** 2 / arb.fac_ui(k)
            hermite, following = following, T * following - (k - 1) * hermite
        triples.append((f"t = {text}", total, (1 + T * T) * Φ + T * φ - (T * Φ + φ) ** 2))
    return at_most(triples, noun="thresholds")


STATEMENT = Statement(
    number="N1",
    title="wide networks before training",
    text="Independent centred weights of variance σ²/fan-in and biases of variance b²; as the widths grow the units of "
    "a layer are independent centred Gaussians given the layer before, of covariance H = σ²K_{l-1} + b². After ReLU "
    "K_l = √(H_ii H_jj)(sin θ + (π-θ) cos θ)/2π, cos θ = H_ij/√(H_ii H_jj). C_l and D_l follow from K_l. A rectified "
    "Gaussian (RL6), t = m/√v: E z₊ = √v(tΦ+φ), Var z₊ = v((1+t²)Φ + tφ) - (E z₊)², covariances Σ_k a_k a_k' ρ^k/k! "
    "√(vv') with a_1 = Φ, a_k = (-1)^k He_{k-2} φ.",
    assumptions=("independent weights", "widths to infinity", "RL6: pre-activations Gaussian within each class"),
    remarks=(
        "That the units become Gaussian is the central limit theorem, cited; the finite-width correction is measured.",
        "RL6 as used on networks is an approximation: its moments are exact for Gaussians, networks are not Gaussian "
        "within their classes, and on the training samples of trained networks it is wrong by factors.",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.BALL,
            claim="H = σ²K + b²",
            because="all signs, exactly",
            check=_layer,
            references=("lee2018deep",),
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="ReLU's kernel: its derivatives in ρ, and its value at ρ = 0",
            because="Price's theorem twice; the orthant probability is (π-θ)/2π",
            check=_price,
            references=("cho2009kernel", "meurer2017sympy"),
        ),
        Step(
            key="3",
            kind=Kind.BALL,
            claim="the kernel against the integral",
            because="ball integration",
            check=_quadrature,
            references=("johansson2017arb",),
        ),
        Step(
            key="4",
            kind=Kind.INEQUALITY,
            claim="without biases no layer lowers a cosine: sin θ ≥ θ cos θ on [0, π]",
            because="divided by θ³",
            check=_cosines,
            references=("johansson2017arb",),
        ),
        Step(key="5", kind=Kind.BALL, claim="tr Σ_W, tr Σ_B, angles from K_l", because="exact features", check=_gram),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="RL6: mean and second moment of a rectified Gaussian",
            because="derivatives in t",
            check=_rectified,
            references=("meurer2017sympy",),
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="RL6 against the integrals",
            because="ball integration",
            check=_rectified_numbers,
            references=("johansson2017arb",),
        ),
        Step(
            key="8",
            kind=Kind.IDENTITY,
            claim="RL6: Mehler's coefficients",
            because="derivatives of the mean in t",
            check=_mehler,
            references=("meurer2017sympy",),
        ),
        Step(
            key="9",
            kind=Kind.BALL,
            claim="RL6: the series cut off leaves a variance that is not negative",
            because="Bessel's inequality",
            check=_parseval,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="no division by fan-in", claim="E(w·x)(w·y) = 2σ² x·y/d", check=lambda s: _layer(s, gain=2)),
        WrongVariant(name="π + θ", claim="(sin θ + (π+θ) cos θ)/2π", check=lambda s: _quadrature(s, sign=1)),
        WrongVariant(name="1/π", claim="(sin θ + (π-θ) cos θ)/π", check=lambda s: _price(s, share=1)),
        WrongVariant(
            name="cosines grow by 2 θ³", claim="(sin θ - θ cos θ)/θ³ ≥ 1", check=lambda s: _cosines(s, factor="2")
        ),
        WrongVariant(name="not centred", claim="tr Σ_B = Σ p_k Q_kk", check=lambda s: _gram(s, centred=False)),
        WrongVariant(
            name="second moment", claim="Var z₊ = E z₊²", check=lambda s: _rectified_numbers(s, forget_mean=True)
        ),
        WrongVariant(name="2 for 1", claim="(2+t²)Φ + tφ", check=lambda s: _rectified(s, square=2)),
        WrongVariant(name="He_{k-1}", claim="a_k = ±He_{k-1} φ", check=lambda s: _mehler(s, shift=1)),
    ),
)
