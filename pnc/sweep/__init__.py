"""Sweeps: many simulations, planned first, carried out in batches, resumable, one labelled dataset.

| what | file |
|---|---|
| values of every parameter, from TOML or options | `grid` |
| runs, their hashes, batches | `plan` |
| a batch of runs → records | `records` |
| processes on this machine, or a Dask cluster | `execute` |
| the folder, its lock, its finished batches | `store` |
| records → dataset and table | `dataset` |
| the plan and its progress, in words | `show` |
"""

from pnc.sweep.dataset import make_dataset, make_table, results_name
from pnc.sweep.execute import SweepProgress, run_sweep, usual_workers
from pnc.sweep.grid import AXES, Sweep, SweepSettings, parse_values, read_sweep
from pnc.sweep.plan import Plan, Run, make_plan
from pnc.sweep.show import describe_plan, show_progress

__all__ = [
    "AXES",
    "Plan",
    "Run",
    "Sweep",
    "SweepProgress",
    "SweepSettings",
    "describe_plan",
    "make_dataset",
    "make_plan",
    "make_table",
    "parse_values",
    "read_sweep",
    "results_name",
    "run_sweep",
    "show_progress",
    "usual_workers",
]
