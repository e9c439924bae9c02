"""Messages of a run, which a quiet run does not print."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_is_quiet = ContextVar("is_quiet", default=False)
LOGGERS = ("lightning.pytorch", "lightning.fabric")
"""Lightning's loggers, which report devices and limits at level INFO."""


@contextmanager
def quietly(quiet: bool = True) -> Iterator[None]:
    """Print no progress bar, message or table while the block runs; warnings and errors are still shown.

    Args:
        quiet: if False, change nothing; a block within a quiet one stays quiet.

    Example:
        >>> with quietly():
        ...     say("experience 1/5 learnt")
        >>> say("experience 2/5 learnt")
        experience 2/5 learnt
    """
    if not quiet:
        yield
        return
    token = _is_quiet.set(True)
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        _is_quiet.reset(token)


def is_quiet() -> bool:
    """Return whether the current run is quiet."""
    return _is_quiet.get()


def say(text: str) -> None:
    """Print a message immediately, unless the run is quiet.

    Args:
        text: the message.
    """
    if not is_quiet():
        print(text, flush=True)


def console() -> Console:
    """Return a console for tables, which prints nothing in a quiet run.

    In a notebook every ``print`` of a console makes a separate output; all those within ``with console:`` make one.
    """
    from rich.console import Console

    return Console(quiet=is_quiet())
