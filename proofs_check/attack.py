"""The attack: a search that tries to break every inequality of the theory.

Data and weights are parametrised so that each statement's hypotheses hold for every parameter (an
entrywise box by tanh, a given C by scaling), many restarts climb the gradient of `reach` at once (torch,
float64), and the best point is evaluated again with balls on the exact rational instance, so that rounding
can neither hide nor fake a violation.

    reach = (value - limit) / (bound - limit),     slack = 1 - reach

`limit` is what bound and value tend to as the perturbation vanishes (θ → 0; C → 0 for U1 and U2). A
violation is a slack below 0; a bound that is attained has slack 0. The values are derived here a second
time; nothing of `pnc.theory` is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pnc.errors import InvalidInputError

__all__ = ["ATTACKS", "CONJECTURES", "Attack", "AttackResult", "attack", "attack_all", "replay"]

Batch = dict[str, Any]  # torch tensors, restarts first, and plain integers shared by all restarts
Triple = tuple[Any, Any, Any]  # value, bound, limit


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One inequality and how it is attacked.

    Args:
        statement: the inequality, in words and symbols, with its number in the theory note.
        draw: (options, restarts, generator) → starting point; tensors named `raw_…` are climbed.
        build: starting point → instance that satisfies the hypotheses.
        measure: instance → value, bound, limit (torch).
        enclose: one instance as NumPy arrays → value, bound, limit (balls).
        options: default sizes and ranges.
        soften: a smooth stand-in for `measure` where the value counts errors.
    """

    statement: str
    draw: Callable[[Mapping[str, Any], int, Any], Batch]
    build: Callable[[Batch], Batch]
    measure: Callable[[Batch], Triple]
    enclose: Callable[[Mapping[str, Any]], Triple]
    options: Mapping[str, Any]
    soften: Callable[[Batch], Triple] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackResult:
    """What an attack found.

    Args:
        name: key of `ATTACKS` or `CONJECTURES`.
        restarts: number of starting points.
        slack: (bound - value)/(bound - limit) where it is smallest over all restarts, the middle of its ball.
        reach: 1 - slack, the share of the bound's room that was used.
        ball_slack_lower: the slack is certainly at least this.
        ball_slack_upper: the slack is certainly at most this; below 0 is a violation.
        tighten: factor that the bound's room was multiplied with (1: the statement itself).
        instance: the best point; arrays and sizes.
        path: where it is saved, if it was.
    """

    name: str
    restarts: int
    slack: float
    reach: float
    ball_slack_lower: float
    ball_slack_upper: float
    tighten: float
    instance: Mapping[str, Any]
    path: Path | None = None

    @property
    def violated(self) -> bool:
        """Whether the best point certainly breaks the inequality."""
        return self.ball_slack_upper < 0


def attack(
    name: str,
    *,
    restarts: int,
    steps: int,
    seed: int,
    folder: str | Path | None = None,
    tighten: float = 1.0,
    learning_rate: float = 0.08,
    **options: Any,
) -> AttackResult:
    """Climb the reach of one inequality from many starting points at once and enclose the best one.

    Args:
        name: key of `ATTACKS` or `CONJECTURES`.
        restarts: starting points, all in one batch.
        steps: gradient steps.
        seed: of the starting points.
        folder: where to save the best instance as `<name>.npz`.
        tighten: attack `limit + tighten (bound - limit)` in place of the bound; 0.99: 1 % too tight.
        learning_rate: of Adam, in units of the parameters.
        options: sizes and ranges that replace those of `ATTACKS[name].options`.

    Raises:
        InvalidInputError: unknown name or option, or counts below 1.

    >>> found = attack("U2", restarts=20, steps=60, seed=0)
    >>> found.violated, bool(found.reach > 0.9)
    (False, True)
    """
    import torch

    target = _lookup(name)
    unknown = sorted(set(options) - set(target.options))
    if unknown or restarts < 1 or steps < 0:
        raise InvalidInputError(
            got=f"options {unknown}, restarts {restarts}, steps {steps}",
            expected=f"options among {sorted(target.options)}, restarts ≥ 1, steps ≥ 0",
            next_step="see the options of the attack in proofs_check.attack.ATTACKS",
        )
    generator = torch.Generator().manual_seed(seed)
    point = target.draw({**target.options, **options}, restarts, generator)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # batches of tiny matrices: more threads only wait for each other
    try:
        best, reach = _climb(target, point, steps=steps, learning_rate=learning_rate)
    finally:
        torch.set_num_threads(threads)
    winner = int(reach.argmax())
    instance = {
        key: value[winner].numpy().copy() if isinstance(value, torch.Tensor) else value
        for key, value in target.build(best).items()
    }
    path = None
    if folder is not None:
        path = Path(folder) / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, attack=name, restarts=restarts, tighten=tighten, **instance)
    return _result(name, restarts, tighten, instance, path)


