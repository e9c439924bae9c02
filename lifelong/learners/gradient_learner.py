"""The base class of learners that adapt by gradient descent: which parameters change, at which rates, in which steps.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.inner_loop import MOST_STEPS, gradient_descent
from lifelong.compute.memory_format import channels_last
from lifelong.compute.params import Params
from lifelong.compute.plan import has_running_statistics
from lifelong.compute.recompute import recomputes_steps
from lifelong.learners.base import Learner, check_outputs
from lifelong.learners.objective import Classification, Regression, TaskKind
from lifelong.networks.heads import apply_features, apply_head, check_head, has_head
from lifelong.utilities.ranges import check_number


class GradientLearner(Learner):
    """Adapt by gradient descent on the support loss; subclasses choose the adapted parameters and their rates.

    :class:`~lifelong.learners.MAML` is the basic subclass. A state is a complete set of network parameters. The inner
    rate multiplies the gradient of the MEAN loss over the support set.

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: inner gradient steps in training.
        n_eval_steps: inner gradient steps during evaluation. Default: as in training.
        inner_rate: learning rate of the inner steps, unless a subclass uses other rates.
        first_order: treat the inner gradients as constants (as first-order MAML does).
        inner_huber: for regression: ``δ`` of a Huber loss that replaces the squared error in the inner loop and limits
            the effect of outliers: ``e²`` up to ``|e| = δ``, beyond that ``δ (2 |e| − δ)``.
        inner_clip: maximum joint norm of an inner step's gradients; larger gradients are scaled down to it.

    Raises:
        ValueError: when the network keeps running statistics, a number of steps is negative, a bound is not above 0,
            ``inner_huber`` is set for classification, or the number of outputs differs from the number of ways.
    """

    needs_head: ClassVar[bool] = False
    """Whether the learner treats the head differently, so that it rejects a network without one."""
    channels_last: ClassVar[bool] = False
    """The inner loop runs on a few images, for which the contiguous memory format is faster."""
    recomputes_steps: ClassVar[bool] = True

    def __init__(
        self,
        network: nn.Module,
        *,
        task: TaskKind = "classification",
        n_inner_steps: int = 5,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
        first_order: bool = False,
        inner_huber: float | None = None,
        inner_clip: float | None = None,
    ) -> None:
        super().__init__(network, objective=Classification() if task == "classification" else Regression())
        self.check_network(network)
        check_number("--model.n_inner_steps", n_inner_steps, least=0, most=MOST_STEPS, whole=True)
        check_number("--model.n_eval_steps", n_eval_steps, least=0, most=MOST_STEPS, whole=True)
        check_number("--model.inner_rate", inner_rate, least=0)
        self.n_inner_steps = n_inner_steps
        self.n_eval_steps = n_inner_steps if n_eval_steps is None else n_eval_steps
        self.inner_rate = inner_rate
        self.first_order = first_order
        for name, value in (("inner_huber", inner_huber), ("inner_clip", inner_clip)):
            check_number(f"--model.{name}", value, above=0, hint=", or null to leave it out")
        if inner_huber is not None and task != "regression":
            raise ValueError("--model.inner_huber is for regression, and the task is classification: leave it out")
        self.inner_huber, self.inner_clip = inner_huber, inner_clip

    # -- what subclasses override ----------------------------------------------------------------------------------

    def check_network(self, network: nn.Module) -> None:
        """Reject a network that the learner cannot adapt."""
        if has_running_statistics(network):
            raise ValueError(
                f"{type(self).__name__} adapts by gradients, which running statistics of norm layers cannot follow: "
                "choose another norm (--model.network.norm batch, group, layer or instance)"
            )
        if self.needs_head:
            check_head(network, type(self).__name__)

    def adapts(self, name: str) -> bool:
        """Return whether the inner loop adapts this parameter of the network (``blocks.0.0.weight``)."""
        return True

    def rate(self, params: Params, name: str, step: int) -> Tensor | float:
        """Return the inner rate of the adapted tensor ``name`` at a step, broadcastable to its shape."""
        return self.inner_rate

    def is_first_order(self) -> bool:
        """Return whether inner gradients are currently treated as constants."""
        return self.first_order

    def moving(self, params: Params) -> Params:
        """Return the initial values of what the inner loop adapts."""
        return {name: p for name, p in own_parameters(params).items() if self.adapts(name.removeprefix("network."))}

    def network_at(self, params: Params, moved: Params) -> Params:
        """Return the network's parameters when the inner loop has reached ``moved``."""
        return {**own_parameters(params), **moved}

    def inner_loss(self, params: Params, support_x: Tensor, support_y: Tensor) -> Callable[[Params], Tensor]:
        """Return the loss that the inner loop minimises: the mean support loss, a function of the adapted tensors."""
        only_head = self._moves_head_alone(params)
        if only_head or self.is_first_order():  # no second derivative of a convolution is taken
            support_x = channels_last(support_x)
        # If the inner loop adapts only the head, the features do not change and are computed once.
        features = apply_features(self.network, own_parameters(params), support_x) if only_head else None

        def loss(moved: Params) -> Tensor:
            now = self.network_at(params, moved)
            output = self.apply_network(now, support_x) if features is None else apply_head(self.network, now, features)
            check_outputs(self, output, support_y)
            if self.inner_huber is not None:  # twice torch's loss, which equals the squared error for small errors
                return 2 * F.huber_loss(output, support_y, delta=self.inner_huber)
            return self.objective.loss(output, support_y)

        return loss

    # -- the contract -----------------------------------------------------------------------------------------------

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the network's parameters after the inner steps."""
        return self.trajectory(params, support_x, support_y, self.n_steps, only_last=True)[-1]

    def predict(self, params: Params, state: Params, query_x: Tensor) -> Tensor:
        """Return the adapted network's outputs."""
        return self.apply_network(state, channels_last(query_x))

    @property
    def n_steps(self) -> int:
        """Return the number of inner steps for the current mode, training or evaluation."""
        return self.n_inner_steps if self.training else self.n_eval_steps

    def trajectory(
        self, params: Params, support_x: Tensor, support_y: Tensor, n_steps: int, *, only_last: bool = False
    ) -> Sequence[Params]:
        """Return the states after 0, 1, …, ``n_steps`` inner steps, or only the last one."""
        moving = self.moving(params)
        rates = [{n: self.rate(params, n.removeprefix("network."), step) for n in moving} for step in range(n_steps)]
        # Half-precision double gradients overflow, so the inner loop runs in the parameters' own precision.
        with torch.autocast(support_x.device.type, enabled=False):
            # The steps of a head need little memory compared with the features, which are kept in any case.
            recompute = recomputes_steps() and self.recomputes_steps and not self._moves_head_alone(params)
            given: Sequence[Any] = (params, support_x, support_y) if recompute else ()
            loss = self._inner_loss_of_given if recompute else self.inner_loss(params, support_x, support_y)
            way = gradient_descent(
                loss,
                moving,
                rates,
                first_order=self.is_first_order(),
                max_norm=self.inner_clip,
                given=given,
                recompute=recompute,
                only_last=only_last,
            )
        return [self.network_at(params, moved) for moved in way]

    def _inner_loss_of_given(self, moved: Params, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        return self.inner_loss(params, support_x, support_y)(moved)

    def _moves_head_alone(self, params: Params) -> bool:
        return has_head(self.network) and all(name.startswith("network.head.") for name in self.moving(params))

    def settle(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the state that ``adapt`` reaches as a constant, detached from the parameters' graph."""
        return self.trajectory(held(params), support_x, support_y, self.n_steps, only_last=True)[-1]

    def moving_parameters(self) -> dict[str, nn.Parameter]:
        """Return the network's parameters that the inner loop adapts, by name."""
        return {name: p for name, p in self.network.named_parameters() if self.adapts(name)}


def key(name: str) -> str:
    """Return a name without dots for a learner parameter that belongs to the network's parameter ``name``."""
    return name.replace(".", "-")


def own_parameters(params: Params) -> Params:
    """Return the parameters of the network (``network.…``)."""
    return {name: p for name, p in params.items() if name.startswith("network.")}


def held(params: Params) -> Params:
    """Return the same values, detached from the graph."""
    return {name: p.detach() for name, p in params.items()}


def follow(params: Params, state: Params) -> Params:
    """Return the constant ``state`` as ``θ + stop(state − θ)``: its value, with the identity as derivative in ``θ``.

    Example:
        >>> theta = torch.tensor(1.0, requires_grad=True)
        >>> followed = follow({"w": theta}, {"w": torch.tensor(3.0)})["w"]
        >>> followed.item(), torch.autograd.grad(2 * followed, theta)[0].item()
        (3.0, 2.0)
    """
    return {name: params[name] + (value - params[name]).detach() for name, value in state.items()}
