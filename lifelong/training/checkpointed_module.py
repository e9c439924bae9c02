"""Self-contained checkpoints of a learner and its strategies, with how they are created and what they were taught.

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
"""Keys of a checkpoint's record of what the model was taught.

``confidence`` is a threshold: for 95 % of held-out examples, the largest class probability is at least this.
``adapted`` is what was learnt from a support set that is not stored.
"""
MEMBERS = "strategies.members."
"""Prefix of the strategies' state in a checkpoint."""


class CheckpointedModule(L.LightningModule):
    """Hold a learner and its strategies, and write and read their checkpoints.

    This is an abstract class; :class:`~lifelong.training.stream_module.StreamModule` adds the training.

    Args:
        learner: the learner to train.
        strategies: plug-ins against forgetting.
        optimizer: creates the outer optimizer.
        lr_scheduler: creates the schedule of its learning rate.
        reset_optimizer: reset the optimizer's state at the start of each experience.
        runner: how the tasks of a batch are run.
        config: configuration for checkpoints, of parts that do not record how they were created.
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
        """What was taught (``stream``, ``domains``), how inputs are read (``reader``), and their shape (``example``).

        It is updated at each checkpoint and at the end of training, and empty if unknown.
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
        """Return two inputs of the stream, as the network takes them."""
        weight = next(self.learner.network.parameters(), torch.empty(0))
        x = data.example(weight.device)
        return x.to(self.learner.dtype) if x.is_floating_point() else x

    # -- the record in a checkpoint --------------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        """Return what must agree before a checkpoint can be loaded: classes, strategies and shapes."""
        return self.learner.signature() | {"strategies": self.strategies.names}

    def note_stream(self, data: StreamDataModule, n_learnt: int | None = None) -> None:
        """Record what the module was taught.

        Args:
            data: the stream.
            n_learnt: number of experiences that have begun. Default: all.
        """
        number = len(data.stream.experiences) if n_learnt is None else n_learnt
        stream = describe_stream(data, number, self.taught.get("reader"))
        example = {"example": describe_example(self._example(data))}
        kept = {name: self.taught[name] for name in ("confidence",) if name in self.taught}
        self.taught = stream | example | {"domains": data.stream.plain_records} | kept

    def describe_parts(self, unrecorded: list[str], *, to_load: bool = False) -> dict[str, Any]:
        """Record how the learner, the strategies, the optimizer and the runner were created.

        Args:
            unrecorded: list that collects the names of what cannot be recorded.
            to_load: record the parts for loading a checkpoint: files of initial weights are left out.
        """
        how = {name: getattr(self, name) for name in ("optimizer", "lr_scheduler", "reset_optimizer", "runner")}
        return describe_parts(self.learner, list(self.strategies), unrecorded, **how, to_load=to_load)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to the checkpoint how its parts are created and what they were taught."""
        if self.trainer.state.fn == TrainerFn.FITTING:  # evaluation does not change what was taught
            is_learning = self.trainer.state.status == TrainerStatus.RUNNING  # otherwise the experience has not begun
            self.note_stream(self.data, self.trainer.current_epoch + is_learning)
        checkpoint["lifelong"] = self._record() | {"optimizer": self._settings}

    def _record(self) -> dict[str, Any]:
        if self._parts is None:  # only once, as it does not change
            self._parts = filled(self.describe_parts([], to_load=True), self._config)
        return self.identity() | {"n_classes": self.learner.n_classes, "config": self._parts} | self.taught

    def to_answer(self) -> dict[str, Any]:
        """Return a checkpoint for prediction: without optimizer, loops, and strategies that prediction does not use.

        It contains stored training data only if predictions are computed from them.
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
        """Load the weights and the strategies' state; a checkpoint that does not fit is refused in one sentence."""
        try:
            return super().load_state_dict(state_dict, strict=strict, assign=assign)
        except RuntimeError as error:
            raise ValueError(misfit(error)) from error

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another configuration, and add rows for new classes if the stream got longer."""
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
        """Create a module with the state of a checkpoint.

        Args:
            checkpoint: content, as returned by :func:`~lifelong.utilities.checkpoint_file.read_run_checkpoint`.
            config: configuration of its parts.
            learner: the learner, if the config cannot create it.
            strategies: the strategies, likewise.

        Raises:
            ValueError: when a part cannot be created, or differs from that of the checkpoint.
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
        """Create a module from a checkpoint file alone, which records how its parts are created.

        Args:
            checkpoint_path: path of the file.
            map_location: device of the tensors.
            learner: the learner, if the checkpoint does not record how it was created.
            strategies: the strategies, likewise.
            trust: import every class that the checkpoint names, instead of only those of installed plug-ins.

        Raises:
            ValueError: when the file is not a checkpoint, does not record its parts, or a part cannot be created.
        """
        file = Path(checkpoint_path)
        checkpoint = read_run_checkpoint(file, map_location, trains=False)
        config = config_of(checkpoint, file, complete=learner is not None and strategies is not None)
        given = {"model": learner, "strategies": strategies}
        read = {name: part for name, part in config.items() if given.get(name) is None}
        with limits_of(file, read, "runs", trust, "give trust=True if you trust its author")():
            return cls.of_checkpoint(checkpoint, config, learner, strategies)


def config_of(checkpoint: Mapping[str, Any], file: Path, *, complete: bool = False) -> dict[str, Any]:
    """Return a checkpoint's record of how its parts are created.

    Args:
        checkpoint: content of the checkpoint.
        file: path of the checkpoint, for the message.
        complete: whether learner and strategies are given, so that the record is not needed.

    Raises:
        ValueError: when there is no record, as in checkpoints of earlier versions.
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
