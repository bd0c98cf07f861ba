"""The search: climb the reach from many starting points at once and enclose the best one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pnc.errors import InvalidInputError

from .catalogue import ATTACKS, find
from .exact import float_ball
from .inequality import Attack, Batch, Triple

__all__ = ["AttackResult", "attack", "attack_all", "replay"]


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
    target = find(name)
    unknown = sorted(set(options) - set(target.options))
    if unknown or restarts < 1 or steps < 0:
        raise InvalidInputError(
            got=f"options {unknown}, restarts {restarts}, steps {steps}",
            expected=f"options among {sorted(target.options)}, restarts ≥ 1, steps ≥ 0",
            next_step="see the options of the attack in proofs_check.attacks.ATTACKS",
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
        np.savez(path, **{"attack": name, "restarts": restarts, "tighten": tighten, **instance})
    return _result(name, restarts, tighten, instance, path)


def attack_all(
    *,
    restarts: int,
    steps: int,
    seed: int,
    folder: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[AttackResult]:
    """Attack every inequality, sharing `restarts` among them.

    Args:
        restarts: starting points in all, rounded up to the same number for each.
        steps: gradient steps.
        seed: of the starting points.
        folder: where to save the best instances.
        progress: called with one line after each attack.

    Raises:
        InvalidInputError: counts below 1.

    >>> len(attack_all(restarts=40, steps=2, seed=0)) == len(ATTACKS)
    True
    """
    each = -(-restarts // len(ATTACKS))
    results = []
    for name in ATTACKS:
        results.append(attack(name, restarts=each, steps=steps, seed=seed, folder=folder))
        if progress is not None:
            progress(f"{name}: reach {results[-1].reach:.5f} ({len(results)} of {len(ATTACKS)})")
    return results


def replay(path: str | Path) -> AttackResult:
    """Enclose a saved instance again.

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


def _climb(target: Attack, point: Batch, *, steps: int, learning_rate: float) -> tuple[Batch, Any]:
    """Adam on each restart's reach; keeps the best point that each restart visited."""
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
    value, bound, limit = triple
    reach = (value - limit) / (bound - limit)
    return torch.where(torch.isfinite(reach), reach, torch.full_like(reach, -1e3))


def _result(name: str, restarts: int, tighten: float, instance: Mapping[str, Any], path: Path | None) -> AttackResult:
    value, bound, limit = find(name).enclose(instance)
    slack = 1 - (value - limit) / ((bound - limit) * float_ball(tighten))
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
