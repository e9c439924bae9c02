"""Nearest class mean by the Mahalanobis distance, with a covariance per class (as in Simple CNAPS).

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``D`` features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from lifelong.learners.features import class_means, full_precision, precise
from lifelong.utilities.ranges import check_number


class Mahalanobis(Learner):
    """Classify by Mahalanobis distances to class means: ``p(n | x) ∝ exp(−τ (f(x) − c_n)ᵀ Q_n⁻¹ (f(x) − c_n))``.

    ``Q_n = λ_n Σ_n + (1 − λ_n) Σ + β I`` with ``λ_n = S_n / (S_n + 1)``, where ``S_n`` is the number of examples of the
    class, ``Σ_n`` their covariance and ``Σ`` that of the whole support set. Time grows with ``N D³``, so prefer few
    features (``--model.network.readout mean``).

    Args:
        network: the embedding ``f``: ``(n, *X)`` to ``(n, D)``.
        regulariser: ``β``, which keeps ``Q_n`` invertible.
        temperature: ``τ``.

    Raises:
        ValueError: when the regulariser is not positive.

    Reference:
        Bateni et al., "Improved Few-Shot Visual Classification", CVPR 2020 (Simple CNAPS). Differences: the embedding
        is a plain network, without CNAPS's adaptation of features; ``τ`` is 1 as in the authors' code, ½ in their
        formula; the covariance of a single example is zero.

    Example:
        >>> learner = Mahalanobis(nn.Identity())
        >>> means, factors = learner.adapt({}, torch.tensor([[0.0], [2.0], [9.0]]), torch.eye(2)[[0, 0, 1]])
        >>> means.tolist(), factors.shape
        ([[1.0], [9.0]], torch.Size([2, 1, 1]))
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        regulariser: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(network)
        check_number("--model.temperature", temperature, above=0)
        without = ", or the covariance of few examples has no inverse"
        check_number("--model.regulariser", regulariser, above=0, hint=without)
        self.regulariser, self.temperature = regulariser, temperature

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``f(x)`` ``(n, D)``."""
        return self.apply_network(params, x).flatten(1)

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> tuple[Tensor, Tensor]:
        """Return class means ``(N, D)`` and the lower Cholesky factors of ``Q_n`` ``(N, D, D)``."""
        features = self.embed(params, support_x)
        with full_precision(features):
            features = precise(features)
            labels = support_y.to(features.dtype)
            means = class_means(features, labels)
            return means, torch.linalg.cholesky(self._covariances(features, labels, means))

    def predict(self, params: Params, state: tuple[Tensor, Tensor], query_x: Tensor) -> Tensor:
        """Return logits ``(Q, N)``: negative squared distances times the temperature."""
        return self.predict_embedded(params, state, self.embed(params, query_x))

    def predict_embedded(self, params: Params, state: tuple[Tensor, Tensor], features: Tensor) -> Tensor:
        """Return the logits ``(Q, N)`` of embedded queries ``(Q, D)``."""
        means, factors = state
        with full_precision(features):
            difference = (precise(features) - means[:, None]).mT
            whitened: Tensor = torch.linalg.solve_triangular(factors, difference, upper=False)
            return -self.temperature * whitened.square().sum(1).T

    def _covariances(self, features: Tensor, labels: Tensor, means: Tensor) -> Tensor:
        counts = labels.sum(0)[:, None, None]
        centred = features - labels @ means
        # A single example equals its mean: clamping the divisor makes its covariance zero instead of 0 / 0.
        within = torch.einsum("sn,sd,se->nde", labels, centred, centred) / (counts - 1).clamp_min(1)
        overall = features - features.mean(0)
        overall = overall.T @ overall / max(len(features) - 1, 1)
        share = counts / (counts + 1)
        eye = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
        return share * within + (1 - share) * overall + self.regulariser * eye
