"""A function in a job of a cluster that goes on when the job is queued again; light, because each job loads it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class Requeued:
    """Call a function in a job of submitit, and again when the job was preempted or ran out of time.

    Args:
        function: goes on from where it was.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        return self.function(*args)

    def checkpoint(self, *args: Any) -> Any:
        """Return what submitit is to call in the job that is queued again: the same."""
        return importlib.import_module("submitit.helpers").DelayedSubmission(self, *args)
