"""Prompt pool: the penalty, gradient masks and notifications that the prompts of a frozen model need in training."""

from __future__ import annotations

from typing import ClassVar, Protocol

from torch import Tensor

from lifelong.compute.params import floating_type
from lifelong.compute.runner import TaskRunner
from lifelong.data.kinds import StreamKind
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.networks.prompts import Prompts
from lifelong.strategy import Step, Strategy

PREFIX = "network.prompts."


class PromptPool(Strategy):
    """Train only the current experience's prompts of a :class:`~lifelong.networks.PromptedTransformer`.

    The strategy notifies the prompts when an experience begins, adds their penalty, averaged over examples (L2P and
    DualPrompt pull keys towards queries, CODA-Prompt keeps its components orthonormal), and freezes the prompts of
    other experiences. As in the papers, set ``--data.classes current`` to let only the classes of the current
    experience compete in training.

    Raises:
        ValueError: when the network has no prompts.

    Reference:
        Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022; Wang et al., "DualPrompt", ECCV 2022; Smith
        et al., "CODA-Prompt", CVPR 2023. Difference: for the penalty of L2P and DualPrompt the query is computed a
        second time, by a forward pass of the frozen model without gradients.

    Example:
        >>> PromptPool().memory_bytes()
        0
    """

    streams: ClassVar[frozenset[StreamKind]] = frozenset(("class", "domain", "task"))
    penalises_outputs: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._by_experience = True

    @property
    def needs_boundaries(self) -> bool:
        """Return whether the prompts have separate parts for each experience."""
        return self._by_experience

    def attach(self, learner: Learner) -> None:
        """Refuse a network without prompts."""
        self._by_experience = _network(learner).prompts.learns_by_experience

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Notify the prompts that an experience begins."""
        _network(learner).prompts.begin(visit.experience.index)

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return the prompts' penalty, averaged over the examples of all processes."""
        network = _network(learner)
        if not network.prompts.has_penalty:
            return None
        x = step.batch.query_x[:, 0]
        x = x.to(floating_type(step.params.values())) if x.is_floating_point() else x
        return runner.mean(network.prompts.penalty(network.query(x)), step.batch.weight)

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients without those of other experiences' prompts."""
        frozen = {PREFIX + name for name in _network(learner).prompts.frozen()}
        return {name: g for name, g in gradients.items() if name not in frozen} if frozen else gradients


class Prompted(Protocol):
    """Describe a network with prompts and a query that selects them."""

    prompts: Prompts

    def query(self, x: Tensor) -> Tensor:
        """Return what the network computes without prompts, ``(n, D)``."""


def _network(learner: Learner) -> Prompted:
    if not isinstance(getattr(learner.network, "prompts", None), Prompts):
        raise ValueError(
            f"PromptPool trains the prompts of a network, and {type(learner.network).__name__} has none: set "
            "--model.network lifelong.networks.PromptedTransformer, or leave it out of --strategies"
        )
    return learner.network  # type: ignore[return-value]
