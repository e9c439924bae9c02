"""What all learners share that adapt by gradient descent: which parameters move, how fast, and their way.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lifelong.adaptation import gradient_descent
from lifelong.learner import Learner
from lifelong.mapping import has_running_statistics
from lifelong.networks.split import apply_features, apply_head, has_head
from lifelong.objective import Classification, Regression
from lifelong.outer import OuterLoop
from lifelong.strategy import Params

Objective = Literal["classification", "regression"]


class GradientLearner(Learner):
    """Adapts parameters of the network by gradient descent on the support loss; subclasses say which, and how fast.

    Abstract: :class:`~lifelong.learners.MAML` is the plain one. A state is a whole set of network parameters, and the
    inner rate multiplies the gradient of the MEAN loss over the support set.

    Args:
        network: ends in ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: gradient steps while meta-training.
        n_eval_steps: gradient steps in evaluation; as in training where None.
        first_order: hold the inner gradients constant.
        outer: how the meta-parameters are trained.

    Raises:
        ValueError: when the network keeps running statistics, or the tasks have another number of ways than the network
            has outputs.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        task: Objective = "classification",
        n_inner_steps: int = 5,
        n_eval_steps: int | None = None,
        first_order: bool = False,
        outer: OuterLoop | None = None,
    ) -> None:
        super().__init__(network, objective=Classification() if task == "classification" else Regression(), outer=outer)
        if has_running_statistics(network):
            raise ValueError(
                f"{type(self).__name__} adapts by gradients, which running statistics of norm layers cannot follow: "
                "choose another norm (--model.network.norm batch, group, layer or instance)"
            )
        self.n_inner_steps = n_inner_steps
        self.n_eval_steps = n_inner_steps if n_eval_steps is None else n_eval_steps
        self.first_order = first_order

    # -- what a subclass decides ----------------------------------------------------------------------------------

    def adapts(self, name: str) -> bool:
        """Whether the inner loop moves this parameter of the network (``blocks.0.0.weight``)."""
        return True

    def rate(self, params: Params, name: str, step: int) -> Tensor:
        """The inner rate of a network parameter at a step, broadcast against it."""
        raise NotImplementedError

    # -- the contract -----------------------------------------------------------------------------------------------

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """The network's parameters after the inner steps."""
        n_steps = self.n_inner_steps if self.training else self.n_eval_steps
        return self.trajectory(params, support_x, support_y, n_steps)[-1]

    def predict(self, params: Params, state: Params, query_x: Tensor) -> Tensor:
        """The adapted network's outputs."""
        return self.apply_network(state, query_x)

    def trajectory(self, params: Params, support_x: Tensor, support_y: Tensor, n_steps: int) -> Sequence[Params]:
        """The states after 0, 1, …, ``n_steps`` inner steps."""
        start = {name: p for name, p in params.items() if name.startswith("network.")}
        moving = {name: p for name, p in start.items() if self.adapts(name.removeprefix("network."))}
        rates = [{n: self.rate(params, n.removeprefix("network."), step) for n in moving} for step in range(n_steps)]
        only_head = has_head(self.network) and all(name.startswith("network.head.") for name in moving)

        # Half-precision double gradients overflow, so the inner loop runs in the parameters' own precision.
        with torch.autocast(support_x.device.type, enabled=False):
            # Features do not change while only the head moves: they are computed once.
            features = apply_features(self.network, start, support_x) if only_head else None

            def loss(current: Params) -> Tensor:
                now = {**start, **current}
                if features is None:
                    output = self.apply_network(now, support_x)
                else:
                    output = apply_head(self.network, now, features)
                self._check_ways(output, support_y)
                return self.objective.loss(output, support_y)

            way = gradient_descent(loss, moving, rates, first_order=self.first_order)
        return [{**start, **current} for current in way]

    def _check_ways(self, output: Tensor, target: Tensor) -> None:
        if output.shape != target.shape:
            raise ValueError(
                f"the network has {output.shape[-1]} outputs, but the tasks ask for {target.shape[-1]}: "
                f"set --model.network.n_outputs {target.shape[-1]} or change --data.n_way"
            )


def key(name: str) -> str:
    """A parameter's name as the name of a parameter of its own (which must not contain dots)."""
    return name.replace(".", "-")
