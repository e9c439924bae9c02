"""Relation networks: a learnt comparison of class features with query features.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*F`` features of one input: ``(D,)`` or ``(C, H, W)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params, parameters_of
from lifelong.learners.base import Learner
from lifelong.learners.features import class_means
from lifelong.learners.objective import RelationScore
from lifelong.networks import MLP
from lifelong.networks.conv4 import conv_block
from lifelong.networks.norm import Norm
from lifelong.utilities.ranges import check_number


class RelationNet(Learner):
    """Classify by relation networks: score ``r_n(x) = g([c_n, f(x)])`` in 0 … 1, trained by ``(r_n(x) − y_n)²``.

    ``c_n`` are the features of a class. The learner owns the relation module ``g``: two convolutional blocks and two
    linear layers for feature maps, three linear layers for feature vectors.

    Args:
        network: the embedding ``f``: ``(n, *X)`` to maps ``(n, C, H, W)`` (``Conv4(readout="maps")``) or ``(n, D)``.
        width: filters per block; for vectors, neurons of the first layer.
        n_hidden: number of neurons of the last hidden layer.
        norm: norm of the blocks, as in :class:`~lifelong.networks.Conv4`. With ``batch``, predictions depend on the
            other queries.
        aggregate: features of a class: the ``mean`` or the ``sum`` over its examples.
        feature_shape: ``(C, H, W)`` or ``(D,)``. By default it is computed by the network, which must know its input's
            shape.

    Raises:
        ValueError: when the shape of the network's features is unknown, or they are neither maps nor vectors.

    Reference:
        Sung et al., "Learning to Compare: Relation Network for Few-Shot Learning", CVPR 2018. Differences: class
        features are means, which for equal shots equal the paper's sum up to a constant and keep the same scale for
        unequal shots; the squared error is a mean; convolutions pad by one, and a block halves its map only if the map
        is larger than one.

    Example:
        >>> learner = RelationNet(MLP(n_inputs=4, hidden=[], n_outputs=3))
        >>> params, x = learner.meta_parameters(), torch.randn(2, 4)
        >>> learner.predict(params, learner.adapt(params, x, torch.eye(2)), x).shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        width: int = 64,
        n_hidden: int = 8,
        norm: Literal["batch", "group", "layer", "instance", "none"] = "batch",
        aggregate: Literal["mean", "sum"] = "mean",
        feature_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__(network, objective=RelationScore())
        check_number("--model.width", width, least=1, whole=True)
        check_number("--model.n_hidden", n_hidden, least=1, whole=True)
        self.aggregate = aggregate
        shape = _feature_shape(network) if feature_shape is None else tuple(feature_shape)
        if len(shape) not in (1, 3):
            raise ValueError(
                f"RelationNet compares vectors (D,) or maps (C, H, W), but {type(network).__name__} has features of "
                f"shape {shape}: flatten them in the network or give --model.feature_shape of one or three numbers"
            )
        if len(shape) == 1:
            self.relation: nn.Module = MLP(n_inputs=2 * shape[0], hidden=[width, n_hidden], n_outputs=1)
        else:
            self.relation = _map_relation(shape, width, n_hidden, norm)

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``f(x)`` ``(n, D)``, maps flattened."""
        return self.apply_network(params, x).flatten(1)

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        """Return class features ``(N, *F)``, also for different numbers of shots per class."""
        means = class_means(self.apply_network(params, support_x), support_y)
        return means * support_y.sum(0).reshape(-1, *[1] * (means.dim() - 1)) if self.aggregate == "sum" else means

    def predict(self, params: Params, state: Tensor, query_x: Tensor) -> Tensor:
        """Return relation scores ``(Q, N)`` in 0 … 1."""
        features = self.apply_network(params, query_x)
        pairs = [
            state.expand(features.shape[0], *state.shape),
            features[:, None].expand(-1, state.shape[0], *[-1] * (state.dim() - 1)),
        ]
        relation_params = parameters_of(params, "relation")
        stacked = torch.cat(pairs, dim=2).flatten(0, 1)
        scores: Tensor = torch.func.functional_call(self.relation, relation_params, (stacked,))
        return scores.to(features.dtype).sigmoid().reshape(features.shape[0], state.shape[0])


def _map_relation(shape: Sequence[int], width: int, n_hidden: int, norm: Norm) -> nn.Sequential:
    channels, height, breadth = shape
    before, blocks = 2 * channels, []
    for _ in range(2):
        halve = min(height, breadth) > 1
        blocks.append(conv_block(before, width, norm, "max" if halve else "none"))
        before = width
        height, breadth = (height // 2, breadth // 2) if halve else (height, breadth)
    return nn.Sequential(*blocks, MLP(n_inputs=width * height * breadth, hidden=[n_hidden], n_outputs=1))


def _feature_shape(network: nn.Module) -> tuple[int, ...]:
    n_inputs = getattr(network, "n_inputs", None)
    input_shape = getattr(network, "input_shape", None if n_inputs is None else (n_inputs,))
    if input_shape is None:
        raise ValueError(
            f"RelationNet must know the shape of the features to compare, and {type(network).__name__} does not tell "
            "that of its inputs: give --model.feature_shape, [C, H, W] for maps and [D] for vectors"
        )
    # In evaluation mode, the zeros do not change running statistics.
    was_training = network.training
    network.eval()
    with torch.no_grad():
        shape: torch.Size = network(torch.zeros(2, *input_shape)).shape
    network.train(was_training)
    return tuple(shape[1:])
