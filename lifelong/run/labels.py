"""Labels of a run for tools that show many runs."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.run.folder import RunFolder
from lifelong.training.stream_module import StreamModule


@dataclass(frozen=True)
class RunLabels:
    """Hold the labels of a run for a logger that shows many runs.

    Args:
        name: name of the run folder.
        job_type: the command: ``fit``, ``extend``, ``validate`` or ``test``.
        tags: class names of the learner, the strategies and the sources.
        goes_on: whether this continues a run that was begun before.

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
    """Return the labels of a run.

    Args:
        module: the learner with its strategies.
        data: the stream.
        folder: the run folder.
        job_type: the command.
        goes_on: whether this continues a run that was begun before.
    """
    sources = [type(source).__name__ for source in data.sources]
    tags = dict.fromkeys([type(module.learner).__name__, *module.strategies.names, *sources])
    return RunLabels(folder.name, job_type, tuple(tags), goes_on)
