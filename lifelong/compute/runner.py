"""The task runner: runs a learner's pure functions of ONE task over the tasks of a batch.

It handles devices, memory, ranks and torch's limitations, and does not depend on what the functions compute.

Shapes: ``B`` tasks, ``S`` support and ``Q`` query examples of a task, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lifelong.compute.cuda_graphs import Graphs
from lifelong.compute.in_turn import in_turn
from lifelong.compute.mapping import over_tasks
from lifelong.compute.params import Params, floating_type
from lifelong.compute.plan import Plan, mapping_by_rule
from lifelong.compute.ranks import gather_over_ranks, rank, sum_over_ranks, world_size
from lifelong.compute.recompute import Recompute, recomputed, recomputing_steps, with_parameters
from lifelong.data.episode import Episode, Task
from lifelong.utilities.ranges import check_number

PlanName = Literal["auto", "loop", "vmap", "measure"]
Route = Callable[[Params, Tensor, Tensor], Params]
"""Chooses the parameters of ONE task from its support set ``(S, *X)``, ``(S, N)`` or ``(S, *Y)``."""


class Encoder(Protocol):
    """Encode targets: the interface of a learner's objective that a runner uses."""

    def encode(self, y: Tensor, n_way: int) -> Tensor:
        """Return the targets in the form that functions of one task receive."""


class TaskLearner(Protocol):
    """Compute pure functions of one task with routed parameters: the interface of a learner that a runner uses."""

    takes_vmap: ClassVar[bool]

    @property
    def can_capture(self) -> bool:
        """Return whether this class defines its ``phase``."""

    @property
    def network(self) -> nn.Module:
        """Return the network, whose floating-point type inputs are converted to."""

    @property
    def objective(self) -> Encoder:
        """Return the objective, which encodes the targets."""

    @property
    def unit(self) -> str:
        """Return ``tasks`` or ``examples``."""

    @property
    def training(self) -> bool:
        """Return whether it is in training mode."""

    def answer(self, params: Params, task: Task) -> Tensor:
        """Return the outputs for the queries of one task."""

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return the training loss of one task and its outputs."""

    def batch_outputs(self, params: Params, batch: Episode) -> Tensor | None:
        """Return the outputs of all tasks from one pass, or None if tasks must run one by one."""

    def losses_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """Return the loss of each task, given the outputs of :meth:`batch_outputs`."""

    def scores_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """Return the score of each task, given its outputs."""

    def score(self, params: Params, task: Task) -> Tensor:
        """Return the score of one task."""

    def phase(self) -> Hashable | None:
        """Return what the training losses depend on besides parameters and batch."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Return the parameters with their names."""


