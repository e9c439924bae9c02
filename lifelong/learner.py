"""The learner contract, and the only place where strategy hooks are called.

Shapes: ``B`` tasks, ``S`` support and ``Q`` query examples of a task, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lifelong.batch import Episode, Task
from lifelong.compatibility import check_compatible
from lifelong.finite import LossWatch
from lifelong.graphs import Graphs, can_capture
from lifelong.identity import checked_identity
from lifelong.in_turn import in_turn
from lifelong.mapping import Plan, choose_mapping, has_running_statistics, over_tasks
from lifelong.networks.split import apply_embedding, output_dtype
from lifelong.objective import Classification, Objective
from lifelong.outer import OuterLoop, check_schedule, laid_out_as
from lifelong.ranks import gather_over_ranks, sum_over_ranks
from lifelong.recompute import recomputed, with_parameters
from lifelong.strategy import Chain, Params, Position, Step, Strategy, Visit, overrides
from lifelong.stream import Experience
from lifelong.streaming import Unit
from lifelong.tuning import WORTH_MEASURING, fastest_plan

log = logging.getLogger(__name__)

Route = Callable[[Params, Tensor, Tensor], Params]
"""Chooses the parameters of one task from its support set."""


class Learner(L.LightningModule):
    """Builds a mapping from a support set (``adapt``) and applies it (``predict``); both are pure and see ONE task.

    Everything else follows from the two: losses per task, training, evaluation, per-task gradients for a Fisher.

    Args:
        network: any module; its parameters, and those that a subclass registers, are the meta-parameters.
        objective: loss and score; classification where None.
        outer: how the meta-parameters are trained.

    Raises:
        ValueError: when tasks are to be recomputed, and the network keeps running statistics.

    Example:
        >>> class NearestExample(Learner):
        ...     def adapt(self, params, support_x, support_y):
        ...         return self.apply_network(params, support_x), support_y
        ...     def predict(self, params, state, query_x):
        ...         features, labels = state
        ...         return (-torch.cdist(self.apply_network(params, query_x), features)).softmax(-1) @ labels
        >>> learner = NearestExample(nn.Linear(2, 2))
        >>> x, y = torch.eye(2)[None], torch.arange(2)[None]
        >>> learner.losses(learner.meta_parameters(), Episode(x, y, x, y, torch.ones(1), n_way=2)).shape
        torch.Size([1])
    """

    unit: ClassVar[Unit] = "tasks"
    """What it learns from: few-shot tasks, or labelled examples (tasks with an empty support set)."""
    sees_other_queries: ClassVar[bool] = False
    """Whether an answer depends on the queries that are asked with it."""
    channels_last: ClassVar[bool] = True
    """Lay the weights of convolutions out with the channels last where tasks run in a loop: on a CPU that is faster."""
    recomputes_steps: ClassVar[bool] = False
    """Whether ``--model.outer.recompute steps`` makes a difference."""

    def __init__(
        self,
        network: nn.Module,
        *,
        objective: Objective | None = None,
        outer: OuterLoop | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective or Classification()
        self.outer = outer or OuterLoop()
        if self.outer.recomputes("tasks") and has_running_statistics(network):
            raise ValueError(
                f"--model.outer.recompute is {self.outer.recompute}, which runs tasks twice, and running statistics "
                "would count them twice: choose another norm (--model.network.norm batch, group, layer or instance) or "
                "leave it out"
            )
        self.strategies = Chain()
        self.n_classes = 0
        """Training classes of the whole stream, once prepared."""
        self.measured_plan: Plan | None = None
        """How tasks are run fastest, where that was measured and nothing is asked for."""
        self._graphs = Graphs()
        self._now: Position | None = None
        self._watch = LossWatch()

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes here which hook runs, forty times a step; a module would look for parameters in it.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    # -- the contract ---------------------------------------------------------------------------------------------

    @abstractmethod
    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Any:
        """What is learnt from one support set ``(S, *X)``, ``(S, N)`` one-hot or ``(S, *Y)``: a nesting of tensors."""

    @abstractmethod
    def predict(self, params: Params, state: Any, query_x: Tensor) -> Tensor:
        """Outputs for one task's queries ``(Q, *X)``: logits ``(Q, N)`` or values ``(Q, *Y)``."""

    @property
    def transductive(self) -> bool:
        """Whether an answer depends on the queries that are asked with it, by the learner or by its network's norm."""
        return self.sees_other_queries or any(getattr(m, "sees_other_examples", False) for m in self.network.modules())

    # -- pure functions of the meta-parameters --------------------------------------------------------------------

    def meta_parameters(self) -> Params:
        """The learner's own parameters by name; a strategy's are its own business."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("strategies.")}

    def apply_network(self, params: Params, x: Tensor) -> Tensor:
        """The network's output on ``x (n, *X)`` with the given parameters instead of its own."""
        own = {name.removeprefix("network."): p for name, p in params.items() if name.startswith("network.")}
        if all(own.get(name) is p for name, p in self.network.named_parameters()):
            output: Tensor = self.network(x)  # the same, and for a small network twice as fast
        else:
            output = torch.func.functional_call(self.network, own, (x,))
        # Under autocast the outputs are halves; distances, means and solves need more digits than they have.
        return output.to(output_dtype(x, params))

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """The embedding ``(n, D)`` of ``x (n, *X)``, in which like is near like: the network's features or output."""
        return apply_embedding(self.network, params, x)

    def answer(self, params: Params, task: Task, route: Route | None = None) -> Tensor:
        """Outputs for the queries of ONE task: route, adapt to the support set, predict.

        Args:
            params: the meta-parameters.
            task: one task, targets encoded.
            route: replaces the strategies' own routing.

        Raises:
            ValueError: when the outputs are not shaped as the targets, so that no score would mean anything.
        """
        routed = (route or self.route)(params, task.support_x, task.support_y)
        output = self.predict(routed, self.adapt(routed, task.support_x, task.support_y), task.query_x)
        self._check_outputs(output, task.query_y)
        return output

    def route(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """The parameters that the strategies choose for ONE task from its support set."""
        return self.strategies.route(self, params, support_x, support_y)

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Training loss of ONE task and the outputs for its queries; the query loss of ``answer`` unless overridden."""
        output = self.answer(params, task)
        return self.objective.loss(output, task.query_y), output

    def likelihood_outputs(self, params: Params, task: Task) -> Tensor:
        """The outputs of ONE task that the training loss is a likelihood of (for its Fisher): those for its queries.

        Override it, with :meth:`likelihood_targets`, where ``task_loss`` is the objective's loss of anything else.
        """
        return self.answer(params, task)

    def likelihood_targets(self, task: Task) -> Tensor:
        """The data's targets for :meth:`likelihood_outputs`, encoded, of the same shape."""
        return task.query_y

    def losses(self, params: Params, batch: Episode) -> Tensor:
        """The loss of each task, ``(B,)``."""
        losses, _ = self.losses_and_outputs(params, batch)
        return losses

    def losses_and_outputs(self, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Training losses ``(B,)`` and outputs ``(B, Q, …)``."""
        losses, outputs = self._differentiable(self.task_loss, params, batch)
        return losses, outputs

    def training_losses(self, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """The same as a training step has them: where they can be, by a captured graph or in the memory of one task."""
        device = batch.weight.device
        if can_capture(self, device) and self.plan(device).graph:
            return self._graphs(self, params, batch)
        if len(batch) > 1 and self._lets_go(device):
            leaves = [p for p in (*params.values(), *self.strategies.parameters()) if p.requires_grad]
            tasks = (batch.take(slice(number, number + 1)) for number in range(len(batch)))
            return in_turn(partial(self.losses_and_outputs, params), tasks, leaves)
        return self.losses_and_outputs(params, batch)

    def _lets_go(self, device: torch.device) -> bool:
        """Whether a task's graph is needed no more once its gradients are known: nothing else leads through it."""
        if self.unit != "tasks" or self.plan(device).mapping != "loop" or self.outer.recomputes("tasks"):
            return False
        # Halves need a loss that is scaled up before gradients are taken.
        is_plain = torch.is_grad_enabled() and not torch.is_autocast_enabled(device.type)
        return is_plain and not any(overrides(s, "penalty") and s.penalises_outputs for s in self.strategies)

    def phase(self) -> Hashable | None:
        """What the training losses depend on beside parameters and batch; None where nobody can tell.

        A learner that answers, and changes its answer whenever they would change, may be trained by captured graphs. A
        subclass says so for itself: ``phase = MAML.phase``.
        """
        return None

    def outputs(self, params: Params, batch: Episode) -> Tensor:
        """What is predicted for the queries of each task, ``(B, Q, …)``."""
        return self._differentiable(self.answer, params, batch)  # type: ignore[no-any-return]

    def _differentiable(self, function: Callable[..., Any], params: Params, batch: Episode) -> Any:
        """``function(params, task)`` of every task, run again in the backward pass if asked for."""
        if not (self.outer.recomputes("tasks") and torch.is_grad_enabled()):
            return self.over_tasks(lambda task: function(params, task), batch)
        # Strategies may route by parameters of their own, which the function reads without being given them.
        own = {name: p for name, p in self.strategies.named_parameters() if p.requires_grad}

        def of_part(params: Params, part: Episode) -> Any:
            return self.over_tasks(lambda task: function(params, task), part)

        plan = self.plan(batch.weight.device)
        size = 1 if plan.mapping == "loop" else plan.chunk or len(batch)
        again = partial(with_parameters, self.strategies, of_part)
        parts = [batch.take(slice(start, start + size)) for start in range(0, len(batch), size)]
        results = [recomputed(again, own, params, part) for part in parts]
        return pytree.tree_map(lambda *rows: torch.cat(rows), *results)

    def scores(self, params: Params, batch: Episode, route: Route | None = None) -> Tensor:
        """The score of each task, ``(B,)``, higher is better; ``route`` replaces the strategies' own."""

        def one(task: Task) -> Tensor:
            return self.objective.score(self.answer(params, task, route), task.query_y)

        return self.over_tasks(one, batch)  # type: ignore[no-any-return]

    def scores_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """The score ``(B,)`` of given outputs ``(B, Q, …)`` for the queries of each task."""
        targets = self.objective.encode(batch.query_y, batch.n_way).to(outputs.dtype)
        return torch.func.vmap(self.objective.score)(outputs, targets)

    def over_tasks(self, function: Callable[..., Any], batch: Episode, *more: Tensor) -> Any:
        """Apply a pure function of one task, targets encoded, to every task of a batch.

        Args:
            function: of a :class:`~lifelong.batch.Task` and one row of each of ``more``.
            batch: the tasks.
            more: further tensors ``(B, …)``.
        """
        dtype = next(self.network.parameters(), torch.empty(0)).dtype
        tasks = batch.to(dtype).tasks()
        support_y, query_y = (self.objective.encode(y, batch.n_way).to(dtype) for y in (tasks.support_y, tasks.query_y))
        tasks = tasks._replace(support_y=support_y, query_y=query_y)
        plan = self.plan(tasks.support_x.device)
        return over_tasks(function, tasks, *more, mapping=plan.mapping, chunk=plan.chunk)

    def _check_outputs(self, output: Tensor, target: Tensor) -> None:
        if output.shape == target.shape:
            return
        if output.dim() == target.dim() == 2:
            raise ValueError(
                f"the network has {output.shape[-1]} outputs, but the tasks ask for {target.shape[-1]}: "
                f"set --model.network.n_outputs {target.shape[-1]} or change --data.n_way"
            )
        raise ValueError(
            f"{type(self).__name__} answers {tuple(output.shape[1:])} numbers for each example, but its target has the "
            f"shape {tuple(target.shape[1:])}: give the network outputs of that shape"
        )

    def plan(self, device: torch.device) -> Plan:
        """How tasks are run on a device: as asked for, as measured at the start of training, or by rule."""
        if self.outer.mapping != "auto":
            return Plan(self.outer.mapping, self.outer.chunk, graph=bool(self.outer.cuda_graph))
        if self.measured_plan is not None:
            return self.measured_plan
        return Plan(choose_mapping(self.network, device), self.outer.chunk, graph=bool(self.outer.cuda_graph))

    # -- strategies -----------------------------------------------------------------------------------------------

    def use(self, strategies: Iterable[Strategy]) -> None:
        """Put strategies to work; before training and before a checkpoint is loaded."""
        self.strategies = Chain(strategies)
        self.strategies.attach(self)

    # -- training -------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Refuse what cannot be trained, size what depends on the stream, lay the weights out as the device likes."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        check_compatible(self, data)
        if self.outer.recompute == "steps" and not self.recomputes_steps:
            log.warning(
                "%s does not train through inner steps: --model.outer.recompute steps makes no difference",
                type(self).__name__,
            )
        self.lay_out(self.trainer.strategy.root_device)
        self.prepare(data.n_classes)

    def lay_out(self, device: torch.device) -> None:
        """Lay the weights of convolutions out as is fastest on a device, where nothing is measured yet."""
        if self.channels_last and self.plan(device).mapping == "loop":
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepare(self, n_classes: int) -> None:
        """Before the optimizer is made and a checkpoint loaded: size what depends on the number of classes."""
        self.n_classes = n_classes

    def finish(self, visit: Visit) -> None:
        """After the last step of an experience, before the strategies end and it is evaluated."""

    @property
    def needs_boundaries(self) -> bool:
        """Whether it works at the end of experiences, so is useless on a stream without: as a rule, if it finishes."""
        return type(self).finish is not Learner.finish

    def configure_optimizers(self) -> Any:
        """The outer optimizer over the learner's and the strategies' parameters, and its schedule."""
        is_sparse = any(getattr(module, "sparse", False) for module in self.modules())
        optimizer = self.outer.make_optimizer(self.parameters(), fuse=not is_sparse)
        if self.outer.scheduler is None:
            return optimizer
        scheduler = self.outer.scheduler(optimizer)
        check_schedule(scheduler, self._n_steps())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _n_steps(self) -> int:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        return int(data.steps_per_experience * len(data.stream.experiences))

    def on_train_start(self) -> None:
        """Find out how the tasks of a batch are run fastest, where that is left open and pays."""
        is_open = self.outer.mapping == "auto" and self.outer.chunk is None and self.measured_plan is None
        # Labelled examples go through the network in one pass, whatever the plan.
        if not is_open or self.unit != "tasks" or self._n_steps() < WORTH_MEASURING:
            return
        plan = None
        if self.trainer.is_global_zero:
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            mine = data.units(self.trainer.current_epoch, 0)[:: self.trainer.world_size]
            batch = data.draw_for_training(self.trainer.current_epoch, mine).gather(self.device)
            with self.trainer.precision_plugin.train_step_context():
                plan = fastest_plan(self, batch)
        self.measured_plan = self.trainer.strategy.broadcast(plan)

    def on_train_end(self) -> None:
        """Let go of the memory of captured graphs."""
        self._graphs = Graphs()

    def on_train_epoch_start(self) -> None:
        """A new experience: the optimizer may forget, the strategies begin."""
        self._watch.forget()
        if not self._is_told(0):
            return
        if self.outer.reset_optimizer:
            self.trainer.optimizers[0].state.clear()
        self.strategies.begin(self, self._visit())

    def training_step(self, batch: Episode, batch_idx: int) -> Tensor:
        """The weighted mean loss of the tasks, rehearsed ones included, plus the strategies' penalties."""
        position = self._now = self._position(batch_idx)
        batch = self.strategies.rehearse(self, batch, position)
        params = self.meta_parameters()
        losses, outputs = self.training_losses(params, batch)
        loss = self.mean(losses, batch.weight)
        penalty = self.strategies.penalty(self, Step(batch, params, outputs, losses, position))
        total = loss if penalty is None else loss + penalty
        is_shown = self._is_shown(batch_idx)
        if self._watch.note(batch_idx, total, shown=is_shown):
            self._look_at_losses()
        if is_shown:
            self._log_step(batch, losses, outputs, penalty)
        return self._touch_all(total)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The strategies see, and may change, the gradients of the whole batch, over all ranks."""
        if not any(overrides(s, "observe") or overrides(s, "project") for s in self.strategies):
            return
        parameters = dict(self.named_parameters())
        gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        assert self._now is not None
        self.strategies.observe(self, gradients, self._now)
        projected = self.strategies.project(self, gradients, self._now)
        if projected is not gradients:
            for name, parameter in parameters.items():
                gradient = projected.get(name)
                parameter.grad = None if gradient is None else laid_out_as(parameter, gradient)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After the last step of an experience, and so before its row of the matrix: the strategies end."""
        if not self.trainer.is_last_batch:
            return
        self._look_at_losses()
        if self._is_told(-1):
            visit = self._visit()
            self.finish(visit)
            self.strategies.end(self, visit)

    def on_validation_start(self) -> None:
        """Nothing is evaluated after a loss that is not finite, wherever in an experience that is."""
        self._look_at_losses()

    def on_train_epoch_end(self) -> None:
        """The same where a limit of the Trainer ended the experience early."""
        self._look_at_losses()

    def mean(self, losses: Tensor, weight: Tensor) -> Tensor:
        """The weighted mean of ``(B,)`` losses over the units of all processes, shared as DDP averages."""
        # DDP averages gradients over ranks: each share is scaled so that the average is the global weighted mean.
        world = 1 if self._trainer is None else self.trainer.world_size
        return (losses * weight).sum() * world / self.sum_over_ranks(weight.sum())

    def _touch_all(self, loss: Tensor) -> Tensor:
        # DDP waits for a gradient of every parameter, also of those that a strategy keeps out of the graph.
        if self.trainer.world_size == 1:
            return loss
        return loss + sum((p * 0).sum() for p in self.parameters())

    def sum_over_ranks(self, value: Tensor) -> Tensor:
        """A tensor added up over all processes."""
        return sum_over_ranks(value, self._trainer)

    def gather_over_ranks(self, rows: Tensor) -> Tensor:
        """The rows ``(B, …)`` of all processes in the order that one process alone would have them in."""
        return gather_over_ranks(rows, self._trainer)

    def _is_told(self, outermost: int) -> bool:
        """Whether this experience begins or ends for the strategies; without boundaries only the outermost one does."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        return bool(data.has_boundaries) or self.trainer.current_epoch == data.stream.experiences[outermost].index

    def _visit(self) -> Visit:
        data, number = self.trainer.datamodule, self.trainer.current_epoch  # type: ignore[attr-defined]
        experience: Experience = data.stream.experiences[number]
        n_experiences, n_steps = len(data.stream.experiences), data.steps_per_experience
        if not data.has_boundaries:
            experience = replace(experience, index=0, name="stream")
            n_experiences, n_steps = 1, n_experiences * n_steps

        def batches(purpose: str, n_tasks: int) -> Any:
            return data.batches(experience, purpose, n_tasks, self.device)

        about = (experience, n_experiences, self._seed(), batches, self.sum_over_ranks, data.ways(experience))
        return Visit(*about, has_boundaries=data.has_boundaries, n_steps=n_steps)

    def _position(self, step: int) -> Position:
        trainer, number = self.trainer, self.trainer.current_epoch
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        n_tasks = len(data.units(number, step))
        if not data.has_boundaries:
            number, step = 0, number * data.steps_per_experience + step
        return Position(number, step, self._seed(), n_tasks, trainer.global_rank, trainer.world_size)

    def _seed(self) -> int:
        return int(self.trainer.datamodule.seed)  # type: ignore[attr-defined]

    def _look_at_losses(self) -> None:
        self._watch.look(self._which_experience)

    def _which_experience(self) -> str:
        number = self.trainer.current_epoch
        name = self.trainer.datamodule.stream.experiences[number].name  # type: ignore[attr-defined]
        return f"experience {number + 1} ({name})"

    def _is_shown(self, step: int) -> bool:
        # For a small network logging takes as long as the forward pass: only what loggers write, and the bar's first.
        trainer: Any = self.trainer
        return step == 0 or (trainer.global_step + 1) % max(trainer.log_every_n_steps, 1) == 0

    def _log_step(self, batch: Episode, losses: Tensor, outputs: Tensor, penalty: Tensor | None) -> None:
        scores = self.scores_of(outputs.detach(), batch)
        values = {"train/loss": losses.detach().mean(), "train/score": scores.mean()}
        if penalty is not None:
            values["train/penalty"] = penalty.detach()
        self.log_dict(values, prog_bar=True, batch_size=len(losses))

    # -- evaluation -----------------------------------------------------------------------------------------------

    def validation_step(self, batch: Episode, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """The measures ``(B,)`` of each task: ``score``, and what the strategies report."""
        return self._measure(batch, dataloader_idx)

    def test_step(self, batch: Episode, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """As in validation, on test tasks."""
        return self._measure(batch, dataloader_idx)

    def predict_step(self, batch: Episode, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """What a person reads for each query: probabilities ``(B, Q, N)`` or values ``(B, Q, *Y)``."""
        with torch.inference_mode(False), torch.no_grad():
            batch, params = batch.clone(), self.meta_parameters()
            responses = self.strategies.respond(self, params, batch)
            outputs = self.outputs(params, batch) if responses is None else responses
            return torch.stack([self.objective.prediction(output) for output in outputs])

    def _measure(self, batch: Episode, domain: int) -> dict[str, Tensor]:
        # Adaptation needs gradients even where the Trainer evaluates in inference mode: torch.func.grad makes its own
        # graph under no_grad, and a clone made outside inference mode is an ordinary tensor.
        with torch.inference_mode(False), torch.no_grad():
            batch, params = batch.clone(), self.meta_parameters()
            responses = self.strategies.respond(self, params, batch)
            scores = self.scores(params, batch) if responses is None else self.scores_of(responses, batch)
            measures = {"score": scores}
            return measures | self.strategies.diagnose(self, params, batch, domain)

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def signature(self) -> dict[str, Any]:
        """What must agree before a checkpoint can be loaded: class, strategies, and the shapes of the parameters."""
        shapes = {name: tuple(p.shape) for name, p in self.meta_parameters().items()}
        return {"learner": type(self).__name__, "strategies": self.strategies.names, "shapes": shapes}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what the checkpoint belongs to; none is written after a loss that is not finite."""
        self._look_at_losses()
        checkpoint["lifelong"] = self.signature() | {"split": self._split_hash()}
        if self.measured_plan is not None:
            checkpoint["lifelong"]["plan"] = {"device": self._kind_of_device(), **asdict(self.measured_plan)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another configuration in one sentence."""
        theirs = checked_identity(checkpoint.get("lifelong"), self.signature() | {"split": self._split_hash()})
        plan = dict(theirs.get("plan", {}))
        if plan and plan.pop("device") == self._kind_of_device():
            self.measured_plan = Plan(**plan)  # a run that goes on does so as it began, to the last digit

    def _kind_of_device(self) -> str:
        # A checkpoint is loaded before the learner is on the device that it will train on.
        return str((self.device if self._trainer is None else self._trainer.strategy.root_device).type)

    def _split_hash(self) -> str:
        data = getattr(self._trainer, "datamodule", None)
        return "" if data is None else str(data.stream.fingerprint)
