"""The report of a run: one line per experience, tables at the end, ``results.json`` and figures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L

from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation.logged import log_picture, log_table
from lifelong.evaluation.plots import save_figure
from lifelong.evaluation.results import RESULTS, Results
from lifelong.evaluation.setting import Setting
from lifelong.utilities.files import write_json
from lifelong.utilities.quiet import console, is_quiet, say
from lifelong.utilities.sparingly import Sparingly

if TYPE_CHECKING:
    from rich.console import Console

MATRIX, CURVES = "accuracy_matrix.png", "forgetting_curves.png"


class Report:
    """Write and print results, on the first process only; all output is a function of the results.

    Args:
        folder: folder for the files.
        config: the config of the run, for ``results.json``.
        write_page: function that writes an HTML page of the results into the folder at the end. If None, no page is
            written.
    """

    def __init__(
        self,
        folder: str | Path,
        config: Mapping[str, Any] | None = None,
        write_page: Callable[[Results, Path], Path] | None = None,
    ) -> None:
        self.folder, self.config, self.write_page = Path(folder), dict(config or {}), write_page
        self._write_now_and_then, self._draw_now_and_then = Sparingly(), Sparingly()

    def title(self, setting: Setting) -> str:
        """Return the title of figures: the run with its learner and strategies, and its data in a second line.

        Args:
            setting: the setting of the results.
        """
        return replace(setting, config=self.config).title_of(self.folder.resolve().name)

    def row(self, results: Results, trainer: L.Trainer) -> None:
        """Print a line after an experience; from time to time update the files, the figures and the loggers' tables."""
        if not trainer.is_global_zero:
            return
        _print(trainer, results.line())
        results = self._of_run(results)
        self._write_now_and_then(lambda: results.save(self.folder))
        self._draw_now_and_then(lambda: self._draw(results, trainer))

    def finish(self, results: Results, trainer: L.Trainer) -> None:
        """Write all files at the end, and print the matrix, the metrics and the paths of the files."""
        if not trainer.is_global_zero:
            return
        results = self._of_run(results)
        results.save(self.folder)
        self._draw(results, trainer)
        page = self._page(results)
        with console() as shown:
            shown.print()
            self._print_tables(results, shown)
            self._print_files(shown, page)

    def evaluation(self, results: Results, trainer: L.Trainer) -> None:
        """Print, write and log the scores of a checkpoint, from ``validate`` or ``test``."""
        if not trainer.is_global_zero:
            return
        setting = results.setting
        content = {"part": setting.part, "about": setting.evaluation, "n_eval_units": setting.n_eval_units}
        content |= {"domains": setting.domains, "mean": results.matrix[0], "half_width": results.half_widths[0]}
        path = self.folder / f"{stream_data(trainer).evaluation_name(setting.part)}.json"
        with console() as shown:
            self._print_tables(results, shown)
            shown.print(f"written: {write_json(path, content)}", highlight=False, soft_wrap=True)
        rows = zip(setting.domains, results.matrix[0].tolist(), results.half_widths[0].tolist(), strict=True)
        table = [list(row) for row in rows]
        for logger in trainer.loggers:
            logger.log_metrics(results.scalars())
            log_table(logger, "scores", ["domain", setting.score, "half width"], table)

    def _draw(self, results: Results, trainer: L.Trainer) -> None:
        save_figure(results.plot_matrix(), self.folder / MATRIX)
        save_figure(results.plot_curves(), self.folder / CURVES)
        table = [[i + 1, *row] for i, row in enumerate(results.matrix.tolist())]
        step = max(trainer.global_step - 1, 0)  # the step that Lightning gives the scalars
        for logger in trainer.loggers:
            log_table(logger, "matrix", ["after experience", *results.domains], table, step)
            log_picture(logger, "heat map", self.folder / MATRIX, step)
            log_picture(logger, "curves", self.folder / CURVES, step)

    def _of_run(self, results: Results) -> Results:
        return results.of_run(self.folder.resolve().name, self.config)

    def _page(self, results: Results) -> Path | None:
        """Write the page; an error in it becomes a warning, because the run itself is complete."""
        if self.write_page is None:
            return None
        try:
            return self.write_page(results, self.folder)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            warnings.warn(f"the run is whole, but its page was not written: {reason}", stacklevel=2)
            return None

    def _print_tables(self, results: Results, console: Console) -> None:
        for table in results.tables(console.width):
            console.print(table, highlight=False)

    def _print_files(self, console: Console, page: Path | None) -> None:
        console.print(f"\nrun folder: {self.folder}", highlight=False, soft_wrap=True)
        config, last = self.folder / "config.yaml", self.folder / "checkpoints" / "last.ckpt"
        for name, content in (
            *(((page.name, "all of it as a page, for a browser"),) if page else ()),
            (RESULTS, "matrix, intervals, metrics, config, versions"),
            (MATRIX, "the matrix as a heat map"),
            (CURVES, "each domain's score as the stream went by"),
            ("metrics.csv", "losses and scores by step"),
            ("config.yaml", f"repeat with: python -m lifelong fit --config {config}"),
            ("checkpoints/last.ckpt", f"judge with: python -m lifelong test --ckpt_path {last}"),
        ):
            if (self.folder / name).exists():
                console.print(f"  {name:<22} {content}", highlight=False, soft_wrap=True)


def _print(trainer: L.Trainer, line: str) -> None:
    bar: Any = trainer.progress_bar_callback
    if bar is None or bar.is_disabled or is_quiet():
        say(line)
    else:
        bar.print(line)
