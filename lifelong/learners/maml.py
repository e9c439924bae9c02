"""Model-agnostic meta-learning: an initialisation from which a few gradient steps suffice.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*Y`` one target, ``D`` features.
"""

from __future__ import annotations

from typing import Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from lifelong.adaptation import gradient_descent
from lifelong.learner import Learner
from lifelong.mapping import Mapping
from lifelong.objective import Classification, Regression
from lifelong.strategy import Params


class MAML(Learner):
    """MAML: ``min_θ Σ_task L_query(θ')`` with ``θ' = θ − α ∇ L_support(θ)``, repeated for some inner steps.

    The inner rate multiplies the gradient of the MEAN loss over the support set.

    Args:
        network: ends in ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: gradient steps while meta-training.
        n_eval_steps: gradient steps in evaluation; as in training where None.
        inner_rate: ``α``, the rate of the inner steps.
        learn_inner_rate: learn one rate per parameter tensor, starting at ``inner_rate``.
        first_order: hold the inner gradients constant (FOMAML).
        optimizer: the outer optimizer.
        reset_optimizer: forget the optimizer's state at the start of each experience.
        mapping: how the tasks of a batch are run.
        chunk: at most so many tasks at once under ``vmap``.

    Raises:
        ValueError: when the tasks have another number of ways than the network has outputs.

    Reference:
        Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning", ICML 2017. Differences: norm layers use the statistics of
        the batch at hand (support, then query) as in the authors' code; the loss is a mean over the support set, where
        their code sums over classes.

    Example:
        >>> learner = MAML(nn.Linear(2, 2), inner_rate=0.5)
        >>> state = learner.adapt(learner.meta_parameters(), torch.eye(2), torch.eye(2))
        >>> learner.predict({}, state, torch.eye(2)).shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        task: Literal["classification", "regression"] = "classification",
        n_inner_steps: int = 5,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
        learn_inner_rate: bool = False,
        first_order: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
        reset_optimizer: bool = False,
        mapping: Mapping = "auto",
        chunk: int | None = None,
    ) -> None:
        objective = Classification() if task == "classification" else Regression()
        super().__init__(
            network,
            objective=objective,
            optimizer=optimizer,
            reset_optimizer=reset_optimizer,
            mapping=mapping,
            chunk=chunk,
        )
        self.n_inner_steps = n_inner_steps
        self.n_eval_steps = n_inner_steps if n_eval_steps is None else n_eval_steps
        self.first_order = first_order
        rates = {_key(name): torch.tensor(inner_rate) for name, _ in network.named_parameters()}
        self.inner_rates = nn.ParameterDict(
            {k: nn.Parameter(r, requires_grad=learn_inner_rate) for k, r in rates.items()}
        )

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """The network's parameters after the inner steps."""
        start = {name: p for name, p in params.items() if name.startswith("network.")}
        rates = {name: params[f"inner_rates.{_key(name.removeprefix('network.'))}"] for name in start}

        def loss(current: Params) -> Tensor:
            output = self.apply_network(current, support_x)
            self._check_ways(output, support_y)
            return self.objective.loss(output, support_y)

        n_steps = self.n_inner_steps if self.training else self.n_eval_steps
        # Half-precision double gradients overflow, so the inner loop runs in the parameters' own precision.
        with torch.autocast(support_x.device.type, enabled=False):
            return gradient_descent(loss, start, rates, n_steps=n_steps, first_order=self.first_order)

    def predict(self, params: Params, state: Params, query_x: Tensor) -> Tensor:
        """The adapted network's outputs."""
        return self.apply_network(state, query_x)

    def _check_ways(self, output: Tensor, target: Tensor) -> None:
        if output.shape != target.shape:
            raise ValueError(
                f"the network has {output.shape[-1]} outputs, but the tasks ask for {target.shape[-1]}: "
                f"set --model.network.n_outputs {target.shape[-1]} or change --data.n_way"
            )


def _key(name: str) -> str:
    return name.replace(".", "-")
