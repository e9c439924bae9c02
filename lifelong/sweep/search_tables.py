"""The tables of a search, as Markdown: its trials, and the best setting on the whole stream."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.sweep.result_tables import mean, over_seeds
from lifelong.sweep.study import MINUTES, REASON
from lifelong.sweep.tables import cell
from lifelong.utilities.markdown import markdown_table

STATES = {"COMPLETE": "", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "under way"}


def trials_table(
    trials: Sequence[Any], best: Any, space: Mapping[str, Any], metric: str, experiences: int | None
) -> str:
    """Format the table of trials, in the order in which they started.

    Args:
        trials: trials of Optuna.
        best: the best of them, or None.
        space: the search space; each option has a column.
        metric: metric by which trials are compared.
        experiences: number of experiences that a trial learns; None for all.
    """
    rows = [["trial", *space, metric, "minutes", ""]]
    for trial in trials:
        value = "" if trial.value is None else f"{trial.value:.4f}"
        note = "best" if best is not None and trial.number == best.number else STATES.get(trial.state.name, "")
        if trial.state.name == "FAIL" and REASON in trial.user_attrs:
            note = f"{note}: {trial.user_attrs[REASON]}"
        minutes = f"{trial.user_attrs[MINUTES]:.1f}" if MINUTES in trial.user_attrs else ""
        chosen = (_short(trial.params.get(name, "")) for name in space)
        rows.append([str(trial.number), *chosen, value, minutes, note])
    what = "the whole stream" if experiences is None else f"the first {experiences} experiences"
    return f"## trials\n\non validation data of {what}\n\n{markdown_table(rows[0], rows[1:])}"


def best_table(results: Sequence[Mapping[str, Any]], experiences: int | None, n_seeds: int) -> str:
    """Format the scores of the best setting: on the whole stream, and apart on what the search used and did not use.

    Args:
        results: results of its finished runs.
        experiences: number of experiences used by the search; None for all.
        n_seeds: number of planned runs.
    """
    header, row = ["run", "average", "forgetting"], ["best setting"]
    for name in ("average_score", "forgetting"):
        found = [r["metrics"][name] for r in results if r["metrics"].get(name)]
        row.append(cell(over_seeds([f["value"] for f in found], [f["half_width"] for f in found])) if found else "n/a")
    n = len(results[0]["matrix"])
    if experiences is not None and experiences < n:
        for title, first, last in (("first", 0, experiences), ("later", experiences, n)):
            numbers = f"{first + 1}" if last == first + 1 else f"{first + 1} to {last}"
            header.append(f"experiences {numbers}{' (never searched)' if title == 'later' else ''}")
            means = [_mean(r, first, last) for r in results]
            row.append(cell(over_seeds(means, [_half(r, first, last) for r in results])))
    header, row = [*header, "seeds"], [*row, f"{len(results)} of {n_seeds}"]
    return f"## best setting, on the whole stream\n\nafter the last experience\n\n{markdown_table(header, [row])}"


def _mean(results: Mapping[str, Any], first: int, last: int) -> float:
    return mean(results["matrix"][-1][first:last])


def _half(results: Mapping[str, Any], first: int, last: int) -> float:
    """Compute the half width of the interval of a mean over domains, whose tasks are independent."""
    widths = results["half_width"][-1][first:last]
    return math.sqrt(sum(width**2 for width in widths if width is not None)) / len(widths)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
