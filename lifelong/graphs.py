"""Training losses as captured CUDA graphs: the thousands of small operations of a step are launched as one.

Shapes: ``B`` tasks, ``Q`` query examples.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lifelong.batch import Episode
from lifelong.strategy import Params, overrides

if TYPE_CHECKING:
    from lifelong.learner import Learner


def can_capture(learner: Learner, device: torch.device) -> bool:
    """Whether a learner's losses depend on parameters and batch alone for now, on a device that has graphs.

    One process and one batch for each optimizer step: a graph writes its gradients into the same memory again, where
    they must not be added up, and how DDP waits for them was not tried.
    """
    if device.type != "cuda":
        return False
    trainer = learner._trainer
    is_plain = trainer is None or (trainer.world_size == 1 and trainer.accumulate_grad_batches == 1)
    return (
        is_plain
        and "phase" in vars(type(learner))  # a subclass may depend on more than its parent says
        and learner.phase() is not None
        and learner.outer.recompute == "nothing"  # it asks for the state of the random numbers, which a graph hides
        and not torch.is_autocast_enabled("cuda")
        and not any(overrides(strategy, "route") for strategy in learner.strategies)
    )


class Graphs:
    """The graphs of one learner: one for each phase that it is in and each shape of batch that it is given."""

    def __init__(self) -> None:
        self._captured: dict[Hashable, Any] = {}

    def __deepcopy__(self, memo: Any) -> Graphs:
        return Graphs()

    def __call__(self, learner: Learner, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Training losses ``(B,)`` and outputs ``(B, Q, …)``, differentiable in the parameters that are trained."""
        names = [name for name, p in params.items() if p.requires_grad]
        given = (*(params[name] for name in names), *batch.tasks(), batch.weight)
        about = tuple((tuple(t.shape), t.dtype, t.data_ptr() if n < len(names) else 0) for n, t in enumerate(given))
        key = (learner.phase(), learner.training, batch.n_way, about)
        if key not in self._captured:
            held = {name: p for name, p in params.items() if not p.requires_grad}

            def losses_and_outputs(*tensors: Tensor) -> tuple[Tensor, Tensor]:
                own = held | dict(zip(names, tensors, strict=False))
                sx, sy, qx, qy, classes, weight = tensors[len(names) :]
                return learner.losses_and_outputs(own, Episode(sx, sy, qx, qy, weight, batch.n_way, classes))

            # The graph keeps the tensors that it is captured with: batches are copied into these.
            sample = (*given[: len(names)], *(part.clone() for part in given[len(names) :]))
            capture: Any = torch.cuda.make_graphed_callables
            self._captured[key] = capture(losses_and_outputs, sample, allow_unused_input=True)
        losses, outputs = self._captured[key](*given)
        return losses.clone(), outputs.clone()  # the graph writes into the same memory again
