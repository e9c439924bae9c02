"""Options of runs, refused before the first of them begins."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rich.progress import track

from lifelong.sweep.training import Training


def check_trainings(trainings: Collection[Training], check: Callable[[Sequence[str]], None]) -> None:
    """Refuse trainings with an option that there is not, or with a value that it cannot have.

    Args:
        trainings: to come.
        check: refuses options of ``fit`` by a ``ValueError``.

    Raises:
        ValueError: naming the training.
    """
    for training in track(trainings, "options", transient=True):
        try:
            check(training.command[1:])
        except ValueError as error:
            raise ValueError(f"{training.name} cannot be run: {error}") from error
