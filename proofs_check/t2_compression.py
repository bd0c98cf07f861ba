"""T2: compression is exactly geometric; compression and discrimination of every layer in closed form."""

from __future__ import annotations

from itertools import combinations

import sympy as sp
from flint import fmpq

from .assumptions import A1, A2, A3, INVERTIBLE, WIDE
from .balls import ball, eigenvalues, exactly_zero, identity, meets, trace
from .classical import LOEWNER_HEINZ, applied
from .instances import averaging, diagonal, labels
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .quantities import closed_form, cosines, moments
from .rewriting import Algebra, Instance
from .t1_networks import networks

__all__ = ["STATEMENT", "class_algebra", "class_instance"]

L, l = sp.symbols("L l", positive=True)
eps, alpha = sp.symbols("epsilon alpha", positive=True)


def class_algebra() -> tuple[Algebra, dict[str, sp.Expr]]:
    """Labels: Y Yᵀ = D (class sizes), Ȳ = D⁻¹ Y, P_W = I - YᵀD⁻¹Y; and a Gram matrix G with H = Y G⁻¹ Yᵀ/α²."""
    algebra = Algebra()
    s: dict[str, sp.Expr] = {
        "Y": algebra.symbol("Y", "K", "N"),
        "D": algebra.symbol("D", "K", "K", functional=True),
        "G": algebra.symbol("G", "N", "N", functional=True),
        "H": algebra.symbol("H", "K", "K", functional=True),
    }
    algebra.rule(s["Y"] * algebra.T(s["Y"]), s["D"], "YYᵀ = diag(n)")
    s["bar"] = s["D"] ** -1 * s["Y"]
    s["P"] = 1 - algebra.T(s["Y"]) * s["D"] ** -1 * s["Y"]
    return algebra, s


def class_instance(scope: Scope, index: int = 1) -> Instance:
    """The symbols of `class_algebra` on an exact network."""
    net = networks(Scope(depth="quick", seed=scope.seed))[index]
    return Instance(
        matrices={
            "Y": labels(net.counts),
            "D": diagonal(net.counts),
            "G": net.data.transpose() * net.data,
        },
        powers={"H": lambda e: net.h_power(int(net.depth * e))},
        scalars={
            L: sp.Integer(net.depth),
            l: sp.Integer(2),
            eps: sp.Rational(3, 10),
            alpha: sp.Rational(int(net.label_scale.p), int(net.label_scale.q)),
        },
        name=net.name,
    )


def _gram_law(s: dict[str, sp.Expr], algebra: Algebra) -> sp.Expr:
    """Z_lᵀZ_l by T1, for one-hot Y and label scale α."""
    y, yt = s["Y"], algebra.T(s["Y"])
    signal = yt * s["H"] ** (l / L - 1) * y / alpha**2
    return signal + eps ** (2 * l) * (s["G"] - yt * s["H"] ** -1 * y / alpha**2)


def _averages(scope: Scope) -> Evidence:
    algebra, s = class_algebra()
    model = [class_instance(scope)]
    return both(
        algebra.proves(s["bar"] * algebra.T(s["Y"]), sp.Integer(1), instances=model),
        algebra.proves(s["P"] * algebra.T(s["Y"]), sp.Integer(0), instances=model),
        algebra.proves(s["P"] * s["P"], s["P"], instances=model),
    )


def _within(scope: Scope) -> Evidence:
    algebra, s = class_algebra()
    left = s["P"] * _gram_law(s, algebra) * s["P"]
    right = eps ** (2 * l) * s["P"] * s["G"] * s["P"]
    return algebra.proves(left, right, trace=True, instances=[class_instance(scope)])


def _means(scope: Scope) -> Evidence:
    algebra, s = class_algebra()
    left = s["bar"] * _gram_law(s, algebra) * algebra.T(s["bar"])
    first = s["bar"] * s["G"] * algebra.T(s["bar"])
    right = s["H"] ** (l / L - 1) / alpha**2 + eps ** (2 * l) * (first - s["H"] ** -1 / alpha**2)
    return algebra.proves(left, right, instances=[class_instance(scope)])


