"""``lifelong.dry_run``: what ``fit`` would do and how long it would take, without training or writing anything."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng

from lifelong.compute.runner import TaskRunner
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners.base import Learner
from lifelong.run.folder import choose_folder
from lifelong.run.forecast import Costs, Forecast
from lifelong.run.kept_bytes import KeptBytes
from lifelong.run.launch import find_launch
from lifelong.run.mirror import is_remote
from lifelong.run.options import RunOptions, check_seed, run_options
from lifelong.run.sentences import in_one_sentence
from lifelong.run.trainer import check_trainer_arguments, make_trainer
from lifelong.run.trainer_values import check_trainer_values
from lifelong.strategy import Strategy
from lifelong.training.optimizer import LRSchedulerCallable, OptimizerCallable
from lifelong.training.stream_module import StreamModule

WARM_UP, MEASURED = 2, 6
"""Number of warm-up steps of an experience, and number of measured steps after them."""
EXPERIENCES = 2
"""Number of measured experiences; only from the second one on do strategies have something to rehearse or protect."""
KEPT = (
    "accelerator", "precision", "gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches",
    "deterministic", "benchmark", "detect_anomaly",
)  # fmt: skip
"""Arguments of the Trainer that affect the time of a step."""
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The environment variable that Lightning sets for ``deterministic``."""


def dry_run(
    learner: Learner,
    data: StreamDataModule,
    *,
    strategies: Sequence[Strategy] = (),
    optimizer: OptimizerCallable = torch.optim.Adam,
    lr_scheduler: LRSchedulerCallable | None = None,
    reset_optimizer: bool = False,
    runner: TaskRunner | None = None,
    run: RunOptions | str | Path | None = None,
    seed: int | None = None,
    **trainer: Any,
) -> Forecast:
    """Estimate what ``fit`` would do with the same arguments and how long it would take, without training or writing.

    A few steps in each of the first two experiences and two evaluation batches are measured on copies of the learner
    and the strategies; the given objects do not change. Sources may fill their cache when they are loaded.

    Args:
        learner: the learner to train.
        data: the stream.
        strategies: plug-ins against forgetting.
        optimizer: creates the outer optimizer.
        lr_scheduler: creates its learning-rate schedule.
        reset_optimizer: reset the optimizer's state at the start of each experience.
        runner: how the tasks of a batch are run.
        run: the run folder. It is checked but not created.
        seed: seed of the training tasks. Default: the seed of ``data``.
        trainer: keyword arguments of Lightning's Trainer.

    Returns:
        The forecast. Printed, it is the output of ``fit --dry_run`` on the command line.

    Raises:
        ValueError: when settings do not fit together, as in ``fit``.

    Example:
        >>> import lifelong
        >>> from datamodules import EpisodicDataModule, Glyphs
        >>> from lifelong.learners import ProtoNet
        >>> from lifelong.networks import MLP
        >>> glyphs = Glyphs(styles=["strokes"], n_classes=24, n_examples=10, image_size=8)
        >>> data = EpisodicDataModule([glyphs], n_way=3, n_shot=1, n_query=2, steps_per_experience=2, n_eval_tasks=3)
        >>> forecast = lifelong.dry_run(ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8)), data, run="runs/dry")
        >>> forecast.experiences, forecast.steps, forecast.eval_units, forecast.parameters
        (('strokes',), 2, (3,), 592)
    """
    check_trainer_arguments(trainer)
    check_trainer_values("fit", trainer)
    check_seed(seed)
    if find_launch() is not None:
        raise ValueError("a dry run measures in one process: start it without torchrun or srun")
    folder = _folder(run_options(run))
    with _left_as_they_are(data):
        if seed is not None:
            data.reseed(seed)
        module = StreamModule(
            copy.deepcopy(learner),
            [copy.deepcopy(strategy) for strategy in strategies],
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            reset_optimizer=reset_optimizer,
            runner=_by_rule(runner or TaskRunner()),
        )
        watch, made = _measure(module, data, trainer)
        return _forecast(module, data, watch, made, trainer, folder, runner or TaskRunner())


