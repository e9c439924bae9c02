"""A model with a fixed set of classes, which answers queries.

Shapes: ``S`` support and ``M`` query examples, ``B`` tasks, ``N`` classes, ``*X`` one input.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.data.episode import Episode
from lifelong.run.adapted import Adapted, adapted_checkpoint
from lifelong.run.answers import Answers
from lifelong.run.exported import export
from lifelong.run.familiarity import unsure
from lifelong.run.graph import Behind, graph_of
from lifelong.run.inputs import Inputs, Items
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.checkpoint_file import write_checkpoint
from lifelong.utilities.versions import installed_version

log = logging.getLogger(__name__)

AT_ONCE = 128
"""Number of queries that are read and answered at once, which limits the memory for any number of photos."""


class Fitted:
    """Answer queries among some classes: those of a support set, or those that the model was taught.

    Args:
        module: the learner with its strategies.
        inputs: reads the queries.
        classes: names of the classes.
        numbers: class numbers in the stream. None for the classes of a support set.
        experiences: names of the learnt experiences, in order.
        support: ``(S, *X)`` and labels ``(S,)``. None for a learner of labelled examples.
        adapted: what was learnt from a support set that is not stored.
        confidence: for answers without a support set: the largest class probability below which a query counts as
            unknown. None if this cannot be determined.
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
        adapted: Adapted | None = None,
        confidence: float | None = None,
    ) -> None:
        self.classes = tuple(classes)
        """Names of the classes, in the order of the probabilities."""
        self._module, self._inputs, self._experiences, self._support = module, inputs, tuple(experiences), support
        self._numbers = list(range(len(classes)) if numbers is None else numbers)
        self._adapted, self._confidence = adapted, confidence

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:8]) + (", …" if len(self.classes) > 8 else "")
        n_support = "" if self._support is None else f", from {len(self._support[1])} examples"
        return f"Fitted({type(self._module.learner).__name__} of {len(self.classes)} classes: {names}{n_support})"

    @property
    def adapted(self) -> Adapted | None:
        """Return what was learnt from the support set; it is computed once for all queries.

        None without a support set, or if a strategy answers instead of the learner: what a strategy learns from the
        support set cannot be separated from its answers.
        """
        module = self._module
        answers_itself = any(member.responds(module.learner.unit) for member in module.strategies)
        if self._adapted is None and self._support is not None and not answers_itself:
            x = self._support[0][:1].to(module.learner.device)
            self._adapted = Adapted.of(module, self._episode(x), self._experiences)
        return self._adapted

    def save(self, path: str | Path) -> Path:
        """Write a file that answers on its own: the network, what was learnt from the support set, and the class names.

        Load it with ``lifelong.load(path).model.predict(…)`` or ``python -m lifelong predict --ckpt_path FILE``. The
        file contains neither the support set nor the optimizer nor the training data that strategies store.

        Args:
            path: path of a new file.

        Raises:
            ValueError: when the file exists already, or what was learnt cannot be saved.
        """
        target = Path(path).expanduser()
        if target.exists():
            raise ValueError(f"{target} is there already, and is not replaced: name another file")
        content = self._module.to_answer()
        if self._support is not None or self._adapted is not None:
            if (adapted := self.adapted) is None:
                member = next(m for m in self._module.strategies if m.responds(self._module.learner.unit))
                raise ValueError(
                    f"{type(member).__name__} replaces the learner's outputs, so what was learnt from the support set "
                    "cannot be saved in a file: keep the checkpoint, and give the support set each time"
                )
            content = adapted_checkpoint(content, adapted, self.classes)
        write_checkpoint(content, target)
        return target

    def export(self, path: str | Path) -> Path:
        """Write a program that answers without this library (extra ``export``): ONNX or ``torch.export``.

        It takes any number of inputs ``(M, *X)`` and returns probabilities ``(M, N)``. If the network follows a frozen
        encoder, the encoder is included and the inputs are images with values from 0 to 1. Class names and
        preprocessing are stored in the file and, next to it, in ``<file>.json``.

        Args:
            path: path of a new file that ends in ``.onnx`` or ``.pt2``.

        Raises:
            ValueError: when an answer depends on more than its query, or an operation cannot be exported.
        """
        graph, inputs = graph_of(self._module, self.adapted, self._numbers), self._inputs
        if (encoder := inputs.encoder) is not None:
            graph = Behind(encoder, graph)
        about: dict[str, Any] = {"classes": list(self.classes), "learner": type(self._module.learner).__name__}
        about |= {"preprocessing": inputs.describe(), "lifelong": installed_version("lifelong")}
        return export(graph.cpu(), inputs.probe(5), about, Path(path).expanduser())

    def predict(self, queries: Items) -> Answers:
        """Answer queries.

        Args:
            queries: image files, texts or tensors: one, several, or a tensor ``(M, *X)``.

        Raises:
            ValueError: when there is no query, or one cannot be read.
        """
        return Answers.cat(self.in_batches(queries))

    def in_batches(self, queries: Items, unreadable: dict[int, str] | None = None) -> Iterator[Answers]:
        """Answer queries in batches; each query is read only when its batch is answered.

        Args:
            queries: as for :meth:`predict`.
            unreadable: a dict that receives the index of each file that cannot be read, with the reason, before the
                answers to its batch are returned. These files are left out of the answers. If None, such a file is an
                error.

        Raises:
            ValueError: when a query cannot be read or, if ``unreadable`` is given, when none can.
        """
        listed = self._inputs.listed(queries)
        n_batches = max(-(-len(listed) // AT_ONCE), 1)
        size = max(
            -(-len(listed) // n_batches), 1
        )  # of nearly equal size: batch statistics of a last batch of one photo are useless
        starts = range(0, len(listed), size) or range(1)
        if len(starts) > 1 and self._module.learner.transductive:
            log.warning(
                "an answer depends on those that are asked with it, here %d at a time (%s): %s",
                AT_ONCE,
                type(self._module.learner).__name__,
                "train with an inductive norm (--model.network.norm group)",
            )
        for start in starts:
            x = self._readable(listed[start : start + size], start, unreadable)
            if x is not None:
                yield self._answer(x)
        if unreadable and len(unreadable) == len(listed):
            raise ValueError(f"no query can be read: {next(iter(unreadable.values()))}")

    def _readable(self, batch: Any, start: int, unreadable: dict[int, str] | None) -> Tensor | None:
        """Return the readable items of a batch, or None if there are none; record the others in ``unreadable``."""
        try:
            return self._inputs(batch, "the query")
        except ValueError:
            if unreadable is None or self._inputs.kind != "images":
                raise
        for place, item in enumerate(batch, start):
            try:
                self._inputs([item], "the query")
            except ValueError as error:
                unreadable[place] = str(error)
        kept = [item for place, item in enumerate(batch, start) if place not in unreadable]
        return self._inputs(kept, "the query") if kept else None

    def _answer(self, x: Tensor) -> Answers:
        module = self._module
        if (adapted := self.adapted) is not None:
            outputs, far = adapted.answer(module, x.to(module.learner.device))
            probabilities = module.learner.objective.prediction(outputs).float().cpu()
            entries = None if adapted.entry is None else (adapted.entry,) * len(x)
            return Answers(self.classes, probabilities, entries, far)
        episode = self._episode(x.to(module.learner.device))
        with evaluating(module):
            outputs = module.predict_step(episode, 0)
            with torch.no_grad():
                params = module.learner.meta_parameters()
                chosen = module.strategies.answered_by(module.learner, params, episode, runner=module.runner)
        probabilities = outputs.flatten(0, 1).float().cpu()
        far = None if self._confidence is None else unsure(probabilities, self._confidence)
        if chosen is None:
            return Answers(self.classes, probabilities, None, far)
        names = [self._experiences[number] for number in chosen.tolist()]
        return Answers(self.classes, probabilities, tuple(names * (len(x) // len(names))), far)

    def _episode(self, x: Tensor) -> Episode:
        """Return one task with all queries or, without a support set, one task per query."""
        device, n_way = x.device, len(self.classes)
        query_x = x[:, None] if self._support is None else x[None]
        support_x, support_y = query_x[:, :0], torch.zeros(len(query_x), 0, dtype=torch.int64, device=device)
        if self._support is not None:
            support_x, support_y = (part.to(device)[None] for part in self._support)
        query_y = torch.zeros(query_x.shape[:2], dtype=torch.int64, device=device)
        numbers = torch.tensor(self._numbers, device=device).repeat(len(query_x), 1)
        return Episode(support_x, support_y, query_x, query_y, torch.ones(len(query_x), device=device), n_way, numbers)
