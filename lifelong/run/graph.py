"""Prediction as a plain function of the inputs, ``(M, *X)`` to probabilities ``(M, N)``, which can be exported.

Shapes: ``M`` queries, ``N`` classes, ``*X`` one input.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lifelong.data.episode import Episode
from lifelong.run.adapted import Adapted
from lifelong.training.stream_module import StreamModule


class AdaptedGraph(nn.Module):
    """Predict with what was learnt from a support set; the learnt state is stored in buffers.

    Args:
        module: the learner with its strategies.
        adapted: what was learnt from the support set.
    """

    def __init__(self, module: StreamModule, adapted: Adapted) -> None:
        super().__init__()
        self.learner = copy.deepcopy(module.learner)
        self.learner.load_state_dict({**self.learner.state_dict(), **adapted.params})
        leaves, self._nesting = pytree.tree_flatten(adapted.state)
        self.state = nn.Module()
        for number, leaf in enumerate(leaves):
            self.state.register_buffer(str(number), leaf.clone() if isinstance(leaf, Tensor) else torch.tensor(leaf))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities ``(M, N)``."""
        state = pytree.tree_unflatten(list(self.state.buffers()), self._nesting)
        learner = self.learner
        return learner.objective.prediction(learner.predict(learner.meta_parameters(), state, x))


class TaughtGraph(nn.Module):
    """Predict among the classes that a learner of labelled examples was taught, with its strategies.

    Args:
        module: the learner with its strategies.
        numbers: numbers of the classes in the stream.
    """

    numbers: Tensor

    def __init__(self, module: StreamModule, numbers: Sequence[int]) -> None:
        super().__init__()
        # No strategy contains the learner, so the two are copied separately.
        self.learner, self.strategies = copy.deepcopy(module.learner), copy.deepcopy(module.strategies)
        self._runner = self.strategies.bind(self.learner, module.runner)
        self.register_buffer("numbers", torch.tensor(numbers))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities ``(M, N)``."""
        n, query_x = x.shape[0], x[:, None]
        none = torch.zeros(n, 0, dtype=torch.int64)
        ways = self.numbers.expand(n, -1)
        queries = torch.zeros(n, 1, dtype=torch.int64)
        batch = Episode(query_x[:, :0], none, query_x, queries, torch.ones(n), self.numbers.shape[0], ways)
        learner, params = self.learner, self.learner.meta_parameters()
        outputs = self.strategies.respond(learner, params, batch, runner=self._runner)
        if outputs is None:
            outputs = self._runner.outputs(learner, params, batch)
        return learner.objective.prediction(outputs[:, 0])


class Behind(nn.Module):
    """Predict from the features that a frozen encoder computes from images.

    Args:
        encoder: maps images ``(M, C, H, W)`` to features ``(M, D)``.
        graph: maps features to probabilities.
    """

    def __init__(self, encoder: nn.Module, graph: nn.Module) -> None:
        super().__init__()
        # The attribute is not called "graph", as a torch.export program has an attribute of that name.
        self.encoder, self.answering = copy.deepcopy(encoder), graph
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities ``(M, N)``."""
        features: Tensor = getattr(self.encoder, "features", self.encoder)(x)
        answers: Tensor = self.answering(features)
        return answers


def graph_of(module: StreamModule, adapted: Adapted | None, numbers: Sequence[int]) -> nn.Module:
    """Return the prediction among some classes as a function of the inputs alone.

    Args:
        module: the learner with its strategies.
        adapted: what was learnt from a support set. None for a learner of labelled examples.
        numbers: numbers of the classes in the stream, for a learner of labelled examples.

    Raises:
        ValueError: when a prediction depends on more than its query.
    """
    learner = module.learner
    if learner.transductive:
        raise ValueError(
            f"{type(learner).__name__} predicts a query from the other queries as well, which an exported program "
            "cannot do: choose an inductive learner (ProtoNet), or a network with another norm "
            "(--model.network.norm group)"
        )
    if adapted is not None:
        return AdaptedGraph(module, adapted)
    if learner.unit == "examples":
        return TaughtGraph(module, numbers)
    member = next(member for member in module.strategies if member.responds(learner.unit))
    raise ValueError(
        f"{type(member).__name__} replaces the learner's outputs and needs the support set, which an exported program "
        "does not contain: train without it to export, or predict with lifelong.load"
    )
