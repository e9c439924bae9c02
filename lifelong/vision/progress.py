"""A progress bar with the remaining time, for the processing of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lifelong.utilities.quiet import is_quiet

SHOW_PROGRESS_FROM = 256
"""Minimum number of images for a progress bar; fewer are processed too quickly."""


@contextmanager
def progress(n_images: int, description: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar within the block; yields a function to call with the number of processed images.

    Args:
        n_images: total number of images.
        description: text of the bar.

    Example:
        >>> with progress(2, "encoding") as advance:
        ...     advance(2)
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    quiet = is_quiet() or n_images < SHOW_PROGRESS_FROM
    with Progress(*columns, TimeRemainingColumn(), transient=True, disable=quiet) as bar:
        task = bar.add_task(description, total=n_images)
        yield lambda n: bar.update(task, advance=n)
