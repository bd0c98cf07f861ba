"""T4: He and Su's separation fuzziness tr(Σ_W Σ_B⁺) of every layer, and its rate."""

from __future__ import annotations

import sympy as sp
import z3
from flint import arb, arb_mat, fmpq, fmpq_mat

from .assumptions import A1, A2, A3, INVERTIBLE, WIDE
from .balls import at_most, ball, ball_matrix, eigenvalues, frobenius_square, identity, meets, trace
from .classical import PENROSE, applied
from .instances import GramInstance, averaging, gram_instances, within_projection
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both
from .quantities import ClosedForm, class_scatter, closed_form
from .rewriting import Algebra, Instance
from .scalar import for_all
from .t1_networks import networks
from .t2_compression import class_algebra, class_instance

__all__ = ["STATEMENT", "pseudo_inverse"]

L, l = sp.symbols("L l", positive=True)
eps, alpha = sp.symbols("epsilon alpha", positive=True)


def pseudo_inverse(matrix: fmpq_mat) -> fmpq_mat:
    """S⁺ of an exact symmetric matrix: C (CᵀSC)⁻¹ Cᵀ for a basis C of its range."""
    size, rank = matrix.nrows(), matrix.rank()
    chosen: list[int] = []
    for j in range(size):
        tried = [*chosen, j]
        block = fmpq_mat(size, len(tried), [matrix[i, c] for i in range(size) for c in tried])
        if block.rank() == len(tried):
            chosen = tried
        if len(chosen) == rank:
            break
    basis = fmpq_mat(size, rank, [matrix[i, c] for i in range(size) for c in chosen])
    return basis * (basis.transpose() * matrix * basis).inv() * basis.transpose()


def _factor_algebra() -> tuple[Algebra, dict[str, sp.Symbol]]:
    """B = Z Ȳᵀ Jᵀ diag(√p), R = BᵀB, R' = R⁺, E the projection on range R = range Bᵀ."""
    algebra = Algebra()
    s = {
        "B": algebra.symbol("B", "d", "K"),
        "R": algebra.symbol("R", "K", "K", symmetric=True),
        "R'": algebra.symbol("R'", "K", "K", symmetric=True),
        "E": algebra.symbol("E", "K", "K", symmetric=True),
        "Z": algebra.symbol("Z", "d", "N"),
        "P": algebra.symbol("P_W", "N", "N", symmetric=True),
    }
    B, R, inverse, E = s["B"], s["R"], s["R'"], s["E"]
    algebra.rule(algebra.T(B) * B, R, "R = BᵀB")
    algebra.rule(R * inverse, E, "R R⁺ = E")
    algebra.rule(E * inverse, inverse, "E R⁺ = R⁺")
    algebra.rule(E * R, R, "E R = R")
    algebra.rule(E * E, E, "E² = E")
    algebra.rule(B * E, B, "B E = B (null R = null B)")
    algebra.rule(s["P"] * s["P"], s["P"], "P_W² = P_W")
    return algebra, s


def _factor_instance(scope: Scope) -> Instance:
    rng = scope.rng("T4 factor")
    from .instances import random_matrix

    tall, flat = random_matrix(4, 2, rng), fmpq_mat(2, 3, [1, 0, -1, 0, 1, -1])
    b = tall * flat
    r = b.transpose() * b
    inverse = pseudo_inverse(r)
    return Instance(
        matrices={
            "B": b,
            "R": r,
            "R'": inverse,
            "E": r * inverse,
            "Z": random_matrix(4, 5, rng),
            "P_W": within_projection((2, 3)),
        },
        name="d = 4, K = 3, rank 2",
    )


def _penrose_identities(scope: Scope) -> Evidence:
    """B R⁺R⁺ Bᵀ satisfies Penrose's four conditions for BBᵀ."""
    algebra, s = _factor_algebra()
    B, T = s["B"], algebra.T
    sigma, inverse = B * T(B), B * s["R'"] * s["R'"] * T(B)
    model = [_factor_instance(scope)]
    return both(
        algebra.proves(sigma * inverse * sigma, sigma, instances=model),
        algebra.proves(inverse * sigma * inverse, inverse, instances=model),
        algebra.proves(sigma * inverse, T(sigma * inverse), instances=model),
    )


