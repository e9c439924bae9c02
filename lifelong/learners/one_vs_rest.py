"""One-vs-rest objective: an independent binary decision for each class instead of one choice among the classes.

Shapes: ``Q`` examples of one task, ``N`` ways.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.learners.objective import Classification


class OneVsRest(Classification):
    """Compute binary cross-entropy on logits ``(Q, N)``, summed over ways; the score is the largest logit's accuracy.

    ``p(x has class n) = σ(o_n)``, independently for each way. The loss is linear in its targets: replacing the labels
    ``y`` by other targets ``q`` adds ``Σ_n (y_n − q_n) o_n``.
    """

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return ``1/Q Σ_q Σ_n −t_qn log σ(o_qn) − (1 − t_qn) log(1 − σ(o_qn))``."""
        return binary_losses(output, target).mean()

    def sample(self, output: Tensor, uniform: Tensor) -> Tensor:
        """Draw a binary target for each way from ``σ(output)``."""
        return (uniform < output.sigmoid()).to(output.dtype)

    def score_directions(self, output: Tensor) -> Tensor:
        """Return ``√(p_n (1 − p_n)) e_n / Q`` for every way ``n``, with ``p = σ(output)``."""
        p = output.sigmoid()
        eye = torch.eye(output.shape[-1], dtype=output.dtype, device=output.device)
        return (p * (1 - p)).sqrt() * eye[:, None, :] / output.shape[0]

    def prediction(self, output: Tensor) -> Tensor:
        """Return the probabilities of the ways, divided by their sum."""
        p = output.sigmoid()
        return p / p.sum(-1, keepdim=True).clamp_min(torch.finfo(p.dtype).tiny)


def binary_losses(output: Tensor, target: Tensor) -> Tensor:
    """Return ``Σ_n −t_n log σ(o_n) − (1 − t_n) log(1 − σ(o_n))`` over the last axis; outputs of −∞ add nothing.

    Args:
        output: logits ``(…, N)``.
        target: numbers from 0 to 1, ``(…, N)``.

    Example:
        >>> binary_losses(torch.tensor([0.0, -torch.inf]), torch.tensor([1.0, 0.0]))
        tensor(0.6931)
    """
    finite = output.masked_fill(output == -torch.inf, 0)  # 0 · ∞ is not a number
    return (F.softplus(output) - target * finite).sum(-1)
