"""Typed access to a Trainer's stream module and to the part of the data that it evaluates."""

from __future__ import annotations

import lightning as L

from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.training.stream_module import StreamModule


def evaluation_part(trainer: L.Trainer) -> Part:
    """Return which held-out part the Trainer currently evaluates."""
    return stream_data(trainer).evaluate_on if trainer.state.fn in ("fit", "validate") else "test"


def stream_module(trainer: L.Trainer) -> StreamModule:
    """Return the stream module of a Trainer.

    Raises:
        ValueError: when the Trainer runs another module.
    """
    module = trainer.lightning_module
    if not isinstance(module, StreamModule):
        raise ValueError(
            f"the Trainer runs a {type(module).__name__}, and streams are trained by a lifelong.StreamModule: wrap the "
            "learner in one"
        )
    return module
