"""The base class of learners that pre-train by ordinary classification and see few-shot tasks only in evaluation.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``D`` features, ``C`` training classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params, parameters_of
from lifelong.data.episode import Task
from lifelong.learners.base import Learner
from lifelong.learners.objective import one_hot
from lifelong.networks.heads import has_head, longer_layer


class Pretrained(Learner):
    """Train features by classifying into ALL training classes of the stream: ``−log softmax(W f(x) + b)_c``.

    Abstract: subclasses define in ``adapt`` and ``predict`` how a few-shot task uses the features; only these are
    evaluated. The loss is the mean over support and query examples together. ``c`` is the index of the class in the
    stream, so experiences train different rows of ``W``. A head of the network is removed.

    Args:
        network: computes the features ``f``: ``(n, *X)`` to ``(n, D)``. If it has a head, the head is removed.

    Raises:
        ValueError: when a stream has more training classes than the classifier has outputs.

    Reference:
        Chen et al., "A Closer Look at Few-shot Classification", ICLR 2019. Difference: batches consist of few-shot
        tasks as for every other learner, so that all learners see the same examples.
    """

    classifier: nn.Linear

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self._n_features = _n_features(network)
        # Drawn now, because a launch on several devices resets the random state before the classifier is created.
        self._seed_of_classifier = int(torch.randint(2**31, ()))
        if has_head(network):
            network.head = nn.Identity()

    def prepare(self, n_classes: int, example: Tensor | None = None) -> None:
        """Create the classifier at the first call."""
        super().prepare(n_classes, example)
        if not hasattr(self, "classifier"):
            # Not zeros: a strategy may freeze the classifier, and rows of zeros would give the features no gradient.
            with torch.random.fork_rng(devices=[]):
                # Not torch.manual_seed, which would also reseed the accelerators' generators.
                torch.default_generator.manual_seed(self._seed_of_classifier)
                self.classifier = nn.Linear(self.n_features(example), n_classes)
        if self.classifier.out_features < n_classes:
            raise ValueError(
                f"the classifier of {type(self).__name__} has {self.classifier.out_features} classes, but the stream "
                f"has {n_classes}: make a new learner for another stream"
            )

    def grow(self, n_outputs: int) -> None:
        """Extend the classifier to at least ``n_outputs``."""
        if hasattr(self, "classifier") and self.classifier.out_features < n_outputs:
            self.classifier = longer_layer(self.classifier, n_outputs)

    @property
    def is_trained(self) -> bool:
        """Return True, because an optimizer trains the classifier even if the network has no parameters."""
        return True

    def features(self, params: Params, x: Tensor) -> Tensor:
        """Return ``f(x)`` ``(n, D)``."""
        return self.apply_network(params, x).flatten(1)

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy over all classes of the stream, and the logits ``(Q, N)`` for the task's ways."""
        logits = self.likelihood_outputs(params, task)
        return F.cross_entropy(logits, _classes(task)), logits[len(task.support_x) :, task.classes]

    def likelihood_outputs(self, params: Params, task: Task) -> Tensor:
        """Return the logits of support and query examples over all classes of the stream ``(S + Q, C)``."""
        classifier_params = parameters_of(params, "classifier")
        features = self.features(params, torch.cat([task.support_x, task.query_x]))
        logits: Tensor = torch.func.functional_call(self.classifier, classifier_params, (features,))
        return logits

    def likelihood_targets(self, task: Task) -> Tensor:
        """Return the one-hot classes of support and query examples in the stream ``(S + Q, C)``."""
        return one_hot(_classes(task), self.classifier.out_features).to(task.query_y.dtype)

    def n_features(self, example: Tensor | None = None) -> int:
        """Return ``D`` from the network's attributes, or from a forward pass of a few inputs ``(n, *X)``.

        Raises:
            ValueError: when neither is available.
        """
        if self._n_features is None:
            if example is None:
                raise ValueError(
                    f"nothing tells how many features {type(self.network).__name__} has: give it an attribute "
                    "n_features"
                )
            with evaluating(self.network), torch.no_grad():  # the examples do not change running statistics
                self._n_features = int(self.features(self.meta_parameters(), example).shape[1])
        return self._n_features


def _classes(task: Task) -> Tensor:
    return task.classes[torch.cat([task.support_y, task.query_y]).argmax(-1)]


def _n_features(network: nn.Module) -> int | None:
    known, head = getattr(network, "n_features", None), getattr(network, "head", None)
    if known is None and has_head(network) and isinstance(head, nn.Linear):
        return head.in_features
    return known if isinstance(known, int) else None