def _penrose_classical(scope: Scope) -> Evidence:
    uses = []
    for net in networks(scope):
        _, between = class_scatter(net.data, net.counts)
        uses.append((between, pseudo_inverse(between)))
    return applied(PENROSE, scope, uses)


def _trace_formula(scope: Scope) -> Evidence:
    """N tr(Σ_W Σ_B⁺) = tr(R⁺R⁺FFᵀ), F = BᵀZP_W."""
    algebra, s = _factor_algebra()
    B, Z, P, inverse, T = s["B"], s["Z"], s["P"], s["R'"], algebra.T
    scatter = Z * P * T(Z)
    f = T(B) * Z * P
    return algebra.proves(
        scatter * B * inverse * inverse * T(B),
        inverse * inverse * f * T(f),
        trace=True,
        instances=[_factor_instance(scope)],
    )


def _signal_drops(scope: Scope) -> Evidence:
    """Ȳ Z_lᵀZ_l P_W = ε^{2l} Ȳ G P_W under T1; for G = I it vanishes."""
    algebra, s = class_algebra()
    y, yt = s["Y"], algebra.T(s["Y"])
    law = yt * s["H"] ** (l / L - 1) * y / alpha**2
    law = law + eps ** (2 * l) * (s["G"] - yt * s["H"] ** -1 * y / alpha**2)
    return both(
        algebra.proves(
            s["bar"] * law * s["P"], eps ** (2 * l) * s["bar"] * s["G"] * s["P"], instances=[class_instance(scope)]
        ),
        algebra.proves(s["bar"] * s["P"], sp.Integer(0), instances=[class_instance(scope)]),
    )


def _null_vector(scope: Scope) -> Evidence:
    """Jᵀp = 0 with J = I - 1pᵀ, so R √p = diag(√p) J Q Jᵀ p = 0."""
    del scope
    algebra = Algebra()
    T = algebra.T
    p, one = algebra.symbol("p", "K", "1"), algebra.symbol("e", "K", "1")
    algebra.rule(T(one) * p, sp.Integer(1), "1ᵀp = 1")
    model = Instance(
        matrices={"p": fmpq_mat(2, 1, [fmpq(1, 3), fmpq(2, 3)]), "e": fmpq_mat(2, 1, [1, 1])}, name="p = (1/3, 2/3)"
    )
    return algebra.proves((1 - p * T(one)) * p, sp.Integer(0), instances=[model])


def _fuzziness(form: ClosedForm, layer: int, *, power: int = 2, inverse_power: int = 2) -> arb:
    """(1/N) tr(R⁺R⁺FFᵀ) from the Gram matrix; R⁺ = (R + √p√pᵀ)⁻¹ - √p√pᵀ, since √p spans the null space."""
    size, samples = len(form.counts), sum(form.counts)
    shares = [fmpq(n, samples) for n in form.counts]
    roots = [ball(p).sqrt() for p in shares]
    half = arb_mat(size, size, [roots[i] if i == j else arb(0) for i in range(size) for j in range(size)])
    centre = identity(size) - fmpq_mat(size, size, [shares[j] for _ in range(size) for j in range(size)])
    j = ball_matrix(centre)
    r = half * j * form.means_gram(layer) * j.transpose() * half
    null = arb_mat(size, size, [a * b for a in roots for b in roots])
    inverse = (r + null).inv() - null
    scale = form.residual_scale ** (power * layer)
    f = half * j * ball_matrix(averaging(form.counts) * form.gram * within_projection(form.counts) * scale)
    left = inverse if inverse_power == 1 else inverse * inverse
    return ball(trace(left * f * f.transpose())) / samples


def _layers(scope: Scope, *, power: int = 2, inverse_power: int = 2) -> Evidence:
    def pairs():
        for net in networks(scope):
            gram = net.data.transpose() * net.data
            form = closed_form(
                gram,
                net.counts,
                depth=net.depth,
                residual_scale=net.residual_scale,
                label_scale=net.label_scale,
            )
            for layer in range(net.depth):
                within, between = class_scatter(net.product(layer) * net.data, net.counts)
                seen = trace(within * pseudo_inverse(between))
                claimed = _fuzziness(form, layer, power=power, inverse_power=inverse_power)
                yield f"{net.name}, layer {layer}", seen, claimed

    return meets(pairs(), noun="layers")


