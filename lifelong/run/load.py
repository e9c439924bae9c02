"""``lifelong.load``: load a run from its folder, or a checkpoint alone, without its training data."""

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
    """Load a run: its results, the learner from its last checkpoint, and its strategies.

    The objects are created from ``config.yaml`` in a run folder, or else from the config in the checkpoint. If the path
    is not below ``runs``, the config may import only installed plug-ins, unless it is trusted.

    Args:
        path: a run folder, one of its checkpoints, a checkpoint that was copied elsewhere, a folder written by
            ``save_pretrained``, or ``last`` for the newest run below ``runs``. A remote path (``s3://…``) is fetched.
        learner: the learner, created as for the run, if its config cannot create it.
        strategies: the strategies, likewise.
        data: the stream. Default: created from the config, and not loaded until it is used.
        trust: import every class that the config names. This runs the code of whoever wrote the config.
        way_out: how a user can trust the config, for messages.

    Raises:
        ValueError: when there is no such run, or an object cannot be created.
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
    """Return the folder of a run or a saved model, and its checkpoint."""
    given = Path(last_checkpoint()) if str(path) == "last" else local_run(path)
    checkpoint = given
    if given.is_dir():
        checkpoint = given / "checkpoints" / "last.ckpt"
        checkpoint = given / ALONE if not checkpoint.is_file() and (given / ALONE).is_file() else checkpoint
    if not checkpoint.is_file():
        raise ValueError(f"{path} is neither a run folder with a checkpoint nor a checkpoint: there is no {checkpoint}")
    resolved = checkpoint.resolve()
    is_in_run = resolved.parent.name == "checkpoints"  # another folder may contain an unrelated config.yaml
    return (resolved.parent.parent if is_in_run else resolved.parent), checkpoint


def _config_of_run(folder: Path, checkpoint: Path) -> dict[str, Any] | None:
    """Return the config of a run folder. None for a checkpoint outside a run folder."""
    file = folder / "config.yaml"
    if checkpoint.resolve().parent == folder or not file.is_file():
        return None
    config = read_yaml(file)
    if not isinstance(config, dict):
        raise ValueError(f"{file} has no options: give load(…, learner=…), or the config.yaml that the run has written")
    check_config(config, str(file))
    return config


def _stream(config: Mapping[str, Any]) -> StreamDataModule | None:
    """Create the stream. None if the config lacks it or it cannot be created: the run is useful without it."""
    with contextlib.suppress(ValueError):
        stream: StreamDataModule = make(StreamDataModule, "data", config, "data")
        stream.reseed(int(config.get("seed", 0)))
        return stream
    return None
