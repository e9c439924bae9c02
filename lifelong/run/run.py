"""A run: what was learnt, its results, and methods for further evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.control.robot_drive import RobotDrive, View, drive_robot
from lifelong.data.kinds import Part
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.results import Results
from lifelong.learners.base import Learner
from lifelong.pages.report_page import write_report
from lifelong.run.configuration import describe_longer
from lifelong.run.evaluate import evaluate
from lifelong.run.extension import Learnt, check_extends, objects_of_longer
from lifelong.run.model import Model
from lifelong.run.options import RunOptions
from lifelong.run.train import train
from lifelong.strategy import Chain
from lifelong.training.making import make_checkpoint, make_trainer_arguments
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.trust import Limits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Run:
    """Hold a run: its folder, its results, the trained learner, and methods for further evaluation.

    ``print(run)`` shows the tables that the command line prints; a notebook shows them as HTML.

    Args:
        folder: the run folder.
        module: the trained learner with its strategies.
        results: the results. None if nothing was measured yet.
        data: the stream. None if it is not available.
        config: content of ``config.yaml``.
        trainer: arguments of the Trainer that trained the learner. Evaluations run on the same devices.
        limits: context manager that limits what the config may import when further objects are created from it.
        checkpoint: path of the checkpoint that the learner was loaded from.
    """

    def __init__(
        self,
        folder: Path,
        module: StreamModule,
        results: Results | None,
        *,
        data: StreamDataModule | None,
        config: Mapping[str, Any],
        trainer: Mapping[str, Any],
        limits: Limits = nullcontext,
        checkpoint: Path | None = None,
    ) -> None:
        self.folder, self.config = folder, dict(config)
        self.module = module
        """The LightningModule: the learner with its strategies."""
        self._results, self._data, self._trainer, self._limits = results, data, dict(trainer), limits
        self._checkpoint = checkpoint
        self._model: Model | None = None

    # -- what was learnt ------------------------------------------------------------------------------------------

    @property
    def model(self) -> Model:
        """Return the model, which predicts class names for a user's photos, texts or tensors.

        Raises:
            ValueError: when neither the checkpoint nor the stream says what was taught.
        """
        if self._model is None:
            if "stream" not in self.module.taught and self._data is not None:  # a checkpoint of an earlier version
                self.module.note_stream(self._data)
            self._model = Model(self.module, limits=self._limits, results=self._results, name=self.folder.name)
        return self._model

    @property
    def learner(self) -> Learner:
        """Return the trained learner, in evaluation mode."""
        return self.module.learner

    @property
    def strategies(self) -> Chain:
        """Return the strategies with their memory."""
        return self.module.strategies

    @property
    def data(self) -> StreamDataModule:
        """Return the stream.

        Raises:
            ValueError: when the stream could not be created from the run's config.
        """
        if self._data is None:
            raise ValueError(
                f"the stream of {self.folder} is not at hand: give it as load(…, data=…) or evaluate(data)"
            )
        return self._data

    # -- results ---------------------------------------------------------------------------------------------------

    @property
    def results(self) -> Results:
        """Return all results.

        Raises:
            ValueError: when the run ended before its first evaluation.
        """
        if self._results is None:
            raise ValueError(f"the run in {self.folder} ended before its first evaluation: go on with it, or evaluate")
        return self._results

    @property
    def matrix(self) -> np.ndarray:
        """Return the accuracy matrix ``R[i, j]``: the mean score on domain ``j`` after experience ``i``."""
        return self.results.matrix

    @property
    def half_widths(self) -> np.ndarray:
        """Return the half widths of the 95 % intervals of the matrix, in the same shape."""
        return self.results.half_widths

    @property
    def domains(self) -> Sequence[str]:
        """Return the names of the domains, which are the columns of the matrix."""
        return self.results.domains

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Return the continual metrics by name, each with ``value`` and ``half_width``."""
        return self.results.metrics

    def plot(self) -> Figure:
        """Draw the matrix."""
        return self.results.plot()

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report of the run as a self-contained HTML page, and return its path.

        Args:
            path: path of the page. Default: ``report.html`` in the run folder.

        Raises:
            ValueError: when there is another file of that name.
        """
        return write_report(self.results, self.folder, path)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def __str__(self) -> str:
        return f"{self._results or 'no evaluation yet'}\nrun folder: {self.folder}"

    def _repr_html_(self) -> str:
        table = "<p>no evaluation yet</p>" if self._results is None else self._results._repr_html_()
        return f"{table}<p>run folder: <code>{self.folder}</code></p>"

    # -- further evaluation and training ---------------------------------------------------------------------------

    def validate(self, *, quiet: bool = False, **trainer: Any) -> Results:
        """Evaluate on the same part of the data as the matrix; the ``.matrix`` of the returned results has one row.

        Args:
            quiet: print no progress bar and no table.
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("validate", self.data, trainer, quiet=quiet)

    def test(self, *, quiet: bool = False, **trainer: Any) -> Results:
        """Evaluate on the test tasks; the ``.matrix`` of the returned results has one row.

        Args:
            quiet: print no progress bar and no table.
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("test", self.data, trainer, quiet=quiet)

    def evaluate(self, data: StreamDataModule, *, quiet: bool = False, **trainer: Any) -> Results:
        """Evaluate on the test tasks of another stream; the ``.matrix`` of the returned results has one row.

        Args:
            data: the stream.
            quiet: print no progress bar and no table.
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("test", data, trainer, quiet=quiet)

    def drive(
        self,
        domain: str | None = None,
        *,
        robot: int = 1,
        seed: int | None = None,
        part: Part = "test",
        compare: bool = True,
        view: View = "scene",
        film: str | Path | None = None,
    ) -> tuple[RobotDrive, list[Path]]:
        """Drive one robot of a domain, and write a video of it together with its metrics.

        Args:
            domain: name of the domain. Default: the first one that has robots.
            robot: number of the robot in the closed-loop evaluation of this domain, from 1.
            seed: seed of other robots. Default: the robots of the evaluation.
            part: ``val`` or ``test``.
            compare: also drive the robot without adaptation.
            view: ``scene``, as the simulator draws it, or ``plan``, the path from above.
            film: path of the video, ending in ``.mp4`` or ``.gif``. Default: a file in the run folder.

        Returns:
            The drive and the written files.
        """
        return drive_robot(
            self.module,
            self.data,
            self.folder,
            domain=domain,
            robot=robot,
            seed=seed,
            part=part,
            compare=compare,
            view=view,
            film=film,
        )

    def extend(self, sources: Sequence[Source], *, keep_old: bool = True, quiet: bool = False, **trainer: Any) -> Run:
        """Learn further experiences after those of the finished stream; the matrix grows with them.

        Training continues from the last checkpoint in the run folder, with its weights, optimizer and strategy memory.
        The config in the run folder becomes that of the longer stream.

        Args:
            sources: new data sets, in the order of the stream. Leave it empty to continue a longer stream that was
                begun.
            keep_old: also evaluate the old domains. Set it to False if their data are no longer available.
            quiet: print no progress bar, message or table. Warnings and errors are still shown, and all files are
                written.
            trainer: arguments of Lightning's Trainer that override those of the run.

        Returns:
            The run with the longer stream. This object keeps its results, but shares the learner with the new one.

        Raises:
            ValueError: when the stream is not learnt to its end, or the new domains do not fit it.
        """
        if isinstance(sources, Source):
            raise ValueError("extend takes a list of sources: give [source]")
        check_extends(self.data.joint, self.folder)
        data = self.data.with_sources(objects_of_longer(self.data.sources, sources, keep_old, self.folder))
        data.load()  # data that cannot be loaded are refused before anything is changed
        self.learner.grow(data.n_classes)
        self.module.train()
        with self._limits():
            settings = {**(self._trainer or make_trainer_arguments(self.config, trainer)), **trainer}
        start, saves, options = Learnt(self.folder).checkpoint, make_checkpoint(self.config), RunOptions(quiet=quiet)
        configuration = describe_longer(self.config, data, trainer)
        _, results = train(self.module, data, options, start, saves, configuration, settings, extends=True)
        return Run(self.folder, self.module, results, data=data, config=configuration.content, trainer=settings)

    def _evaluate(self, command: str, data: StreamDataModule, trainer: Mapping[str, Any], *, quiet: bool) -> Results:
        kept = ("accelerator", "devices", "precision", "strategy")  # where it ran, not how it was trained
        settings = {name: self._trainer[name] for name in kept if name in self._trainer} | dict(trainer)
        # When a checkpoint of a shorter stream is loaded, rows for the new classes are added to its weights.
        is_older = self._checkpoint is not None and data is self._data and self.learner.n_classes < data.n_classes
        start = str(self._checkpoint) if is_older else None
        results = evaluate(
            command,
            self.module,
            data,
            ckpt_path=start,
            run=self.folder,
            config=self.config,
            quiet=quiet,
            **settings,
        )
        assert results is not None, "validate and test measure"
        return results
