"""What was published beside what is measured here: the numbers that need no more than a processor, with seeds.

    python -m sims.published --scale paper

Deep linear networks of the paper's notebook (N = 30, K = 3, d = 50, orthogonal weights), the assumptions of Figure 6
at the sizes and with the ten seeds that are plotted, and the invariant subspace of the law of parsimony. Published
values, with their sources, are in `sims.published_values`; `python -m sims.reproduction_page` lays both side by side.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import resolve_data
from pnc.simulate import simulate
from pnc.spec import NetworkSpec, SimulationSpec

from .common import Scale, command, new_figure, save
from .fig6_assumptions import check_assumptions, fixed_size

__all__ = ["reproduce"]

_SEEDS = {"smoke": 2, "paper": 10, "full": 10}


def _over(values: list[float]) -> dict[str, Any]:
    """Mean and standard deviation over seeds."""
    array = np.array(values, dtype=float)
    return {"mean": float(array.mean()), "std": float(array.std(ddof=1)), "seeds": array.size}


def _notebook(label_scale: float, seeds: int) -> list[Any]:
    """The notebook's network, trained from several seeds; each seed draws its own data."""
    found = []
    for seed in range(seeds):
        problem = resolve_data(data="orthonormal-noise", classes=3, samples_per_class=10, dimension=50, seed=seed)
        network = NetworkSpec(depth=6, width=50, residual_scale=0.3, label_scale=label_scale)
        found.append(simulate(problem, network, SimulationSpec(seed=seed, device="cpu")).measured)
    return found


def _parsimony(seeds: int) -> dict[str, Any]:
    """How many singular values of every hidden weight stay where they began, on whitened data."""
    kept, moved = [], []
    for seed in range(seeds):
        problem = resolve_data(data="orthonormal", classes=3, samples_per_class=10, dimension=30, seed=seed)
        network = NetworkSpec(depth=4, width=30, residual_scale=0.3)
        run = simulate(problem, network, SimulationSpec(seed=seed, device="cpu", coordinates="full"))
        weights = run.weights[1:-1]
        counts = [int(np.sum(np.abs(np.linalg.svd(w, compute_uv=False) - 0.3) < 1e-8)) for w in weights]
        kept.append(float(np.mean(counts)))
        # of hidden weights, all alike at the start: what gradient flow conserves is 0
        moved.append(max(float(np.linalg.norm(b.T @ b - a @ a.T)) for a, b in zip(weights, weights[1:])))
    return {"unmoved": _over(kept), "conserved": _over(moved)}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Train what the rows need, from every seed, and write mean and spread of each."""
    seeds = _SEEDS[scale]
    scaled, plain = _notebook(100.0, seeds), _notebook(1.0, seeds)
    ratios = [curve.compression[1:] / curve.compression[:-1] for curve in scaled]
    summary: dict[str, Any] = {
        "notebook_ratio": _over([float(np.exp(np.log(ratio).mean())) for ratio in ratios]),
        **{f"notebook_D_{l}": _over([float(curve.discrimination[l]) for curve in scaled]) for l in range(1, 6)},
        "linear_C_first": _over([float(curve.compression[0]) for curve in plain]),
        "linear_C_last": _over([float(curve.compression[-1]) for curve in plain]),
        "linear_D_last": _over([float(curve.discrimination[-1]) for curve in plain]),
        **_parsimony(seeds),
    }
    _, checks = check_assumptions(
        out, grid="smoke" if scale == "smoke" else "paper", seeds=seeds, workers=workers, quiet=quiet
    )
    width, depth = fixed_size(scale)
    for name, check in checks.items():
        for axis, values in (("depth", check.sel(width=width)), ("width", check.sel(depth=depth))):
            for at in values.dropna(axis, how="all")[axis].values:
                summary[f"{name}_{axis}_{int(at)}"] = _over(values.sel({axis: at}).values.tolist())
    figure, (panel,) = new_figure(1)
    shown = range(1, 6)
    means, spreads = ([summary[f"notebook_D_{l}"][part] for l in shown] for part in ("mean", "std"))
    panel.errorbar(list(shown), means, spreads, marker="o", capsize=3, color="#0072B2")
    panel.set_xticks(list(shown))
    panel.set_xlabel("layer")
    panel.set_ylabel("D, mean and spread over seeds")
    return save(out, "published", figure, summary)


if __name__ == "__main__":
    sys.exit(command(reproduce, "published"))
