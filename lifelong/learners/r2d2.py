"""R2-D2: closed-form ridge regression as the head of a learnt embedding.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*Y`` one target, ``D`` features.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from lifelong.learners.features import full_precision, precise
from lifelong.learners.objective import Classification, Regression
from lifelong.utilities.ranges import check_number


class R2D2(Learner):
    """Predict by ridge regression: ``α f(x) W + β``, ``W = argmin ‖f(X) W − Y‖² + λ‖W‖² = Φᵀ (Φ Φᵀ + λ I)⁻¹ Y``.

    ``Φ (S, D + 1)`` are the features with a column of ones (whose weight ``λ`` regularises too), ``Y`` the one-hot
    labels or targets. The linear system is ``S × S`` for any number of features. ``λ``, ``α`` and ``β`` are learnt.

    Args:
        network: the embedding ``f``: ``(n, *X)`` to ``(n, D)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        regulariser: initial ``λ``. Its logarithm is learnt, so that it stays positive.
        scale: initial ``α``. Default: 10 for classification, because logits between 0 and 1 give uncertain predictions,
            and 1 for regression.

    Raises:
        ValueError: when the regulariser is not positive.

    Reference:
        Bertinetto et al., "Meta-learning with differentiable closed-form solvers", ICLR 2019. Differences: ``λ`` is
        learnt as a logarithm, ``α`` starts at 10, and regression tasks are supported too; ``β`` is one number as in the
        paper, and has no effect on a softmax.

    Example:
        >>> learner = R2D2(nn.Identity(), task="regression", regulariser=1e-6)
        >>> x = torch.tensor([[0.0], [1.0], [2.0]])
        >>> line = learner.adapt(learner.meta_parameters(), x, 3 * x + 1)
        >>> learner.predict(learner.meta_parameters(), line, torch.tensor([[5.0]])).round(decimals=2)
        tensor([[16.]], grad_fn=<RoundBackward1>)
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        task: Literal["classification", "regression"] = "classification",
        regulariser: float = 1.0,
        scale: float | None = None,
    ) -> None:
        super().__init__(network, objective=Classification() if task == "classification" else Regression())
        check_number("--model.scale", scale)
        check_number("--model.regulariser", regulariser, above=0, hint=", or its system may have no solution")
        start = (10.0 if task == "classification" else 1.0) if scale is None else scale
        self.log_regulariser = nn.Parameter(torch.tensor(regulariser).log())
        self.scale, self.bias = nn.Parameter(torch.tensor(float(start))), nn.Parameter(torch.tensor(0.0))

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``f(x)`` ``(n, D)``."""
        return self.apply_network(params, x).flatten(1)

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        """Return the weights ``W (D + 1, N)`` or ``(D + 1, *Y)``; the last row is the bias."""
        features = self.embed(params, support_x)
        with full_precision(features):
            design = _with_ones(features)
            noise = params["log_regulariser"].exp() * torch.eye(len(design), dtype=design.dtype, device=design.device)
            targets = support_y.to(design.dtype).flatten(1)
            # Not linalg.solve, whose derivative mistakes matrices for vectors under nested vmap (torch 2.13).
            factor = torch.linalg.cholesky(design @ design.T + noise)
            weights: Tensor = design.T @ torch.cholesky_solve(targets, factor)
            return weights.reshape(-1, *support_y.shape[1:])

    def predict(self, params: Params, state: Tensor, query_x: Tensor) -> Tensor:
        """Return logits ``(Q, N)`` or values ``(Q, *Y)``."""
        return self.predict_embedded(params, state, self.embed(params, query_x))

    def predict_embedded(self, params: Params, state: Tensor, features: Tensor) -> Tensor:
        """Return the logits ``(Q, N)`` of embedded queries ``(Q, D)``."""
        with full_precision(features):
            values: Tensor = torch.tensordot(_with_ones(features), state, dims=1)
            return params["scale"] * values + params["bias"]


def _with_ones(features: Tensor) -> Tensor:
    return F.pad(precise(features), (0, 1), value=1.0)
