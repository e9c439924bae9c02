"""A run: what was learnt, how well, and ways to evaluate it further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.results import Results
from lifelong.learners.base import Learner
from lifelong.run.evaluate import evaluate
from lifelong.strategy import Chain
from lifelong.training.stream_module import StreamModule

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
        trainer: arguments of the Trainer that evaluations take along, such as ``accelerator``.
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
    ) -> None:
        self.folder, self.config = folder, dict(config)
        self.model = module
        """What answers: the learner with its strategies."""
        self._results, self._data, self._trainer = results, data, dict(trainer)

    # -- what was learnt ------------------------------------------------------------------------------------------

    @property
    def learner(self) -> Learner:
        """Return the trained learner, in evaluation mode."""
        return self.model.learner

    @property
    def strategies(self) -> Chain:
        """Return its strategies, with what they remember."""
        return self.model.strategies

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

    def __str__(self) -> str:
        return f"{self._results or 'no evaluation yet'}\nrun folder: {self.folder}"

    def _repr_html_(self) -> str:
        return f"{self.results._repr_html_()}<p>run folder: <code>{self.folder}</code></p>"

    # -- further ---------------------------------------------------------------------------------------------------

    def validate(self, **trainer: Any) -> Results:
        """Evaluate on the part that the matrix is from; ``.matrix`` of what it returns has one row.

        Args:
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("validate", self.data, trainer)

    def test(self, **trainer: Any) -> Results:
        """Evaluate on test tasks; ``.matrix`` of what it returns has one row.

        Args:
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("test", self.data, trainer)

    def evaluate(self, data: StreamDataModule, **trainer: Any) -> Results:
        """Evaluate on the test tasks of another stream; ``.matrix`` of what it returns has one row.

        Args:
            data: the stream.
            trainer: arguments of Lightning's Trainer.
        """
        return self._evaluate("test", data, trainer)

    def _evaluate(self, command: str, data: StreamDataModule, trainer: Mapping[str, Any]) -> Results:
        settings = self._trainer | dict(trainer)
        results = evaluate(command, self.model, data, run=self.folder, config=self.config, **settings)
        assert results is not None, "validate and test measure"
        return results
