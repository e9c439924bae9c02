"""A model that knows which classes it is asked about, and answers.

Shapes: ``S`` support and ``M`` query examples, ``B`` tasks, ``N`` classes, ``*X`` one input.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.data.episode import Episode
from lifelong.run.answers import Answers
from lifelong.run.inputs import Inputs, Items
from lifelong.training.stream_module import StreamModule

log = logging.getLogger(__name__)

AT_ONCE = 128
"""Queries that are read and answered together, so that a hundred thousand photos are never held at once."""


class Fitted:
    """Answer queries among some classes: those of a support set, or those that were taught.

    Args:
        module: the learner with its strategies.
        inputs: reads the queries.
        classes: names of the classes.
        numbers: their numbers in the stream; None for those of a support set.
        experiences: names of what was learnt, in order.
        support: ``(S, *X)`` and labels ``(S,)``; None for a learner of labelled examples.
    """

    def __init__(
        self,
        module: StreamModule,
        inputs: Inputs,
        classes: Sequence[str],
        *,
        experiences: Sequence[str],
        numbers: Sequence[int] | None = None,
        support: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.classes = tuple(classes)
        """Names of the classes, in the order of the probabilities."""
        self._module, self._inputs, self._experiences, self._support = module, inputs, tuple(experiences), support
        self._numbers = list(range(len(classes)) if numbers is None else numbers)

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:8]) + (", …" if len(self.classes) > 8 else "")
        n_support = "" if self._support is None else f", from {len(self._support[1])} examples"
        return f"Fitted({type(self._module.learner).__name__} of {len(self.classes)} classes: {names}{n_support})"

    def predict(self, queries: Items) -> Answers:
        """Answer queries.

        Args:
            queries: files of images, texts or tensors: one, several, or ``(M, *X)``.

        Raises:
            ValueError: when there is none, or one cannot be read.
        """
        return Answers.cat(self.in_batches(queries))

    def in_batches(self, queries: Items) -> Iterator[Answers]:
        """Answer queries some at a time, each read only when it is its turn.

        Args:
            queries: as for :meth:`predict`.
        """
        listed = self._inputs.listed(queries)
        n_batches = max(-(-len(listed) // AT_ONCE), 1)
        size = max(
            -(-len(listed) // n_batches), 1
        )  # of nearly one size: a last one of a single photo has no statistics
        batches = [listed[start : start + size] for start in range(0, len(listed), size)] or [listed]
        if len(batches) > 1 and self._module.learner.transductive:
            log.warning(
                "an answer depends on those that are asked with it, here %d at a time (%s): %s",
                AT_ONCE,
                type(self._module.learner).__name__,
                "train with an inductive norm (--model.network.norm group)",
            )
        for batch in batches:
            yield self._answer(self._inputs(batch, "the query"))

    def _answer(self, x: Tensor) -> Answers:
        module = self._module
        episode = self._episode(x.to(module.learner.device))
        with evaluating(module):
            outputs = module.predict_step(episode, 0)
            with torch.no_grad():
                params = module.learner.meta_parameters()
                chosen = module.strategies.answered_by(module.learner, params, episode, runner=module.runner)
        probabilities = outputs.flatten(0, 1).float().cpu()
        if chosen is None:
            return Answers(self.classes, probabilities)
        names = [self._experiences[number] for number in chosen.tolist()]
        return Answers(self.classes, probabilities, tuple(names * (len(x) // len(names))))

    def _episode(self, x: Tensor) -> Episode:
        """Return one task with all queries; or as many as queries, without a support set."""
        device, n_way = x.device, len(self.classes)
        query_x = x[:, None] if self._support is None else x[None]
        support_x, support_y = query_x[:, :0], torch.zeros(len(query_x), 0, dtype=torch.int64, device=device)
        if self._support is not None:
            support_x, support_y = (part.to(device)[None] for part in self._support)
        query_y = torch.zeros(query_x.shape[:2], dtype=torch.int64, device=device)
        numbers = torch.tensor(self._numbers, device=device).repeat(len(query_x), 1)
        return Episode(support_x, support_y, query_x, query_y, torch.ones(len(query_x), device=device), n_way, numbers)
