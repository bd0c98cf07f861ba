"""A line on stderr that follows a training, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["live_line", "time_left"]


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
