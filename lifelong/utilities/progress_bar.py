"""A progress bar for work between the steps of a stream."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TextIO, TypeVar

from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from lightning.pytorch.utilities import rank_zero_only

from lifelong.utilities.quiet import is_quiet

Item = TypeVar("Item")
SECONDS = 2
"""Expected duration from which a bar is shown, in seconds."""


def show_progress(items: Sequence[Item], description: str) -> Iterator[Item]:
    """Yield the items in order, and show a progress bar if they take longer than ``SECONDS``.

    Like the bar of the stream, it is hidden outside a terminal, in a quiet run, and in all processes but the first.

    Example:
        >>> list(show_progress([1, 2], "counting"))
        [1, 2]
    """
    stream: TextIO | None = sys.stderr  # None on Windows without a console
    is_watched = stream is not None and stream.isatty() and getattr(rank_zero_only, "rank", 0) == 0
    disable = is_quiet() or not is_watched
    return iter(Tqdm(items, desc=description, leave=False, delay=SECONDS, disable=disable))
