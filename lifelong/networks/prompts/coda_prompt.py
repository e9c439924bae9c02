"""CODA-Prompt: prompts are sums of components, weighted by the input's attention to them.

Shapes: ``n`` inputs, ``E`` experiences, ``M`` components, ``L`` vectors of a prompt, ``D`` features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.networks.prompts.base import Chosen, Prompts, check_layers
from lifelong.networks.prompts.dual_prompt import check_experience
from lifelong.utilities.ranges import check_number

PARTS = ("components", "keys", "attention")


class CODAPrompt(Prompts):
    """Put keys and values before those of some layers: halves of ``p = Σ_m γ(q(x) ⊙ A_m, K_m) P_m``, ``γ`` the cosine.

    Each layer has its own components ``P``, keys ``K`` and attention ``A``. Each experience adds ``M / E`` of them,
    which are trained only in this experience; earlier ones are frozen and remain in the sum. The penalty
    ``λ Σ_{B ∈ {P, K, A}} ‖B Bᵀ − 1‖²`` keeps the rows of all those in use orthonormal, and new ones are initialised
    orthogonal to the old ones.

    Args:
        n_experiences: ``E``, the number of experiences.
        n_components: ``M``, the number of components over all experiences.
        length: ``L``, the length of a prompt: half keys and half values.
        layers: indices of the prompted layers, from 0.
        orthogonality: ``λ``, the weight of the penalty.

    Raises:
        ValueError: when a setting is out of range, ``L`` is odd, or ``M`` is not a multiple of ``E``.

    Reference:
        Smith et al., "CODA-Prompt: COntinual Decomposed Attention-based Prompting for Rehearsal-Free Continual
        Learning", CVPR 2023. Differences: the penalty is the sum of squares of the paper, whereas the authors' code
        uses their mean; it is summed over layers.

    Example:
        >>> prompts = CODAPrompt(n_experiences=2, n_components=6, length=4, layers=[0, 1])
        >>> prompts.build(n_features=8, n_layers=2)
        >>> [part.shape for part in prompts.eval()(torch.ones(5, 8)).prefixes[1]]
        [torch.Size([5, 2, 8]), torch.Size([5, 2, 8])]
    """

    learns_by_experience = True

    def __init__(
        self,
        *,
        n_experiences: int,
        n_components: int = 100,
        length: int = 8,
        layers: Sequence[int] = (0, 1, 2, 3, 4),
        orthogonality: float = 0.1,
    ) -> None:
        super().__init__()
        check_number("CODAPrompt's n_experiences", n_experiences, least=1, whole=True)
        check_number("CODAPrompt's n_components", n_components, least=1, whole=True)
        check_number("CODAPrompt's length", length, least=2, whole=True)
        check_number("CODAPrompt's orthogonality", orthogonality, least=0)
        if length % 2:
            raise ValueError(f"CODAPrompt's length is {length}, of which half are keys and half values: make it even")
        if n_components < n_experiences:
            raise ValueError(
                f"CODAPrompt's n_components is {n_components}, which gives none to some of {n_experiences} "
                "experiences: set it to as many or more"
            )
        self.n_experiences, self.length = n_experiences, length
        self.n_components = n_components // n_experiences
        """Number of components per experience."""
        self.layers, self.orthogonality = list(layers), orthogonality
        self.has_penalty = orthogonality > 0

    def build(self, n_features: int, n_layers: int) -> None:
        """Draw components, keys and attention, orthonormal as far as the dimensions allow."""
        check_layers(self.layers, n_layers, "layers")
        n_all = self.n_components * self.n_experiences
        for name in PARTS:
            shape = (self.length, n_features) if name == "components" else (n_features,)
            rows = [nn.init.orthogonal_(torch.empty(n_all, math.prod(shape))) for _ in self.layers]
            drawn = torch.stack(rows).view(len(rows), n_all, *shape)
            # A separate parameter per experience, because an optimizer skips parameters without a gradient.
            parts = nn.ParameterList(part.clone() for part in torch.split(drawn, self.n_components, dim=1))
            setattr(self, name, parts)

    def begin(self, experience: int) -> None:
        """Add the components of an experience, orthogonal to the current earlier ones."""
        check_experience(self, experience, self.n_experiences)
        super().begin(experience)
        for name in PARTS if experience else ():
            for layer in range(len(self.layers)):
                old = torch.cat([part[layer].detach().flatten(1) for part in getattr(self, name)[:experience]])
                new = getattr(self, name)[experience]
                if len(old) + self.n_components <= old.shape[1]:
                    with torch.no_grad():
                        new[layer] = _orthogonal_to(old, new[layer].flatten(1)).view_as(new[layer])

    def frozen(self) -> list[str]:
        """Return the names of the parameters of other experiences."""
        others = [number for number in range(self.n_experiences) if number != self.experience]
        return [f"{name}.{number}" for name in PARTS for number in others]

    def forward(self, query: Tensor) -> Chosen:
        """Return the weighted sums of the components in use, as keys and values of each layer."""
        components, keys, attention = (self.in_use(name) for name in PARTS)
        weights = F.cosine_similarity(query[:, None, None] * attention, keys[None], dim=-1)  # (n, layers, M)
        prompt = torch.einsum("nlm,lmpd->nlpd", weights, components)
        half = self.length // 2
        return Chosen(prefixes={n: (prompt[:, i, :half], prompt[:, i, half:]) for i, n in enumerate(self.layers)})

    def penalty(self, query: Tensor) -> Tensor:
        """Return ``λ Σ_B ‖B Bᵀ − 1‖²``, summed over layers, for each query ``(n,)``."""
        total = query.new_zeros(())
        for name in PARTS:
            rows = self.in_use(name).flatten(2)
            total = total + (rows @ rows.mT - torch.eye(rows.shape[1]).to(rows)).square().sum()
        return (self.orthogonality * total).expand(len(query))

    def in_use(self, name: str) -> Tensor:
        """Return components, keys or attention ``(layers, M, …)`` of the experiences so far; the last is trained."""
        last = self.at_experience()
        parts = [
            part.detach() if number < last else part for number, part in enumerate(getattr(self, name)[: last + 1])
        ]
        return torch.cat(parts, dim=1)


def _orthogonal_to(old: Tensor, new: Tensor) -> Tensor:
    """Return orthonormal rows that span the part of ``new`` outside the span of ``old``."""
    basis = torch.linalg.qr(old.T)[0].T
    outside: Tensor = torch.linalg.qr((new - new @ basis.T @ basis).T)[0].T
    return outside