def attack_all(
    *, restarts: int, steps: int, seed: int, folder: str | Path | None = None
) -> list[AttackResult]:
    """Attack every inequality, sharing `restarts` among them.

    >>> len(attack_all(restarts=40, steps=2, seed=0)) == len(ATTACKS)
    True
    """
    each = -(-restarts // len(ATTACKS))
    return [attack(name, restarts=each, steps=steps, seed=seed, folder=folder) for name in ATTACKS]


def replay(path: str | Path) -> AttackResult:
    """Evaluate a saved instance again, in float64 and with balls.

    Raises:
        InvalidInputError: not a file that `attack` wrote.
    """
    with np.load(path, allow_pickle=False) as saved:
        content = {key: saved[key] for key in saved.files}
    if not {"attack", "restarts", "tighten"} <= set(content):
        raise InvalidInputError(
            got=f"{path} with fields {sorted(content)}",
            expected="an instance saved by attack",
            next_step="pass the .npz that attack(folder=...) wrote",
        )
    name, restarts, tighten = (content.pop(key).item() for key in ("attack", "restarts", "tighten"))
    instance = {key: value.item() if value.dtype.kind in "iu" else value for key, value in content.items()}
    return _result(name, restarts, tighten, instance, Path(path))


def _lookup(name: str) -> Attack:
    known = {**ATTACKS, **CONJECTURES}
    if name not in known:
        raise InvalidInputError(
            got=f"attack {name!r}", expected=f"one of {', '.join(known)}", next_step="choose one of them"
        )
    return known[name]


def _climb(target: Attack, point: Batch, *, steps: int, learning_rate: float) -> tuple[Batch, Any]:
    """Adam on each restart's reach; keeps the best point that each restart visited."""
    import torch

    smooth = target.soften or target.measure
    free = {key: value.clone() for key, value in point.items() if key.startswith("raw_")}
    first = {key: torch.zeros_like(value) for key, value in free.items()}
    second = {key: torch.zeros_like(value) for key, value in free.items()}
    best = dict(point)
    best_reach = torch.full((len(next(iter(free.values()))),), -torch.inf, dtype=torch.float64)
    for step in range(steps + 1):
        leaves = {key: value.requires_grad_() for key, value in free.items()}
        instance = target.build({**point, **leaves})
        climbed = _reach(smooth(instance))
        with torch.no_grad():
            exact = climbed.detach() if target.soften is None else _reach(target.measure(instance))
            better = exact > best_reach
            best_reach = torch.where(better, exact, best_reach)
            for key, value in leaves.items():
                mask = better.view(-1, *[1] * (value.ndim - 1))
                best[key] = torch.where(mask, value.detach(), best[key])
        if step == steps:
            break
        gradients = torch.autograd.grad(climbed.sum(), list(leaves.values()))
        rate = learning_rate * (1 - 0.9 * step / steps)
        with torch.no_grad():
            for (key, value), gradient in zip(leaves.items(), gradients):
                gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
                size = gradient.flatten(1).norm(dim=1).clamp(min=1e-30)
                gradient = gradient / size.view(-1, *[1] * (value.ndim - 1))  # restarts differ in scale
                first[key] = 0.9 * first[key] + 0.1 * gradient
                second[key] = 0.99 * second[key] + 0.01 * gradient**2
                mean = first[key] / (1 - 0.9 ** (step + 1))
                spread = (second[key] / (1 - 0.99 ** (step + 1))).sqrt()
                free[key] = (value + rate * mean / (spread + 1e-12)).detach()
    return best, best_reach


def _reach(triple: Triple) -> Any:
    import torch

    value, bound, limit = triple
    reach = (value - limit) / (bound - limit)
    return torch.where(torch.isfinite(reach), reach, torch.full_like(reach, -1e3))


def _result(
    name: str, restarts: int, tighten: float, instance: Mapping[str, Any], path: Path | None
) -> AttackResult:
    value, bound, limit = _lookup(name).enclose(instance)
    slack = 1 - (value - limit) / ((bound - limit) * _ball(tighten))
    middle = float(slack.mid())
    return AttackResult(
        name=name,
        restarts=restarts,
        slack=middle,
        reach=1 - middle,
        ball_slack_lower=float(slack.lower()),
        ball_slack_upper=float(slack.upper()),
        tighten=tighten,
        instance=instance,
        path=path,
    )


# --- torch: functions of symmetric matrices, batched ------------------------------------------------------


def _spectral(matrix: Any, exponent: Any, *, exponential: bool = False) -> Any:
    """A^p, or e^{pA}, of symmetric A, one p a restart; derivatives by divided differences (Daletskii, Krein).

    Automatic differentiation of eigenvectors divides by differences of eigenvalues, which vanish just where
    the bounds are attained.
    """
    import torch

    class Spectral(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, matrix: Any, exponent: Any) -> Any:
            values, vectors = torch.linalg.eigh(matrix)
            p = exponent[:, None]
            image = torch.exp(p * values) if exponential else values.clamp(min=1e-300) ** p
            slope = p * image if exponential else p * image / values
            ctx.save_for_backward(values, vectors, image, slope)
            return (vectors * image[:, None, :]) @ vectors.mT

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            values, vectors, image, slope = ctx.saved_tensors
            gap = values[:, :, None] - values[:, None, :]
            close = gap.abs() < 1e-7 * values.abs().amax(dim=1)[:, None, None]
            quotient = (image[:, :, None] - image[:, None, :]) / torch.where(close, torch.ones_like(gap), gap)
            middle = (slope[:, :, None] + slope[:, None, :]) / 2
            inner = vectors.mT @ ((upstream + upstream.mT) / 2) @ vectors
            return vectors @ (torch.where(close, middle, quotient) * inner) @ vectors.mT, None

    return Spectral.apply(matrix, exponent)


def _box(raw: Any) -> Any:
    """A symmetric matrix with entries in (-1, 1)."""
    import torch

    half = torch.triu(torch.tanh(raw))
    return half + torch.triu(half, 1).mT


def _uniform(low: float, high: float, size: int, generator: Any) -> Any:
    import torch

    return low + (high - low) * torch.rand(size, generator=generator, dtype=torch.float64)


def _normal(*shape: int, generator: Any) -> Any:
    import torch

    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# --- nearly orthonormal data: T5, T6 ----------------------------------------------------------------------


def _draw_box(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    """θ-nearly orthonormal data, with a layer and a residual scale drawn for each restart."""
    import torch

    K, n, L = options["classes"], options["samples_per_class"], options["depth"]
    epsilon = _uniform(*np.log(options["epsilon"]), restarts, generator).exp()
    first, last = options["layers"][0], min(options["layers"][1], L - 2)
    layer = torch.randint(first, last + 1, (restarts,), generator=generator).double()
    return {
        "raw_box": _sign_patterns(restarts, K, n, generator),
        "theta": _uniform(*options["theta"], restarts, generator),
        "epsilon": epsilon,
        "layer": layer,
        "classes": K,
        "samples_per_class": n,
        "depth": L,
    }


def _sign_patterns(restarts: int, K: int, n: int, generator: Any) -> Any:
    """Half noise, half ±zzᵀ with random signs z (every other one constant in each class)."""
    noise = _normal(restarts, n * K, n * K, generator=generator)
    signs = _normal(restarts, K, n, generator=generator).sign()
    signs[::2] = signs[::2, :, :1]
    z = signs.reshape(restarts, n * K)
    rank_one = z[:, :, None] * z[:, None, :] * _normal(restarts, 1, 1, generator=generator).sign()
    rank_one[: restarts // 2] = 0
    return 0.5 * noise + 1.5 * rank_one


def _build_box(point: Batch) -> Batch:
    N = point["classes"] * point["samples_per_class"]
    perturbation = (point["theta"] / N)[:, None, None] * _box(point["raw_box"])
    attained = N * perturbation.detach().abs().amax(dim=(1, 2))  # the smallest θ these data satisfy
    return {
        **{k: v for k, v in point.items() if k != "raw_box"},
        "perturbation": perturbation,
        "theta": attained,
    }


def _class_blocks(instance: Batch) -> tuple[Any, Any]:
    """BᵀG⁻¹B = H/n and BᵀGB = n Q_0, B the normalised class indicators."""
    import torch

    K, n = instance["classes"], instance["samples_per_class"]
    E = instance["perturbation"]
    G = torch.eye(n * K, dtype=E.dtype) + E

    def compress(matrix: Any) -> Any:
        return matrix.reshape(-1, K, n, K, n).sum(dim=(2, 4)) / n

    inverse = compress(torch.linalg.inv(G))
    return (inverse + inverse.mT) / 2, compress(G)


def _centred_trace(matrix: Any) -> Any:
    """tr(P A), P = I - 11ᵀ/K."""
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1) - matrix.sum(dim=(-2, -1)) / matrix.shape[-1]


def _rate(instance: Batch) -> Any:
    """ε² n^{-1/L}, the limit of C_{l+1}/C_l for θ → 0."""
    return instance["epsilon"] ** 2 * instance["samples_per_class"] ** (-1.0 / instance["depth"])


def _ratio(instance: Batch) -> Any:
    """C_{l+1}/C_l of T2's class means, in units of n."""
    inverse, gram = _class_blocks(instance)
    l, L, r = instance["layer"], instance["depth"], _rate(instance)
    t = 1 - l / L
    rest = _centred_trace(gram - _spectral(inverse, -r.new_ones(r.shape)))
    here = _centred_trace(_spectral(inverse, -t)) + r**l * rest
    after = _centred_trace(_spectral(inverse, -(t - 1 / L))) + r ** (l + 1) * rest
    return r * here / after


def _pairs(matrix: Any) -> Any:
    """The entries above the diagonal, one row a restart."""
    import torch

    rows, cols = torch.triu_indices(matrix.shape[-1], matrix.shape[-1], offset=1)
    return matrix[:, rows, cols]


def _largest_cosine(gram: Any) -> Any:
    norms = gram.diagonal(dim1=-2, dim2=-1).sqrt()
    return _pairs(gram / (norms[:, :, None] * norms[:, None, :])).amax(dim=1)


def _box_cosine(instance: Batch) -> Any:
    """1 - D_l of T2's class means."""
    inverse, gram = _class_blocks(instance)
    l, L, r = instance["layer"], instance["depth"], _rate(instance)
    rest = gram - _spectral(inverse, -r.new_ones(r.shape))
    return _largest_cosine(_spectral(inverse, -(1 - l / L)) + (r**l)[:, None, None] * rest)


# bounds: written once for torch tensors and for balls, which share arithmetic, sqrt, log, exp and abs


def _positive(x: Any) -> Any:
    return (x + abs(x)) / 2


def _choose(condition: Any, yes: Any, no: Any) -> Any:
    if isinstance(condition, bool):
        return yes if condition else no
    return yes.where(condition, no)


def _bound_t5(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    h = one / L
    ρ, q = θ * θ / (1 - θ * θ), r * (1 + θ) ** h
    return r * (1 + θ) ** h * (1 + ρ * q**l) if upper else r * (1 - θ) ** h / (1 + ρ * q ** (l + 1))


def _bound_t5_sharp(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    """T5': the factor (1 ± 2θ/K)^{1/L} and the residual term where it can matter; T5 where 2θ c_2 ≥ c."""
    h = one / L
    t = 1 - l * h
    root = (1 - θ * θ).sqrt()
    c = 1 + 2 * θ / K if upper else 1 - 2 * θ / K
    x = (1 - θ) / c
    if upper:
        start = one / 2 + h
        top = (t + start + abs(t - start)) / 2
        curvature = ((x**top - x ** (top - h)) / h - (x - 1)) / (x - 1) ** 2
    elif K == 2:
        curvature = one / 2
    else:
        curvature = (x - 1 - x.log()) / (x - 1) ** 2
    η = c / (2 * θ * curvature) - 1
    sign = 1 if upper else -1
    margin = sign + (1 + root) / (2 * θ) - curvature * (1 - root) * (1 + 1 / η) / c
    least = (K - 1) * (1 - θ) ** (t - h)
    if upper:
        excess = _positive(r**l * (1 - c**h * r) - h * c ** (t - 1) * margin)
        sharp = r * (c**h + (1 - root) * excess / least)
    else:
        missing = _positive(r**l * (c**h * r - 1) - h * c ** (t - 1) * margin)
        sharp = r * (c**h - missing * (1 - root) / (least + r ** (l + 1) * (1 - root)))
    return _choose(η > 0, sharp, _bound_t5(θ, r, l, K, L, one=one, upper=upper))


def _bound_t5_conjecture(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    """The factor (1 ± 2θ/K)^{1/L} alone, for every θ < 1."""
    return r * (1 + (2 if upper else -2) * θ / K) ** (one / L)


def _bound_cosine_explicit(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    a = (((1 - θ) / (1 - 2 * θ)) ** (1 - l * one / L) - 1) / K
    return (a + 2 * θ * θ * r**l / ((1 - 2 * θ) * K)) / (1 - a)


def _bound_cosine_sharp(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    t = 1 - l * one / L
    ratio = (1 + 2 * θ / (K * (1 - θ))) ** t
    surplus = _positive(r**l - t * (1 + 2 * θ / K) ** (t - 1))
    ratio = ratio * (1 + surplus * (1 - (1 - θ * θ).sqrt()))
    return (ratio - 1) / (ratio + 1)


def _measure_box(bound: Callable[..., Any], *, upper: bool, cosine: bool) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        r = _rate(instance)
        ceiling = bound(
            instance["theta"],
            r,
            instance["layer"],
            instance["classes"],
            instance["depth"],
            one=r.new_ones(()),
            upper=upper,
        )
        if cosine:
            return _box_cosine(instance), ceiling, r.new_zeros(r.shape)
        return _ratio(instance), ceiling, r

    return measure


def _enclose_box(
    bound: Callable[..., Any], *, upper: bool, cosine: bool
) -> Callable[[Mapping[str, Any]], Triple]:
    def enclose(instance: Mapping[str, Any]) -> Triple:
        from flint import arb, fmpq, fmpq_mat

        from proofs_check.balls import ball_matrix, identity, root

        K, n, L, l = (
            instance["classes"],
            instance["samples_per_class"],
            instance["depth"],
            int(instance["layer"]),
        )
        E = _exact(instance["perturbation"])
        N = n * K
        θ = N * max(abs(entry) for entry in E.entries())  # what these very data satisfy
        G = identity(N) + E
        Y = fmpq_mat(K, N, [int(j // n == k) for k in range(K) for j in range(N)])
        scale = fmpq(1, n)
        M = (Y * G.inv() * Y.transpose() * scale).inv()
        rest = ball_matrix(Y * G * Y.transpose() * scale - M)
        base = root(M, L)
        r = _ball(instance["epsilon"]) ** 2 * arb(n) ** (arb(-1) / L)

        def means(layer: int) -> Any:
            return _integer_power(base, L - layer) + rest * r**layer

        ceiling = bound(arb(θ), r, arb(l), K, L, one=arb(1), upper=upper)
        if cosine:
            return _enclosed_cosine(means(l)), ceiling, arb(0)

        def centred(matrix: Any) -> Any:
            diagonal = sum((matrix[k, k] for k in range(K)), start=arb(0))
            return diagonal - sum(matrix.entries(), start=arb(0)) / K

        return r * centred(means(l)) / centred(means(l + 1)), ceiling, r

    return enclose


def _enclosed_cosine(gram: Any) -> Any:
    K = gram.nrows()
    best = None
    for i in range(K):
        for j in range(i):
            cosine = gram[i, j] / (gram[i, i] * gram[j, j]).sqrt()
            best = cosine if best is None else best.max(cosine)
    return best


# --- U1, U2 on the features that T1 predicts for nearly orthonormal data ----------------------------------


def _measure_predicted(kind: str) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        import torch

        K, n, L, l = instance["classes"], instance["samples_per_class"], instance["depth"], instance["layer"]
        inverse, _ = _class_blocks(instance)

        def lift(matrix: Any) -> Any:
            return matrix.repeat_interleave(n, dim=1).repeat_interleave(n, dim=2) / n

        E = instance["perturbation"]
        ones = l.new_ones(l.shape)
        residual = torch.eye(n * K, dtype=E.dtype) + E - lift(_spectral(inverse, -ones))
        signal = (n ** (l / L))[:, None, None] * lift(_spectral(inverse, l / L - 1))
        gram = signal + (instance["epsilon"] ** (2 * l))[:, None, None] * residual
        centred = gram - gram.mean(dim=1, keepdim=True)
        centred = centred - centred.mean(dim=2, keepdim=True)
        total = centred.diagonal(dim1=1, dim2=2).sum(dim=1)
        between = centred.reshape(-1, K, n, K, n).sum(dim=(2, 4)).diagonal(dim1=1, dim2=2).sum(dim=1) / n
        values = torch.linalg.eigvalsh((centred + centred.mT) / 2)
        if kind == "share":
            return values[:, -(K - 1) :].sum(dim=1) / total, between / total, ones
        return total / values[:, -1], total / between * (K - 1), (K - 1) * ones

    return measure


def _enclose_predicted(kind: str) -> Callable[[Mapping[str, Any]], Triple]:
    def enclose(instance: Mapping[str, Any]) -> Triple:
        from flint import arb, arb_mat, fmpq, fmpq_mat

        from proofs_check.balls import ball_matrix, eigenvalues, identity, root

        K, n, L = instance["classes"], instance["samples_per_class"], instance["depth"]
        l, N = int(instance["layer"]), n * K
        G = identity(N) + _exact(instance["perturbation"])
        Y = fmpq_mat(K, N, [int(j // n == k) for k in range(K) for j in range(N)])
        H = Y * G.inv() * Y.transpose()
        signal = arb_mat(Y.transpose()) * _integer_power(root(H.inv(), L), L - l) * arb_mat(Y)
        residual = ball_matrix(G - Y.transpose() * H.inv() * Y)
        gram = signal + residual * _ball(instance["epsilon"]) ** (2 * l)
        flat = fmpq_mat(N, N, [fmpq(1, N)] * (N * N))
        centre = ball_matrix(identity(N) - flat)
        centred = centre * gram * centre
        total = sum((centred[i, i] for i in range(N)), start=arb(0))
        means = arb_mat(Y) * centred * arb_mat(Y.transpose())
        between = sum((means[k, k] for k in range(K)), start=arb(0)) / n
        values = eigenvalues((centred + centred.transpose()) / 2)
        if kind == "share":
            return sum(values[-(K - 1) :], start=arb(0)) / total, between / total, arb(1)
        return total / values[-1], total / between * (K - 1), arb(K - 1)

    return enclose


# --- T6, the remainder: any class geometry Ψ that data with entrywise θ can have --------------------------


def _draw_geometry(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    K = options["classes"]
    return {
        "raw_box": 0.5 * _normal(restarts, K, K, generator=generator),
        "theta": _uniform(*options["theta"], restarts, generator),
        "share": _uniform(*options["t"], restarts, generator),
        "classes": K,
    }


def _build_geometry(point: Batch) -> Batch:
    """|Ψ_ij| ≤ log(1+θ)/K, so |(e^Ψ - 1)_ij| ≤ θ/K.

    Hence G = I + B(e^Ψ - 1)Bᵀ is θ-nearly orthonormal, and its H is n e^{-Ψ}.
    """
    size = point["theta"].log1p() / point["classes"]
    import torch

    K = point["classes"]
    pattern = _box(point["raw_box"])
    pattern = pattern / pattern.abs().amax(dim=(1, 2), keepdim=True)
    geometry = size[:, None, None] * pattern
    departure = torch.linalg.matrix_exp(geometry.detach()) - torch.eye(K, dtype=geometry.dtype)
    return {
        "geometry": geometry,
        "share": point["share"],
        "theta": K * departure.abs().amax(dim=(1, 2)),
        "classes": K,
    }


def _remainder_original(low: Any, high: Any) -> Any:
    """(e^τ - 1 - τ) e^τ + τ (e^τ - 1), τ = t ‖Ψ‖₂."""
    τ = (abs(low) + abs(high) + abs(abs(low) - abs(high))) / 2
    grown = τ.exp()
    return (grown - 1 - τ) * grown + τ * (grown - 1)


def _remainder_sharp(low: Any, high: Any) -> Any:
    """(√(2τ/(1-e^{-2τ})) - 1)², τ = t (λ_max - λ_min)/2."""
    τ = (high - low) / 2
    return ((2 * τ / (1 - (-2 * τ).exp())).sqrt() - 1) ** 2


def _measure_remainder(remainder: Callable[[Any, Any], Any]) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        import torch

        Ψ, t = instance["geometry"], instance["share"]
        steepest = t * _pairs(Ψ).amax(dim=1)
        cosine = _largest_cosine(_spectral(Ψ, t, exponential=True))
        values = torch.linalg.eigvalsh(Ψ) * t[:, None]
        return (cosine - steepest).abs(), remainder(values[:, 0], values[:, -1]), t.new_zeros(t.shape)

    return measure


def _enclose_remainder(remainder: Callable[[Any, Any], Any]) -> Callable[[Mapping[str, Any]], Triple]:
    def enclose(instance: Mapping[str, Any]) -> Triple:
        from flint import arb

        from proofs_check.balls import ball_matrix, eigenvalues

        Ψ, t = _exact(instance["geometry"]), _ball(instance["share"])
        K = Ψ.nrows()
        steepest = t * arb(max(Ψ[i, j] for i in range(K) for j in range(i)))
        cosine = _enclosed_cosine((ball_matrix(Ψ) * t).exp())
        values = eigenvalues(Ψ)
        return abs(cosine - steepest), remainder(t * values[0], t * values[-1]), arb(0)

    return enclose


# --- T7: balanced weights, W_{l:1}ᵀW_{l:1} = (W_1ᵀW_1)^l --------------------------------------------------


def _draw_weights(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    import torch

    d, width, N = options["dimension"], options["width"], options["samples"]
    return {
        "raw_weights": _normal(restarts, width, d, generator=generator) / d**0.5,
        "raw_inputs": _normal(restarts, d, N, generator=generator),
        "between": torch.randint(0, 2, (restarts,), generator=generator).double(),
        "layer": torch.randint(1, options["layers"] + 1, (restarts,), generator=generator).double(),
        "most_layers": options["layers"],
        "classes": options["classes"],
    }


def _build_weights(point: Batch) -> Batch:
    return {
        "weights": point["raw_weights"],
        "inputs": point["raw_inputs"],
        **{k: v for k, v in point.items() if not k.startswith("raw_")},
    }


def _measure_moments(instance: Batch) -> Triple:
    """tr_l against the geometric mean of its neighbours; tr_l = tr Σ_W^l or tr Σ_B^l."""
    import torch

    W, X, l = instance["weights"], instance["inputs"], instance["layer"]
    K = instance["classes"]
    classes = X.reshape(*X.shape[:2], K, -1)
    means = classes.mean(dim=3, keepdim=True)
    within = (classes - means).reshape(X.shape)
    between = (means - means.mean(dim=2, keepdim=True)).squeeze(3)
    A = W.mT @ W
    traces = []
    parts = [within, between]
    for _ in range(instance["most_layers"] + 2):
        pair = [(start * part).sum(dim=(1, 2)) for start, part in zip((within, between), parts)]
        traces.append(torch.where(instance["between"] > 0, pair[1], pair[0]))
        parts = [A @ part for part in parts]
    stacked = torch.stack(traces, dim=1)
    index = l.long()[:, None]
    before, here, after = (stacked.gather(1, index + shift)[:, 0] for shift in (-1, 0, 1))
    return here / (before * after).sqrt(), torch.ones_like(here), torch.zeros_like(here)


def _enclose_moments(instance: Mapping[str, Any]) -> Triple:
    from flint import arb, fmpq, fmpq_mat

    W, X, l, K = (
        _exact(instance["weights"]),
        _exact(instance["inputs"]),
        int(instance["layer"]),
        instance["classes"],
    )
    N = X.ncols()
    n = N // K
    average = fmpq_mat(N, N, [fmpq(int(i // n == j // n), n) for i in range(N) for j in range(N)])
    flat = fmpq_mat(N, N, [fmpq(1, N)] * (N * N))
    start = X * (average - flat) if instance["between"] > 0 else X - X * average
    A = W.transpose() * W
    traces, part = [], start
    for _ in range(l + 2):
        traces.append(sum((a * b for a, b in zip(start.entries(), part.entries())), start=fmpq(0)))
        part = A * part
    return arb(traces[l]) / (arb(traces[l - 1]) * arb(traces[l + 1])).sqrt(), arb(1), arb(0)


# --- any features: U1 to U4 -------------------------------------------------------------------------------


def _draw_features(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    counts = options["counts"]
    K, N, d = len(counts), sum(counts), options["dimension"]
    return {
        "raw_means": _normal(restarts, K, d, generator=generator),
        "raw_within": _normal(restarts, N, d, generator=generator),
        "compression": _uniform(*np.log(options["compression"]), restarts, generator).exp(),
        "counts": ",".join(str(n) for n in counts),
    }


def _build_features(point: Batch) -> Batch:
    """Features with the drawn C: the within part is scaled to it."""
    within = point["raw_within"]
    parts = _class_parts(within, point["counts"])
    deviations = within - parts[2]
    spread = _class_parts(
        point["raw_means"].repeat_interleave(_repeats(point["counts"]), dim=1), point["counts"]
    )
    scale = (point["compression"] * spread[1] / (deviations**2).sum(dim=(1, 2)) * within.shape[1]).sqrt()
    features = point["raw_means"].repeat_interleave(_repeats(point["counts"]), dim=1)
    return {"features": features + scale[:, None, None] * deviations, "counts": point["counts"]}


def _repeats(counts: str) -> Any:
    import torch

    return torch.tensor([int(n) for n in counts.split(",")])


def _class_parts(features: Any, counts: str) -> tuple[Any, Any, Any, Any]:
    """tr Σ_W, tr Σ_B, each sample's class mean (N rows) and the class means (K rows)."""
    sizes = _repeats(counts)
    N = features.shape[1]
    means = [part.mean(dim=1, keepdim=True) for part in features.split(sizes.tolist(), dim=1)]
    import torch

    centres = torch.cat(means, dim=1)
    spread_out = centres.repeat_interleave(sizes, dim=1)
    overall = features.mean(dim=1, keepdim=True)
    within = ((features - spread_out) ** 2).sum(dim=(1, 2)) / N
    between = ((spread_out - overall) ** 2).sum(dim=(1, 2)) / N
    return within, between, spread_out, centres


def _principal(features: Any) -> Any:
    """Covariance matrix of centred features."""
    centred = features - features.mean(dim=1, keepdim=True)
    return centred.mT @ centred / features.shape[1]


def _measure_share(instance: Batch) -> Triple:
    import torch

    Z, counts = instance["features"], instance["counts"]
    within, between, _, centres = _class_parts(Z, counts)
    values = torch.linalg.eigvalsh(_principal(Z))
    share = values[:, -(centres.shape[1] - 1) :].sum(dim=1) / values.sum(dim=1)
    return share, 1 / (1 + within / between), torch.ones_like(share)


def _measure_stable_rank(instance: Batch) -> Triple:
    import torch

    Z, counts = instance["features"], instance["counts"]
    within, between, _, centres = _class_parts(Z, counts)
    covariance = _principal(Z)
    rank = covariance.diagonal(dim1=1, dim2=2).sum(1) / torch.linalg.eigvalsh(covariance)[:, -1]
    least = float(centres.shape[1] - 1)
    return rank, (1 + within / between) * least, torch.full_like(rank, least)


def _errors(points: Any, counts: str, *, temperature: float) -> Any:
    """Share of samples at least as near to another class's centre; smoothed above temperature 0."""
    import torch

    sizes = _repeats(counts)
    _, _, _, centres = _class_parts(points, counts)
    squared = ((points[:, :, None, :] - centres[:, None, :, :]) ** 2).sum(dim=3)
    own = torch.nn.functional.one_hot(torch.arange(len(sizes)).repeat_interleave(sizes)).bool()
    mine = squared[:, own].reshape(len(points), -1)
    nearest = squared.masked_fill(own, torch.inf).amin(dim=2)
    if temperature == 0:
        return (mine >= nearest).double().mean(dim=1)
    scale = _smallest_gap(centres)[:, None]
    return torch.sigmoid((mine - nearest) / (temperature * scale) - 2).mean(dim=1)


def _gaps(centres: Any) -> Any:
    return _pairs(((centres[:, :, None, :] - centres[:, None, :, :]) ** 2).sum(dim=3))


def _smallest_gap(centres: Any) -> Any:
    """Δ²."""
    return _gaps(centres).amin(dim=1)


def _measure_error(temperature: float) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        Z, counts = instance["features"], instance["counts"]
        within, _, _, centres = _class_parts(Z, counts)
        error = _errors(Z, counts, temperature=temperature)
        return error, 4 * within / _smallest_gap(centres), error.new_zeros(error.shape)

    return measure


def _measure_error_norms(temperature: float) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        import torch

        Z, counts = instance["features"], instance["counts"]
        within, between, _, centres = _class_parts(Z, counts)
        weights = _repeats(counts).double() / Z.shape[1]
        norms = (centres**2).sum(dim=2)
        D = 1 - _largest_cosine(centres @ centres.mT)
        bound = 2 * within / between / D * (weights * norms).sum(dim=1) / norms.amin(dim=1)
        error = _errors(Z, counts, temperature=temperature)
        return error, torch.where(D > 0, bound, torch.inf), torch.zeros_like(error)

    return measure


def _measure_gap(instance: Batch) -> Triple:
    import torch

    _, _, _, centres = _class_parts(instance["features"], instance["counts"])
    D = 1 - _largest_cosine(centres @ centres.mT)
    value = 2 * (centres**2).sum(dim=2).amin(dim=1) * D
    return value, _smallest_gap(centres), torch.zeros_like(value)


def _measure_projected(temperature: float) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        import torch

        Z, counts = instance["features"], instance["counts"]
        within, _, _, centres = _class_parts(Z, counts)
        top = torch.linalg.eigh(_principal(Z)).eigenvectors[:, :, -(centres.shape[1] - 1) :]
        error = _errors(Z @ top, counts, temperature=temperature)
        inverse = Z.shape[1] / _repeats(counts).double()
        pairs = _pairs((inverse[:, None] + inverse[None, :]).expand(len(Z), -1, -1))
        bracket = (_gaps(centres) - within[:, None] * pairs).amin(dim=1)
        bound = torch.where(bracket > 0, 4 * within / bracket.clamp(min=1e-300), torch.inf)
        return error, bound, torch.zeros_like(error)

    return measure


@dataclass(frozen=True, kw_only=True)
class _ExactFeatures:
    """Moments of exact rational features, samples in rows."""

    features: Any
    counts: tuple[int, ...]
    centres: Any
    within: Any
    between: Any

    @property
    def samples(self) -> int:
        return sum(self.counts)

    def gap(self, i: int, j: int) -> Any:
        return _squared(self.centres, i, self.centres, j)

    def covariance(self) -> Any:
        from flint import fmpq, fmpq_mat

        N = self.samples
        flat = fmpq_mat(N, N, [fmpq(1, N)] * (N * N))
        centred = self.features - flat * self.features
        return centred.transpose() * centred * fmpq(1, N)


def _squared(left: Any, i: int, right: Any, j: int) -> Any:
    terms = ((left[i, a] - right[j, a]) ** 2 for a in range(left.ncols()))
    total = next(terms)
    for term in terms:
        total = total + term
    return total


def _exact_features(instance: Mapping[str, Any]) -> _ExactFeatures:
    from flint import fmpq, fmpq_mat

    counts = tuple(int(n) for n in str(instance["counts"]).split(","))
    Z = _exact(instance["features"])
    N, K = sum(counts), len(counts)
    labels = [k for k, n in enumerate(counts) for _ in range(n)]
    average = fmpq_mat(K, N, [fmpq(int(labels[i] == k), counts[k]) for k in range(K) for i in range(N)])
    centres = average * Z
    overall = fmpq_mat(1, N, [fmpq(1, N)] * N) * Z
    within = sum((_squared(Z, i, centres, labels[i]) for i in range(N)), start=fmpq(0)) / N
    between = sum((n * _squared(centres, k, overall, 0) for k, n in enumerate(counts)), start=fmpq(0)) / N
    return _ExactFeatures(features=Z, counts=counts, centres=centres, within=within, between=between)


def _enclose_share(instance: Mapping[str, Any]) -> Triple:
    from flint import arb

    from proofs_check.balls import eigenvalues

    found = _exact_features(instance)
    values = eigenvalues(found.covariance())
    top = sum(values[-(len(found.counts) - 1) :], start=arb(0))
    total = arb(found.within + found.between)
    return top / total, arb(found.between / (found.within + found.between)), arb(1)


def _enclose_stable_rank(instance: Mapping[str, Any]) -> Triple:
    from flint import arb

    from proofs_check.balls import eigenvalues

    found = _exact_features(instance)
    least = len(found.counts) - 1
    rank = arb(found.within + found.between) / eigenvalues(found.covariance())[-1]
    return rank, arb((1 + found.within / found.between) * least), arb(least)


def _count_errors(points: Any, centres: Any, counts: tuple[int, ...]) -> Any:
    """Share of samples not certainly nearer to their own centre than to every other: ties count as errors."""
    from flint import arb

    wrong, i = 0, 0
    for own, n in enumerate(counts):
        for _ in range(n):
            mine = _squared(points, i, centres, own)
            others = (_squared(points, i, centres, k) for k in range(len(counts)) if k != own)
            wrong += not all(mine < other for other in others)
            i += 1
    return arb(wrong) / i


def _enclose_error(instance: Mapping[str, Any]) -> Triple:
    from flint import arb

    found = _exact_features(instance)
    K = len(found.counts)
    gap = min(found.gap(i, j) for i in range(K) for j in range(i))
    return _count_errors(found.features, found.centres, found.counts), arb(4 * found.within / gap), arb(0)


def _exact_discrimination(found: _ExactFeatures) -> tuple[Any, list[Any]]:
    from flint import arb_mat

    centres = arb_mat(found.centres)
    gram = centres * centres.transpose()
    exact = found.centres * found.centres.transpose()
    return 1 - _enclosed_cosine(gram), [exact[k, k] for k in range(len(found.counts))]


def _enclose_error_norms(instance: Mapping[str, Any]) -> Triple:
    from flint import arb, fmpq

    found = _exact_features(instance)
    D, norms = _exact_discrimination(found)
    weighted = sum((n * norm for n, norm in zip(found.counts, norms)), start=fmpq(0)) / found.samples
    bound = arb(2 * found.within / found.between * weighted / min(norms)) / D
    return _count_errors(found.features, found.centres, found.counts), bound, arb(0)


def _enclose_gap(instance: Mapping[str, Any]) -> Triple:
    from flint import arb

    found = _exact_features(instance)
    K = len(found.counts)
    D, norms = _exact_discrimination(found)
    return 2 * arb(min(norms)) * D, arb(min(found.gap(i, j) for i in range(K) for j in range(i))), arb(0)


def _enclose_projected(instance: Mapping[str, Any]) -> Triple:
    from flint import acb_mat, arb, arb_mat, fmpq

    found = _exact_features(instance)
    K = len(found.counts)
    covariance = found.covariance()
    values, vectors = acb_mat(arb_mat(covariance)).eig(right=True)
    order = sorted(range(len(values)), key=lambda i: float(values[i].real.mid()))
    size = covariance.nrows()
    keep = acb_mat(size, size)
    for i in order[-(K - 1) :]:
        keep[i, i] = 1
    projection = (vectors * keep * vectors.inv()).real
    error = _count_errors(
        arb_mat(found.features) * projection, arb_mat(found.centres) * projection, found.counts
    )
    bracket = min(
        found.gap(i, j)
        - found.within * (fmpq(found.samples, found.counts[i]) + fmpq(found.samples, found.counts[j]))
        for i in range(K)
        for j in range(i)
    )
    return error, arb(4 * found.within / bracket), arb(0)


# --- exact and enclosed numbers ---------------------------------------------------------------------------


def _exact(array: Any) -> Any:
    """A float64 matrix as the rational matrix that it is."""
    from flint import fmpq, fmpq_mat

    fractions = [Fraction(float(value)) for value in np.asarray(array).ravel()]
    return fmpq_mat(*np.shape(array), [fmpq(f.numerator, f.denominator) for f in fractions])


def _ball(value: Any) -> Any:
    from flint import arb

    return arb(float(value))


def _integer_power(matrix: Any, exponent: int) -> Any:
    result = matrix
    for _ in range(exponent - 1):
        result = result * matrix
    return result


def _box_attack(
    statement: str, bound: Callable[..., Any], *, upper: bool = True, cosine: bool = False, **options: Any
) -> Attack:
    defaults = {
        "classes": 3,
        "samples_per_class": 4,
        "depth": 6,
        "layers": (1, 100),
        "epsilon": (0.05, 1.5),
        "theta": (0.3, 0.9),
    }
    return Attack(
        statement=statement,
        draw=_draw_box,
        build=_build_box,
        measure=_measure_box(bound, upper=upper, cosine=cosine),
        enclose=_enclose_box(bound, upper=upper, cosine=cosine),
        options={**defaults, **options},
    )


def _geometry_attack(statement: str, remainder: Callable[[Any, Any], Any]) -> Attack:
    return Attack(
        statement=statement,
        draw=_draw_geometry,
        build=_build_geometry,
        measure=_measure_remainder(remainder),
        enclose=_enclose_remainder(remainder),
        options={"classes": 6, "theta": (0.45, 0.9), "t": (0.1, 0.9)},
    )


def _feature_attack(
    statement: str,
    measure: Callable[[Batch], Triple],
    enclose: Callable[[Mapping[str, Any]], Triple],
    *,
    soften: Callable[[Batch], Triple] | None = None,
    **options: Any,
) -> Attack:
    return Attack(
        statement=statement,
        draw=_draw_features,
        build=_build_features,
        measure=measure,
        enclose=enclose,
        soften=soften,
        options={"counts": (3, 4, 5), "dimension": 5, "compression": (0.05, 5.0), **options},
    )


def _predicted_attack(statement: str, kind: str) -> Attack:
    return Attack(
        statement=statement,
        draw=_draw_box,
        build=_build_box,
        measure=_measure_predicted(kind),
        enclose=_enclose_predicted(kind),
        options={
            "classes": 3,
            "samples_per_class": 4,
            "depth": 4,
            "layers": (1, 100),
            "epsilon": (0.1, 0.7),
            "theta": (0.3, 0.9),
        },
    )


_TEMPERATURE = 0.03

ATTACKS: Mapping[str, Attack] = {
    "T5-upper": _box_attack("T5: C_{l+1}/C_l ≤ ε² ((1+θ)/n)^{1/L} (1 + ρ q^l)", _bound_t5),
    "T5-lower": _box_attack("T5: C_{l+1}/C_l ≥ ε² ((1-θ)/n)^{1/L} / (1 + ρ q^{l+1})", _bound_t5, upper=False),
    "T5-sharp-upper": _box_attack(
        "T5': C_{l+1}/C_l ≤ ε² ((1+2θ/K)/n)^{1/L}, with its residual term", _bound_t5_sharp, theta=(0.3, 0.65)
    ),
    "T5-sharp-lower": _box_attack(
        "T5': C_{l+1}/C_l ≥ ε² ((1-2θ/K)/n)^{1/L}, with its residual term",
        _bound_t5_sharp,
        upper=False,
        theta=(0.3, 0.48),
    ),
    "T6-remainder": _geometry_attack("T6: |D_l - (1 - t m)|, with τ = t‖Ψ‖₂", _remainder_original),
    "T6-sharp-remainder": _geometry_attack(
        "T6': |D_l - (1 - t m)| ≤ (√(2τ/(1-e^{-2τ})) - 1)²", _remainder_sharp
    ),
    "T6-explicit": _box_attack(
        "T6: 1 - D_l ≤ [a + 2θ² ε^{2l} n^{-l/L} / ((1-2θ)K)] / (1-a)",
        _bound_cosine_explicit,
        cosine=True,
        theta=(0.3, 0.45),
    ),
    "T6-sharp-cosine": _box_attack(
        "T6': 1 - D_l ≤ (κ^t - 1)/(κ^t + 1), κ = 1 + 2θ/(K(1-θ))", _bound_cosine_sharp, cosine=True
    ),
    "T7": Attack(
        statement="T7: tr Σ_W^l and tr Σ_B^l are log-convex in l for balanced weights",
        draw=_draw_weights,
        build=_build_weights,
        measure=_measure_moments,
        enclose=_enclose_moments,
        options={"dimension": 6, "width": 5, "samples": 9, "classes": 3, "layers": 3},
    ),
    "U1": _feature_attack("U1: the top K-1 components hold ≥ 1/(1+C)", _measure_share, _enclose_share),
    "U2": _feature_attack("U2: stable rank ≤ (1+C)(K-1)", _measure_stable_rank, _enclose_stable_rank),
    "U1-predicted": _predicted_attack("U1 on T1's features of θ-nearly orthonormal data", "share"),
    "U2-predicted": _predicted_attack("U2 on T1's features of θ-nearly orthonormal data", "rank"),
    "U3": _feature_attack(
        "U3: nearest-centre error ≤ 4 tr Σ_W/Δ²",
        _measure_error(0),
        _enclose_error,
        soften=_measure_error(_TEMPERATURE),
        counts=(6, 6, 6),
    ),
    "U3-gap": _feature_attack("U3: Δ² ≥ 2 min‖μ_k‖² D", _measure_gap, _enclose_gap),
    "U3-norms": _feature_attack(
        "U3: nearest-centre error ≤ 2 (C/D) Σ p_k‖μ_k‖²/min‖μ_k‖²",
        _measure_error_norms(0),
        _enclose_error_norms,
        soften=_measure_error_norms(_TEMPERATURE),
        counts=(6, 6, 6),
    ),
    "U4": _feature_attack(
        "U4: error after projection ≤ 4 tr Σ_W / min[‖μ_k-μ_k'‖² - tr Σ_W (1/p_k + 1/p_k')]",
        _measure_projected(0),
        _enclose_projected,
        soften=_measure_projected(_TEMPERATURE),
        counts=(6, 6, 6),
        compression=(0.02, 0.5),
    ),
}

# what T5's first conjecture claimed; for small epsilon the upper one is open above θ = 0.65
CONJECTURES: Mapping[str, Attack] = {
    "T5-conjecture-upper": _box_attack(
        "refuted: C_{l+1}/C_l ≤ ε² ((1+2θ/K)/n)^{1/L} for every θ < 1 and ε",
        _bound_t5_conjecture,
        depth=12,
        layers=(1, 1),
        epsilon=(0.4, 0.7),
        theta=(0.9, 0.99),
    ),
    "T5-conjecture-lower": _box_attack(
        "refuted: C_{l+1}/C_l ≥ ε² ((1-2θ/K)/n)^{1/L} for every θ < 1",
        _bound_t5_conjecture,
        upper=False,
        classes=4,
        samples_per_class=2,
        depth=20,
        layers=(18, 18),
        epsilon=(0.01, 0.1),
        theta=(0.9, 0.99),
    ),
}
