"""A training to be killed: `python -m tests.train.killed FOLDER RESULT`; slow enough that a kill hits it midway."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from pnc.train import train
from tests.train.cases import clusters, measure, network, spec

SPEC = spec(optimiser="adamw", learning_rate=0.01, epochs=6, batch_size=10, measure_every=2)
STEPS = 6 * 6


def main(folder: str, result: str, pause: float) -> None:
    torch.set_num_threads(1)
    model = network(dropout=0.2, norm=True)
    forward = model.forward
    model.forward = lambda x: (time.sleep(pause), forward(x))[1]
    run = train(
        model, clusters(), SPEC, test=clusters(seed=1), measure=measure,
        checkpoints=folder, checkpoint_seconds=0.0, resume=True,
    )  # fmt: skip
    curves = {f"{m.split}-{m.epoch}": torch.from_numpy(m.curve.compression) for m in run.measurements}
    losses = torch.tensor([record.loss for record in run.history], dtype=torch.float64)
    save_file({**model.state_dict(), **curves, "losses": losses}, Path(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
