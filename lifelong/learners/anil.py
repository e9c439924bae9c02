"""ANIL (almost no inner loop): MAML that adapts only the head.

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
        network: a network with ``features``, ``(n, *X)`` to ``(n, D)``, and a ``head``, ``(n, D)`` to ``(n, N)`` or
            ``(n, *Y)``. All other arguments are those of :class:`MAML`.

    Raises:
        ValueError: as in :class:`MAML`, and when the network has no head.

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
        """Return whether the parameter belongs to the head."""
        return in_head(name)
