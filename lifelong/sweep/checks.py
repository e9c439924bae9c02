"""Check the options of all runs before the first of them starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rich.progress import track

from lifelong.sweep.training import Training


def check_trainings(trainings: Collection[Training], check: Callable[[Sequence[str]], None]) -> None:
    """Raise an error if a training has an unknown option or an invalid value.

    Args:
        trainings: the planned trainings.
        check: function that raises a ``ValueError`` for options that ``fit`` does not accept.

    Raises:
        ValueError: when an option is wrong; the message names the training.
    """
    for training in track(trainings, "options", transient=True):
        try:
            check(training.command[1:])
        except ValueError as error:
            raise ValueError(f"{training.name} cannot be run: {error}") from error
