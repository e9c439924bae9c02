"""Training losses as captured CUDA graphs: the thousands of small operations of a step are launched as one.

Its speed has not been measured yet, for lack of a GPU.

Shapes: ``B`` tasks, ``Q`` query examples.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.data.episode import Episode


class Graphs:
    """Store the graphs of one learner: one for each ``phase`` and each shape of batches."""

    def __init__(self) -> None:
        self._captured: dict[Hashable, Any] = {}

    def __deepcopy__(self, memo: Any) -> Graphs:
        return Graphs()

    def __call__(self, runner: Any, learner: Any, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Return training losses ``(B,)`` and outputs ``(B, Q, …)``, differentiable in the trained parameters."""
        names = [name for name, p in params.items() if p.requires_grad]
        given = (*(params[name] for name in names), *batch.tasks(), batch.weight)
        signature = tuple((tuple(t.shape), t.dtype, t.data_ptr() if n < len(names) else 0) for n, t in enumerate(given))
        key = (learner.phase(), learner.training, batch.n_way, signature)
        if key not in self._captured:
            held = {name: p for name, p in params.items() if not p.requires_grad}

            def losses_and_outputs(*tensors: Tensor) -> tuple[Tensor, Tensor]:
                all_params = held | dict(zip(names, tensors, strict=False))
                sx, sy, qx, qy, classes, weight = tensors[len(names) :]
                part = Episode(sx, sy, qx, qy, weight, batch.n_way, classes)
                return runner.losses_and_outputs(learner, all_params, part)  # type: ignore[no-any-return]

            # A graph always reads the tensors with which it was captured, so batches are copied into these.
            sample = (*given[: len(names)], *(part.clone() for part in given[len(names) :]))
            capture: Any = torch.cuda.make_graphed_callables
            self._captured[key] = capture(losses_and_outputs, sample, allow_unused_input=True)
        losses, outputs = self._captured[key](*given)
        return losses.clone(), outputs.clone()  # the next replay overwrites this memory
