"""Gradients as vectors: reference gradients of stored units, and the step's gradient that they constrain.

Shapes: ``t`` reference gradients, ``P`` elements of all trained parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners.base import Learner


def trained(learner: Learner, gradients: dict[str, Tensor]) -> list[str]:
    """Return the names of the learner's parameters with a gradient, without frozen ones and those of strategies."""
    return [name for name in learner.meta_parameters() if name in gradients]


def flatten(gradients: dict[str, Tensor], names: Sequence[str]) -> Tensor:
    """Return the gradients of some parameters as one vector ``(P,)``."""
    return torch.cat([gradients[name].flatten() for name in names])


def unflatten(vector: Tensor, gradients: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Return the gradients, with those of some parameters replaced by the elements of a vector ``(P,)``."""
    pieces = torch.split(vector, [gradients[name].numel() for name in names])
    return gradients | {name: piece.view_as(gradients[name]) for name, piece in zip(names, pieces, strict=True)}


def reference_gradients(
    learner: Learner, shares: Sequence[Episode | None], n_units: int, names: Sequence[str], runner: TaskRunner
) -> Tensor:
    """Compute the gradient of the mean loss of each batch of stored units ``(t, P)``, over all ranks.

    Args:
        learner: the learner whose loss is differentiated.
        shares: this rank's units of each batch; None for a batch of which it has none.
        n_units: number of units per batch, over all ranks.
        names: names of the parameters.
        runner: runs the learner on the units.
    """
    params = learner.meta_parameters()
    of = [params[name] for name in names]
    rows = []
    for share in shares:
        row = [torch.zeros_like(p) for p in of]
        if share is not None:
            with torch.enable_grad():
                loss = runner.losses(learner, params, share).sum() / n_units
            row = list(torch.autograd.grad(loss, of, allow_unused=True, materialize_grads=True))
        rows.append(torch.cat([gradient.flatten() for gradient in row]))
    return runner.sum(torch.stack(rows))
