"""Almost no inner loop: MAML that adapts the head alone.

Shapes: ``S`` support examples, ``N`` ways, ``*X`` one input, ``*Y`` one target, ``D`` features.
"""

from __future__ import annotations

from typing import ClassVar

from lifelong.learners.maml import MAML
from lifelong.networks.heads import in_head


class ANIL(MAML):
    """Learn by ANIL, MAML that adapts only the head: ``w' = w − α ∇_w L_support(w; f)`` with fixed features ``f``.

    The outer loop trains body and head. The support features are computed once, so an inner step costs next to nothing.

    Args:
        network: body and head (``features`` to ``(n, D)`` and ``head``): ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``. All
            other arguments are MAML's, and so are its options.

    Raises:
        ValueError: as MAML; and when the network has no head of its own.

    Reference:
        Raghu, Raghu, Bengio & Vinyals, "Rapid Learning or Feature Reuse?", ICLR 2020. Differences: those of MAML.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from lifelong.networks import WithHead
        >>> learner = ANIL(WithHead(nn.Linear(2, 3), n_features=3, n_outputs=2))
        >>> params = learner.meta_parameters()
        >>> state = learner.adapt(params, torch.eye(2), torch.eye(2))
        >>> [name for name in state if not torch.equal(state[name], params[name])]
        ['network.head.weight', 'network.head.bias']
    """

    needs_head: ClassVar[bool] = True
    phase = MAML.phase

    def adapts(self, name: str) -> bool:
        """Return whether the parameter is of the head."""
        return in_head(name)
