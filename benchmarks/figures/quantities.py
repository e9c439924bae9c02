"""Quantities of finished runs other than scores: measures of strategies and robots, and costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.figures.figure import Figure
from lifelong.sweep.result_tables import mean
from lifelong.utilities.amounts import bytes_text

Results = list[dict[str, Any]]
"""Results of one cell, one run per seed."""
Pair = tuple[float, float | None]
"""A value and the half width of its interval."""
Unit = tuple[float, int]
"""Display factor of a value, and its number of decimal places."""
PERCENT, PLAIN = (100.0, 1), (1.0, 2)


def measures_of(results: Results) -> dict[str, tuple[list[Pair], Unit]]:
    """Return the measures of strategies and robots by name: for each run, a mean over domains."""
    found: dict[str, tuple[list[Pair], Unit]] = {}
    for run in results:
        # A table that is judged by its robots has some of their measures twice: those of the drives have intervals.
        for name, (pair, unit) in {name: (pair, unit) for name, pair, unit in _of_run(run)}.items():
            found.setdefault(name, ([], unit))[0].append(pair)
    return found


def _of_run(run: Mapping[str, Any]) -> Iterator[tuple[str, Pair, Unit]]:
    for name, rows in run.get("measures", {}).items():
        yield name.rpartition("/")[2].replace("_", " "), (mean(rows[-1]), None), PERCENT
    drives = run.get("closed_loop", {})
    for ending, measures in (("", "measures"), (" without adaptation", "without_adaptation")):
        for name, found in drives.get(measures, {}).items():
            unit = PERCENT if name == drives["score"] else PLAIN
            yield name.replace("_", " ") + ending, _over_domains(found["mean"], found["half_width"]), unit
    if curve := drives.get("support_curve"):
        for at, ending in ((-1, ""), (0, " without adaptation")):
            means, widths = ([row[at] for row in curve[key]] for key in ("mean", "half_width"))
            yield "squared error / variance" + ending, _over_domains(means, widths), PLAIN


def _over_domains(means: Sequence[Any], half_widths: Sequence[Any]) -> Pair:
    """Average over domains; they have different robots, so the variances of their means add."""
    return mean(means), math.sqrt(sum((width or 0) ** 2 for width in half_widths)) / len(half_widths)


def _n_bytes(run: Mapping[str, Any]) -> int:
    return int(run.get("learner_bytes", 0) + sum(run["strategy_bytes"].values()))


def _kept(results: Results) -> Figure:
    n_bytes = max(map(_n_bytes, results))
    return Figure(bytes_text(n_bytes) if n_bytes else "", n_bytes / 1e6, digits=1)


def _last_row(results: Results) -> Figure:
    last = zip(*(run["matrix"][-1] for run in results), strict=True)
    return Figure(" / ".join(f"{100 * mean(column):.1f}" for column in last))


def _minutes(results: Results) -> Figure:
    return Figure.of_text(f"{statistics.mean(run['wall_seconds'] for run in results) / 60:.1f}")


COUNTED: dict[str, Callable[[Results], Figure]] = {
    "seeds": lambda results: Figure.of_text(str(len(results))),
    "kept": _kept,
    "minutes": _minutes,
    "last row": _last_row,
    "domains": lambda results: Figure(" / ".join(results[0]["domains"])),
}
"""Quantities that are not means with an interval."""
