"""A learner with its strategies in checkpoints that stand on their own: each says how all of it is made and was taught.

Shapes: ``*X`` one input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn, TrainerStatus
from torch import Tensor
from typing_extensions import Self

from lifelong.compute.runner import TaskRunner
from lifelong.data.stream_datamodule import StreamDataModule, stream_data
from lifelong.learners.base import Learner
from lifelong.strategy import Chain, Strategy, has_part_in_answers
from lifelong.training.description import describe_parts, describe_stream, parts_of
from lifelong.training.growth import check_domains, grow_heads, lengthen, with_grown_heads
from lifelong.training.identity import check_identity, describe_example, make_example, misfit
from lifelong.training.making import made_parts
from lifelong.utilities.checkpoint_file import MapLocation, read_run_checkpoint
from lifelong.utilities.recording import filled
from lifelong.utilities.trust import limits_of

TAUGHT = ("stream", "reader", "example", "domains", "confidence", "adapted")
"""What a checkpoint says of what was taught.

``confidence`` is the largest probability that 95 % of held-out examples are answered with, or more; ``adapted`` is
what was learnt from a support set that is gone.
"""
MEMBERS = "strategies.members."
"""How a checkpoint calls what strategies keep."""


class CheckpointedModule(L.LightningModule):
    """Hold a learner and its strategies, and write and read their checkpoints.

    Abstract: :class:`~lifelong.training.stream_module.StreamModule` trains them.

    Args:
        learner: what is trained.
        strategies: plug-ins against forgetting.
        optimizer: makes the outer optimizer.
        lr_scheduler: makes the schedule of its learning rate.
        reset_optimizer: forget the optimizer's state at the start of each experience.
        runner: how the tasks of a batch are run.
        config: says how parts are made that do not record it, for checkpoints.
    """

    def __init__(
        self,
        learner: Learner,
        strategies: Iterable[Strategy],
        *,
        optimizer: Callable[..., Any],
        lr_scheduler: Callable[..., Any] | None,
        reset_optimizer: bool,
        runner: TaskRunner | None,
        config: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.learner = learner
        self.strategies = Chain(strategies)
        self.strategies.attach(learner)
        self.runner = self.strategies.bind(learner, runner or TaskRunner())
        self.optimizer, self.lr_scheduler, self.reset_optimizer = optimizer, lr_scheduler, reset_optimizer
        self._settings: list[dict[str, Any]] = []
        self._settings_before: list[dict[str, Any]] = []
        self._config = {} if config is None else parts_of(config)
        self._parts: dict[str, Any] | None = None
        self.taught: dict[str, Any] = {}
        """What it was taught (``stream``, ``domains``), how inputs are read (``reader``), their shape (``example``).

        As of the last checkpoint, or the end of training; empty where nobody knows.
        """

    # -- the stream -----------------------------------------------------------------------------------------------

    @property
    def data(self) -> StreamDataModule:
        """Return the DataModule that the Trainer trains on."""
        return stream_data(self.trainer)

    @property
    def _has_stream(self) -> bool:
        return self._trainer is not None and isinstance(getattr(self._trainer, "datamodule", None), StreamDataModule)

    def _example(self, data: StreamDataModule) -> Tensor:
        """Return two inputs of a stream, as the network takes them."""
        weight = next(self.learner.network.parameters(), torch.empty(0))
        x = data.example(weight.device)
        return x.to(self.learner.dtype) if x.is_floating_point() else x

    # -- what a checkpoint says -----------------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        """Return what must agree before a checkpoint can be loaded: class, strategies, shapes."""
        return self.learner.signature() | {"strategies": self.strategies.names}

    def note_stream(self, data: StreamDataModule, n_learnt: int | None = None) -> None:
        """Write down what it was taught.

        Args:
            data: the stream.
            n_learnt: so many of its experiences are begun; None is all.
        """
        number = len(data.stream.experiences) if n_learnt is None else n_learnt
        stream = describe_stream(data, number, self.taught.get("reader"))
        example = {"example": describe_example(self._example(data))}
        kept = {name: self.taught[name] for name in ("confidence",) if name in self.taught}
        self.taught = stream | example | {"domains": data.stream.plain_records} | kept

    def describe_parts(self, unrecorded: list[str], *, to_load: bool = False) -> dict[str, Any]:
        """Write down how learner, strategies, optimizer and runner were made.

        Args:
            unrecorded: collects the names of what cannot be written down.
            to_load: they are made again to be given the state of a checkpoint: files of weights are left out.
        """
        how = {name: getattr(self, name) for name in ("optimizer", "lr_scheduler", "reset_optimizer", "runner")}
        return describe_parts(self.learner, list(self.strategies), unrecorded, **how, to_load=to_load)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what the checkpoint belongs to, how it is made and what it was taught."""
        if self.trainer.state.fn == TrainerFn.FITTING:  # an evaluation teaches nothing
            is_learning = self.trainer.state.status == TrainerStatus.RUNNING  # else the experience was not begun
            self.note_stream(self.data, self.trainer.current_epoch + is_learning)
        checkpoint["lifelong"] = self._record() | {"optimizer": self._settings}

    def _record(self) -> dict[str, Any]:
        if self._parts is None:  # once: how it was made does not change
            self._parts = filled(self.describe_parts([], to_load=True), self._config)
        return self.identity() | {"n_classes": self.learner.n_classes, "config": self._parts} | self.taught

    def to_answer(self) -> dict[str, Any]:
        """Return a checkpoint of what answers: without optimizer, loops, and strategies that do nothing in an answer.

        So what a memory keeps of the training data is not in it, unless an answer is made of it.
        """
        record, state = self._record(), self.state_dict()
        places = [n for n, member in enumerate(self.strategies) if has_part_in_answers(member)]
        config = {**record["config"], "strategies": [record["config"]["strategies"][n] for n in places]}
        record |= {"strategies": [record["strategies"][n] for n in places], "config": config}
        new_places = {f"{MEMBERS}{old}.": f"{MEMBERS}{new}." for new, old in enumerate(places)}
        kept = {name: value for name, value in state.items() if not name.startswith(MEMBERS)}
        for old, new in new_places.items():
            kept |= {new + name.removeprefix(old): v for name, v in state.items() if name.startswith(old)}
        return {"state_dict": kept, "lifelong": record, "pytorch-lightning_version": L.__version__}

    # -- loading --------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take weights, and what strategies keep, from a checkpoint; refuse what does not fit in one sentence."""
        try:
            return super().load_state_dict(state_dict, strict=strict, assign=assign)
        except RuntimeError as error:
            raise ValueError(misfit(error)) from error

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another configuration in one sentence; make room where the stream got longer."""
        theirs = checkpoint.get("lifelong")
        if theirs is None:
            check_identity(theirs, self.identity())
            return
        self._settings_before = theirs.get("optimizer", [])
        self.taught = {name: theirs[name] for name in TAUGHT if name in theirs}
        if not self._has_stream:
            self.learner.prepare(int(theirs["n_classes"]), make_example(theirs["example"]))
        else:
            check_domains(theirs.get("domains", ()), self.data.stream)
        if grow_heads(checkpoint, self.learner):
            check_identity(with_grown_heads(theirs, self.learner), self.identity())
            lengthen(checkpoint, self.learner, self.strategies, list(self.parameters()), self.data.seed)
        else:
            check_identity(theirs, self.identity())

    @classmethod
    def of_checkpoint(
        cls,
        checkpoint: dict[str, Any],
        config: Mapping[str, Any],
        learner: Learner | None = None,
        strategies: Sequence[Strategy] | None = None,
    ) -> Self:
        """Make a module and give it the state of a checkpoint.

        Args:
            checkpoint: as :func:`~lifelong.utilities.checkpoint_file.read_run_checkpoint` returns it.
            config: how its parts are made.
            learner: the learner, where the config cannot make it.
            strategies: the strategies, likewise.

        Raises:
            ValueError: when a part cannot be made, or is not that of the checkpoint.
        """
        module = cls(**made_parts(config, learner, strategies), config=config)
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
        return module

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # nothing is a hyper-parameter here
        cls,
        checkpoint_path: str | Path,
        map_location: MapLocation = "cpu",
        *,
        learner: Learner | None = None,
        strategies: Sequence[Strategy] | None = None,
        trust: bool = False,
    ) -> Self:
        """Make a module of a checkpoint alone, from anywhere: the checkpoint says how its parts are made.

        Args:
            checkpoint_path: the file.
            map_location: where tensors go.
            learner: the learner, where the checkpoint could not record how it was made.
            strategies: the strategies, likewise.
            trust: import every class that it names, and not those of installed plug-ins alone.

        Raises:
            ValueError: when it is no checkpoint, an old one that says nothing, or a part cannot be made again.
        """
        file = Path(checkpoint_path)
        checkpoint = read_run_checkpoint(file, map_location, trains=False)
        config = config_of(checkpoint, file, complete=learner is not None and strategies is not None)
        given = {"model": learner, "strategies": strategies}
        read = {name: part for name, part in config.items() if given.get(name) is None}
        with limits_of(file, read, "runs", trust, "give trust=True if you trust its author")():
            return cls.of_checkpoint(checkpoint, config, learner, strategies)


def config_of(checkpoint: Mapping[str, Any], file: Path, *, complete: bool = False) -> dict[str, Any]:
    """Return what a checkpoint says of how its parts are made.

    Args:
        checkpoint: the content.
        file: where it is from, for the message.
        complete: nothing has to be known, as learner and strategies are given.

    Raises:
        ValueError: when it says nothing: an earlier version has written it.
    """
    config = checkpoint["lifelong"].get("config")
    if config is None and not complete:
        raise ValueError(
            f"{file} does not say how its learner is made, as an earlier version has written it: keep it in its run "
            "folder, beside config.yaml, or give learner=… and strategies=…"
        )
    if config is not None and not isinstance(config, dict):
        raise ValueError(f"{file} was changed after it was written (its config is no mapping): give another checkpoint")
    return dict(config or {})
