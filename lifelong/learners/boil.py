"""BOIL (body-only update in the inner loop): MAML that adapts everything but the head.

Shapes: ``S`` support examples, ``N`` ways, ``*X`` one input, ``*Y`` one target, ``D`` features.
"""

from __future__ import annotations

from typing import ClassVar

from lifelong.learners.maml import MAML
from lifelong.networks.heads import in_head


class BOIL(MAML):
    """Learn by BOIL, MAML that adapts only the body: ``f' = f − α ∇_f L_support(w; f)`` with a fixed head ``w``.

    The outer loop trains body and head.

    Args:
        network: a network with ``features``, ``(n, *X)`` to ``(n, D)``, and a ``head``, ``(n, D)`` to ``(n, N)`` or
            ``(n, *Y)``. The other arguments are those of :class:`MAML`, without ``head_rate`` and ``zero_head``.

    Raises:
        ValueError: as in :class:`MAML`, and when the network has no head.

    Reference:
        Oh, Yoo, Kim & Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR 2021. Differences: those
        of MAML.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from lifelong.networks import WithHead
        >>> learner = BOIL(WithHead(nn.Linear(2, 3), n_features=3, n_outputs=2))
        >>> params = learner.meta_parameters()
        >>> state = learner.adapt(params, torch.eye(2), torch.eye(2))
        >>> [name for name in state if not torch.equal(state[name], params[name])]
        ['network.body.weight', 'network.body.bias']
    """

    needs_head: ClassVar[bool] = True

    def adapts(self, name: str) -> bool:
        """Return whether the parameter does not belong to the head."""
        return not in_head(name)
