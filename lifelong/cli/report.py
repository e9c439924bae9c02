"""``python -m lifelong report RUN``: the page of a run, from its results alone."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lifelong.cli.loaded import parse_run
from lifelong.evaluation.results import RESULTS, Results
from lifelong.pages.report_page import write_report
from lifelong.run.last import last_run
from lifelong.run.mirror import Mirror, is_remote


@dataclass(frozen=True)
class Report:
    """Write a page that a person can show; the results of the run are enough: no data, no model, no network.

    Args:
        run: a run folder, a checkpoint in one, or ``last`` for the newest run below runs/.
        output: the page; ``report.html`` in the run folder where None. A file that is no such page is never replaced.
    """

    run: str
    output: str | None = None


def report(args: Sequence[str]) -> None:
    """Write the page of a run.

    Args:
        args: what follows ``report``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when there are no results, or the page cannot be written.
    """
    asked = parse_run("report", Report, args)
    mirror = Mirror(_folder(asked.run)) if is_remote(asked.run) else None
    folder = Path(_folder(asked.run)) if mirror is None else _fetched(mirror)
    try:
        results = Results.load(folder)
    except (KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"the results in {folder} cannot be read ({error}): run it again") from error
    page = write_report(results, folder, asked.output)
    where = str(page)
    if mirror is not None and asked.output is None:
        mirror.push()
        where = f"{mirror.url}/{page.name}"
    print(f"written: {where} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser")


def _folder(run: str) -> str:
    """The folder of what is asked for."""
    if run == "last":
        newest = last_run()
        print(f"last is {newest}")
        return str(newest)
    if not run.endswith(".ckpt"):
        return run
    return run.rpartition("/checkpoints/")[0] if is_remote(run) else str(Path(run).parent.parent)


def _fetched(mirror: Mirror) -> Path:
    """The local copy of a folder that lies elsewhere, with its results and no checkpoint."""
    mirror.fetch_file(RESULTS)
    return mirror.folder
