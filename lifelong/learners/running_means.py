"""What learners share that keep a mean of each class's embeddings, example by example.

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
"""Whether the embedding is trained: in no experience, in every one, or in the first alone."""
Transform = Literal["none", "l2", "sqrt"]
"""What is done to the network's features ``f``: nothing, ``f / ‖f‖``, or ``sign(f) √|f|``."""


class RunningMeans(ExampleLearner):
    """Keep class means ``μ_c`` of an embedding that stands still: every example of the stream moves one of them, once.

    ``μ_c ← μ_c + (f(x) − μ_c) / n_c`` for each example of class ``c``, taken for a batch and all processes at once: the
    means are those of all examples so far, whatever the batches and their order. There is no optimizer, nothing has a
    gradient, and strategies that step in at training are refused. Abstract: subclasses say in ``compare`` how means
    answer.

    A trained embedding is trained as a classifier is (:class:`~lifelong.learners.Classifier`), by the network's own
    outputs, one for each class, and the means are taken at the end of its experience from all examples. Where that is
    the first experience alone (first-session adaptation), the embedding stands still from then on.

    Args:
        network: ``(n, *X)`` to ``(n, F)``, or a head on such features, which answers only while it is trained.
        transform: of the features: ``none``, ``l2`` to unit length, or ``sqrt``, which makes long tails short.
        train_embedding: no, in every experience, or in the ``first`` alone.

    Raises:
        ValueError: when a stream has more classes than there is room for, or a strategy has nothing to work on.
    """

    means: Tensor
    """``(C, D)``, zero for a class that was not seen."""
    counts: Tensor
    """``(C,)`` how many examples of each class there were."""

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
        """Tell whether the embedding stands still from now on."""
        return not self.train_embedding or (self.train_embedding == "first" and self._has_examples)

    @property
    def is_trained(self) -> bool:
        """Tell whether an optimizer trains the embedding, at any time."""
        return bool(self.train_embedding)

    @property
    def needs_boundaries(self) -> bool:
        """Tell whether the embedding is trained: the means of one that stands still follow the stream."""
        return self.is_trained

    def train(self, mode: bool = True) -> RunningMeans:
        """Set the mode, but an embedding that stands still neither drops units nor moves running statistics."""
        super().train(mode)
        if self.is_fixed:
            self.network.eval()
        return self

    def prepare(self, n_classes: int, example: Tensor | None = None) -> None:
        """Make room for the means, once."""
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
        """Register what is kept, of so many classes and features of the network ``F``."""
        like = precise(next(self.network.parameters(), torch.zeros(0)).detach().to(self.dtype))
        self.register_buffer("means", like.new_zeros(n_classes, n_features))
        self.register_buffer("counts", like.new_zeros(n_classes, dtype=torch.int64))

    def grow(self, n_outputs: int) -> None:
        """Make room for the means of at least so many classes."""
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
        """Return the embedding ``(n, F)``: the network's features, transformed."""
        features = super().embed(params, x)
        if self.transform == "l2":
            return F.normalize(features, dim=-1)
        return features.sign() * features.abs().sqrt() if self.transform == "sqrt" else features

    # -- learning -------------------------------------------------------------------------------------------------

    def represent(self, features: Tensor) -> Tensor:
        """Return what means are kept of ``(n, D)`` for features ``(n, F)``: themselves, unless a subclass projects."""
        return features

    def learn(self, params: Params, batch: Episode, runner: TaskRunner) -> Tensor | None:
        """Take the examples into the means, and return the outputs ``(B, 1, N)`` of the means before, by distance."""
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
        """Take every example of the experience into the means, where the embedding was trained in it."""
        if self.is_fixed:
            return
        self.take_all(visit, runner)
        self._has_examples = True
        self.train(self.training)

    def take_all(self, visit: Visit, runner: TaskRunner) -> None:
        """Take every example of an experience into the means."""
        params = self.meta_parameters()
        with evaluating(self.network), torch.no_grad():
            for _, batch in visit.batches("centre", sum(len(pool) for pool in visit.experience.pools)):
                self.absorb(*self.embedded(params, batch), runner, batch.query_x[:, 0])

    def embedded(self, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Return the represented examples ``(B, D)`` and their classes' numbers in the stream ``(B,)``."""
        assert batch.classes is not None
        dtype = floating_type((batch.weight, *self.network.parameters()))
        features = self.embed(params, batch.to(dtype).query_x[:, 0])
        return self.represent(features.to(self.means.dtype)), batch.query_classes[:, 0]

    def absorb(self, features: Tensor, numbers: Tensor, runner: TaskRunner, x: Tensor | None = None) -> None:
        """Take this rank's share of some examples into the means, with those of all others.

        Args:
            features: ``(n, D)`` as ``represent`` returns them.
            numbers: ``(n,)`` their classes.
            runner: knows the other processes.
            x: ``(n, *X)`` the examples themselves, by which a learner may tell them apart.
        """
        sums, counts = self.totals(features, numbers)
        self.merge(runner.sum(sums), runner.sum(counts))

    def totals(self, features: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return sums ``(C, D)`` and number ``(C,)`` of the embeddings ``(n, D)`` of each class ``(n,)``."""
        labels = one_hot(numbers, len(self.means)).to(features.dtype)
        with full_precision(features):
            return labels.T @ features, labels.sum(0)

    def merge(self, sums: Tensor, counts: Tensor) -> None:
        """Take sums ``(C, D)`` of so many embeddings ``(C,)`` of each class into the means."""
        self.counts += counts.long()
        total = self.counts.clamp_min(1).to(sums.dtype)
        self.means += (sums - counts[:, None] * self.means) / total[:, None]

    # -- answering ------------------------------------------------------------------------------------------------

    def class_outputs(self, params: Params, x: Tensor) -> Tensor:
        """Return the outputs of the means ``(n, C)``; of the network while the embedding is trained.

        A class that was not seen is the least likely.
        """
        if self.training and not self.is_fixed:
            return self.apply_network(params, x)
        return self.compare(self.represent(self.embed(params, x).to(self.means.dtype)))

    def distances(self, features: Tensor) -> Tensor:
        """Return ``−‖f − μ_c‖²`` ``(n, C)``."""
        exact = "donot_use_mm_for_euclid_dist"  # the other way loses the digits in which near means differ
        with full_precision(features):
            return self.without_unseen(-torch.cdist(features, self.means, compute_mode=exact).square())

    def without_unseen(self, outputs: Tensor) -> Tensor:
        """Return the outputs ``(n, C)`` with the lowest number for classes that were not seen."""
        return outputs.masked_fill(self.counts == 0, torch.finfo(outputs.dtype).min)


def _sees_the_batch(network: nn.Module) -> bool:
    norms = (m for m in network.modules() if isinstance(m, (BatchNorm, nn.modules.batchnorm._BatchNorm)))
    return any(getattr(norm, "running_mean", None) is None for norm in norms)


def _hear_of_examples(learner: Any, incompatible: Any) -> None:
    learner._has_examples = bool(learner.counts.any())
    learner.train(learner.training)
