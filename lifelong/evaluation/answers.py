"""Outputs of the current model on the held-out units of a domain, computed outside an evaluation.

Shapes: ``B`` tasks or examples, ``Q`` queries, ``N`` ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.data.episode import Episode
from lifelong.data.stream_datamodule import stream_data
from lifelong.training.accessors import evaluation_part, stream_module


def on_held_out(trainer: L.Trainer, domain: int, n_units: int, compute: Callable[[Episode], Tensor]) -> Tensor:
    """Apply a function to the first held-out units of a domain, in evaluation mode; every process computes all.

    Args:
        trainer: the Trainer; it determines the held-out part and the precision.
        domain: index of the domain.
        n_units: maximum number of units.
        compute: function that returns a tensor ``(B, …)`` for a batch.

    Returns:
        A tensor ``(units, …)`` on the CPU.
    """
    module = stream_module(trainer)
    with isolate_rng(), evaluating(module), torch.no_grad(), trainer.precision_plugin.forward_context():
        return torch.cat([compute(batch).cpu() for batch in _batches(trainer, domain, n_units)])


def _batches(trainer: L.Trainer, domain: int, n_units: int) -> Iterator[Episode]:
    data, part, device = stream_data(trainer), evaluation_part(trainer), stream_module(trainer).device
    n_units = min(n_units, data.n_eval_units(part, domain))
    for start in range(0, n_units, data.units_per_eval_batch):
        indices = range(start, min(start + data.units_per_eval_batch, n_units))
        yield data.draw_for_evaluation(part, domain, indices).gather(device)
