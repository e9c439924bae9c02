"""Model-agnostic meta-learning: an initialisation from which a few gradient steps suffice.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*Y`` one target, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.data.episode import Task
from lifelong.learners.gradient_learner import GradientLearner, key
from lifelong.learners.objective import TaskKind
from lifelong.networks.heads import check_head, in_head
from lifelong.utilities.ranges import check_number


class MAML(GradientLearner):
    """Learn by MAML an initialisation for gradient steps: ``min_θ Σ_task L_query(θ')``, ``θ' = θ − α ∇ L_support(θ)``.

    The inner rate multiplies the gradient of the MEAN loss over the support set.

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: inner gradient steps in training.
        n_eval_steps: inner gradient steps during evaluation. Default: as in training.
        inner_rate: ``α``, the learning rate of the inner steps.
        head_rate: inner learning rate of the network's head. Default: ``inner_rate``.
        zero_head: start every task with a linear head of zeros. The network's own head is then unused and frozen. This
            treats all ways alike. The first inner step changes only the head, so the body adapts from the second step
            on.
        learn_inner_rate: learn one rate per parameter tensor. The initial values are the given rates.
        rates_per_step: learn one rate per parameter tensor AND inner step. Evaluation steps beyond the number of
            training steps use the last rate.
        first_order: treat the inner gradients as constants (FOMAML).
        first_order_until: first-order optimizer steps before second order: in these steps, the inner gradients are
            treated as constants.
        multi_step_loss_until: ``T``, optimizer steps that use a multi-step loss: the query losses after every inner
            step ``i = 1 … n`` are combined as ``Σ_i w_i L_query(θ_i)``. At optimizer step ``t < T``, ``w_i = (1 − t/T)
            / n`` for ``i < n`` and the last inner step has the remaining weight, so the weights change from uniform to
            MAML's own loss. 0 uses MAML's own loss from the start.
        inner_huber: ``δ`` of a Huber inner loss, for regression; it replaces the squared error in the inner loop.
        inner_clip: maximum joint norm of an inner step's gradients; larger gradients are scaled down to it.

    Raises:
        ValueError: when the network keeps running statistics, its number of outputs differs from the number of ways,
            ``rates_per_step`` is set without ``learn_inner_rate``, ``head_rate`` or ``zero_head`` is set but the inner
            loop adapts no head, or ``zero_head`` is set but the head is not linear or nothing else is trained.

    Reference:
        Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning", ICML 2017; rates per step, multi-step loss and the change
        from first to second order: Antoniou, Edwards & Storkey, "How to train your MAML" (MAML++), ICLR 2019; head of
        zeros: Kao, Chiu & Chen, "MAML is a Noisy Contrastive Learner in Classification", ICLR 2022. Differences: norm
        layers use the statistics of the current batch (support, then query) as in the authors' code; the loss is a mean
        over the support set, whereas their code sums over classes; annealing counts optimizer steps, not epochs as in
        MAML++; the weights of early steps decrease to 0, whereas the MAML++ code keeps 0.03/n.

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
        task: TaskKind = "classification",
        n_inner_steps: int = 5,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
        head_rate: float | None = None,
        zero_head: bool = False,
        learn_inner_rate: bool = False,
        rates_per_step: bool = False,
        first_order: bool = False,
        first_order_until: int = 0,
        multi_step_loss_until: int = 0,
        inner_huber: float | None = None,
        inner_clip: float | None = None,
    ) -> None:
        super().__init__(
            network,
            task=task,
            n_inner_steps=n_inner_steps,
            n_eval_steps=n_eval_steps,
            inner_rate=inner_rate,
            first_order=first_order,
            inner_huber=inner_huber,
            inner_clip=inner_clip,
        )
        check_number("--model.head_rate", head_rate, least=0)
        check_number("--model.first_order_until", first_order_until, least=0, whole=True)
        check_number("--model.multi_step_loss_until", multi_step_loss_until, least=0, whole=True)
        _check_rates(rates_per_step, learn_inner_rate)
        if zero_head or head_rate is not None:
            self._check_head("zero_head" if zero_head else "head_rate")
        self.rates_per_step, self.zero_head = rates_per_step, zero_head
        self.n_steps_made = 0
        self.first_order_until, self.multi_step_loss_until = first_order_until, multi_step_loss_until
        shape = (max(n_inner_steps, 1),) if rates_per_step else ()
        start = {True: inner_rate if head_rate is None else head_rate, False: inner_rate}
        self.inner_rates = nn.ParameterDict(
            {
                key(name): nn.Parameter(torch.full(shape, start[in_head(name)]), requires_grad=learn_inner_rate)
                for name in self.moving_parameters()
            }
        )
        if zero_head:
            self._freeze_head()

    def _freeze_head(self) -> None:
        self.network.head.requires_grad_(False)
        if not any(p.requires_grad for p in self.parameters()):
            raise ValueError(
                "with zero_head the head is not trained, and all else is frozen: set --model.zero_head false or "
                "--model.learn_inner_rate true, or train the network"
            )

    def _check_head(self, setting: str) -> None:
        name, head = type(self).__name__, getattr(self.network, "head", None)
        check_head(self.network, f"{name} with {setting}")
        if not any(in_head(p) for p in self.moving_parameters()):
            raise ValueError(f"{name} leaves the head where it is: leave --model.{setting} out")
        if setting == "zero_head" and not isinstance(head, nn.Linear):
            raise ValueError(
                f"the head is a {type(head).__name__}, and from zeros only a linear one learns: leave "
                "--model.zero_head out"
            )

    def moving(self, params: Params) -> Params:
        """Return the initial values of what the inner loop adapts; with ``zero_head``, the head is zero."""
        moving = super().moving(params)
        if not self.zero_head:
            return moving
        return {n: torch.zeros_like(p) if in_head(n.removeprefix("network.")) else p for n, p in moving.items()}

    def rate(self, params: Params, name: str, step: int) -> Tensor:
        """Return ``α`` of this parameter; with ``rates_per_step``, the one of this step."""
        rate = params[f"inner_rates.{key(name)}"]
        return rate[min(step, len(rate) - 1)] if self.rates_per_step else rate

    def start_step(self, n_steps: int) -> None:
        """Store the number of optimizer steps, which determines the annealing."""
        self.n_steps_made = n_steps

    def is_first_order(self) -> bool:
        """Return whether inner gradients are treated as constants: always, or during the first optimizer steps."""
        return self.first_order or self.n_steps_made < self.first_order_until

    def step_weights(self) -> list[float]:
        """Return the weights, which sum to 1, of the query losses after inner steps ``1 … n``."""
        done = min(self.n_steps_made / self.multi_step_loss_until, 1.0) if self.multi_step_loss_until else 1.0
        early = [(1 - done) / max(self.n_inner_steps, 1)] * (self.n_inner_steps - 1)
        return [*early, 1 - sum(early)]

    def phase(self) -> Hashable | None:
        """Return the order of the derivatives, or None while the weights of the multi-step loss change."""
        return self.is_first_order() if self.step_weights()[-1] == 1 else None

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return the multi-step loss while it applies, else the query loss; and the outputs after the last step."""
        weights = self.step_weights()
        if not self.training or weights[-1] == 1:
            return super().task_loss(params, task)
        _, *states = self.trajectory(params, task.support_x, task.support_y, self.n_inner_steps)
        outputs = [self.predict(params, state, task.query_x) for state in states]
        losses = torch.stack([self.objective.loss(output, task.query_y) for output in outputs])
        return losses @ torch.tensor(weights, dtype=losses.dtype, device=losses.device), outputs[-1]


def _check_rates(per_step: bool, are_learnt: bool) -> None:
    if per_step and not are_learnt:
        raise ValueError(
            "rates_per_step without learn_inner_rate gives every step the same fixed rate: set "
            "--model.learn_inner_rate true or leave rates_per_step out"
        )
