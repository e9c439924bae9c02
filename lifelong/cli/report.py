"""``python -m lifelong report RUN``: write the report of a run, from its results alone."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lifelong.cli.command import Command
from lifelong.evaluation.results import RESULTS, Results
from lifelong.pages.report_page import write_report
from lifelong.run.last import last_run
from lifelong.utilities.amounts import bytes_text

ENDINGS = (".html", ".htm")


@dataclass(frozen=True)
class Report:
    """Write the report of a run as a self-contained page; only the results of the run are needed.

    Args:
        run: a run folder, a checkpoint in one, or ``last``: the newest run below runs/.
        output: a file that ends in .html. Default: report.html in the run folder; only an earlier report is replaced.
    """

    run: str
    output: str | None = None


COMMAND = Command("report", Report)


def report(args: Sequence[str]) -> None:
    """Write the report of a run.

    Args:
        args: the command line after ``report``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when there are no results, or the page cannot be written.
    """
    asked = COMMAND.parse(args)
    if asked.output is not None and Path(asked.output).suffix.lower() not in ENDINGS:
        raise ValueError(f"--output {asked.output} is no name of a page: end it in {ENDINGS[0]}")
    page, where = (_elsewhere if "://" in asked.run else _here)(_folder(asked.run), asked.output)
    print(f"written: {where} ({bytes_text(page.stat().st_size)}); open it in a browser")


def _folder(run: str) -> str:
    """Return the run folder of a run, a checkpoint or ``last``."""
    if run == "last":
        newest = last_run()
        print(f"last is {newest}")
        return str(newest)
    if not run.endswith(".ckpt"):
        return run
    return run.rpartition("/checkpoints/")[0] if "://" in run else str(Path(run).parent.parent)


def _here(folder: str | Path, output: str | None) -> tuple[Path, str]:
    """Write the report of a local folder, and return its path and the path to print."""
    try:
        results = Results.load(folder)
    except (KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"the results in {folder} cannot be read ({error}): run it again") from error
    page = write_report(results, folder, output)
    return page, str(page)


def _elsewhere(folder: str, output: str | None) -> tuple[Path, str]:
    """Write the report of a remote folder; only its results are fetched."""
    from lifelong.run.mirror import Mirror  # imports Lightning, which takes seconds

    mirror = Mirror(folder)
    mirror.fetch_file(RESULTS)
    page, where = _here(mirror.folder, output)
    if output is not None:
        return page, where
    mirror.push()
    return page, f"{mirror.url}/{page.name}"
