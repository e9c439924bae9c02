"""Transductive prototypical networks: unlabelled examples refine the class means.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``D`` features.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.protonet import ProtoNet
from lifelong.utilities.ranges import check_number


class TransductiveProtoNet(ProtoNet):
    """Classify by prototypical networks whose class means are refined with the unlabelled queries, by soft k-means.

    ``z_qn = softmax_n(−τ d(f(x_q), c_n))``, ``c_n ← (Σ_s y_sn f(x_s) + w Σ_q z_qn f(x_q)) / (Σ_s y_sn + w Σ_q z_qn)``.
    No query label is used, but a prediction depends on the other queries of the task: it is *transductive*, and tables,
    ``results.json`` and plots mark it as such. The method suits unlabelled examples that arrive as a batch in which the
    classes are about as frequent as in the support set.

    Args:
        network: the embedding ``f``: ``(n, *X)`` to ``(n, D)``.
        n_refinements: number of refinements of the means. 0 is ``ProtoNet``.
        query_weight: ``w``, the weight of a query relative to a labelled example.
        distance: as in :class:`~lifelong.learners.ProtoNet`.
        temperature: ``τ``, as in :class:`~lifelong.learners.ProtoNet`.

    Raises:
        ValueError: when ``n_refinements`` or ``query_weight`` is negative.

    Reference:
        Ren et al., "Meta-Learning for Semi-Supervised Few-Shot Classification", ICLR 2018 (soft k-means, equation 3).
        Differences: the unlabelled examples are the queries themselves, and ``w`` is an option (1 in the paper).

    Example:
        >>> import torch
        >>> learner = TransductiveProtoNet(nn.Identity(), n_refinements=1, temperature=100.0)
        >>> state = learner.adapt({}, torch.tensor([[0.0], [4.0]]), torch.eye(2))
        >>> refined, _ = learner.refine(state, torch.tensor([[1.0], [1.0], [5.0]]))
        >>> [round(mean, 3) for mean in refined[:, 0].tolist()]
        [0.667, 4.5]
    """

    sees_other_queries: ClassVar[bool] = True

    def __init__(
        self,
        network: nn.Module,
        *,
        n_refinements: int = 1,
        query_weight: float = 1.0,
        distance: Literal["euclidean", "cosine"] = "euclidean",
        temperature: float | None = None,
    ) -> None:
        super().__init__(network, distance=distance, temperature=temperature)
        check_number("--model.n_refinements", n_refinements, least=0, whole=True)
        check_number("--model.query_weight", query_weight, least=0)
        self.n_refinements, self.query_weight = n_refinements, query_weight

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return the class means ``(N, D)`` and the number of examples of each class ``(N,)``."""
        return super().adapt(params, support_x, support_y), support_y.sum(0)

    def predict(self, params: Params, state: tuple[Tensor, Tensor], query_x: Tensor) -> Tensor:  # type: ignore[override]
        """Return logits ``(Q, N)`` from the means refined with these queries."""
        features = self.apply_network(params, query_x).flatten(1)
        means, _ = self.refine(state, features)
        return self.compare(features, means)

    def predict_embedded(self, params: Params, state: Any, features: Tensor) -> Tensor | None:
        """Return None, because predictions depend on all queries of a task together."""
        return None

    def refine(self, state: tuple[Tensor, Tensor], features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the state after ``n_refinements`` with unlabelled features ``(Q, D)``."""
        start, counts = state
        means = start
        for _ in range(self.n_refinements):
            share = self.query_weight * self.compare(features, means).softmax(-1)
            total = counts + share.sum(0)
            means = (counts[:, None] * start + share.T @ features) / total[:, None]
        return means, counts
