"""DualPrompt: general prompts shared by all experiences, and expert prompts per experience, selected by a key.

Shapes: ``n`` inputs, ``E`` experiences, ``L`` vectors of a prompt, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifelong.networks.prompts.base import Chosen, Prompts, check_layers
from lifelong.networks.prompts.l2p import cosines
from lifelong.utilities.ranges import check_number


class DualPrompt(Prompts):
    """Put keys and values before those of some layers: general ones ``g``, and ones ``e_t`` of an experience ``t``.

    While experience ``t`` is learnt, its prompt ``e_t`` is used, and the penalty ``λ γ(q(x), k_t)`` pulls its key
    towards the queries, where ``γ`` is the cosine distance. In evaluation, an input uses the prompt of experience
    ``argmin_t γ(q(x), k_t)`` among the learnt ones.

    Args:
        n_experiences: ``E``, the number of experiences, each with its own expert prompt.
        general_length: length of the general prompt: the number of its key vectors, and of its value vectors, in each
            layer.
        expert_length: length of an expert prompt: the number of its key vectors, and of its value vectors, in each
            layer.
        general_layers: indices of the layers with a general prompt, from 0.
        expert_layers: indices of the layers with an expert prompt, from 0.
        pull: ``λ``, the weight of the penalty.

    Raises:
        ValueError: when a setting is out of range, or a layer has both kinds of prompts.

    Reference:
        Wang et al., "DualPrompt: Complementary Prompting for Rehearsal-free Continual Learning", ECCV 2022. Difference:
        prompts are added after a layer's projections, as in the authors' code, and not before them.

    Example:
        >>> prompts = DualPrompt(n_experiences=3, general_layers=[0], expert_layers=[1], expert_length=4)
        >>> prompts.build(n_features=8, n_layers=2)
        >>> {layer: key.shape for layer, (key, _) in prompts.eval()(torch.ones(2, 8)).prefixes.items()}
        {0: torch.Size([2, 5, 8]), 1: torch.Size([2, 4, 8])}
    """

    learns_by_experience = True

    def __init__(
        self,
        *,
        n_experiences: int,
        general_length: int = 5,
        expert_length: int = 20,
        general_layers: Sequence[int] = (0, 1),
        expert_layers: Sequence[int] = (2, 3, 4),
        pull: float = 1.0,
    ) -> None:
        super().__init__()
        check_number("DualPrompt's n_experiences", n_experiences, least=1, whole=True)
        check_number("DualPrompt's general_length", general_length, least=1, whole=True)
        check_number("DualPrompt's expert_length", expert_length, least=1, whole=True)
        check_number("DualPrompt's pull", pull, least=0)
        if both := set(general_layers) & set(expert_layers):
            raise ValueError(f"DualPrompt's layer {min(both)} has general and expert prompts: give it one kind")
        self.n_experiences, self.pull = n_experiences, pull
        self.general_length, self.expert_length = general_length, expert_length
        self.general_layers, self.expert_layers = list(general_layers), list(expert_layers)
        self.has_penalty = pull > 0

    def build(self, n_features: int, n_layers: int) -> None:
        """Draw prompts and keys uniformly from −0.01 to 0.01."""
        check_layers(self.general_layers, n_layers, "general_layers")
        check_layers(self.expert_layers, n_layers, "expert_layers")

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape, n_features).uniform_(-0.01, 0.01))

        every = range(self.n_experiences)
        self.general = drawn(len(self.general_layers), 2, self.general_length)
        # A separate parameter per experience, because an optimizer skips parameters without a gradient.
        self.experts = nn.ParameterList(drawn(len(self.expert_layers), 2, self.expert_length) for _ in every)
        self.keys = nn.ParameterList(drawn() for _ in every)

    def begin(self, experience: int) -> None:
        """Use the expert prompt of ``experience`` from now on."""
        check_experience(self, experience, self.n_experiences)
        super().begin(experience)

    def frozen(self) -> list[str]:
        """Return the names of the expert prompts and keys of other experiences."""
        others = [number for number in range(self.n_experiences) if number != self.experience]
        return [f"{kind}.{number}" for kind in ("experts", "keys") for number in others]

    def match(self, query: Tensor) -> Tensor:
        """Return the learnt experience with the nearest key for each query ``(n, D)``, as ``(n,)``."""
        return cosines(query, torch.stack(list(self.keys)[: self.at_experience() + 1])).argmax(-1)

    def forward(self, query: Tensor) -> Chosen:
        """Return the general prompts and those of the current experience or, in evaluation, of the nearest key."""
        n = len(query)
        if self.training:
            expert = self.experts[self.at_experience()].expand(n, -1, -1, -1, -1)
        else:
            expert = torch.stack(list(self.experts)[: self.at_experience() + 1])[self.match(query)]
        general = self.general.expand(n, -1, -1, -1, -1)
        prefixes = {layer: (general[:, i, 0], general[:, i, 1]) for i, layer in enumerate(self.general_layers)}
        prefixes |= {layer: (expert[:, i, 0], expert[:, i, 1]) for i, layer in enumerate(self.expert_layers)}
        return Chosen(prefixes=prefixes)

    def penalty(self, query: Tensor) -> Tensor:
        """Return ``λ γ(q, k_t)`` of each query ``(n,)``, with the key of the current experience."""
        return self.pull * (1 - cosines(query, self.keys[self.at_experience()][None])[:, 0])


def check_experience(prompts: Prompts, experience: int, n_experiences: int) -> None:
    """Reject an experience for which there are no prompts.

    Raises:
        ValueError: when the index is too large; the message names the option.
    """
    if experience >= n_experiences:
        raise ValueError(
            f"{type(prompts).__name__} has prompts for {n_experiences} experiences, and another one begins: set "
            f"--model.network.prompts.n_experiences to the length of the stream, {experience + 1} or more"
        )