def _inner_part(instance: GramInstance) -> fmpq_mat:
    """J Ȳ G P_W for equal classes."""
    size = len(instance.counts)
    centre = identity(size) - fmpq_mat(size, size, [fmpq(1, size)] * size**2)
    return centre * averaging(instance.counts) * instance.gram * within_projection(instance.counts)


def _rate_bounds(instance: GramInstance, depth: int, scale: fmpq, *, rate_power: int = 2) -> list[tuple[str, arb, arb]]:
    """The two sides around tr(Σ_W Σ_B⁺) for equal classes; `rate_power` 2 is the square of the compression rate."""
    n, size = instance.counts[0], len(instance.counts)
    samples = sum(instance.counts)
    form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=scale)
    theta = ball(instance.theta)
    f = _inner_part(instance)
    base = ball(frobenius_square(f)) * size / samples  # ‖F_0‖² K²/N, diag(√p) gives 1/K
    rho = theta**2 / (1 - theta**2)
    found = []
    for layer in range(depth):
        t = arb(depth - layer) / depth
        rate = (ball(scale) ** 2 / ball(n) ** (arb(1) / depth)) ** (rate_power * layer) * ball(n) ** 2
        q = (ball(scale) ** 2 * ((1 + theta) / n) ** (arb(1) / depth)) ** layer
        value = _fuzziness(form, layer)
        name = f"{instance.name}, L = {depth}, layer {layer}"
        found.append((f"{name}, above", value, base * rate * (1 - theta) ** (-2 * t)))
        found.append((f"{name}, below", base * rate * (1 + theta) ** (-2 * t) / (1 + rho * q) ** 2, value))
    return found


def _rate(scope: Scope, *, rate_power: int = 2) -> Evidence:
    rng = scope.rng("T4 rate")
    shapes = [(2, 2), (2, 2, 2)]
    instances = gram_instances(("1/5", "3/4"), shapes, rng, randoms=scope.count(3, 48, 192))
    kept = [i for i in instances if frobenius_square(_inner_part(i)) != 0]  # 0: all sides are exactly 0

    def triples():
        for instance in kept:
            for depth in (3, 6):
                yield from _rate_bounds(instance, depth, fmpq(3, 10), rate_power=rate_power)

    return at_most(triples(), noun="layers")


def _weights_between(scope: Scope) -> Evidence:
    """Eigenvalue by eigenvalue of R: f/λ_max² ≤ f/λ² ≤ f/λ_min² for f ≥ 0, f the share of ‖F‖² on it."""
    del scope
    return for_all(
        "f x low high",
        lambda f, x, low, high: z3.And(f / (high * high) <= f / (x * x), f / (x * x) <= f / (low * low)),
        given=lambda f, x, low, high: [f >= 0, low > 0, low <= x, x <= high],
    )


def _spectrum_of_r(scope: Scope) -> Evidence:
    """K R_l = J Q_l J has its K-1 other eigenvalues in [((1-θ)/n)^t, (1 + ρ q^l) ((1+θ)/n)^t], t = 1 - l/L."""
    rng = scope.rng("T4 spectrum")
    triples = []
    for instance in gram_instances(("1/4", "4/5"), [(2, 2, 2)], rng, randoms=scope.count(2, 32, 128)):
        n, size, depth, scale = instance.counts[0], len(instance.counts), 4, fmpq(3, 10)
        form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=scale)
        centre = ball_matrix(identity(size) - fmpq_mat(size, size, [fmpq(1, size)] * size**2))
        theta = ball(instance.theta) * fmpq(1000001, 1000000)  # θ a little larger is a weaker hypothesis: no exact ties
        rho = theta**2 / (1 - theta**2)
        for layer in range(depth):
            t = arb(depth - layer) / depth
            q = (ball(scale) ** 2 * ((1 + theta) / n) ** (arb(1) / depth)) ** layer
            values = eigenvalues(centre * form.means_gram(layer) * centre)[1:]
            name = f"{instance.name}, layer {layer}"
            triples.append((f"{name}, smallest", ((1 - theta) / n) ** t, values[0]))
            triples.append((f"{name}, largest", values[-1], ((1 + theta) / n) ** t * (1 + rho * q)))
    return at_most(triples, noun="eigenvalues")


