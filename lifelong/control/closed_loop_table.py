"""The table of a closed-loop evaluation."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from lifelong.control.closed_loop_result import ClosedLoopResult, Intervals
from lifelong.evaluation import tables
from lifelong.evaluation.estimate import Estimate


def closed_loop_table(result: ClosedLoopResult) -> Table:
    """Make the table of each domain's measures with 95 % intervals, with the score without adaptation if available.

    Args:
        result: result of :class:`lifelong.control.ClosedLoop`.
    """
    score, measures = result.score, result.measures
    after = "" if result.after is None else f" after {result.after}"
    title = f"closed loop{after}: {result.n_robots} {result.part} robots a domain (95 % CI over robots)"
    columns = {f"{_head(score)} ↑": (measures[score], score)}
    if score in result.without_adaptation:
        columns["without adaptation"] = (result.without_adaptation[score], score)
    columns |= {_head(name): (intervals, name) for name, intervals in measures.items() if name != score}
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("domain", no_wrap=True)
    for head in columns:
        table.add_column(head.replace(" ", "\n", 1), justify="right", no_wrap=True)
    texts = [_texts(intervals, name) for intervals, name in columns.values()]
    for domain, *cells in zip(result.domains, *texts, strict=True):
        table.add_row(Text(tables.shorten(domain)), *cells)
    return table


def _head(name: str) -> str:
    return "success (%)" if name == "success" else name.replace("_", " ")


def _texts(intervals: Intervals, name: str) -> list[str]:
    percent = name == "success"
    estimates = [
        Estimate(mean, half_width).scaled(tables.unit(percent))
        for mean, half_width in zip(intervals.mean, intervals.half_width, strict=True)
    ]
    places = tables.places([e.value / tables.unit(percent) for e in estimates], percent)
    return [e.text(places) for e in estimates]
