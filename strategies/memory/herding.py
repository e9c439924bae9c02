"""Herding: select examples whose mean embedding is near that of their class.

Shapes: ``D`` features of an example.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.data.pool import Pool
from lifelong.learners.base import Learner

EMBED_AT_ONCE = 1024
"""Number of examples that are embedded in one forward pass."""
TIE = 1e-5
"""Differences below this count as ties, so that rounding does not decide between examples with equal features."""


def herd(features: Tensor, n: int) -> Tensor:
    """Return indices of examples in an order in which the mean of every prefix is near that of all examples.

    ``p_k = argmin_x ‖μ − (φ(x) + Σ_{j<k} φ(p_j)) / k‖`` with features ``φ`` of unit length, without repetition. Of
    equal examples the first is selected.

    Args:
        features: ``(n, D)`` features of one class.
        n: maximum number of examples.

    Reference:
        Rebuffi et al., "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017.

    Example:
        >>> herd(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), 2).tolist()
        [1, 0]
    """
    features = torch.nn.functional.normalize(features)
    mean, lack = features.mean(0), torch.zeros_like(features[0])
    # Minimising k times the distance means that φ(x) is nearest to k μ − Σ φ(p_j): one product with all features.
    half = features.square().sum(1) / 2
    order = []
    for _ in range(min(n, len(features))):
        lack = lack + mean
        nearness = features @ lack - half
        best = (nearness >= nearness.max() - TIE).int().argmax()
        order.append(best)
        lack, half[best] = lack - features[best], torch.inf
    return torch.stack(order)


def herd_members(learner: Learner, pool: Pool, members: np.ndarray, n: int) -> np.ndarray:
    """Return at most ``n`` of a class's examples, selected by herding on the learner's embedding.

    Args:
        learner: computes the embeddings, in evaluation mode.
        pool: contains the examples.
        members: indices of the class's examples in the pool.
        n: maximum number of examples.
    """
    params = learner.meta_parameters()
    with evaluating(learner.network), torch.no_grad():
        pieces = [members[i : i + EMBED_AT_ONCE] for i in range(0, len(members), EMBED_AT_ONCE)]
        inputs = (pool.gather(piece, learner.device) for piece in pieces)
        features = torch.cat(
            [learner.embed(params, x.to(learner.dtype) if x.is_floating_point() else x) for x in inputs]
        )
    chosen: np.ndarray = members[herd(features, n).cpu().numpy()]
    return chosen
