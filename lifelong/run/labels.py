"""What a run is called where many runs are shown side by side."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.run.folder import RunFolder
from lifelong.training.stream_module import StreamModule


@dataclass(frozen=True)
class RunLabels:
    """Say what a run is, for a logger that shows many of them.

    Args:
        name: of the run folder.
        job_type: the command: ``fit``, ``extend``, ``validate`` or ``test``.
        tags: the classes of its learner, strategies and sources.
        goes_on: it was begun before, and is the same run.

    Example:
        >>> RunLabels("birds", "fit", ("ProtoNet", "Replay", "Glyphs")).goes_on
        False
    """

    name: str | None = None
    job_type: str | None = None
    tags: tuple[str, ...] = ()
    goes_on: bool = False


def labels_of(
    module: StreamModule, data: StreamDataModule, folder: RunFolder, job_type: str, *, goes_on: bool = False
) -> RunLabels:
    """Return what a run is.

    Args:
        module: with learner and strategies.
        data: the stream.
        folder: of the run.
        job_type: the command.
        goes_on: it was begun before.
    """
    sources = [type(source).__name__ for source in data.sources]
    tags = dict.fromkeys([type(module.learner).__name__, *module.strategies.names, *sources])
    return RunLabels(folder.name, job_type, tuple(tags), goes_on)
