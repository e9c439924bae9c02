"""A run: what was learnt, how well, and ways to evaluate it further."""

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
    """Hold a run: its folder, its results, the trained learner, and ways to evaluate it further.

    ``print(run)`` shows the tables that the command line prints; a notebook shows them as HTML.

    Args:
        folder: the run folder.
        module: the trained learner with its strategies.
        results: what was measured; None where nothing was yet.
        data: the stream; None where it is not at hand.
        config: what ``config.yaml`` says.
        trainer: arguments of the Trainer that trained it; evaluations take along where it ran.
        limits: of what the config may import, where more of it is made into objects.
        checkpoint: that the learner was loaded from.
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
        """What Lightning trains: the learner with its strategies."""
        self._results, self._data, self._trainer, self._limits = results, data, dict(trainer), limits
        self._checkpoint = checkpoint
        self._model: Model | None = None

    # -- what was learnt ------------------------------------------------------------------------------------------

    @property
    def model(self) -> Model:
        """Return what answers about a person's own photos, texts or tensors, by name.

        Raises:
            ValueError: when the checkpoint does not say what was taught and there is no stream at hand that does.
        """
        if self._model is None:
            if "stream" not in self.module.taught and self._data is not None:  # of an earlier version
                self.module.note_stream(self._data)
            self._model = Model(self.module, limits=self._limits, results=self._results, name=self.folder.name)
        return self._model

    @property
    def learner(self) -> Learner:
        """Return the trained learner, in evaluation mode."""
        return self.module.learner

    @property
    def strategies(self) -> Chain:
        """Return its strategies, with what they remember."""
        return self.module.strategies

    @property
    def data(self) -> StreamDataModule:
        """Return the stream.

        Raises:
            ValueError: when it could not be made from the run's config.
        """
        if self._data is None:
            raise ValueError(
                f"the stream of {self.folder} is not at hand: give it as load(…, data=…) or evaluate(data)"
            )
        return self._data

    # -- how well -------------------------------------------------------------------------------------------------

    @property
    def results(self) -> Results:
        """Return all that was measured.

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
        """Return the half widths of its 95 % intervals, of the same shape."""
        return self.results.half_widths

    @property
    def domains(self) -> Sequence[str]:
        """Return the names of the domains, the columns of the matrix."""
        return self.results.domains

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Return the continual metrics by name, each with ``value`` and ``half_width``."""
        return self.results.metrics

    def plot(self) -> Figure:
        """Draw the matrix."""
        return self.results.plot()

    def report(self, path: str | Path | None = None) -> Path:
        """Write a page that a person can show, and return where it is.

        Args:
            path: of the page; ``report.html`` in the run folder where None.

        Raises:
            ValueError: when there is a file of that name that is no such page.
        """
        return write_report(self.results, self.folder, path)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def __str__(self) -> str:
        return f"{self._results or 'no evaluation yet'}\nrun folder: {self.folder}"

    def _repr_html_(self) -> str:
        table = "<p>no evaluation yet</p>" if self._results is None else self._results._repr_html_()
        return f"{table}<p>run folder: <code>{self.folder}</code></p>"

    # -- further ---------------------------------------------------------------------------------------------------

    def validate(self, *, quiet: bool = False, **trainer: Any) -> Results:
        """Evaluate on the part that the matrix is from; ``.matrix`` of what it returns has one row.

        Args:
            quiet: print no bar and no table.
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("validate", self.data, trainer, quiet=quiet)

    def test(self, *, quiet: bool = False, **trainer: Any) -> Results:
        """Evaluate on test tasks; ``.matrix`` of what it returns has one row.

        Args:
            quiet: print no bar and no table.
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("test", self.data, trainer, quiet=quiet)

    def evaluate(self, data: StreamDataModule, *, quiet: bool = False, **trainer: Any) -> Results:
        """Evaluate on the test tasks of another stream; ``.matrix`` of what it returns has one row.

        Args:
            data: the stream.
            quiet: print no bar and no table.
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
        """Drive one robot of a domain, and write a film of it with the numbers beside it.

        Args:
            domain: its name; None is the first that has robots.
            robot: its number among those that the closed-loop evaluation drives there, from 1.
            seed: decides other robots than those; None is these.
            part: ``val`` or ``test``.
            compare: drive it without adaptation as well.
            view: ``scene``, as the simulator draws it, or ``plan``, the way from above.
            film: a path that ends in ``.mp4`` or ``.gif``; None is in the run folder.

        Returns:
            What it did, and the files that were written.
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
        """Learn further experiences, which come after those of the finished stream; the matrix grows with them.

        Weights, optimizer, and what strategies remember go on from the last checkpoint in the run folder, and the
        config there becomes that of the longer stream.

        Args:
            sources: new data sets, in the order of the stream; none goes on with a longer stream that was begun.
            keep_old: evaluate the old domains as well; False where their data are gone.
            quiet: print no bar, line or table; warnings and errors still show, and all files are written.
            trainer: arguments of Lightning's Trainer, over those that the run was trained with.

        Returns:
            The run, with the longer stream; this one stays what it was, but for the learner, which they share.

        Raises:
            ValueError: when the stream is not learnt to its end, or the new domains do not fit it.
        """
        if isinstance(sources, Source):
            raise ValueError("extend takes a list of sources: give [source]")
        check_extends(self.data.joint, self.folder)
        data = self.data.with_sources(objects_of_longer(self.data.sources, sources, keep_old, self.folder))
        data.load()  # what cannot be loaded is refused before anything is changed
        self.learner.grow(data.n_classes)
        self.module.train()
        with self._limits():
            settings = {**(self._trainer or make_trainer_arguments(self.config, trainer)), **trainer}
        start, saves, options = Learnt(self.folder).checkpoint, make_checkpoint(self.config), RunOptions(quiet=quiet)
        configuration = describe_longer(self.config, data, trainer)
        _, results = train(self.module, data, options, start, saves, configuration, settings, extends=True)
        return Run(self.folder, self.module, results, data=data, config=configuration.content, trainer=settings)

    def _evaluate(self, command: str, data: StreamDataModule, trainer: Mapping[str, Any], *, quiet: bool) -> Results:
        kept = ("accelerator", "devices", "precision", "strategy")  # where it ran, and not how it was trained
        settings = {name: self._trainer[name] for name in kept if name in self._trainer} | dict(trainer)
        # A checkpoint of a shorter stream is given the rows of classes that it does not know when it is loaded.
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
