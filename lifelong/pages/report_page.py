"""The report of a run: its setup, its results, its costs, and the command that repeats it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lifelong.evaluation.estimate import Estimate, number
from lifelong.evaluation.results import Results
from lifelong.evaluation.tables import MEANINGS, unit
from lifelong.pages import words
from lifelong.pages.curves import MOST_COLOURED, average_curve, domain_curves
from lifelong.pages.heat_map import heat_map
from lifelong.pages.page import figure, render, write_page
from lifelong.pages.view import View, measure_view, view_of
from lifelong.utilities.amounts import bytes_text, seconds_text
from lifelong.utilities.files import as_json

REPORT = "report.html"
"""File name of the report in a run folder."""
MEMORY = {"process_bytes": "process, at its peak", "accelerator_bytes": "accelerator, at its peak"}


def report_html(results: Results, folder: str | Path = "") -> str:
    """Return the report of a run as text; equal results and folders give identical reports.

    Args:
        results: results of the run.
        folder: the run folder, for the run's name and the command that repeats it. Empty if there is none.

    Example:
        >>> from lifelong.evaluation.setting import Setting
        >>> results = Results(Setting(("a", "b"), ("a", "b"), learner="MAML"), {"score": [np.eye(2, 3)] * 2})
        >>> page = report_html(results, "runs/birds")
        >>> "<h1>MAML, without a strategy</h1>" in page
        True
    """
    view, name = view_of(results), Path(folder).name
    return render(
        "report.html.j2",
        title=words.title(results),
        run=name,
        lead=words.lead(results),
        facts=words.facts(results),
        metrics=_metrics(results),
        figures=_figures(view, results),
        measures=_measures(results),
        view=view,
        domains=_domains(results, view.places),
        costs=_costs(results),
        versions=results.setting.versions,
        machine=results.setting.machine,
        config=yaml.safe_dump(as_json(results.setting.config), sort_keys=False, allow_unicode=True),
        command=_command(results, folder),
    )


def write_report(results: Results, folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of a run.

    Args:
        results: results of the run.
        folder: the run folder.
        path: path of the report. Default: ``report.html`` in the run folder.

    Returns:
        The path of the report.

    Raises:
        ValueError: when there is another file at this path.
    """
    folder, here = Path(folder), Path.cwd()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder  # relative to the current folder
    return write_page(folder / REPORT if path is None else path, report_html(results, shown))


def _metrics(results: Results) -> list[dict[str, str]]:
    setting, factor = results.setting, unit(results.setting.percent)
    shown = view_places(results)
    tiles = []
    for key, estimate in results.metrics.items():
        name, meaning = (text.format(score=setting.score) for text in MEANINGS[key])
        known = not estimate.reason and not np.isnan(estimate.value)
        scaled = Estimate(estimate.value, estimate.half_width).scaled(factor)
        value, _, width = scaled.text(shown).partition(" ± ")
        tiles.append(
            {
                "name": name,
                "value": value if known else "n/a",
                "width": width if known and width != "n/a" else "",
                "unit": "%" if setting.percent and known else "",
                "meaning": estimate.reason
                or (meaning if known else f"{meaning}; a score is not a number because the learner diverged"),
            }
        )
    return tiles


def view_places(results: Results) -> int:
    """Return the decimal places of scores: those of the matrix, so that all numbers of a report are consistent."""
    return view_of(results).places


def _figures(view: View, results: Results) -> list[dict[str, Any]]:
    """Return the figures of the scores, with captions."""
    score, left_out = view.score, view.left_out
    if view.one_row:
        shown = [figure("domains", f"{score} of each domain", domain_curves(view), f"Bars: 95 % intervals. {left_out}")]
        return shown
    veil = "Shaded cells right of the line are domains that are not learnt yet. " if (~_learnt(view)).any() else ""
    unseen = "Right of the dotted line are domains that are never learnt, only evaluated. " if view.n_unseen else ""
    gaps = "Empty cells were not evaluated. " if np.isnan(view.values).any() else ""
    matrix = figure(
        "matrix",
        f"{score}: rows after learning, columns evaluated on",
        heat_map(view),
        f"{veil}{unseen}{gaps}Point at a cell for its score and 95 % interval. {left_out}",
    )
    if len(view.rows) == 1:
        return [matrix]
    how = (
        "Dotted: before it is learnt; bars: 95 % intervals."
        if len(view.columns) <= MOST_COLOURED
        else "Point at a curve to highlight it; each begins where its domain is learnt."
    )
    curves = figure("domains", f"{score} of each domain over the stream", domain_curves(view), f"{how} {left_out}")
    average = figure(
        "average",
        f"{score}, averaged over the domains learnt so far",
        average_curve(view),
        "After each experience, with 95 % intervals; missing where one of these domains was not evaluated.",
    )
    return [matrix, curves, average]


def _learnt(view: View) -> np.ndarray:
    return np.arange(len(view.columns)) < view.n_learnt[:, None]


def _domains(results: Results, places: int) -> list[list[str]]:
    """Return one row per learnt domain: its score right after learning, its final score, and the change."""
    matrix, factor = results.matrix, unit(results.setting.percent)
    if results.setting.joint or results.setting.checkpoint:
        return []
    rows = []
    for j in range(min(len(matrix), matrix.shape[1] - results.setting.n_unseen)):
        values = [(float(matrix[i, j]), float(results.half_widths[i, j])) for i in (j, -1)]
        change = number(factor * (values[1][0] - values[0][0]), places)
        rows.append([results.domains[j], *(Estimate(*pair).scaled(factor).text(places) for pair in values), change])
    return rows


def _measures(results: Results) -> list[dict[str, Any]]:
    """Return the strategies' measures: the mean after the last experience and, for a stream, a heat map."""
    shown = []
    for place, (name, last) in enumerate(results.last_measures.items()):
        view = measure_view(results, name)
        caption = "Empty cells were not measured." if np.isnan(view.values).any() else ""
        drawing = figure(f"measure-{place}", name, heat_map(view), caption)
        shown.append({"name": name, "last": last.text(3), "figure": None if view.one_row else drawing})
    return shown


def _costs(results: Results) -> list[tuple[str, str]]:
    setting = results.setting
    costs = [
        ("trained parameters", f"{setting.parameters:,}"),
        (f"memory of {setting.learner or 'the learner'} without its parameters", bytes_text(setting.learner_bytes)),
        *((f"memory of {name}", bytes_text(n)) for name, n in setting.strategy_bytes.items()),
        ("time", seconds_text(setting.wall_seconds) if setting.wall_seconds else "not measured"),
        *((MEMORY.get(name, name), bytes_text(n)) for name, n in setting.peak_memory.items()),
    ]
    return [*costs, ("how tasks were run", setting.plan)] if setting.plan else costs


def _command(results: Results, folder: str | Path) -> str:
    """Return the command that repeats a run. Empty for a checkpoint that was evaluated without its run."""
    if results.setting.checkpoint or not str(folder):
        return ""
    return f"python -m lifelong fit --config {shlex.quote(str(Path(folder) / 'config.yaml'))}"
