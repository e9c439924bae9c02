"""Mistakes in the settings that Lightning or torch detect, reported in one sentence that names a solution."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|unable to allocate", re.IGNORECASE)
MEMORY_AMOUNT = re.compile(
    r"you tried to allocate \d+ bytes|Tried to allocate [\d.]+ \w+|Unable to allocate [\d.]+ \w+"
)
MONITOR = re.compile(r"conditioned on metric [`'\"]?([^`'\"\s]+)[`'\"]? .*?following: (.*?)$", re.DOTALL)
MONITORED = re.compile(r"monitor='([^']+)'.*?metrics: \[(.*?)\]", re.DOTALL)


@contextmanager
def in_one_sentence(beginning: str = "") -> Iterator[None]:
    """Turn what a user's settings make Lightning and torch raise into a ``ValueError`` of one line.

    Any other exception is a bug and is raised unchanged.

    Args:
        beginning: start of the sentence about settings that Lightning refuses.

    Raises:
        ValueError: instead of a wrong setting of Lightning's, a metric that is not logged, or too little memory.

    Example:
        >>> with in_one_sentence("the Trainer cannot be made: "):
        ...     raise MisconfigurationException("devices are wrong")
        Traceback (most recent call last):
            ...
        ValueError: the Trainer cannot be made: devices are wrong; --help lists the options of --trainer
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ValueError(_metric(str(error)) or _refused(beginning, error)) from error
    except (RuntimeError, MemoryError) as error:
        if answer := _metric(str(error)):
            raise ValueError(answer) from error
        if isinstance(error, MemoryError) or MEMORY.search(str(error)):
            raise ValueError(_too_large(error)) from error
        raise
    except (TypeError, ValueError) as error:
        if MEMORY.search(str(error)):  # raised by a class that the parser created
            raise ValueError(_too_large(error)) from error
        if not beginning:
            raise
        raise ValueError(_refused(beginning, error)) from error


def _refused(beginning: str, error: Exception) -> str:
    return f"{beginning}{' '.join(str(error).split())}; --help lists the options of --trainer"


def _metric(message: str) -> str | None:
    if (match := MONITOR.search(message) or MONITORED.search(message)) is None:
        return None
    names = [name.strip("`'\" \n") for name in match.group(2).split(",")]
    return (
        f"a callback of --trainer.callbacks has monitor {match.group(1)}, which is not measured: set it to one of "
        f"{', '.join(names)}"
    )


def _too_large(error: BaseException) -> str:
    words = MEMORY_AMOUNT.search(str(error))
    reason = " ".join((words.group(0) if words else str(error)).split())[:160]
    return (
        f"the memory does not suffice ({reason}): set --runner.chunk to fewer tasks at once, or lower "
        "--data.tasks_per_batch, --data.batch_size, or the sizes of the network or of the data"
    )
