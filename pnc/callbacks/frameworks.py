"""A `Watch` as a callback of Lightning and of the transformers Trainer; neither is imported before it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

from pnc.callbacks.watch import Watch, Watched
from pnc.errors import InvalidInputError

__all__ = ["lightning_callback", "trainer_callback"]


def _needed(names: tuple[str, ...]) -> Any:
    for name in names:
        if importlib.util.find_spec(name) is not None:
            return importlib.import_module(name)
    raise InvalidInputError(
        got=f"a callback for {names[0]}, which is not installed",
        expected="it installed",
        next_step=f"pip install {names[0]}, or call the `Watch` in a loop of your own",
    )


def _warn(found: Watched) -> None:
    for alarm in found.alarms:
        warnings.warn(str(alarm), stacklevel=3)


def lightning_callback(watch: Watch) -> Any:
    """A `lightning.pytorch.Callback` that measures after training epochs and logs to the trainer's loggers.

    The module's `forward` is what is measured. An alarm is a warning.

    Args:
        watch: what to measure, and how often; its `history` holds the curves.

    Raises:
        InvalidInputError: Lightning is not installed.
    """
    lightning = _needed(("lightning", "pytorch_lightning"))
    base = getattr(lightning, "pytorch", lightning).Callback

    class CurvesCallback(base):
        """C and D of every layer, every few epochs."""

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if not trainer.is_global_zero:
                return
            found = watch(pl_module, trainer.current_epoch + 1)
            if found is None:
                return
            for logger in trainer.loggers:
                logger.log_metrics(found.scalars(), step=trainer.global_step)
            _warn(found)

    return CurvesCallback()


def trainer_callback(watch: Watch) -> Any:
    """A `transformers.TrainerCallback` that measures after epochs and adds the numbers to the Trainer's log history.

    Args:
        watch: what to measure, and how often; its samples are batches as the model takes them, with `labels`.

    Raises:
        InvalidInputError: transformers is not installed.
    """
    base = _needed(("transformers",)).TrainerCallback

    class CurvesCallback(base):
        """C and D of every layer, every few epochs."""

        def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
            del args, control, others
            if model is None or not state.is_world_process_zero:
                return
            found = watch(model, round(state.epoch))
            if found is not None:
                state.log_history.append({"epoch": state.epoch, "step": state.global_step, **found.scalars()})
                _warn(found)

    return CurvesCallback()
