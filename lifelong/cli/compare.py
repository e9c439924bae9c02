"""``python -m lifelong compare RUN…``: compare runs in one table, with paired differences."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lifelong.cli.command import Command
from lifelong.evaluation.comparison import Comparison
from lifelong.pages.comparison_page import comparison_html
from lifelong.run.compare import checked_interval, find_metrics
from lifelong.run.compare import compare as compare_runs
from lifelong.utilities.files import write_whole

FORMATS = {"text": ".txt", "markdown": ".md", "latex": ".tex", "csv": ".csv", "html": ".html"}
"""Output formats, with the file extension of each."""
WIDE = 200
"""Width of text output in a file, in columns."""


@dataclass(frozen=True)
class Compare:
    """Compare runs in one table: one row per method, averaged over its seeds, and paired differences.

    Args:
        runs: run folders, checkpoints in them, or ``last``: the newest run below runs/; or folders of run folders.
        by: config keys that define a method, such as strategies,optimizer.lr. Default: all but the seed.
        against: the baseline: a label, or the name of a run. Default: the first.
        metric: further metrics: import paths of functions, with commas. Each takes the results of a run and returns a
            number or an estimate.
        interval: interval of paired differences: percentile and bca use the bootstrap, t is Student's t.
        n_resamples: resamples of the bootstrap and of the sign-flip test.
        seed: seed of the resamples and the sign flips.
        format: text, markdown, latex, csv or html. Default: by the extension of the output file, else text; html is a
            page with figures.
        output: the file to write, such as table.tex. By default, the table is printed. An existing file is never
            replaced.
    """

    runs: tuple[str, ...]
    by: str | None = None
    against: str | None = None
    metric: str | None = None
    interval: str = "percentile"
    n_resamples: int = 9999
    seed: int = 0
    format: str | None = None
    output: str | None = None


COMMAND = Command("compare", Compare, takes="RUN RUN …")


def compare(args: Sequence[str]) -> None:
    """Compare runs, and print or write the table.

    Args:
        args: the command line after ``compare``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when a run cannot be read, or something that is named does not exist.
    """
    asked = COMMAND.parse(args)
    form, target = _format(asked), _new(asked.output)
    comparison = compare_runs(
        asked.runs,
        by=asked.by,
        against=asked.against,
        metrics=find_metrics(_listed(asked.metric)),
        interval=checked_interval(asked.interval),
        n_resamples=asked.n_resamples,
        seed=asked.seed,
    )
    if target is None:
        _show(comparison, form)
        return
    text = _text(comparison, form)
    write_whole(target, lambda part: part.write_text(text + "\n", encoding="utf-8"))
    for warning in comparison.warnings:
        print(f"! {warning}.")
    n_runs = sum(len(row.runs) for row in comparison.rows)
    print(f"written: {target} ({len(comparison.rows)} methods, {n_runs} runs)")


def _format(asked: Compare) -> str:
    """Return the format: the given one, or the one of the file extension."""
    if asked.format is not None:
        if asked.format not in FORMATS:
            raise ValueError(f"there is no format {asked.format!r}: give {', '.join(FORMATS)}")
        return asked.format
    if asked.output is None:
        return "text"
    ending = Path(asked.output).suffix.lower()
    names = {end: name for name, end in FORMATS.items()}
    if ending not in names:
        raise ValueError(
            f"--output {asked.output} does not say its format: end it in {', '.join(names)}, or give --format"
        )
    return names[ending]


def _new(output: str | None) -> Path | None:
    """Return the path of the file to write; an existing file is refused, so that no work is lost."""
    if output is None:
        return None
    path = Path(output).expanduser()
    if path.exists():
        raise ValueError(f"--output {output} is there already, and is not replaced: name another file")
    return path


def _show(comparison: Comparison, form: str) -> None:
    """Print a table, in a terminal with colours."""
    if form == "text":
        console = Console(highlight=False)
        console.print(comparison.renderable(console.width))
        return
    print(_text(comparison, form))
    if form == "csv":  # CSV has no place for warnings
        for warning in comparison.warnings:
            print(f"! {warning}.", file=sys.stderr)


def _text(comparison: Comparison, form: str) -> str:
    if form == "text":
        return comparison.to_text(WIDE)
    writers = {"markdown": comparison.to_markdown, "latex": comparison.to_latex, "csv": comparison.to_csv}
    return comparison_html(comparison) if form == "html" else writers[form]()


def _listed(text: str | None) -> list[str]:
    return [] if text is None else [part.strip() for part in text.split(",")]
