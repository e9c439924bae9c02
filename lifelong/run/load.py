"""``lifelong.load``: a run from its folder, later and elsewhere, without its training data."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.results import Results
from lifelong.learners.base import Learner
from lifelong.run import plugins
from lifelong.run.folder import find_last
from lifelong.run.making import make, make_training
from lifelong.run.mirror import local_run
from lifelong.run.renamed import check_config
from lifelong.run.run import Run
from lifelong.run.trust import limits_of
from lifelong.strategy import Strategy
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.checkpoint_file import read_run_checkpoint
from lifelong.utilities.plain_yaml import read_yaml


def load(
    path: str | Path,
    *,
    learner: Learner | None = None,
    strategies: Sequence[Strategy] | None = None,
    data: StreamDataModule | None = None,
    trust: bool = False,
) -> Run:
    """Load a run: its results, the learner as its last checkpoint has it, and its strategies.

    The config of a run that is not below ``runs`` imports installed plug-ins alone, unless it is trusted.

    Args:
        path: a run folder, one of its checkpoints, or ``last`` for the newest run below ``runs``; fetched from where it
            lies (``s3://…``).
        learner: the learner, made as for the run, where its config cannot make it.
        strategies: the strategies, likewise.
        data: the stream; made from the config where None, and not loaded before it is used.
        trust: import every class that the config names, which runs the code of whoever wrote it.

    Raises:
        ValueError: when there is no such run, or something in it cannot be made again.
    """
    folder, checkpoint = _find(path)
    config = _read_config(folder)
    given = {"model": learner, "strategies": strategies, "data": data}
    read = {name: part for name, part in config.items() if given.get(name) is None}
    limits = limits_of(folder / "config.yaml", read, "runs", trust, "give load(…, trust=True) if you trust its author")
    with limits():
        made = _instantiate(config, learner, strategies, data)
        training = make_training(config)
    attached = made["strategies"] if strategies is None else strategies
    module = StreamModule(learner or made["model"], attached, **training)
    state = read_run_checkpoint(checkpoint, trains=False)
    module.on_load_checkpoint(state)
    module.load_state_dict(state["state_dict"])
    module.eval()
    results = Results.load(folder) if (folder / "results.json").is_file() else None
    return Run(
        folder, module, results, data=made["data"], config=config, trainer={}, limits=limits, checkpoint=checkpoint
    )


def _find(path: str | Path) -> tuple[Path, Path]:
    given = Path(find_last("runs", None)) if str(path) == "last" else local_run(path)
    checkpoint = given / "checkpoints" / "last.ckpt" if given.is_dir() else given
    if not checkpoint.is_file():
        raise ValueError(f"{path} is neither a run folder with a checkpoint nor a checkpoint: there is no {checkpoint}")
    return checkpoint.resolve().parent.parent, checkpoint


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.yaml"
    if not file.is_file():
        raise ValueError(f"{folder} has no config.yaml, which says how its learner is made: give load(…, learner=…)")
    config = read_yaml(file)
    if not isinstance(config, dict):
        raise ValueError(f"{file} has no options: give load(…, learner=…), or the config.yaml that the run has written")
    check_config(config, str(file))
    return config


def _instantiate(
    config: Mapping[str, Any],
    learner: Learner | None,
    strategies: Sequence[Strategy] | None,
    data: StreamDataModule | None,
) -> dict[str, Any]:
    plugins.load()
    made: dict[str, Any] = {"data": data}
    if learner is None:
        made["model"] = make(Learner, "model", config, "learner")
    if strategies is None:
        made["strategies"] = make(list[Strategy], "strategies", config, "strategies")
    if data is None:
        with contextlib.suppress(ValueError):  # the run is of use without it
            stream = make(StreamDataModule, "data", config, "data")
            stream.reseed(int(config.get("seed", 0)))
            made["data"] = stream
    return made
