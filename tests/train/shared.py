"""Trainings to be run by several processes: `torchrun --nproc-per-node 2 -m tests.train.shared FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from pnc.train import LowRankSpec, TrainedRun, TrainSpec, joined_processes, train
from tests.train.cases import clusters, images, network, spec

# 61 samples in batches of 11 or 10: processes hold 6 and 5, or 5 and 5
CASES: dict[str, tuple[TrainSpec, bool]] = {
    "plain": (spec(precision="float64", batch_size=11, measure_every=2), False),
    "norm": (spec(precision="float64", batch_size=11, measure_every=2), True),
    "augmented": (spec(precision="float64", batch_size=7, crop=1, flip=True, measure_every=0), False),
    "low-rank": (spec(precision="float64", batch_size=11, measure_every=2), True),
}

# the projections see 25 activations, of the last three batches: all of two and some of the first
LOW_RANK = {"low-rank": LowRankSpec(sites=["2", "5"], rank=2, every=4, samples=25)}


def run(name: str, **options: object) -> TrainedRun:
    """One of the cases."""
    chosen, norm = CASES[name]
    pictures = bool(chosen.crop)
    data = images(25) if pictures else clusters(61)
    model = network(norm=norm, dimension=36 if pictures else 8)
    return train(model, data, chosen, low_rank=LOW_RANK.get(name), **options)


def curves(result: TrainedRun) -> dict[str, np.ndarray]:
    """What two runs are compared in: weights, losses and every measured quantity."""
    found = {name: value.double().numpy() for name, value in result.model.state_dict().items()}
    found["loss"] = np.array([record.loss for record in result.history])
    found["accuracy"] = np.array([record.accuracy for record in result.history])
    for m in result.measurements:
        found[f"C-{m.epoch}"], found[f"D-{m.epoch}"] = m.curve.compression, m.curve.discrimination
    if result.low_rank is not None:
        found["units"] = np.array(result.low_rank.units)
        for i, record in enumerate(result.low_rank.history):
            for name in ("compression_loss", "norm_loss"):
                found[f"{name}-{i}"] = np.array(record[name])
        found["shares"] = np.array([site["centred"] for site in result.low_rank.after["train"].values()])
    return found


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with joined_processes(torch.device("cpu")) as processes:
        for name in CASES:
            options = {"checkpoints": folder / "checkpoints", "resume": True} if name == "plain" else {}
            result = run(name, **options)
            assert result.processes == processes.world
            if name == "norm":
                assert "1 batch norms synchronised over 2 processes" in result.notes, result.notes
            found = {key: torch.from_numpy(np.asarray(value)) for key, value in curves(result).items()}
            save_file(found, folder / f"{name}-{processes.rank}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
