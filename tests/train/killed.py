"""A training to be killed: `python -m tests.train.killed FOLDER RESULT`; slow enough that a kill hits it midway."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from pnc.train import LowRankSpec, train
from tests.train.cases import clusters, measure, network, spec

SPEC = spec(optimiser="adamw", learning_rate=0.01, epochs=6, batch_size=10, measure_every=2)
STEPS = 6 * 6
LOW_RANK = LowRankSpec(sites="3", rank=2, every=4, samples=25)


def main(folder: str, result: str, pause: float) -> None:
    torch.set_num_threads(1)
    model = network(dropout=0.2, norm=True)
    forward = model.forward
    model.forward = lambda x: (time.sleep(pause), forward(x))[1]
    run = train(
        model, clusters(), SPEC, test=clusters(seed=1), measure=measure, low_rank=LOW_RANK,
        checkpoints=folder, checkpoint_seconds=0.0, resume=True,
    )  # fmt: skip
    curves = {f"{m.split}-{m.epoch}": torch.from_numpy(m.curve.compression) for m in run.measurements}
    losses = torch.tensor([record.loss for record in run.history], dtype=torch.float64)
    shares = [share for split in run.low_rank.after.values() for site in split.values() for share in site.values()]
    low_rank = torch.tensor([*run.low_rank.history[-1]["compression_loss"], *shares], dtype=torch.float64)
    save_file({**model.state_dict(), **curves, "losses": losses, "low_rank": low_rank}, Path(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