STATEMENT = Statement(
    number="T4",
    title="separation fuzziness",
    text="With J = I - 1pᵀ, R = diag(√p) J Q_l Jᵀ diag(√p) and F = diag(√p) J Ȳ Z_lᵀZ_l P_W (under T1: "
    "ε^{2l} diag(√p) J Ȳ G P_W), tr(Σ_W Σ_B⁺) = (1/N) tr(R⁺R⁺FFᵀ). It is 0 for orthonormal data. Equal "
    "classes, ‖G-I‖ ≤ θ, "
    "c = ‖J Ȳ G P_W‖_F² K/N · n²: c (ε²/n^{1/L})^{2l} (1+θ)^{-2t}/(1+ρq^l)² ≤ tr(Σ_W Σ_B⁺) ≤ c "
    "(ε²/n^{1/L})^{2l} (1-θ)^{-2t}, "
    "t = 1 - l/L: it decays at the square of the compression rate.",
    assumptions=(str(A1), str(A2), str(A3), str(INVERTIBLE), str(WIDE)),
    rests_on=("T1", "T2", "T5"),
    remarks=("'To leading order' in the note is made a two-sided bound here.",),
    tightness=("9",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="Σ_B = BBᵀ, B = Z Ȳᵀ Jᵀ diag(√p), has Σ_B⁺ = B R⁺R⁺ Bᵀ with R = BᵀB",
            because="Penrose's conditions from R R⁺ = E, B E = B",
            check=_penrose_identities,
        ),
        Step(
            key="2",
            kind=Kind.CLASSICAL,
            claim="Penrose's conditions determine the pseudo-inverse",
            because="uniqueness; the rank of R⁺ is fixed at that of R",
            check=_penrose_classical,
            references=("penrose1955",),
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="N tr(Σ_W Σ_B⁺) = tr(R⁺R⁺FFᵀ), F = BᵀZP_W",
            because="Σ_W = Z P_W Zᵀ/N, P_W² = P_W, cyclic trace",
            check=_trace_formula,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="R √p = 0",
            because="Jᵀp = p - p 1ᵀp = 0",
            check=_null_vector,
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="under T1, Ȳ Z_lᵀZ_l P_W = ε^{2l} Ȳ G P_W, and Ȳ P_W = 0",
            because="Y P_W = 0 kills both label terms",
            check=_signal_drops,
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="the formula against Σ_W, Σ_B⁺ of the features of exact networks",
            because="Σ_B⁺ exact, R⁺ = (R + √p√pᵀ)⁻¹ - √p√pᵀ enclosed",
            check=_layers,
        ),
        Step(
            key="7",
            kind=Kind.INEQUALITY,
            claim="‖F‖²/λ_max² ≤ tr R⁺R⁺FFᵀ ≤ ‖F‖²/λ_min², λ over the K-1 other eigenvalues of R",
            because="range F lies in range R; functional calculus, eigenvalue by eigenvalue",
            check=_weights_between,
            references=("demoura2008z3",),
        ),
        Step(
            key="8",
            kind=Kind.BALL,
            claim="spectrum of K R_l off its null vector: [((1-θ)/n)^t, (1+ρq^l)((1+θ)/n)^t]",
            because="H^{-t} ≤ Q_l ≤ (1+ρq^l) H^{-t} and n/(1+θ) ≤ H ≤ n/(1-θ) (T5 steps 1 to 5); compression by J",
            check=_spectrum_of_r,
        ),
        Step(
            key="9",
            kind=Kind.BALL,
            claim="both bounds on tr(Σ_W Σ_B⁺)",
            because="steps 7 and 8, F = ε^{2l} F_0",
            check=_rate,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="R⁺ once", claim="(1/N) tr(R⁺FFᵀ)", check=lambda s: _layers(s, inverse_power=1)),
        WrongVariant(name="ε^l in F", claim="F = ε^l diag(√p) J Ȳ G P_W", check=lambda s: _layers(s, power=1)),
        WrongVariant(
            name="compression rate itself",
            claim="decay (ε²/n^{1/L})^l in place of its square",
            check=lambda s: _rate(s, rate_power=1),
        ),
    ),
)
