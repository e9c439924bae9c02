"""A callback for ``python -m lifelong fit`` that ends the process after its first training step."""

from __future__ import annotations

import os
from typing import Any

import lightning as L


class FirstStep(L.Callback):
    """Ends at once, without what a run does at its end: only the way to the first step is of interest."""

    def on_train_batch_end(self, *_: Any) -> None:
        """The first step is done."""
        os._exit(0)
