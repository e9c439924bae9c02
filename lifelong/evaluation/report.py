"""What a person gets to see of a run: lines while it goes, tables at the end, results.json and pictures."""

from __future__ import annotations

import math
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch

from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation import metrics, plots, tables
from lifelong.training.stream_module import stream_module
from lifelong.utilities.files import write_json
from lifelong.utilities.versions import installed_version

if TYPE_CHECKING:
    from lifelong.evaluation.evaluator import Evaluator

SHARE = 0.05
"""Of a run's time that files which show how it stands may take; those of a finished run are written anyway."""
PACKAGES = ("lifelong", "torch", "lightning", "numpy", "torchmetrics", "wandb")


class Sparingly:
    """Does a thing unless it would take more than a share of all time: what took a second waits for twenty.

    Files that show how a run stands grow with the square of its length, and pictures take longer than a small
    experience: writing them each time would be most of the run.

    Args:
        share: of the time that goes by.
        clock: seconds.

    Example:
        >>> times = iter([0.0, 1.0, 5.0, 21.0, 22.0])
        >>> sparingly = Sparingly(0.05, clock=lambda: next(times))
        >>> [sparingly(lambda: None) for _ in range(3)]  # from 0 to 1; not at 5; from 21 to 22
        [True, False, True]
    """

    def __init__(self, share: float = SHARE, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.share, self.clock = share, clock
        self._due = -math.inf

    def __call__(self, action: Callable[[], None]) -> bool:
        """Do it where it is due; returns whether it was."""
        began = self.clock()
        if began < self._due:
            return False
        action()
        self._due = began + (self.clock() - began) / self.share
        return True


class Report:
    """Writes and prints what an evaluator measured, on the first process only.

    Args:
        folder: the run folder.
        config: what the run was started with, for ``results.json``.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.config = dict(config)
        self._write_now_and_then, self._draw_now_and_then = Sparingly(), Sparingly()

    def row(self, evaluator: Evaluator, trainer: L.Trainer) -> None:
        """After an experience: one line, and now and then results.json, the pictures, and the loggers' tables."""
        if not trainer.is_global_zero:
            return
        number, stream = trainer.current_epoch, stream_data(trainer).stream
        means, widths = metrics.interval(evaluator.rows["score"][-1])
        line = tables.row_line(
            number,
            len(stream.experiences),
            stream.experiences[number].name,
            means,
            widths,
            stream.domains,
            _objective(trainer).percent,
            stream.n_unseen,
        )
        _print(trainer, line)
        self._write_now_and_then(lambda: self._write(evaluator, trainer, finished=False))
        self._draw_now_and_then(lambda: self._draw(evaluator, trainer))

    def finish(self, evaluator: Evaluator, trainer: L.Trainer) -> None:
        """At the end: all files, the matrix and the metrics as tables, and where everything is."""
        if not trainer.is_global_zero or not evaluator.rows:
            return
        self._write(evaluator, trainer, finished=True)
        self._draw(evaluator, trainer)
        data, matrix = stream_data(trainer), evaluator.matrix()
        means, widths = metrics.interval(matrix)
        percent, name = _objective(trainer).percent, _score_name(trainer)
        console = _console()
        console.print()
        console.print(
            tables.matrix_table(
                means,
                widths,
                _row_names(trainer, len(matrix)),
                data.stream.domains,
                percent=percent,
                joint=data.joint,
                n_unseen=data.stream.n_unseen,
                title=f"{name} on {data.evaluate_on} tasks (rows: after learning; columns: evaluated on)",
                width=console.width,
            )
        )
        summary, reasons = evaluator.summary(trainer), evaluator.reasons(trainer)
        console.print(tables.metrics_table(summary, reasons, percent=percent, score_name=name))
        for measure in sorted(evaluator.rows):
            if measure != "score":
                mean, half = metrics.interval(evaluator.matrix(measure)[-1:].reshape(1, -1))
                console.print(f"{measure}: {mean[0]:.3f} ± {half[0]:.3f} over all domains", highlight=False)
        self._say_where(console)

    def evaluation(self, row: Mapping[str, metrics.Row], trainer: L.Trainer, part: str) -> None:
        """One row of a checkpoint, from ``validate`` or ``test``."""
        if not trainer.is_global_zero:
            return
        data = stream_data(trainer)
        domains, percent, about = data.stream.domains, _objective(trainer).percent, data.about_evaluation(part)
        means, widths = metrics.interval(metrics.ragged(row["score"]))
        console = _console()
        title = f"{_score_name(trainer)} on {about}"
        console.print(
            tables.matrix_table(
                means[None],
                widths[None],
                ["checkpoint"],
                domains,
                percent=percent,
                joint=True,
                n_unseen=data.stream.n_unseen,
                title=title,
                width=console.width,
            )
        )
        content = {"part": part, "about": about, "n_eval_units": _n_eval_units(data, part), "domains": list(domains)}
        content |= {"mean": means, "half_width": widths}
        path = write_json(self.folder / f"{data.evaluation_name(part)}.json", content)
        console.print(f"written: {path}", highlight=False, soft_wrap=True)

    def _write(self, evaluator: Evaluator, trainer: L.Trainer, *, finished: bool) -> None:
        write_json(self.folder / "results.json", self._results(evaluator, trainer, finished=finished))

    def _results(self, evaluator: Evaluator, trainer: L.Trainer, *, finished: bool) -> dict[str, Any]:
        data = stream_data(trainer)
        module = stream_module(trainer)
        learner = module.learner
        means, widths = metrics.interval(evaluator.matrix())
        summary = evaluator.summary(trainer)
        others = {name: metrics.plain(evaluator.matrix(name).mean(-1)) for name in evaluator.rows if name != "score"}
        return {
            "finished": finished,
            "score": learner.objective.score_name,
            "transductive": learner.transductive,
            "part": data.evaluate_on,
            "domains": list(data.stream.domains),
            "experiences": [e.name for e in data.stream.experiences],
            "n_unseen": data.stream.n_unseen,
            "matrix": means,
            "half_width": widths,
            "untrained": None if evaluator.untrained is None else [row.mean() for row in evaluator.untrained],
            "metrics": {name: None if e is None else asdict(e) for name, e in summary.items()},
            "measures": others,
            "n_eval_units": _n_eval_units(data, data.evaluate_on),
            "split_hash": data.stream.fingerprint,
            "parameters": sum(p.numel() for p in learner.meta_parameters().values()),
            "strategies": module.strategies.names,
            "strategy_bytes": {type(s).__name__: s.memory_bytes() for s in module.strategies},
            "wall_seconds": evaluator.elapsed(),
            "peak_memory": peak_memory(),
            "versions": {p: installed_version(p) for p in PACKAGES} | {"python": platform.python_version()},
            "config": self.config,
        }

    def _draw(self, evaluator: Evaluator, trainer: L.Trainer) -> None:
        data, matrix = stream_data(trainer), evaluator.matrix()
        means, widths = metrics.interval(matrix)
        module = stream_module(trainer)
        learner = module.learner
        title = f"{type(learner).__name__}, {' + '.join(module.strategies.names) or 'no strategy'}"
        about = (means, widths, _row_names(trainer, len(matrix)), data.stream.domains)
        style = {"title": title, "score_name": _score_name(trainer), "percent": learner.objective.percent}
        style |= {"joint": data.joint, "n_unseen": data.stream.n_unseen}
        for file, draw in (
            ("accuracy_matrix.png", plots.accuracy_matrix_figure),
            ("forgetting_curves.png", plots.forgetting_curves_figure),
        ):
            plots.save_figure(draw(*about, **style), self.folder / file)
        picture = self.folder / "accuracy_matrix.png"
        for logger in trainer.loggers:
            if hasattr(logger, "log_matrix"):
                logger.log_matrix(means, data.stream.domains, picture, trainer.global_step)

    def _say_where(self, console: Any) -> None:
        console.print(f"\nrun folder: {self.folder}", highlight=False, soft_wrap=True)
        config, last = self.folder / "config.yaml", self.folder / "checkpoints" / "last.ckpt"
        for name, what in (
            ("results.json", "matrix, intervals, metrics, config, versions"),
            ("accuracy_matrix.png", "the matrix as a heat map"),
            ("forgetting_curves.png", "each domain's score as the stream went by"),
            ("metrics.csv", "losses and scores by step"),
            ("config.yaml", f"repeat with: python -m lifelong fit --config {config}"),
            ("checkpoints/last.ckpt", f"judge with: python -m lifelong test --ckpt_path {last}"),
        ):
            if (self.folder / name).exists():
                console.print(f"  {name:<22} {what}", highlight=False, soft_wrap=True)


def peak_memory() -> dict[str, int]:
    """Peak bytes of this process, and of the accelerator where there is one."""
    scale = 1 if sys.platform == "darwin" else 1024
    peak = {"process_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale}
    if torch.cuda.is_available():
        peak["accelerator_bytes"] = torch.cuda.max_memory_allocated()
    return peak


def _objective(trainer: L.Trainer) -> Any:
    return stream_module(trainer).learner.objective


def _score_name(trainer: L.Trainer) -> str:
    learner = stream_module(trainer).learner
    return f"{learner.objective.score_name}{', transductive' if learner.transductive else ''}"


def _n_eval_units(data: Any, part: str) -> list[int]:
    return [data.n_eval_units(part, domain) for domain in range(len(data.stream.domains))]


def _row_names(trainer: L.Trainer, n_rows: int) -> list[str]:
    return [e.name for e in stream_data(trainer).stream.experiences[:n_rows]]


def _console() -> Any:
    from rich.console import Console

    return Console()


def _print(trainer: L.Trainer, line: str) -> None:
    bar: Any = trainer.progress_bar_callback
    if bar is None or bar.is_disabled:
        print(line, flush=True)
    else:
        bar.print(line)