class Stopwatch(L.Callback):
    """Time the steps of the first experiences, their boundaries and an evaluation batch, then end the stream."""

    def __init__(self) -> None:
        self.steps: list[list[float]] = []
        self.ends: list[float] = []
        self.unit = 0.0
        self.bytes: dict[str, int] = {}
        self.kept: list[list[int]] = []
        self._kept_by_steps: list[list[int]] = []
        self._since = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start timing the steps of an experience."""
        self.steps.append([])
        self._since = _now(pl_module.device)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Record the seconds of a step, including the drawing of its units, and the size of the strategies' memory."""
        self.steps[-1].append(_now(pl_module.device) - self._since)
        if len(self.steps[-1]) == 1:
            self._kept_by_steps = []
        self._kept_by_steps.append(_kept_by(pl_module))  # the last one of these before the boundary counts
        self._since = _now(pl_module.device)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the time of the boundary, evaluate a batch, and stop after the second experience."""
        assert isinstance(pl_module, StreamModule)
        self.ends.append(_now(pl_module.device) - self._since)
        if not self.unit:
            self.unit = _seconds_of_a_unit(pl_module, trainer)
            state = [part for made in trainer.optimizers for part in made.state.values()]
            tensors = [value for part in state for value in part.values() if isinstance(value, torch.Tensor)]
            self.bytes = {
                "parameters": sum(p.nbytes for p in pl_module.learner.parameters()),
                "optimizer": sum(tensor.nbytes for tensor in tensors),
            }
        self.kept.append(_kept_by(pl_module))
        if len(self.ends) == EXPERIENCES:
            trainer.should_stop = True

    def kept_bytes(self, strategies: Iterable[Strategy]) -> Iterator[KeptBytes]:
        """Yield what each strategy has stored."""
        first, last, n_steps = self._kept_by_steps[0], self._kept_by_steps[-1], len(self._kept_by_steps)
        for number, strategy in enumerate(strategies):
            by_step = (last[number] - first[number]) / max(n_steps - 1, 1)
            ends = tuple(kept[number] for kept in self.kept)
            yield KeptBytes(type(strategy).__name__, ends, by_step, strategy.most_bytes())


def _kept_by(module: L.LightningModule) -> list[int]:
    assert isinstance(module, StreamModule)
    return [strategy.memory_bytes() for strategy in module.strategies]


def _measure(module: StreamModule, data: StreamDataModule, trainer: Mapping[str, Any]) -> tuple[Stopwatch, L.Trainer]:
    watch = Stopwatch()
    settings = {name: trainer[name] for name in KEPT if name in trainer}
    settings |= {"devices": 1, "logger": False, "enable_progress_bar": False, "num_sanity_val_steps": 0}
    settings |= {"limit_train_batches": WARM_UP + MEASURED, "limit_val_batches": 0}
    made = make_trainer(settings, [watch], str(Path.cwd()))
    with in_one_sentence():
        made.fit(module, datamodule=data)
    return watch, made


def _seconds_of_a_unit(module: StreamModule, trainer: L.Trainer) -> float:
    """Return the seconds per evaluation unit, from the second of two batches: the first one is a warm-up."""
    data, seconds = module.data, 0.0
    domain = next(d for d in range(len(data.stream.domains)) if d not in data.stream.absent)
    n_units = min(data.units_per_eval_batch, data.n_eval_units(data.evaluate_on, domain))
    module.eval()
    for _ in range(2):
        since = _now(module.device)
        batch = data.draw_for_evaluation(data.evaluate_on, domain, range(n_units)).gather(module.device)
        with trainer.precision_plugin.val_step_context():
            module.measures(batch, domain)
        seconds = _now(module.device) - since
    module.train()
    return seconds / n_units


def _forecast(
    module: StreamModule,
    data: StreamDataModule,
    watch: Stopwatch,
    made: L.Trainer,
    trainer: Mapping[str, Any],
    folder: str,
    runner: TaskRunner,
) -> Forecast:
    learner, stream, part = module.learner, data.stream, data.evaluate_on
    limit = trainer.get("max_epochs")
    n = len(stream.experiences) if limit is None or limit < 0 else min(limit, len(stream.experiences))
    steps = _limited(data.steps_per_experience, trainer.get("limit_train_batches"))
    measured = [sorted(times[WARM_UP:] or times) for times in watch.steps]
    medians = [times[len(times) // 2] for times in measured]
    begin = max(watch.steps[-1][0] - medians[-1], 0.0)  # what strategies do before the first step
    unit = "tasks" if learner.unit == "tasks" else "examples"
    return Forecast(
        learner=f"{type(learner).__name__} ({type(learner.network).__name__})",
        strategies=tuple(module.strategies.names),
        experiences=tuple(experience.name for experience in stream.experiences[:n]),
        examples=tuple(
            f"{sum(pool.n_classes for pool in e.pools):,} classes, {sum(len(pool) for pool in e.pools):,} examples"
            for e in stream.experiences[:n]
        ),
        steps=steps,
        units=f"{data.units_per_batch} {unit}",
        domains=stream.domains,
        eval_units=tuple(data.n_eval_units(part, domain) for domain in range(len(stream.domains))),
        rows=tuple(_rows(data, n, trainer)),
        parameters=sum(p.numel() for p in learner.parameters()),
        trained=sum(p.numel() for p in learner.parameters() if p.requires_grad) if learner.is_trained else 0,
        n_bytes=watch.bytes,
        kept=tuple(watch.kept_bytes(module.strategies)),
        budgets=_budgets(module.strategies),
        device=str(made.strategy.root_device),
        plan=str(module.runner.plan_for(learner, made.strategy.root_device)),
        folder=folder,
        costs=Costs(medians[0], medians[-1], begin + sum(watch.ends) / len(watch.ends), watch.unit),
        notes=tuple(_notes(trainer, runner)),
    )


def _limited(number: int, limit: int | float | None) -> int:
    """Limit a number of batches as the Trainer does: to a share of them (float) or to a number (int)."""
    if limit is None or limit == 1.0:
        return number
    return int(number * limit) if isinstance(limit, float) else min(number, limit)


def _rows(data: StreamDataModule, n: int, trainer: Mapping[str, Any]) -> Iterator[list[int]]:
    """Yield the evaluated domains of each row of the matrix, the row of the untrained learner first."""
    here = [domain for domain in range(len(data.stream.domains)) if domain not in data.stream.absent]
    if trainer.get("num_sanity_val_steps") != 0:
        yield here
    for number in range(n):
        yield list(data.row_after(number, n))


def _budgets(strategies: Iterable[Strategy]) -> dict[str, str]:
    """Return the budget of each strategy that has one, as text."""
    budgets = {type(s).__name__: vars(b) for s in strategies if hasattr(b := getattr(s, "budget", None), "__dict__")}
    return {
        name: " or ".join(
            f"{number:,} {bound.replace('per_class', 'examples of each class')}" for bound, number in given
        )
        for name, bounds in budgets.items()
        if (given := [(bound, number) for bound, number in bounds.items() if isinstance(number, int)])
    }


def _notes(trainer: Mapping[str, Any], runner: TaskRunner) -> Iterator[str]:
    yield "left out: loading data, loggers and pictures, further callbacks, and a machine that is busier later"
    if trainer.get("devices") not in (None, "auto", 1, "1") or trainer.get("num_nodes") not in (None, 1):
        yield "measured on one device, which takes the tasks of all: several take less"
    if runner.plan == "measure":
        yield "measured with --runner.plan auto: the fastest plan is found when the run begins"


def _by_rule(runner: TaskRunner) -> TaskRunner:
    """Return a runner that does not measure plans, as measured plans would be written to the cache."""
    return replace(runner, plan="auto") if runner.plan == "measure" else runner


def _folder(options: RunOptions) -> str:
    """Return the run folder without creating it; it is refused where ``fit`` would refuse it."""
    if is_remote(options.root):
        return f"{options.root.rstrip('/')}/{options.folder_name or '<the time of its start>'}"
    return choose_folder(options, None)


@contextmanager
def _left_as_they_are(data: StreamDataModule) -> Iterator[None]:
    """Restore seeds, random states, the data's Trainer and process-wide torch settings afterwards."""
    seed, trainer = data.seed, data.trainer
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, workspace = torch.backends.cudnn.benchmark, os.environ.get(WORKSPACE)
    try:
        with isolate_rng():
            yield
    finally:
        data.reseed(seed)
        data.trainer = trainer
        torch.use_deterministic_algorithms(is_deterministic, warn_only=only_warns)
        torch.backends.cudnn.benchmark = benchmark
        os.environ.pop(WORKSPACE, None)
        if workspace is not None:
            os.environ[WORKSPACE] = workspace


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
