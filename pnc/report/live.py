"""A line on stderr that follows a training, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pnc.report.text import number

if TYPE_CHECKING:
    from pnc.train import Progress

__all__ = ["follow_training", "live_line", "time_left"]


@contextmanager
def live_line(*, shown: bool) -> Iterator[Callable[[str, float, str], None] | None]:
    """A progress bar: call what it gives with a description, the share that is done, and the state in words.

    Args:
        shown: without it nothing is drawn, and `None` is given.
    """
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=1.0, state="")

        def update(description: str, share: float, state: str) -> None:
            bar.update(task, description=description, completed=share, state=state)

        yield update


def time_left(seconds: float | None) -> str:
    """A clause for the end of a state; empty where it is not known.

    >>> time_left(12.3), time_left(None)
    (', about 12 s left', '')
    """
    return "" if seconds is None else f", about {seconds:.0f} s left"


def follow_training(line: Callable[[str, float, str], None], progress: Progress, *, label: str = "") -> None:
    """Epoch, loss, accuracy, C of a few layers, time left.

    >>> from pnc.train import Progress
    >>> at = Progress(
    ...     epoch=1, epochs=2, step=3, steps=6, loss=0.5, accuracy=1.0, compression={}, seconds_left=None
    ... )
    >>> follow_training(print, at, label="net")
    net, epoch 1/2 0.5 loss 0.5, accuracy 100.0%
    """
    layers = "".join(f", C_{layer} {number(c, 3)}" for layer, c in progress.compression.items())
    line(
        f"{label}, epoch {progress.epoch}/{progress.epochs}".removeprefix(", "),
        progress.step / progress.steps,
        f"loss {number(progress.loss, 3)}, accuracy {progress.accuracy:.1%}{layers}{time_left(progress.seconds_left)}",
    )
