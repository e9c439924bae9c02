"""Sequential losses of tasks: each task frees its graph before the next one starts, so memory is that of one task.

Shapes: ``B`` tasks, ``Q`` query examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

Gradients = Sequence[Tensor | None]


def in_turn(
    losses_and_outputs: Callable[[Any], tuple[Tensor, Tensor]], tasks: Iterable[Any], leaves: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return losses ``(B,)``, differentiable in the leaves, and outputs ``(B, Q, …)``, which are not differentiable.

    The gradients of each loss are computed immediately and stored. This takes no additional time, and ``B`` times the
    memory of the leaves instead of ``B`` times that of a task's graph.

    Args:
        losses_and_outputs: function of one task that returns ``(1,)`` and ``(1, Q, …)``.
        tasks: the arguments of that function.
        leaves: the parameters that need a gradient.

    Raises:
        ValueError: in the backward pass, when the differentiated value depends on the outputs.

    Example:
        >>> w = torch.tensor(2.0, requires_grad=True)
        >>> losses, _ = in_turn(lambda x: ((w * x) ** 2, (w * x)[:, None]), torch.ones(3, 1), [w])
        >>> torch.autograd.grad(losses.sum(), w)
        (tensor(12.),)
    """
    losses, outputs, gradients = [], [], []
    for task in tasks:
        loss, output = losses_and_outputs(task)
        is_known = not loss.requires_grad  # the loss depends on no trained parameter
        gradients.append(
            [None] * len(leaves) if is_known else torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
        )
        losses.append(loss.detach())
        outputs.append(output.detach())
    known: tuple[Tensor, Tensor] = _Known.apply(gradients, torch.cat(losses), torch.cat(outputs), *leaves)  # type: ignore[no-untyped-call]
    return known


class _Known(torch.autograd.Function):
    """Return losses whose gradients were computed before."""

    @staticmethod
    def forward(
        ctx: Any, gradients: Sequence[Gradients], losses: Tensor, outputs: Tensor, *leaves: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.gradients = gradients
        ctx.set_materialize_grads(False)
        return losses.clone(), outputs.clone()

    @staticmethod
    def backward(ctx: Any, slopes: Tensor | None, of_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        if of_outputs is not None:
            raise ValueError(
                "a penalty depends on the outputs of the step, whose graph is gone: say so in its strategy "
                "(penalises_outputs = True)"
            )
        if slopes is None:
            return (None,) * (3 + len(ctx.gradients[0]))
        shares = slopes.tolist() if slopes.device.type == "cpu" else slopes.unbind()
        return None, None, None, *(_weighted(shares, of_leaf) for of_leaf in zip(*ctx.gradients, strict=True))


def _weighted(shares: Sequence[Any], gradients: Gradients) -> Tensor | None:
    total: Tensor | None = None
    for share, gradient in zip(shares, gradients, strict=True):
        if gradient is not None:
            total = gradient * share if total is None else total.add_(gradient * share)
    return total
