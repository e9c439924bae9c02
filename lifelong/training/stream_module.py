"""The stream module: the LightningModule that trains a learner on a stream, and the only caller of strategy hooks.

Shapes: ``B`` tasks, ``Q`` query examples of a task, ``N`` ways, ``*Y`` one target.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from lifelong.compute.measuring import measured
from lifelong.compute.plan import Plan
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from lifelong.strategy import Step, Strategy
from lifelong.training.checkpointed_module import CheckpointedModule
from lifelong.training.compatibility import check_compatible, check_example, check_experiences
from lifelong.training.confidences import Confidences
from lifelong.training.finite_loss import UncheckedLosses
from lifelong.training.optimizer import (
    LRSchedulerCallable,
    OptimizerCallable,
    check_schedule,
    lay_out_state,
    make_optimizer,
    make_scheduler,
    plain_settings,
    renew_settings,
    set_gradients,
)
from lifelong.training.running_statistics import average_running_statistics, check_shared_batches
from lifelong.training.sharding import check_has_parameters, check_not_sharded
from lifelong.training.step_log import is_logged, step_measures

log = logging.getLogger(__name__)


class StreamModule(CheckpointedModule):
    """Train a learner on a stream of experiences, with strategies against forgetting; one epoch is one experience.

    The stream ends the training: a larger ``max_epochs`` of the Trainer has no effect, and a smaller one ends it early
    with a warning.

    Args:
        learner: the learner to train.
        strategies: plug-ins against forgetting. Without any, this is plain fine-tuning.
        optimizer: creates the outer optimizer from the parameters of the learner and the strategies.
        lr_scheduler: creates its learning-rate schedule, which is stepped after every optimizer step. Default: a
            constant rate.
        reset_optimizer: reset the optimizer's state (momentum, second moments) at the start of each experience.
        runner: how the tasks of a batch are run.
        config: configuration for checkpoints, of parts that do not record how they were created.

    Raises:
        ValueError: when two strategies cannot be combined.

    Example:
        >>> from lifelong.learners import ProtoNet
        >>> StreamModule(ProtoNet(torch.nn.Linear(2, 2)), optimizer=torch.optim.SGD).strategies.names
        []
    """

    def __init__(
        self,
        learner: Learner,
        strategies: Iterable[Strategy] = (),
        *,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        reset_optimizer: bool = False,
        runner: TaskRunner | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            learner,
            strategies,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            reset_optimizer=reset_optimizer,
            runner=runner,
            config=config,
        )
        self._position: Position | None = None
        self._has_gradients = True
        self._losses = UncheckedLosses()
        self._confidences = Confidences()

    # -- preparation -----------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Refuse what cannot be trained, size layers by the stream, and choose the memory layout of the device."""
        check_not_sharded(self.trainer.strategy)
        if stage == "predict" and not self._has_stream:  # a user's batches; the checkpoint prepares the learner
            self.runner.lay_out(self.learner, self.trainer.strategy.root_device)
            return
        data = self.data
        check_compatible(self.learner, self.strategies, data, runner=self.runner, reset_optimizer=self.reset_optimizer)
        if stage == "fit" and self.runner.cuda_graph and self.trainer.accumulate_grad_batches != 1:
            raise ValueError(
                "--runner.cuda_graph writes gradients into the same memory again, where they cannot be accumulated: "
                "set --trainer.accumulate_grad_batches 1, or leave it out"
            )
        if self.runner.recompute == "steps" and not self.learner.recomputes_steps:
            log.warning(
                "%s does not differentiate through inner steps: --runner.recompute steps makes no difference",
                type(self.learner).__name__,
            )
        self.runner.lay_out(self.learner, self.trainer.strategy.root_device)
        example = self._example(data)
        check_example(self.learner, example, data.stream.domains[0])
        self.learner.prepare(data.n_classes, example)
        if not self.learner.is_trained:
            # DDP requires a parameter with a gradient; without an optimizer, no parameter changes.
            self.learner.network.requires_grad_(True)
        if stage == "fit":
            check_has_parameters(self.learner, self.strategies, self.trainer.strategy)
            check_experiences(self.learner, self.strategies, data)

    def configure_optimizers(self) -> Any:
        """Create the optimizer of the learner's and the strategies' parameters, and its schedule."""
        if not self.learner.is_trained:
            return None
        is_sparse = any(getattr(module, "sparse", False) for module in self.modules())
        optimizer = make_optimizer(self.optimizer, self.parameters(), fuse=not is_sparse)
        self._settings = plain_settings(optimizer)
        if self.strategies.overrides("stepped"):
            # Not at the end of the batch, as a callback may save a checkpoint before that.
            optimizer.register_step_post_hook(lambda *_: self._call_stepped())
        if self.lr_scheduler is None:
            return optimizer
        scheduler = make_scheduler(self.lr_scheduler, optimizer)
        check_schedule(scheduler, self.data.steps_per_experience * len(self.data.stream.experiences))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Refuse layers that processes cannot share, after the Trainer has replaced layers."""
        check_shared_batches(self.learner, self.trainer.world_size)

    def on_train_start(self) -> None:
        """End a stream that is learnt already, and measure the fastest plan if requested."""
        if self.trainer.current_epoch >= len(self.data.stream.experiences):
            self.trainer.should_stop = True
            return
        self.data.check_at_hand(self.trainer.current_epoch)
        now, scheduled = self._settings, bool(self.trainer.lr_scheduler_configs)
        for made in self.trainer.optimizers:
            renew_settings(made, self._settings_before, now, scheduled=scheduled)
        # Labelled examples pass through the network together, whatever the plan.
        if self.runner.plan != "measure" or self.learner.unit != "tasks":
            return
        plan = Plan("loop")
        if self.trainer.is_global_zero:
            number = self.trainer.current_epoch
            batch = self.data.draw_for_training(number, self.data.units(number, 0)[:: self.trainer.world_size])
            with self.trainer.precision_plugin.train_step_context():
                plan = measured(self.runner, self.learner, batch.gather(self.device))
        self.runner = self.runner.planned(self.trainer.strategy.broadcast(plan))
        self.runner.lay_out(self.learner, self.device)
        for made in self.trainer.optimizers:
            lay_out_state(made)  # the state of a checkpoint was loaded before the plan was known

    # -- training -------------------------------------------------------------------------------------------------

    def on_train_epoch_start(self) -> None:
        """Begin an experience: reset the optimizer if requested, and notify the strategies."""
        self._losses.clear()
        if not self.data.begins(self.trainer.current_epoch):
            return
        self.taught.pop("confidence", None)  # of fewer classes; set again after this experience
        if self.reset_optimizer:
            self.trainer.optimizers[0].state.clear()
        visit = self.data.visit(self.trainer.current_epoch, self.device, self.learner.dtype)
        self.strategies.begin(self.learner, visit, runner=self.runner)

    def training_step(self, batch: Episode, batch_idx: int) -> Tensor:
        """Return the mean loss, including rehearsed tasks, weighted by the strategies, plus their penalties."""
        learner, runner = self.learner, self.runner
        learner.start_step(self.trainer.global_step)
        position = self._position = self.data.position(self.trainer.current_epoch, batch_idx)
        logs = is_logged(self.trainer, learner, batch_idx)
        params = learner.meta_parameters()
        outputs = learner.learn(params, batch, runner)
        self._has_gradients = outputs is None
        if outputs is not None:
            nothing = torch.zeros_like(batch.weight, requires_grad=True)  # Lightning runs a backward pass on every loss
            if logs:
                self._log_step(Step(batch, params, outputs, nothing, position))
            return self._touch_all(nothing.sum())
        batch = self.strategies.rehearse(learner, batch, position, runner=runner)
        losses, outputs = runner.training_losses(learner, params, batch)
        step = Step(batch, params, outputs, losses, position)
        loss = runner.mean(losses, batch.weight)
        if (loss_weight := self.strategies.loss_weight(learner, position, runner=runner)) != 1:
            loss = loss_weight * loss
        penalty = self.strategies.penalty(learner, step, runner=runner)
        total = loss if penalty is None else loss + penalty
        if self._losses.add(batch_idx, total, is_read=logs):
            self._check_losses()
        if logs:
            self._log_step(step, penalty)
        return self._touch_all(total)

    def on_after_backward(self) -> None:
        """Average the running statistics of norm layers over all processes."""
        average_running_statistics(self.learner, runner=self.runner)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Pass the gradients of the whole batch, over all ranks, to the strategies, which may change them."""
        if not self._has_gradients:  # only DDP's zeros, with which momentum and weight decay would change weights
            return optimizer.zero_grad()
        if not self.strategies.overrides("observe", "project"):
            return
        # Strategies use the learner's own parameter names.
        parameters = {name.removeprefix("learner."): p for name, p in self.named_parameters()}
        gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        position = self._current_position()
        self.strategies.observe(self.learner, gradients, position, runner=self.runner)
        projected = self.strategies.project(self.learner, gradients, position, runner=self.runner)
        if projected is not gradients:
            set_gradients(parameters, projected)

    def _call_stepped(self) -> None:
        self.strategies.stepped(self.learner, self._current_position(), runner=self.runner)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """End the experience in the learner and the strategies after its last step, before its evaluation."""
        if not self.trainer.is_last_batch:
            return
        self._check_losses()
        if self.data.ends(self.trainer.current_epoch):
            visit = self.data.visit(self.trainer.current_epoch, self.device, self.learner.dtype)
            self.learner.finish(visit, self.runner)
            self.strategies.end(self.learner, visit, runner=self.runner)

    def on_validation_start(self) -> None:
        """Check the losses first, so that nothing is evaluated after a non-finite loss."""
        self._check_losses()
        self._confidences.clear()

    def on_validation_epoch_end(self) -> None:
        """Record the confidence threshold on held-out examples, which the checkpoint stores."""
        if not self._calibrates:
            return
        data, number = self.data, self.data.current_experience + 1
        learnt = range(len(data.stream.domains) - data.stream.n_unseen if data.joint else number)
        units = {domain: data.n_eval_units("val", domain) for domain in learnt if domain not in data.stream.absent}
        if (threshold := self._confidences.threshold(units, self.runner)) is not None:
            self.taught["confidence"] = threshold

    @property
    def _calibrates(self) -> bool:
        """Return whether the evaluated examples are held out and labelled, and not used for final results."""
        trainer = self._trainer
        if trainer is None or not self._has_stream or self.learner.unit == "tasks" or self.data.evaluate_on != "val":
            return False
        is_fitting = trainer.state.fn == "fit" and not trainer.sanity_checking
        return is_fitting and self.learner.objective.task == "classification" and self.data.kind != "task"

    def on_train_epoch_end(self) -> None:
        """End the stream after its last experience."""
        self._check_losses()
        if self.trainer.current_epoch + 1 >= len(self.data.stream.experiences):
            self.trainer.should_stop = True

    def on_train_end(self) -> None:
        """Release captured CUDA graphs, and warn if a limit of the Trainer ended the stream early."""
        self.runner = self.runner.without_graphs()
        done, n = self.trainer.current_epoch, len(self.data.stream.experiences)
        self.note_stream(self.data, done)
        if self.trainer.max_epochs == done < n:
            log.warning("the Trainer's max_epochs %d ended the stream after %d of its %d experiences", done, done, n)

    def _touch_all(self, loss: Tensor) -> Tensor:
        # DDP waits for a gradient of every parameter, even of those that a strategy excludes from the graph.
        if self.trainer.world_size == 1:
            return loss
        return loss + sum((p * 0).sum() for p in self.parameters())

    def _current_position(self) -> Position:
        assert self._position is not None, "a training step came before"
        return self._position

    def _check_losses(self) -> None:
        self._losses.check_finite(self._name_experience)

    def _name_experience(self) -> str:
        return f"experience {(n := self.trainer.current_epoch) + 1} ({self.data.stream.experiences[n].name})"

    def _log_step(self, step: Step, penalty: Tensor | None = None) -> None:
        values = step_measures(self.learner, self.strategies, step, penalty, runner=self.runner)
        self.log_dict(values, prog_bar=True, batch_size=len(step.batch))

    # -- evaluation -----------------------------------------------------------------------------------------------

    def validation_step(self, batch: Episode, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Return the measures ``(B,)`` of each task: ``score``, and those of the strategies."""
        return self.measures(batch, dataloader_idx)

    def test_step(self, batch: Episode, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Return the measures ``(B,)`` of each test task."""
        return self.measures(batch, dataloader_idx)

    def predict_step(self, batch: Episode, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Return the predictions for each query: probabilities ``(B, Q, N)`` or values ``(B, Q, *Y)``."""
        with torch.inference_mode(False), torch.no_grad():
            batch, params = batch.clone(), self.learner.meta_parameters()
            outputs = self.strategies.respond(self.learner, params, batch, runner=self.runner)
            if outputs is None:
                outputs = self.runner.outputs(self.learner, params, batch)
            return torch.stack([self.learner.objective.prediction(output) for output in outputs])

    def measures(self, batch: Episode, domain: int) -> dict[str, Tensor]:
        """Return the score ``(B,)`` of each task of a domain, and the measures of the strategies."""
        # Adaptation needs gradients even if the Trainer evaluates in inference mode: torch.func.grad builds its own
        # graph under no_grad, and a clone made outside inference mode is an ordinary tensor.
        with torch.inference_mode(False), torch.no_grad():
            learner, runner = self.learner, self.runner
            batch, params = batch.clone(), learner.meta_parameters()
            responses = self.strategies.respond(learner, params, batch, runner=runner)
            if responses is None and self._calibrates:
                responses = runner.outputs(learner, params, batch)
            scores = runner.scores(learner, params, batch) if responses is None else learner.scores_of(responses, batch)
            if responses is not None and self._calibrates:
                self._confidences.add(domain, learner.objective.prediction(responses).flatten(0, 1))
            return {"score": scores} | self.strategies.diagnose(learner, params, batch, domain, runner=runner)

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to save after a non-finite loss, and record what the checkpoint belongs to."""
        self._check_losses()
        super().on_save_checkpoint(checkpoint)