def _between(scope: Scope) -> Evidence:
    """Σ_k p_k ‖μ_k - μ‖² with μ = B p: tr of B J' diag(p) J'ᵀ Bᵀ, J' = I - p1ᵀ."""
    algebra = Algebra()
    T = algebra.T
    B = algebra.symbol("B", "d", "K")
    Q = algebra.symbol("Q", "K", "K", symmetric=True)
    P = algebra.symbol("diag(p)", "K", "K", symmetric=True)
    p, one = algebra.symbol("p", "K", "1"), algebra.symbol("e", "K", "1")
    algebra.rule(P * one, p, "diag(p) 1 = p")
    algebra.rule(T(one) * p, sp.Integer(1), "1ᵀp = 1")
    algebra.rule(T(B) * B, Q, "Q = BᵀB")
    centred = B * (1 - p * T(one))
    net = networks(Scope(depth="quick", seed=scope.seed))[0]
    shares = [fmpq(n, sum(net.counts)) for n in net.counts]
    means = net.data * averaging(net.counts).transpose()
    instance = Instance(
        matrices={
            "B": means,
            "Q": means.transpose() * means,
            "diag(p)": diagonal(shares),
            "p": type(means)(len(shares), 1, shares),
            "e": type(means)(len(shares), 1, [1] * len(shares)),
        },
        name=net.name,
    )
    return algebra.proves(centred * P * T(centred), B * (P - p * T(p)) * T(B), trace=True, instances=[instance])


def _orthonormal(scope: Scope, *, samples_off: int = 1) -> Evidence:
    """X orthonormal, equal classes, in symbols n, K, L, ε, α, l."""
    n, K = sp.symbols("n K", positive=True)
    h = n / alpha**2  # H = h I, Q_0 = I/n, so Q_0 - H⁻¹/α² = 0
    residual = sp.simplify(1 / n - 1 / (h * alpha**2))
    q = h ** (l / L - 1) / alpha**2 + eps ** (2 * l) * residual
    between = q - q * K / K**2  # Σ p_k q - pᵀ(q I)p, p = 1/K
    within = eps ** (2 * l) * (n * K - K) / (n * K)  # tr P_W = N - K
    claimed = (n - samples_off) * K / (K - 1) * (eps**2 / h ** (1 / L)) ** l
    gap = sp.simplify(sp.expand_log(sp.log(within / between) - sp.log(claimed), force=True))
    if gap != 0:
        value = gap.subs({n: 3, K: 2, L: 4, l: 1, eps: sp.Rational(1, 3), alpha: 2})
        if value.is_number and abs(value.evalf()) > 1e-9:
            return refuted(f"SymPy: log of the two sides differs by {value.evalf(6)} at n = 3, K = 2")
        return discharged("SymPy") if value == 0 else refuted(str(gap))
    return discharged(
        "SymPy: both sides equal for symbols n, K, L, l, ε, α > 0; Q_l is a multiple of I, so every cos is 0"
    )


def _spectrum(scope: Scope) -> Evidence:
    """Z_lᵀZ_l = (n/α²)^{l/L} Π + ε^{2l} (I - Π), Π = YᵀY/n a projection of trace K.

    The coefficient of YᵀY in T1 is (n/α²)^{l/L-1}/α²; n times it is (n/α²)^{l/L}.
    """
    algebra = Algebra()
    n = sp.Symbol("n", positive=True)
    Y = algebra.symbol("Y", "K", "N")
    T = algebra.T
    algebra.rule(Y * T(Y), n, "YYᵀ = n I")
    projector = T(Y) * Y / n
    instance = Instance(matrices={"Y": labels((3, 3))}, scalars={n: sp.Integer(3)}, name="K = 2, n = 3")
    gap = sp.simplify(sp.powsimp(((n / alpha**2) ** (l / L - 1) / alpha**2 * n) / (n / alpha**2) ** (l / L)))
    centred = fmpq(1, 6)
    mean = labels((3, 3)).transpose() * labels((3, 3)) * fmpq(1, 3)
    ones = type(mean)(6, 6, [centred] * 36)
    checks = [
        algebra.proves(projector * projector, projector, instances=[instance]),
        discharged("the two coefficients are equal by SymPy") if gap == 1 else refuted("coefficients differ"),
        discharged("centring removes one of the K eigenvectors, YᵀY1 = n1")
        if exactly_zero(mean * ones - ones) and trace(mean) == 2
        else refuted("the mean is no eigenvector"),
    ]
    return both(*checks)


def _roots(scope: Scope) -> Evidence:
    """The ball checks enclose H^{1/L} by ‖A^s - B^s‖ ≤ s m^{s-1} ‖A - B‖."""
    from fractions import Fraction

    uses = []
    for net in networks(Scope(depth="quick", seed=scope.seed))[:3]:
        h = net.h_power(net.depth)
        low = fmpq(int(float(eigenvalues(h)[0].lower()) * 1000), 1000)
        uses.append((identity(h.nrows()) * low, h, Fraction(1, net.depth)))
    return applied(LOEWNER_HEINZ, scope, uses)


