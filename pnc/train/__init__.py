"""Training of networks on labelled samples: losses, schedules, checkpoints, exact resume. Importing it loads torch."""

import warnings
from typing import Any

from pnc.callable_room import make_callable
from pnc.spec import LowRankSpec
from pnc.spec.training import TrainSpec
from pnc.train.augment import crop_and_flip
from pnc.train.batch_norm import synchronised_batch_norm
from pnc.train.checkpoints import Checkpoint, latest_checkpoint, read_checkpoint, write_checkpoint
from pnc.train.loop import Measure, evaluate, train
from pnc.train.losses import sample_losses
from pnc.train.low_rank.sites import find_sites
from pnc.train.low_rank.variance_shares import variance_shares
from pnc.train.order import batch_bounds, epoch_order
from pnc.train.outcome import DivergedError, EpochRecord, LowRankOutcome, Measurement, Progress, TrainedRun
from pnc.train.processes import Processes, joined_processes
from pnc.train.samples import Batches, Samples, as_samples
from pnc.train.saved import SavedRun, as_split_samples, data_record, load_run
from pnc.train.schedules import learning_rate
from pnc.train.weights import fit_weights, load_weights, read_weights

__all__ = [
    "Batches",
    "Checkpoint",
    "DivergedError",
    "EpochRecord",
    "LowRankOutcome",
    "LowRankSpec",
    "Measure",
    "Measurement",
    "Processes",
    "Progress",
    "Samples",
    "SavedRun",
    "TrainSpec",
    "TrainedRun",
    "as_samples",
    "as_split_samples",
    "batch_bounds",
    "crop_and_flip",
    "data_record",
    "epoch_order",
    "evaluate",
    "find_sites",
    "fit_weights",
    "joined_processes",
    "latest_checkpoint",
    "learning_rate",
    "load_run",
    "load_weights",
    "read_checkpoint",
    "read_weights",
    "sample_losses",
    "synchronised_batch_norm",
    "train",
    "variance_shares",
    "write_checkpoint",
]

make_callable(__name__, train)


def __getattr__(name: str) -> Any:
    if name == "NetTrainSpec":
        warnings.warn(
            "pnc.train.NetTrainSpec is now TrainSpec; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return TrainSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
