"""Matching networks: attention over the support set by cosine similarity, with the labels as values.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``D`` features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from lifelong.learners.features import full_precision
from lifelong.utilities.ranges import check_number


class MatchingNet(Learner):
    """Classify by matching networks: ``p(n | x) = Σ_s a_s(x) y_sn`` with ``a(x) = softmax_s(τ cos(f(x), f(x_s)))``.

    Args:
        network: the embedding ``f``: ``(n, *X)`` to ``(n, D)``.
        temperature: ``τ``. A larger value gives more weight to the nearest examples.

    Raises:
        ValueError: when the temperature is not positive.

    Reference:
        Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016. Differences: no full-context embeddings
        (the embedding of an example does not depend on the support set), as in most comparisons; ``τ`` is 1 in the
        paper, which bounds the ratio of two examples' weights by ``e²``.

    Example:
        >>> learner = MatchingNet(nn.Identity(), temperature=1.0)
        >>> state = learner.adapt({}, torch.eye(2), torch.eye(2))
        >>> learner.predict({}, state, torch.tensor([[3.0, 3.0]])).exp()
        tensor([[0.5000, 0.5000]])
    """

    def __init__(self, network: nn.Module, *, temperature: float = 10.0) -> None:
        super().__init__(network)
        hint = ", for near examples to count more: the paper's is 1, and 10 is the default"
        check_number("--model.temperature", temperature, above=0, hint=hint)
        self.temperature = temperature

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``f(x)`` ``(n, D)``, scaled to unit length."""
        return F.normalize(self.apply_network(params, x).flatten(1), dim=-1)

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedded examples ``(S, D)``, scaled to unit length, and their labels ``(S, N)``."""
        return self.embed(params, support_x), support_y

    def predict(self, params: Params, state: tuple[Tensor, Tensor], query_x: Tensor) -> Tensor:
        """Return log-probabilities ``(Q, N)``, at least the logarithm of the smallest normal number."""
        return self.predict_embedded(params, state, self.embed(params, query_x))

    def predict_embedded(self, params: Params, state: tuple[Tensor, Tensor], features: Tensor) -> Tensor:
        """Return the logits ``(Q, N)`` of embedded queries ``(Q, D)``."""
        support, labels = state
        with full_precision(features):
            log_attention = (self.temperature * features @ support.T).log_softmax(-1)
        # The sum is taken in log space: clamping the sum itself would remove the gradient of confident mistakes.
        log_labels = labels.clamp_min(torch.finfo(labels.dtype).tiny).log()
        return torch.logsumexp(log_attention[:, :, None] + log_labels, dim=1)
