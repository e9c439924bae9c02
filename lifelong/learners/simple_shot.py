"""SimpleShot: nearest class mean on centred, normalised features of a pre-trained classifier.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``D`` features.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Task
from lifelong.data.position import Visit
from lifelong.learners.features import class_means
from lifelong.learners.pretrained import Pretrained
from lifelong.utilities.ranges import check_number


class SimpleShot(Pretrained):
    """Classify as SimpleShot: ``argmin_n ‖z(x) − c_n‖``, ``c_n`` the mean of ``z`` over class ``n``'s support examples.

    ``z = f`` (``none``), ``f / ‖f‖`` (``l2``) or ``(f − m) / ‖f − m‖`` (``cl2n``) with ``m`` the mean feature of the
    training data. ``m`` is zero before the end of the first experience. At the end of each experience, the mean feature
    is estimated from newly drawn tasks with the current features; ``m`` is the unweighted mean of these estimates over
    the experiences so far.

    Args:
        network: computes the features ``f``: ``(n, *X)`` to ``(n, D)``. If it has a head, the head is removed.
        transform: transformation of the features: ``none``, ``l2`` or ``cl2n``.
        n_centre_tasks: tasks of each experience from which ``m`` is estimated.

    Raises:
        ValueError: when ``n_centre_tasks`` is below 1.

    Reference:
        Wang, Chao, Weinberger & van der Maaten, "SimpleShot: Revisiting Nearest-Neighbor Classification for Few-Shot
        Learning", 2019 (arXiv 1911.04623). Differences: ``m`` is a running mean over the experiences of a stream, and
        the means of old experiences are not recomputed when the features change.

    Example:
        >>> learner = SimpleShot(nn.Identity(), transform="l2")
        >>> learner.adapt({}, torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.eye(2))
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])
    """

    centre: Tensor
    n_centres: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        transform: Literal["none", "l2", "cl2n"] = "cl2n",
        n_centre_tasks: int = 100,
    ) -> None:
        super().__init__(network)
        check_number("--model.n_centre_tasks", n_centre_tasks, least=1, whole=True)
        self.transform, self.n_centre_tasks = transform, n_centre_tasks

    def prepare(self, n_classes: int, example: Tensor | None = None) -> None:
        """Create the classifier and the buffer of the mean feature."""
        super().prepare(n_classes, example)
        if not hasattr(self, "centre"):
            self.register_buffer("centre", torch.zeros(self.classifier.in_features))
            self.register_buffer("n_centres", torch.tensor(0))

    def finish(self, visit: Visit, runner: TaskRunner) -> None:
        """Update the running mean with the mean feature of this experience."""
        if self.transform != "cl2n":
            return
        mean = self._mean_feature(visit, runner)
        self.n_centres += 1
        self.centre += (mean - self.centre) / self.n_centres

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``z(x)`` ``(n, D)``."""
        features = self.features(params, x)
        if self.transform == "none":
            return features
        return F.normalize(features - self.centre if self.transform == "cl2n" else features, dim=-1)

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        """Return class means ``(N, D)``."""
        return class_means(self.embed(params, support_x), support_y)

    def predict(self, params: Params, state: Tensor, query_x: Tensor) -> Tensor:
        """Return logits ``(Q, N)``: negative squared distances."""
        return self.predict_embedded(params, state, self.embed(params, query_x))

    def predict_embedded(self, params: Params, state: Tensor, features: Tensor) -> Tensor:
        """Return the logits ``(Q, N)`` of embedded queries ``(Q, D)``."""
        return -(features[:, None] - state[None]).square().sum(-1)

    def _mean_feature(self, visit: Visit, runner: TaskRunner) -> Tensor:
        params = self.meta_parameters()

        def total(task: Task) -> Tensor:
            # Tasks are routed as in training, because the strategies have not ended this experience yet.
            routed = runner.route(params, task.support_x, task.support_y)
            return self.features(routed, torch.cat([task.support_x, task.query_x])).to(self.centre).sum(0)

        summed, count = torch.zeros_like(self.centre), torch.zeros_like(self.centre[:1])
        with evaluating(self.network), torch.no_grad():
            for _, batch in visit.batches("centre", self.n_centre_tasks):
                summed += runner.map(total, self, batch).sum(0)
                count += batch.support_x.shape[:2].numel() + batch.query_x.shape[:2].numel()
        return runner.sum(summed) / runner.sum(count)
