"""What all kinds of prompts share: they are sized after a model, choose by a query, and know the experience.

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
    """Hold the prompts of some inputs.

    Args:
        tokens: ``(n, P, D)`` vectors before those of the input; None for none.
        prefixes: keys and values ``(n, P, D)`` before those of a layer, by its number from 0.
    """

    tokens: Tensor | None = None
    prefixes: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Prompts(Recorded, nn.Module):
    """Choose the prompts of an input by a query, the features that the frozen model has of it without prompts.

    :class:`~lifelong.networks.PromptedTransformer` sizes them after its model. Where something happens at the beginning
    of an experience, or a penalty is trained along, the strategy ``strategies.PromptPool`` sees to it.
    """

    learns_by_experience = False
    """Whether each experience has prompts of its own, so that somebody must tell when one begins."""
    has_penalty = False
    """Whether :meth:`penalty` is trained along."""

    def __init__(self) -> None:
        super().__init__()
        self.experience = -1
        """The number of the experience that is learnt, or was last; -1 before the first."""

    @abstractmethod
    def build(self, n_features: int, n_layers: int) -> None:
        """Make the parameters.

        Args:
            n_features: ``D`` of the model.
            n_layers: that attend.
        """

    @abstractmethod
    def forward(self, query: Tensor) -> Chosen:
        """Return the prompts for queries ``(n, D)``."""

    def penalty(self, query: Tensor) -> Tensor:
        """Return what is added to the loss of each input ``(n,)``."""
        return query.new_zeros(len(query))

    def begin(self, experience: int) -> None:
        """Hear that an experience begins."""
        self.experience = experience

    def frozen(self) -> list[str]:
        """Return the names of parameters that the experience at hand does not train."""
        return []

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of the experience, for the checkpoint."""
        return {"experience": self.experience}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take it from the checkpoint."""
        self.experience = int(state["experience"])

    def at_experience(self) -> int:
        """Return the experience to choose for.

        Raises:
            ValueError: when it is trained and nobody has told that an experience begins.
        """
        if self.experience < 0 and self.training and torch.is_grad_enabled():
            raise ValueError(
                f"{type(self).__name__} has prompts of its own for each experience, and nobody tells it when one "
                "begins: add strategies.PromptPool to --strategies"
            )
        return max(self.experience, 0)


def check_layers(layers: Sequence[int], n_layers: int, name: str) -> None:
    """Refuse layers that a model has not.

    Raises:
        ValueError: naming the option.
    """
    if len(set(layers)) != len(layers) or not all(0 <= layer < n_layers for layer in layers):
        raise ValueError(
            f"--model.network.prompts.{name} is {list(layers)}, but the model has {n_layers} layers, numbered from 0: "
            "name some of them, each once"
        )
