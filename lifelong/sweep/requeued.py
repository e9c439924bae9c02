"""A function that a requeued job of a cluster calls again; a small module, because each job imports it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class Requeued:
    """Call a function in a job of submitit, and again if the job is preempted or times out.

    Args:
        function: function that resumes its previous work.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self.function(*args)

    def checkpoint(self, *args: Any) -> Any:
        """Return the call of the requeued job: the same one."""
        return importlib.import_module("submitit.helpers").DelayedSubmission(self, *args)
