"""Model-agnostic meta-learning: an initialisation from which a few gradient steps suffice.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*Y`` one target, ``D`` features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.learners.gradient import GradientLearner, Objective, key
from lifelong.outer import OuterLoop
from lifelong.strategy import Params


class MAML(GradientLearner):
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
        outer: how the meta-parameters are trained.

    Raises:
        ValueError: when the network keeps running statistics, or the tasks have another number of ways than the network
            has outputs.

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
        task: Objective = "classification",
        n_inner_steps: int = 5,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
        learn_inner_rate: bool = False,
        first_order: bool = False,
        outer: OuterLoop | None = None,
    ) -> None:
        super().__init__(
            network,
            task=task,
            n_inner_steps=n_inner_steps,
            n_eval_steps=n_eval_steps,
            first_order=first_order,
            outer=outer,
        )
        names = [name for name, _ in network.named_parameters() if self.adapts(name)]
        self.inner_rates = nn.ParameterDict(
            {key(name): nn.Parameter(torch.tensor(inner_rate), requires_grad=learn_inner_rate) for name in names}
        )

    def rate(self, params: Params, name: str, step: int) -> Tensor:
        """``α`` of this parameter."""
        return params[f"inner_rates.{key(name)}"]
