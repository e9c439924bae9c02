"""The base class of learners that keep running class means of embeddings.

Shapes: ``B`` examples, ``N`` ways, ``*X`` one input, ``F`` features of the network, ``D`` numbers of a mean,
``C`` classes.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params, floating_type
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Visit
from lifelong.learners.example_learner import ExampleLearner
from lifelong.learners.features import full_precision, precise
from lifelong.learners.objective import one_hot
from lifelong.networks.heads import has_head
from lifelong.networks.norm import BatchNorm

log = logging.getLogger(__name__)

Trained = bool | Literal["first"]
"""When the embedding is trained: never, in every experience, or only in the first."""
Transform = Literal["none", "l2", "sqrt"]
"""Transformation of the network's features ``f``: none, ``f / ‖f‖``, or ``sign(f) √|f|``."""


class RunningMeans(ExampleLearner):
    """Keep class means ``μ_c`` of a fixed embedding: every example of the stream updates the mean of its class once.

    ``μ_c ← μ_c + (f(x) − μ_c) / n_c`` for each example of class ``c``, computed for a batch and all processes at once.
    The means equal those of all examples so far, for any batches in any order. There is no optimizer and no gradient,
    and strategies that act on training are rejected. Abstract: subclasses compute outputs from the means in
    ``compare``.

    If the embedding is trained, the network is trained as a classifier with one output per class
    (:class:`~lifelong.learners.Classifier`), and the means are computed from all examples of an experience at its end.
    If it is trained only in the first experience (first-session adaptation), it is fixed afterwards.

    Args:
        network: ``(n, *X)`` to ``(n, F)``, or a network with a head on such features. The head predicts only while it
            is trained.
        transform: transformation of the features: ``none``, ``l2`` (to unit length) or ``sqrt`` (signed square root,
            which shortens long tails).
        train_embedding: ``false``, ``true`` (every experience) or ``first`` (only the first).

    Raises:
        ValueError: when a stream has more classes than there are class means, or a strategy is used but nothing is
            trained.
    """

    means: Tensor
    """Class means ``(C, D)``; zero for a class that was not seen."""
    counts: Tensor
    """Number of examples of each class ``(C,)``."""

    def __init__(self, network: nn.Module, *, transform: Transform = "none", train_embedding: Trained = False) -> None:
        super().__init__(network)
        self.transform, self.train_embedding = transform, train_embedding
        self._has_examples = False
        self.register_load_state_dict_post_hook(_hear_of_examples)  # type: ignore[no-untyped-call]
        self.train()

    @abstractmethod
    def compare(self, features: Tensor) -> Tensor:
        """Return outputs ``(n, C)`` for embeddings ``(n, D)``."""

    # -- preparing ------------------------------------------------------------------------------------------------

    @property
    def is_fixed(self) -> bool:
        """Return whether the embedding is fixed from now on."""
        return not self.train_embedding or (self.train_embedding == "first" and self._has_examples)

    @property
    def is_trained(self) -> bool:
        """Return whether an optimizer trains the embedding in any experience."""
        return bool(self.train_embedding)

    @property
    def needs_boundaries(self) -> bool:
        """Return whether the embedding is trained; the means of a fixed one are updated without boundaries."""
        return self.is_trained

    def train(self, mode: bool = True) -> RunningMeans:
        """Set the mode; a fixed embedding stays in evaluation mode (no dropout, fixed running statistics)."""
        super().train(mode)
        if self.is_fixed:
            self.network.eval()
        return self

    def prepare(self, n_classes: int, example: Tensor | None = None) -> None:
        """Create the buffers of the means at the first call."""
        super().prepare(n_classes, example)
        if not hasattr(self, "means"):
            self.make_room(n_classes, self._n_features(example))
        if len(self.means) < n_classes:
            raise ValueError(
                f"{type(self).__name__} has room for {len(self.means)} class means, but the stream has {n_classes} "
                "classes: make a new learner for another stream"
            )
        if self.is_fixed and _sees_the_batch(self.network):
            log.warning(
                "norm layers of %s use the statistics of the batch at hand, so that an example's embedding depends on "
                "those that come with it: for one that stands still set another norm (--model.network.norm group)",
                type(self.network).__name__,
            )

    def make_room(self, n_classes: int, n_features: int) -> None:
        """Register the buffers for ``n_classes`` classes and ``n_features = F`` features of the network."""
        like = precise(next(self.network.parameters(), torch.zeros(0)).detach().to(self.dtype))
        self.register_buffer("means", like.new_zeros(n_classes, n_features))
        self.register_buffer("counts", like.new_zeros(n_classes, dtype=torch.int64))

    def grow(self, n_outputs: int) -> None:
        """Extend the means to at least ``n_outputs`` classes."""
        n_new = n_outputs - len(getattr(self, "means", ()))
        if hasattr(self, "means") and n_new > 0:
            self.means = torch.cat([self.means, self.means.new_zeros(n_new, self.means.shape[1])])
            self.counts = torch.cat([self.counts, self.counts.new_zeros(n_new)])

    def _n_features(self, example: Tensor | None) -> int:
        head, known = getattr(self.network, "head", None), getattr(self.network, "n_features", None)
        if has_head(self.network) and isinstance(head, nn.Linear):
            return head.in_features
        if example is None:
            assert isinstance(known, int), "without an example the network says how many features it has"
            return known
        with evaluating(self.network), torch.no_grad():
            return self.embed(self.meta_parameters(), example).shape[1]

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return the embedding ``(n, F)``: the transformed features of the network."""
        features = super().embed(params, x)
        if self.transform == "l2":
            return F.normalize(features, dim=-1)
        return features.sign() * features.abs().sqrt() if self.transform == "sqrt" else features

    # -- learning -------------------------------------------------------------------------------------------------

    def represent(self, features: Tensor) -> Tensor:
        """Return the vectors ``(n, D)`` to average for features ``(n, F)``; subclasses may project the features."""
        return features

    def learn(self, params: Params, batch: Episode, runner: TaskRunner) -> Tensor | None:
        """Update the means with the batch and return the outputs ``(B, 1, N)`` of the previous means, by distance."""
        if not self.is_fixed:
            return None
        assert batch.classes is not None
        with torch.no_grad():
            features, numbers = self.embedded(params, batch)
            outputs = self.at_ways(self.distances(features), batch.classes)
            self.absorb(features, numbers, runner, batch.query_x[:, 0])
        self._has_examples = True
        return outputs[:, None]

    def finish(self, visit: Visit, runner: TaskRunner) -> None:
        """Add every example of the experience to the means, if the embedding was trained in it."""
        if self.is_fixed:
            return
        self.take_all(visit, runner)
        self._has_examples = True
        self.train(self.training)

    def take_all(self, visit: Visit, runner: TaskRunner) -> None:
        """Add every example of an experience to the means."""
        params = self.meta_parameters()
        with evaluating(self.network), torch.no_grad():
            for _, batch in visit.batches("centre", sum(len(pool) for pool in visit.experience.pools)):
                self.absorb(*self.embedded(params, batch), runner, batch.query_x[:, 0])

    def embedded(self, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Return the represented examples ``(B, D)`` and their class indices in the stream ``(B,)``."""
        assert batch.classes is not None
        dtype = floating_type((batch.weight, *self.network.parameters()))
        features = self.embed(params, batch.to(dtype).query_x[:, 0])
        return self.represent(features.to(self.means.dtype)), batch.query_classes[:, 0]

    def absorb(self, features: Tensor, numbers: Tensor, runner: TaskRunner, x: Tensor | None = None) -> None:
        """Add the examples of all processes to the means, given those of this process.

        Args:
            features: ``(n, D)`` as returned by ``represent``.
            numbers: class indices ``(n,)``.
            runner: sums over processes.
            x: the inputs ``(n, *X)`` of the examples, if a subclass needs them.
        """
        sums, counts = self.totals(features, numbers)
        self.merge(runner.sum(sums), runner.sum(counts))

    def totals(self, features: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum ``(C, D)`` and number ``(C,)`` per class of embeddings ``(n, D)`` with classes ``(n,)``."""
        labels = one_hot(numbers, len(self.means)).to(features.dtype)
        with full_precision(features):
            return labels.T @ features, labels.sum(0)

    def merge(self, sums: Tensor, counts: Tensor) -> None:
        """Add sums ``(C, D)`` of ``counts (C,)`` embeddings per class to the means."""
        self.counts += counts.long()
        total = self.counts.clamp_min(1).to(sums.dtype)
        self.means += (sums - counts[:, None] * self.means) / total[:, None]

    # -- answering ------------------------------------------------------------------------------------------------

    def class_outputs(self, params: Params, x: Tensor) -> Tensor:
        """Return outputs ``(n, C)`` computed from the means, or by the network while the embedding is trained.

        A class that was not seen is the least likely.
        """
        if self.training and not self.is_fixed:
            return self.apply_network(params, x)
        return self.compare(self.represent(self.embed(params, x).to(self.means.dtype)))

    def distances(self, features: Tensor) -> Tensor:
        """Return ``−‖f − μ_c‖²`` ``(n, C)``."""
        exact = "donot_use_mm_for_euclid_dist"  # the matrix product would lose the digits in which close means differ
        with full_precision(features):
            return self.without_unseen(-torch.cdist(features, self.means, compute_mode=exact).square())

    def without_unseen(self, outputs: Tensor) -> Tensor:
        """Return the outputs ``(n, C)`` with the lowest finite number for classes that were not seen."""
        return outputs.masked_fill(self.counts == 0, torch.finfo(outputs.dtype).min)


def _sees_the_batch(network: nn.Module) -> bool:
    norms = (m for m in network.modules() if isinstance(m, (BatchNorm, nn.modules.batchnorm._BatchNorm)))
    return any(getattr(norm, "running_mean", None) is None for norm in norms)


def _hear_of_examples(learner: Any, incompatible: Any) -> None:
    learner._has_examples = bool(learner.counts.any())
    learner.train(learner.training)
