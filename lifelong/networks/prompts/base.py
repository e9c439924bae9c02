"""The base class of prompt methods: prompts are sized for a model and selected by a query.

Shapes: ``n`` inputs, ``P`` vectors of a prompt, ``D`` features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.utilities.recorded import Recorded


@dataclass(frozen=True)
class Chosen:
    """Store the prompts selected for a batch of inputs.

    Args:
        tokens: vectors ``(n, P, D)`` to prepend to those of the input, if any.
        prefixes: keys and values ``(n, P, D)`` to prepend to those of a layer, by layer index from 0.
    """

    tokens: Tensor | None = None
    prefixes: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Prompts(Recorded, nn.Module):
    """Select the prompts of an input by a query: the features of the frozen model for this input without prompts.

    :class:`~lifelong.networks.PromptedTransformer` sizes them for its model. The strategy ``strategies.PromptPool``
    handles the beginning of experiences and the penalty.
    """

    learns_by_experience = False
    """Whether each experience has its own prompts, so that :meth:`begin` must be called when one begins."""
    has_penalty = False
    """Whether :meth:`penalty` is added to the training loss."""

    def __init__(self) -> None:
        super().__init__()
        self.experience = -1
        """Index of the current or last experience; -1 before the first."""

    @abstractmethod
    def build(self, n_features: int, n_layers: int) -> None:
        """Create the parameters.

        Args:
            n_features: ``D`` of the model.
            n_layers: number of attention layers.
        """

    @abstractmethod
    def forward(self, query: Tensor) -> Chosen:
        """Return the prompts for queries ``(n, D)``."""

    def penalty(self, query: Tensor) -> Tensor:
        """Return the term that is added to the loss of each input ``(n,)``."""
        return query.new_zeros(len(query))

    def begin(self, experience: int) -> None:
        """Start an experience."""
        self.experience = experience

    def frozen(self) -> list[str]:
        """Return the names of the parameters that the current experience does not train."""
        return []

    def get_extra_state(self) -> dict[str, Any]:
        """Return the index of the experience, for the checkpoint."""
        return {"experience": self.experience}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the index of the experience from the checkpoint."""
        self.experience = int(state["experience"])

    def at_experience(self) -> int:
        """Return the experience whose prompts apply.

        Raises:
            ValueError: when it is trained before :meth:`begin` was called.
        """
        if self.experience < 0 and self.training and torch.is_grad_enabled():
            raise ValueError(
                f"{type(self).__name__} has prompts of its own for each experience, and nobody tells it when one "
                "begins: add strategies.PromptPool to --strategies"
            )
        return max(self.experience, 0)


def check_layers(layers: Sequence[int], n_layers: int, name: str) -> None:
    """Reject layer indices that the model does not have.

    Raises:
        ValueError: when an index is out of range; the message names the option.
    """
    if len(set(layers)) != len(layers) or not all(0 <= layer < n_layers for layer in layers):
        raise ValueError(
            f"--model.network.prompts.{name} is {list(layers)}, but the model has {n_layers} layers, numbered from 0: "
            "name some of them, each once"
        )
