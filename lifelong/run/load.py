"""``lifelong.load``: a run from its folder, or a checkpoint alone, later and elsewhere, without its training data."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.results import Results
from lifelong.learners.base import Learner
from lifelong.run.hub import ALONE
from lifelong.run.last import last_checkpoint
from lifelong.run.mirror import local_run
from lifelong.run.renamed import check_config
from lifelong.run.run import Run
from lifelong.strategy import Strategy
from lifelong.training.checkpointed_module import config_of
from lifelong.training.making import make
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.checkpoint_file import read_run_checkpoint
from lifelong.utilities.plain_yaml import read_yaml
from lifelong.utilities.trust import limits_of

WAY_OUT = "give load(…, trust=True) if you trust its author"


def load(
    path: str | Path,
    *,
    learner: Learner | None = None,
    strategies: Sequence[Strategy] | None = None,
    data: StreamDataModule | None = None,
    trust: bool = False,
    way_out: str = WAY_OUT,
) -> Run:
    """Load a run: its results, the learner as its last checkpoint has it, and its strategies.

    In a run folder ``config.yaml`` says how they are made; a checkpoint elsewhere says it itself. Whichever says it may
    import installed plug-ins alone where it is not below ``runs``, unless it is trusted.

    Args:
        path: a run folder, one of its checkpoints, a checkpoint that was copied elsewhere, a folder that
            ``save_pretrained`` has written, or ``last`` for the newest run below ``runs``; fetched from where it lies
            (``s3://…``).
        learner: the learner, made as for the run, where its config cannot make it.
        strategies: the strategies, likewise.
        data: the stream; made from the config where None, and not loaded before it is used.
        trust: import every class that the config names, which runs the code of whoever wrote it.
        way_out: how a person says so, for messages.

    Raises:
        ValueError: when there is no such run, or something in it cannot be made again.
    """
    folder, checkpoint = _find(path)
    config, source = _config_of_run(folder, checkpoint), folder / "config.yaml"
    state = read_run_checkpoint(checkpoint, trains=False)
    if config is None:
        complete = learner is not None and strategies is not None
        config, source = config_of(state, checkpoint, complete=complete), checkpoint
        check_config(config, str(source))
    given = {"model": learner, "strategies": strategies, "data": data}
    read = {name: part for name, part in config.items() if given.get(name) is None}
    limits = limits_of(source, read, "runs", trust, way_out)
    with limits():
        module = StreamModule.of_checkpoint(state, config, learner, strategies)
        stream = data or _stream(config)
    module.eval()
    results = Results.load(folder) if (folder / "results.json").is_file() else None
    return Run(folder, module, results, data=stream, config=config, trainer={}, limits=limits, checkpoint=checkpoint)


def _find(path: str | Path) -> tuple[Path, Path]:
    """Return the folder that a run or a model alone is in, and its checkpoint."""
    given = Path(last_checkpoint()) if str(path) == "last" else local_run(path)
    checkpoint = given
    if given.is_dir():
        checkpoint = given / "checkpoints" / "last.ckpt"
        checkpoint = given / ALONE if not checkpoint.is_file() and (given / ALONE).is_file() else checkpoint
    if not checkpoint.is_file():
        raise ValueError(f"{path} is neither a run folder with a checkpoint nor a checkpoint: there is no {checkpoint}")
    resolved = checkpoint.resolve()
    is_in_run = resolved.parent.name == "checkpoints"  # a folder of a person's own may have any config.yaml
    return (resolved.parent.parent if is_in_run else resolved.parent), checkpoint


def _config_of_run(folder: Path, checkpoint: Path) -> dict[str, Any] | None:
    """Return what the config of a run folder says; None for a checkpoint that lies elsewhere."""
    file = folder / "config.yaml"
    if checkpoint.resolve().parent == folder or not file.is_file():
        return None
    config = read_yaml(file)
    if not isinstance(config, dict):
        raise ValueError(f"{file} has no options: give load(…, learner=…), or the config.yaml that the run has written")
    check_config(config, str(file))
    return config


def _stream(config: Mapping[str, Any]) -> StreamDataModule | None:
    """Make the stream; None where it is not said or cannot be made, as the run is of use without it."""
    with contextlib.suppress(ValueError):
        stream: StreamDataModule = make(StreamDataModule, "data", config, "data")
        stream.reseed(int(config.get("seed", 0)))
        return stream
    return None
