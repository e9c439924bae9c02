"""A bar with the time left for what takes a while, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lifelong.utilities.quiet import is_quiet

SHOW_PROGRESS_FROM = 256
"""Fewer images than this are done before a bar could be read."""


@contextmanager
def progress(n_images: int, description: str) -> Iterator[Callable[[int], None]]:
    """Show a bar, the time taken and the time left while the block runs; yields what is told of images that are done.

    Args:
        n_images: in all.
        description: of what is done.

    Example:
        >>> with progress(2, "encoding") as advance:
        ...     advance(2)
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    quiet = is_quiet() or n_images < SHOW_PROGRESS_FROM
    with Progress(*columns, TimeRemainingColumn(), transient=True, disable=quiet) as bar:
        task = bar.add_task(description, total=n_images)
        yield lambda n: bar.update(task, advance=n)
