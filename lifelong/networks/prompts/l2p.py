"""L2P: a pool of prompts, from which an input selects those whose keys are nearest to its query.

Shapes: ``n`` inputs, ``M`` prompts of the pool, ``N`` chosen, ``L`` vectors of one, ``D`` features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.networks.prompts.base import Chosen, Prompts
from lifelong.utilities.ranges import check_number


class L2P(Prompts):
    """Prepend to an input the ``N`` prompts of a pool with the nearest keys: ``argmin_{s} Σ_i γ(q(x), k_{s_i})``.

    ``γ`` is the cosine distance. The features are the mean of the model's outputs at the positions of the prompts. The
    penalty ``λ Σ_i γ(q(x), k_{s_i})`` pulls the selected keys towards the query.

    Args:
        n_prompts: ``M``, the number of prompts in the pool.
        n_chosen: ``N``, the number of prompts selected per input.
        length: ``L``, the number of vectors of a prompt.
        pull: ``λ``, the weight of the penalty.

    Raises:
        ValueError: when a setting is out of range, or more are chosen than there are.

    Reference:
        Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022. Differences: every input selects its own
        prompts, as in the paper (in the authors' code, a batch shares its prompts); frequently used prompts are not
        penalised.

    Example:
        >>> prompts = L2P(n_prompts=4, n_chosen=2, length=3)
        >>> prompts.build(n_features=8, n_layers=2)
        >>> prompts(torch.ones(5, 8)).tokens.shape
        torch.Size([5, 6, 8])
    """

    def __init__(self, *, n_prompts: int = 10, n_chosen: int = 5, length: int = 5, pull: float = 0.5) -> None:
        super().__init__()
        check_number("L2P's n_prompts", n_prompts, least=1, whole=True)
        check_number("L2P's n_chosen", n_chosen, least=1, whole=True)
        check_number("L2P's length", length, least=1, whole=True)
        check_number("L2P's pull", pull, least=0)
        if n_chosen > n_prompts:
            raise ValueError(f"L2P's n_chosen is {n_chosen}, but there are {n_prompts} prompts: set n_prompts to more")
        self.n_prompts, self.n_chosen, self.length, self.pull = n_prompts, n_chosen, length, pull
        self.has_penalty = pull > 0

    def build(self, n_features: int, n_layers: int) -> None:
        """Draw prompts and keys uniformly from −0.01 to 0.01."""
        self.pool = nn.Parameter(torch.empty(self.n_prompts, self.length, n_features).uniform_(-0.01, 0.01))
        self.keys = nn.Parameter(torch.empty(self.n_prompts, n_features).uniform_(-0.01, 0.01))

    def choose(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosine similarities ``(n, N)`` of the nearest keys, and their indices."""
        return cosines(query, self.keys).topk(self.n_chosen, dim=-1)

    def forward(self, query: Tensor) -> Chosen:
        """Return the vectors ``(n, N · L, D)`` of the nearest prompts, nearest first."""
        _, numbers = self.choose(query)
        return Chosen(tokens=self.pool[numbers].flatten(1, 2))

    def penalty(self, query: Tensor) -> Tensor:
        """Return ``λ Σ_i γ(q, k_{s_i})`` of each query ``(n,)``."""
        return self.pull * (1 - self.choose(query)[0]).sum(-1)


def cosines(query: Tensor, keys: Tensor) -> Tensor:
    """Return the cosine similarities of queries ``(n, D)`` and keys ``(M, D)``, as ``(n, M)``."""
    return F.normalize(query, dim=-1) @ F.normalize(keys, dim=-1).T