@dataclass(frozen=True)
class TaskRunner:
    """Run a learner's functions of one task over a batch, with the same results for every setting.

    A training step stores the intermediate results of tasks and their inner steps until the gradients are computed: of
    all tasks under ``vmap``, of one task at a time in a loop (of all tasks if a penalty is differentiated through their
    outputs, or in half precision). ``recompute`` stores less and computes it again: with ``steps``, every inner step
    stores only its initial parameters; with ``tasks``, memory is that of one task (of ``chunk`` tasks under ``vmap``);
    with ``both``, it is that of one inner step of one task. Losses and gradients do not change.

    Args:
        plan: how tasks are run: ``loop`` sequentially, ``vmap`` all at once, ``auto`` by a rule of device and network,
            so that numbers are reproducible, ``measure`` by timing a step at the start of training.
        chunk: maximum number of tasks at once under ``vmap``. Default: all.
        recompute: what to run again in the backward pass to save memory: ``nothing``, the inner ``steps`` (of learners
            that differentiate through them), the ``tasks``, or ``both``.
        cuda_graph: replay training steps on a GPU as captured CUDA graphs if the learner supports it and there is only
            one process. Its speed has not been measured yet.

    Raises:
        ValueError: when ``chunk`` is below 1.

    Example:
        >>> from lifelong.learners import ProtoNet
        >>> x, y = torch.eye(2)[None], torch.arange(2)[None]
        >>> learner, batch = ProtoNet(nn.Linear(2, 2)), Episode(x, y, x, y, torch.ones(1), n_way=2)
        >>> TaskRunner(plan="loop").losses(learner, learner.meta_parameters(), batch).shape
        torch.Size([1])
    """

    plan: PlanName = "auto"
    chunk: int | None = None
    recompute: Recompute = "nothing"
    cuda_graph: bool = False
    _route: Route | None = field(default=None, init=False, repr=False, compare=False)
    _router: nn.Module | None = field(default=None, init=False, repr=False, compare=False)
    _keeps_outputs: bool = field(default=False, init=False, repr=False, compare=False)
    _measured: Plan | None = field(default=None, init=False, repr=False, compare=False)
    _graphs: Graphs = field(default_factory=Graphs, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_number("--runner.chunk", self.chunk, least=1, whole=True, hint=", or null for all tasks at once")

    # -- variants -----------------------------------------------------------------------------------------------------

    def routed(self, route: Route | None, router: nn.Module, *, keeps_outputs: bool) -> TaskRunner:
        """Return a runner that gives every task the parameters that ``route`` chooses from its support set.

        Args:
            route: chooses the parameters. If None, they are unchanged.
            router: the module whose parameters the route uses.
            keeps_outputs: whether a penalty is differentiated through the outputs of a training step.
        """
        return _changed(self, _route=route, _router=router, _keeps_outputs=keeps_outputs, _graphs=Graphs())

    def rerouted(self, route: Route) -> TaskRunner:
        """Return a runner with another route and otherwise the same settings."""
        return _changed(self, _route=route, _graphs=Graphs())

    def planned(self, plan: Plan) -> TaskRunner:
        """Return a runner that uses ``plan`` instead of its settings."""
        return _changed(self, _measured=plan, _graphs=Graphs())

    def without_graphs(self) -> TaskRunner:
        """Return a runner without captured graphs and their memory."""
        return _changed(self, _graphs=Graphs())

    # -- how tasks are run --------------------------------------------------------------------------------------------

    def plan_for(self, learner: TaskLearner, device: torch.device) -> Plan:
        """Return how the tasks of a learner are run on a device: as set, as measured, or by rule."""
        if self._measured is not None:
            return self._measured
        if not learner.takes_vmap:
            return Plan("loop", self.chunk, self.cuda_graph)
        mapping = self.plan if self.plan in ("loop", "vmap") else mapping_by_rule(learner.network, device)
        return Plan(mapping, self.chunk, self.cuda_graph)

    def lay_out(self, learner: TaskLearner, device: torch.device) -> None:
        """Set the memory format of convolution weights for the plan: channels last in a loop on a CPU, else contiguous.

        ``vmap`` does not support norms of channels-last weights (torch 2.13).
        """
        fits = self.plan_for(learner, device).mapping == "loop" and device.type == "cpu"
        wanted = fits and bool(getattr(learner, "channels_last", False))
        memory_format = torch.channels_last if wanted else torch.contiguous_format
        learner.network.to(memory_format=memory_format)  # type: ignore[call-overload]

    def recomputes(self, what: Literal["steps", "tasks"]) -> bool:
        """Return whether inner steps, or tasks, are recomputed in the backward pass."""
        return self.recompute in (what, "both")

    def route(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the parameters for ONE task, which the route chooses from its support set."""
        return params if self._route is None else self._route(params, support_x, support_y)

    @property
    def is_routed(self) -> bool:
        """Return whether different tasks may use different parameters."""
        return self._route is not None

    def map(self, function: Callable[..., Any], learner: TaskLearner, batch: Episode, *more: Tensor) -> Any:
        """Apply a pure function of one task with encoded targets to every task of a batch.

        Args:
            function: a function of a :class:`~lifelong.data.episode.Task` and one row of each of ``more``.
            learner: its network and objective determine the data type of inputs and the encoding of targets.
            batch: the tasks.
            more: further tensors ``(B, …)``.
        """
        dtype = floating_type(learner.network.parameters())
        tasks, encode = batch.to(dtype).tasks(), learner.objective.encode
        support_y, query_y = (encode(y, batch.n_way).to(dtype) for y in (tasks.support_y, tasks.query_y))
        tasks = tasks._replace(support_y=support_y, query_y=query_y)
        plan = self.plan_for(learner, tasks.support_x.device)
        with recomputing_steps() if self.recomputes("steps") else nullcontext():
            return over_tasks(function, tasks, *more, mapping=plan.mapping, chunk=plan.chunk)

    # -- losses, outputs, scores --------------------------------------------------------------------------------------

    def losses(self, learner: TaskLearner, params: Params, batch: Episode) -> Tensor:
        """Return the training loss of each task, ``(B,)``."""
        return self.losses_and_outputs(learner, params, batch)[0]

    def losses_and_outputs(self, learner: TaskLearner, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Return the training losses ``(B,)`` and the outputs ``(B, Q, …)``."""
        if (outputs := self._whole(learner, params, batch)) is not None:
            return learner.losses_of(outputs, batch), outputs
        losses, outputs = self._differentiable(learner, learner.task_loss, params, batch)
        return losses, outputs

    def training_losses(self, learner: TaskLearner, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Return losses and outputs as in a training step: by a captured graph, or in the memory of one task."""
        device = batch.weight.device
        plan = self.plan_for(learner, device)
        if plan.graph and self.can_capture(learner, device):
            return self._graphs(self.without_graphs(), learner, params, batch)
        if len(batch) > 1 and plan.mapping == "loop" and self._forgets_graphs(learner, device):
            leaves = [p for p in (*params.values(), *_parameters_of(self._router).values()) if p.requires_grad]
            tasks = (batch.take(slice(number, number + 1)) for number in range(len(batch)))
            return in_turn(partial(self.losses_and_outputs, learner, params), tasks, leaves)
        return self.losses_and_outputs(learner, params, batch)

    def outputs(self, learner: TaskLearner, params: Params, batch: Episode) -> Tensor:
        """Return the predictions for the queries of each task, ``(B, Q, …)``."""
        if (outputs := self._whole(learner, params, batch)) is not None:
            return outputs
        return self._differentiable(learner, learner.answer, params, batch)  # type: ignore[no-any-return]

    def scores(self, learner: TaskLearner, params: Params, batch: Episode) -> Tensor:
        """Return the score of each task, ``(B,)``, higher is better."""
        if (outputs := self._whole(learner, params, batch)) is not None:
            return learner.scores_of(outputs, batch)
        return self.map(_routed(learner.score, self, params), learner, batch)  # type: ignore[no-any-return]

    def _whole(self, learner: TaskLearner, params: Params, batch: Episode) -> Tensor | None:
        if self.is_routed:
            if batch.support_x.shape[1]:
                return None
            # Without support sets, a route cannot distinguish units, so all have the same parameters.
            params = self.route(params, batch.support_x[0], batch.support_y[0])
        return learner.batch_outputs(params, batch)

    def _differentiable(
        self, learner: TaskLearner, function: Callable[[Params, Task], Any], params: Params, batch: Episode
    ) -> Any:
        """Compute ``function(params, task)`` for every task, with recomputation in the backward pass if it is set."""
        if not (self.recomputes("tasks") and torch.is_grad_enabled()):
            return self.map(_routed(function, self, params), learner, batch)

        def of_part(params: Params, part: Episode) -> Any:
            return self.map(_routed(function, self, params), learner, part)

        plan = self.plan_for(learner, batch.weight.device)
        size = 1 if plan.mapping == "loop" else plan.chunk or len(batch)
        # A route may use its own parameters, which are not arguments of the function.
        router_params = {name: p for name, p in _parameters_of(self._router).items() if p.requires_grad}
        again = partial(with_parameters, self._router or nn.Module(), of_part)
        parts = [batch.take(slice(start, start + size)) for start in range(0, len(batch), size)]
        results = [recomputed(again, router_params, params, part) for part in parts]
        return pytree.tree_map(lambda *rows: torch.cat(rows), *results)

    def _forgets_graphs(self, learner: TaskLearner, device: torch.device) -> bool:
        """Return whether a task's graph is not needed after its gradients are computed."""
        if learner.unit != "tasks" or self.recomputes("tasks") or self._keeps_outputs:
            return False
        # In half precision, the loss must be scaled before gradients are computed.
        return torch.is_grad_enabled() and not torch.is_autocast_enabled(device.type)

    def can_capture(self, learner: TaskLearner, device: torch.device) -> bool:
        """Return whether the losses currently depend only on parameters and batch, on a device with CUDA graphs.

        Only for one process: a graph writes its gradients to the same memory at every replay, and this was not tested
        with DDP.
        """
        return (
            device.type == "cuda"
            and self.world == 1
            and learner.can_capture
            and learner.phase() is not None
            and self.recompute == "nothing"  # recomputation reads the random state, which a graph hides
            and not torch.is_autocast_enabled("cuda")
            and not self.is_routed
        )

    # -- ranks --------------------------------------------------------------------------------------------------------

    @property
    def rank(self) -> int:
        """Return the index of this process, from 0."""
        return rank()

    @property
    def world(self) -> int:
        """Return the number of processes of the training run."""
        return world_size()

    def sum(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes."""
        return sum_over_ranks(value)

    def gather(self, rows: Tensor) -> Tensor:
        """Gather the rows ``(B, …)`` of all processes in the order that a single process would have."""
        return gather_over_ranks(rows)

    def mean(self, losses: Tensor, weight: Tensor) -> Tensor:
        """Return this rank's share of the weighted mean of ``(B,)`` losses over the units of all processes.

        DDP averages gradients over ranks, so the shares are scaled such that their average is the global mean.
        """
        return (losses * weight).sum() * self.world / self.sum(weight.sum())


def _changed(runner: TaskRunner, **changes: Any) -> TaskRunner:
    other = copy.copy(runner)
    for name, value in changes.items():
        object.__setattr__(other, name, value)
    return other


def _routed(function: Callable[[Params, Task], Any], runner: TaskRunner, params: Params) -> Callable[[Task], Any]:
    return lambda task: function(runner.route(params, task.support_x, task.support_y), task)


def _parameters_of(router: nn.Module | None) -> dict[str, nn.Parameter]:
    return {} if router is None else dict(router.named_parameters())
