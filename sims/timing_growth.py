"""How time and memory grow: each command against each size, with the fitted exponent beside the mathematics' own.

    python -m sims.timing --growth [--out growth.json]

Every point is a process of its own, which times the work and not the imports, and reports its own peak of memory. An
exponent is the slope of log time against log size over the last three sizes; what a fixed cost hides is smaller than it
is. With an earlier file the table says what became slower by more than half.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["growth", "growth_table"]

_PREAMBLE = """
import json, resource, time
import numpy as np
from pnc.data import draw
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
"""

_REPORT = """
print(json.dumps({"seconds": seconds, "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

_SIMULATE = """
from pnc.simulate import simulate
problem = draw(ProblemSpec(classes={K}, samples_per_class={n}))
began = time.perf_counter()
simulate(problem, NetworkSpec(depth={L}, residual_scale={epsilon}), SimulationSpec(device="cpu"))
seconds = time.perf_counter() - began
"""

_PREDICT = """
from pnc.theory import bounds, predict
problem = draw(ProblemSpec(classes={K}, samples_per_class={n}))
network = NetworkSpec(depth={L}, residual_scale={epsilon})
began = time.perf_counter()
predict(problem, network)
bounds(problem, network)
seconds = time.perf_counter() - began
"""

_SWEEP = """
import tempfile
from pnc.sweep import make_plan, read_sweep, run_sweep
plan = make_plan(read_sweep(depth="2:5", epsilon="0.2,0.3", seeds={runs} // 8), device="cpu")
began = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    run_sweep(plan, folder, workers=1)
seconds = time.perf_counter() - began
"""

_MEASURE = """
from pnc.measure import measure_features
rng = np.random.default_rng(0)
layers = [rng.standard_normal(({N}, {d})) for _ in range(2)]
y = np.arange({N}) % {K}
began = time.perf_counter()
measure_features(layers, y)
seconds = time.perf_counter() - began
"""

_USUAL = {"K": 4, "n": 10, "L": 6, "epsilon": "None", "runs": 64, "N": 4000, "d": 64}

# what, against what, sizes, exponent of the mathematics in seconds
_SERIES: tuple[tuple[str, str, str, tuple[float, ...], float], ...] = (
    ("simulate", _SIMULATE, "n", (10, 40, 80, 160), 3.0),
    ("simulate", _SIMULATE, "K", (5, 10, 20, 40), 3.0),
    ("simulate", _SIMULATE, "L", (8, 64, 512, 2048), 1.0),
    ("simulate", _SIMULATE, "epsilon", (0.3, 0.1, 0.01, 0.001), 0.0),
    ("predict", _PREDICT, "n", (10, 40, 80, 160), 3.0),
    ("predict", _PREDICT, "L", (8, 64, 512, 4096), 1.0),
    ("sweep", _SWEEP, "runs", (16, 64, 256), 1.0),
    ("measure", _MEASURE, "N", (4000, 16000, 64000), 1.0),
    ("measure", _MEASURE, "d", (64, 128, 256), 1.0),
    ("measure", _MEASURE, "K", (10, 40, 160), 0.0),
)

_WHY = {
    ("simulate", "n"): "3 (one singular value decomposition of the inputs; training itself 0, Y4)",
    ("simulate", "K"): "3 at N = nK (the same; training K²)",
    ("simulate", "L"): "1 (a row a layer; training itself 0, Y5)",
    ("simulate", "epsilon"): "0",
    ("predict", "n"): "3 (decomposition of the inputs)",
    ("predict", "L"): "1",
    ("sweep", "runs"): "1",
    ("measure", "N"): "1",
    ("measure", "d"): "1",
    ("measure", "K"): "0",
}


def _measured(code: str, values: dict[str, Any], seconds: float) -> dict[str, float] | None:
    """One point in a process of its own; `None` where it takes longer."""
    source = _PREAMBLE + code.format(**values) + _REPORT
    try:
        done = subprocess.run(
            [sys.executable, "-c", source], capture_output=True, text=True, timeout=seconds, check=True
        )
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def growth(*, seconds: float = 60.0) -> list[dict[str, Any]]:
    """Every series: sizes, seconds and MiB at each, fitted exponents of both.

    Args:
        seconds: a point that takes longer ends its series.
    """
    found = []
    for command, code, size, values, expected in _SERIES:
        points = []
        for value in values:
            point = _measured(code, {**_USUAL, size: value}, seconds)
            if point is None:
                break
            points.append({"size": value, **point})
        last = points[-3:]
        slopes = {}
        for what in ("seconds", "MiB"):
            logs = np.log([[p["size"], p[what]] for p in last])
            slopes[what] = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]) if len(last) > 1 else None
        found.append({"command": command, "size": size, "points": points, "exponents": slopes, "mathematics": expected})
    return found


def growth_table(found: list[dict[str, Any]], earlier: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Rows of the table; with an earlier run, what became slower by more than half at the largest common size."""
    before = {(s["command"], s["size"]): {p["size"]: p["seconds"] for p in s["points"]} for s in earlier or ()}
    rows = []
    for series in found:
        key = (series["command"], series["size"])
        ends = series["points"]
        sizes = ", ".join(f"{point['size']:g}" for point in ends)
        row = {
            "command": series["command"],
            "against": f"{series['size']} = {sizes}",
            "seconds": ", ".join(f"{p['seconds']:.3g}" for p in ends),
            "MiB": ", ".join(f"{p['MiB']:.0f}" for p in ends),
            "exponent of time": _shown(series["exponents"]["seconds"]),
            "of memory": _shown(series["exponents"]["MiB"]),
            "the mathematics' own": _WHY[key],
        }
        if earlier is not None:
            common = [p for p in ends if p["size"] in before.get(key, {})]
            ratio = common[-1]["seconds"] / before[key][common[-1]["size"]] if common else None
            row["against the run before"] = (
                "–" if ratio is None else f"{ratio:.2f} ×" + (" slower" if ratio > 1.5 else "")
            )
        rows.append(row)
    return rows


def _shown(exponent: float | None) -> str:
    return "–" if exponent is None else f"{exponent:.2f}"


def main(out: Path | None, markdown: Any) -> None:
    """Measure, print the table, and keep the numbers in `out`, whose last ones are the run before."""
    earlier = json.loads(out.read_text(encoding="utf-8")) if out is not None and out.exists() else None
    found = growth()
    markdown(growth_table(found, earlier))
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