def _layers(scope: Scope, *, shift: int = 0, scale_power: int = 2, with_alpha: bool = True) -> Evidence:
    """Definitions on the features of exact networks against the closed form of the Gram matrix."""

    def pairs():
        for net in networks(scope):
            gram = net.data.transpose() * net.data
            form = closed_form(
                gram,
                net.counts,
                depth=net.depth,
                residual_scale=net.residual_scale,
                label_scale=net.label_scale if with_alpha else fmpq(1),
            )
            for layer in range(net.depth - (1 if shift else 0)):
                seen = moments(net.product(layer) * net.data, net.counts)
                within = form.within(0) * net.residual_scale ** (scale_power * layer)
                name = f"{net.name}, layer {layer}"
                yield f"{name}, tr Σ_W", seen.within, within
                yield f"{name}, tr Σ_B", seen.between, form.between(layer + shift)
                yield f"{name}, C", seen.compression, ball(within) / form.between(layer + shift)
                angles = cosines(form.means_gram(layer + shift))
                for (a, b), angle in zip(combinations(range(len(net.counts)), 2), angles):
                    yield f"{name}, cos", seen.cosine(a, b), angle

    return meets(pairs(), noun="numbers of layers")


STATEMENT = Statement(
    number="T2",
    title="compression is exactly geometric",
    text="tr Σ_W^l = ε^{2l} tr Σ_W^0; Q_l = H^{l/L-1}/α² + ε^{2l} (Q_0 - H⁻¹/α²); C_l = ε^{2l} tr Σ_W^0 / "
    "tr Σ_B^l with "
    "tr Σ_B^l = Σ p_k (Q_l)_kk - pᵀ Q_l p; D_l = 1 - max (Q_l)_kk'/√((Q_l)_kk (Q_l)_k'k'). Orthonormal X, "
    "equal classes: "
    "C_l = (n-1)K/(K-1) · (ε²/(n/α²)^{1/L})^l, D_l = 1, and Z_lᵀZ_l has K eigenvalues (n/α²)^{l/L} and N-K "
    "equal to ε^{2l}.",
    assumptions=(str(A1), str(A2), str(A3), str(INVERTIBLE), str(WIDE)),
    rests_on=("T1",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="Ȳ Yᵀ = I, P_W Yᵀ = 0, P_W² = P_W",
            because="classes partition the samples: YYᵀ = diag(n)",
            check=_averages,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="N tr Σ_W^l = tr P_W Z_lᵀZ_l P_W = ε^{2l} tr P_W G P_W",
            because="Z minus its class means is Z P_W; T1; P_W Yᵀ = 0 kills both label terms",
            check=_within,
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="Q_l = Ȳ Z_lᵀZ_l Ȳᵀ = H^{l/L-1}/α² + ε^{2l} (Q_0 - H⁻¹/α²)",
            because="class means are Z Ȳᵀ; T1; Ȳ Yᵀ = I",
            check=_means,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="tr Σ_B = tr (diag p - ppᵀ) Q",
            because="Σ p_k ‖μ_k - μ‖² with μ = Σ p_k μ_k and Σ p_k = 1",
            check=_between,
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="orthonormal X: C_l = (n-1)K/(K-1) (ε²/(n/α²)^{1/L})^l and D_l = 1",
            because="H = n/α² I, Q_0 = I/n, so the residual part vanishes",
            check=_orthonormal,
        ),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="orthonormal X: K eigenvalues (n/α²)^{l/L}, N-K eigenvalues ε^{2l}",
            because="YᵀY/n is a projection of rank K",
            check=_spectrum,
        ),
        Step(
            key="7",
            kind=Kind.CLASSICAL,
            claim="enclosures of H^{1/L}: ‖H^{1/L} - B‖ ≤ m^{1/L-1}/L ‖H - B^L‖",
            because="Löwner-Heinz; used by every ball check that follows",
            check=_roots,
            references=("loewner1934", "heinz1951"),
        ),
        Step(
            key="8",
            kind=Kind.BALL,
            claim="tr Σ_W, tr Σ_B, C_l and every cosine, from features by definition and from G by the formulas",
            because="exact networks; the two sides share no code",
            check=_layers,
            references=("johansson2017arb",),
        ),
    ),
    wrong_variants=(
        WrongVariant(name="layer off by one", claim="Q_l with H^{(l+1)/L-1}", check=lambda s: _layers(s, shift=1)),
        WrongVariant(name="ε^l", claim="tr Σ_W^l = ε^l tr Σ_W^0", check=lambda s: _layers(s, scale_power=1)),
        WrongVariant(
            name="α forgotten",
            claim="H of Y in place of H of Y/α",
            check=lambda s: _layers(Scope(depth="standard", seed=s.seed), with_alpha=False),
        ),
        WrongVariant(name="n for n-1", claim="C_0 = nK/(K-1)", check=lambda s: _orthonormal(s, samples_off=0)),
    ),
)
