"""Closed-loop evaluation: how well a learner controls robots on which it was not trained.

Shapes: ``T`` rows (experiences), ``D`` domains, ``R`` robots per domain.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch

from lifelong.control.closed_loop_files import ClosedLoopFiles
from lifelong.control.closed_loop_result import ClosedLoopMatrix, ClosedLoopResult, measured_intervals
from lifelong.control.closed_loop_table import closed_loop_table
from lifelong.control.drive import Drive
from lifelong.control.robot_domains import RobotDomains, check_answers
from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation import tables
from lifelong.evaluation.after_evaluation import AfterEvaluation, folder_of, is_last_evaluation, title_of
from lifelong.evaluation.intervals import Row
from lifelong.training.accessors import stream_module
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.quiet import console
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded

MAX_FAILURES = 3
"""Maximum number of failures that are printed."""


class ClosedLoop(AfterEvaluation, Recorded):
    """Let the learner control unseen robots of every domain of the stream, and measure their success or return.

    Success (or return) and the robots' other measures are averaged over robots with 95 % intervals, printed, and
    written to ``closed_loop.json`` with a heat map ``closed_loop.png``. In ``fit``, the scores after each experience
    form the closed-loop accuracy matrix, and its average and forgetting are reported. Further files:
    ``trajectories.png`` shows the robots' trajectories before and after adaptation; ``support_curve.png`` shows the
    model's error on held-out windows by the size of the support set; ``drive_<domain>.mp4`` are films if ``video`` is
    set (``.gif`` without the extra ``robot``). ``validate`` and ``test`` add the part to the file names, so they do not
    overwrite files of ``fit``.

    On the command line of ``fit``, ``validate`` and ``test``, add
    ``--trainer.callbacks+=lifelong.control.ClosedLoop --trainer.callbacks.n_robots=20``.

    All methods, seeds and rows use the same robots, initial states and goals.

    Args:
        n_robots: number of robots per domain; ``val`` and ``test`` use different robots.
        domains: names of the domains to drive in. Default: all domains that have robots.
        every_experience: in ``fit``, evaluate after every experience; if False, only after the last one.
        compare: after the last experience, also drive the same robots without adaptation.
        support_sizes: support set sizes of the support curve. Default: 0, powers of two, and the size in the evaluation
            tasks. An empty list disables the curve.
        video: film the first robot of each domain before and after adaptation.

    Raises:
        ValueError: when no source of the stream has robots, a strategy predicts instead of the learner, a support set
            is larger than the data allow, a domain has no robots, or an argument is out of range.

    Example:
        >>> ClosedLoop(n_robots=10).n_robots
        10
    """

    def __init__(
        self,
        *,
        n_robots: int = 20,
        domains: Sequence[str] | None = None,
        every_experience: bool = False,
        compare: bool = True,
        support_sizes: Sequence[int] | None = None,
        video: bool = False,
    ) -> None:
        check_number("ClosedLoop's n_robots", n_robots, least=1, whole=True)
        for size in support_sizes or ():
            check_number("ClosedLoop's support_sizes", size, least=0, whole=True)
        self.n_robots, self.domains, self.every_experience = n_robots, domains, every_experience
        self.compare, self.support_sizes, self.video = compare, support_sizes, video
        self.rows: list[Row] = []
        """The scores ``(R,)`` of each domain's robots after each experience; NaN if none was driven."""
        self.result: ClosedLoopResult | None = None
        """The last measurement."""
        self._files: list[str] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Raise an error before training if the stream cannot be evaluated in closed loop."""
        if stage == "predict":
            return
        robots = self._robots(trainer)
        check_answers(stream_module(trainer).strategies)
        robots.check_support_sizes(robots.support_sizes(self.support_sizes))

    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Drive in every domain; all processes do the same."""
        is_last = is_last_evaluation(trainer)
        if not (is_last or self.every_experience):
            return
        start, robots = time.monotonic(), self._robots(trainer)
        films = self.video and is_last and trainer.is_global_zero
        after = robots.drive(module, part, film=films)
        before = robots.drive(module, part, adapt=False, film=films) if is_last and (self.compare or films) else []
        in_fit = trainer.state.fn == "fit"
        if in_fit:
            self._add_row(trainer, dict(zip(robots.numbers, after, strict=True)))
            _log(module, part, robots.names, after)
        sizes = robots.support_sizes(self.support_sizes) if is_last else []
        self.result = ClosedLoopResult(
            part,
            after[0].score_name,
            self.n_robots,
            robots.names,
            measured_intervals(after),
            measured_intervals(before),
            {name: list(drive.failures) for name, drive in zip(robots.names, after, strict=True) if drive.failures},
            after=stream_data(trainer).stream.experiences[trainer.current_epoch].name if in_fit else None,
            matrix=ClosedLoopMatrix.of(self.rows, stream_data(trainer)) if in_fit else None,
            support_curve=robots.support_curve(module, part, sizes) if sizes else None,
            seconds=time.monotonic() - start,
        )
        self._write(trainer, self.result, before, after, draw=is_last)

    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print a row per domain, in ``fit`` the metrics of the stream, then failures and file names."""
        if (result := self.result) is None:
            return
        with console() as shown:
            shown.print()
            shown.print(closed_loop_table(result))
            if (matrix := result.matrix) is not None:
                table = tables.metrics_table(
                    matrix.estimates,
                    matrix.reasons,
                    percent=result.is_percentage,
                    score_name=result.score,
                    title=f"{result.score} in closed loop over the stream",
                )
                shown.print(table)
            failures = [f"{domain}, {text}" for domain, texts in result.failures.items() for text in texts]
            for text in failures[:MAX_FAILURES]:
                shown.print(f"failed: {text}", highlight=False, markup=False)
            if len(failures) > MAX_FAILURES:
                shown.print(f"and {len(failures) - MAX_FAILURES} more failed: see the file", highlight=False)
        self.say_where(trainer, *self._files)

    def _robots(self, trainer: L.Trainer) -> RobotDomains:
        return RobotDomains(stream_data(trainer), self.domains, self.n_robots)

    def _add_row(self, trainer: L.Trainer, drives: dict[int, Drive]) -> None:
        number, n_domains = trainer.current_epoch, len(stream_data(trainer).stream.domains)
        missing = np.full(self.n_robots, np.nan)
        self.rows += [[missing] * n_domains] * (number - len(self.rows))
        row = [drives[domain].scores if domain in drives else missing for domain in range(n_domains)]
        self.rows = [*self.rows[:number], row]

    def _write(
        self,
        trainer: L.Trainer,
        result: ClosedLoopResult,
        before: Sequence[Drive],
        after: Sequence[Drive],
        *,
        draw: bool,
    ) -> None:
        drawn: list[str] = []
        if draw and trainer.is_global_zero:
            files = ClosedLoopFiles(folder_of(trainer), result, partial(title_of, trainer))
            figures = files.pictures(stream_data(trainer), before or [None] * len(after), after)
            for name, figure in figures.items():
                drawn.append(result.file_name(name.replace(" ", "_"), ".png"))
                self.draw(figure, name, drawn[-1], trainer)
            drawn += files.write_films(before, after) if self.video else []
        name = result.file_name("closed_loop", ".json")
        self.write(name, result.content() | ({"files": drawn} if draw else {}), trainer)
        self._files = [name, *drawn]

    # -- checkpoint --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the rows as tensors, so that a checkpoint loads without unpickling code."""
        return {"rows": [[torch.from_numpy(scores) for scores in row] for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows of a checkpoint."""
        self.rows = [[scores.numpy() for scores in row] for row in state_dict["rows"]]


def _log(module: StreamModule, part: Part, names: Sequence[str], drives: Sequence[Drive]) -> None:
    values = {f"{part}/closed_loop/{n}": float(np.nanmean(d.scores)) for n, d in zip(names, drives, strict=True)}
    module.log_dict(values, rank_zero_only=False, sync_dist=False)
