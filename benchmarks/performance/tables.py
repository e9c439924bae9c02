"""The tables of all suites, made from stored rows for ``python -m benchmarks --show`` and the documents."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks.performance.layout import Row, Table, words

ANSWERS_AT_LEAST = 0.8
"""Target: share of the bare loop's speed for predictions."""
SECOND_AT_LEAST, FIRST_AT_LEAST = 100.0, 0.8
"""Targets: speed-up of reading cached features, and share of the bare loop's speed for computing them."""
START_AT_MOST = {"--help": 2.5}
"""Target in seconds for a command."""
FIT_BEYOND = 1.0
"""Target: maximum number of seconds by which ``fit`` exceeds the bare script."""
STEP_AT_MOST, STEP_SECONDS = 0.10, 0.005
"""Target: maximum relative overhead of a whole step, for bare steps of at least this duration."""
AXES = {"tasks": (1, 2, 4, 8), "inner steps": (1, 2, 5, 10)}
"""The values for which the memory of a step is measured, by axis."""
GROUPS = {
    "step": "One training step: how its seconds grow",
    "stream": "One experience in a long stream: how its cost grows with its number",
    "buffer": "Replay: how its seconds grow with the memory",
    "ranks": "One and two processes, a thread each",
}
"""Titles of the tables of growth, by the group of their rows."""


def _text(key: str) -> Callable[[Row], str]:
    return lambda row: str(row[key])


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _answers(row: Row) -> str:
    return f"{ANSWERS_AT_LEAST:g}, {_met(row['share'][0] >= ANSWERS_AT_LEAST)}"


def _times(row: Row) -> float:
    return float(row["seconds"][0] / row["seconds"][1])


def _features(row: Row) -> str:
    is_met = _times(row) >= SECOND_AT_LEAST and row["share"][0] >= FIRST_AT_LEAST
    return f"{FIRST_AT_LEAST:g} and {SECOND_AT_LEAST:g} times, {_met(is_met)}"


def _start(row: Row) -> str:
    if "beyond" in row:
        return f"bare + {FIT_BEYOND:g} s, {_met(row['beyond'][0] <= FIT_BEYOND)}"
    limit = START_AT_MOST.get(row["name"])
    return "" if limit is None else f"{limit} s, {_met(row['wall'][0] <= limit)}"


def _step(row: Row) -> str:
    return "" if row["bare"][0] < STEP_SECONDS else _met(row["share"][0] <= STEP_AT_MOST)


def _milliseconds(key: str) -> Callable[[Row], str]:
    return lambda row: words(row[key], 2, " ms", 1000)


def _speed(name: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        median = row["tasks per second"][name][0]
        return f"{median:,.{1 if median >= 1 else 2}f}"

    return cell


def _ratio(name: str) -> Callable[[Row], str]:
    return lambda row: words(row["ratio"][name]) if name in row["ratio"] else ""


def _slope(row: Row) -> str:
    slope, half_width = row.get("exponent", (math.nan, math.nan))
    return "n/a" if math.isnan(slope) else f"{slope:.2f}" + ("" if math.isnan(half_width) else f" ± {half_width:.2f}")


def amount(value: float, unit: str) -> str:
    """Format a cost in a suitable unit.

    Example:
        >>> amount(0.0021, "seconds"), amount(3_200_000, "bytes")
        ('2.1 ms', '3.2 MB')
    """
    factor, name = (1e-6, "MB") if unit == "bytes" else (1e3, "ms")
    number = value * factor
    return f"{number:,.0f} {name}" if number >= 1000 else f"{number:.3g} {name}"


def _is_in(group: str) -> Callable[[Row], Any]:
    return lambda row: row["group"] == group


def _memory(axis: str, other: str) -> Table:
    def column(number: int) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            return f"{row['peak'][number]:.1f} ({row['seconds'][number]:.2f})" if number < len(row["sizes"]) else ""

        return cell

    return Table(
        f"Peak of one step in MB (seconds) by {axis}, {other}",
        {"": _text("name")}
        | {str(size): column(number) for number, size in enumerate(AXES[axis])}
        | {f"MB per {axis.removesuffix('s')}": lambda row: f"{row['slope']:.1f}"}
        | {"time": lambda row: f"{row['time']:.2f}"},
        lambda row: row["axis"] == axis,
    )


COSTS: dict[str, Callable[[Row], str]] = {
    "cost": lambda row: f"{row['name']}: {row['what']}",
    "of": _text("size"),
    "from": lambda row: f"{row['points'][0][0]:g}",
    "to": lambda row: f"{row['points'][-1][0]:g}",
    "median": lambda row: " … ".join(amount(row["points"][end][1], row["unit"]) for end in (0, -1)),
    "exponent ± 95 % CI": _slope,
}

TABLES: dict[str, tuple[Table, ...]] = {
    "throughput": (
        Table(
            "Meta-training throughput: tasks per second, and ratios (median, smallest … largest)",
            {
                "setup": _text("setup"),
                "plan": _text("plan"),
                "Lifelong": _speed("Lifelong"),
                "loop by hand": _speed("loop by hand"),
                "learn2learn": _speed("learn2learn"),
                "/ hand": _ratio("loop by hand"),
                "/ learn2learn": _ratio("learn2learn"),
                "from memory": _ratio("learn2learn, from memory"),
                "from files": _ratio("learn2learn, from files"),
            },
        ),
    ),
    "overhead": (
        Table(
            "a whole training step against its bare maths: median (smallest … largest)",
            {
                "learner": _text("name"),
                "bare": _milliseconds("bare"),
                "whole": _milliseconds("whole"),
                "added": _milliseconds("added"),
                "share": lambda row: words(row["share"], 1, " %", 100),
                f"at most {STEP_AT_MOST:.0%}": _step,
            },
            lambda row: "share" in row,
        ),
        Table(
            "strategies: a step of the second experience, and begin and end of an experience on top",
            {
                "strategy": _text("name"),
                "stream": _text("kind"),
                "step": lambda row: f"{1000 * row['with'][0]:.2f} ms",
                "times no strategy's": lambda row: words(row["ratio"]),
                "begin": lambda row: f"{row['begin'][0]:.3f} s",
                "end": lambda row: f"{row['end'][0]:.3f} s",
            },
            lambda row: "ratio" in row,
        ),
    ),
    "startup": (
        Table(
            "seconds: median (smallest … largest)",
            {
                "command": _text("name"),
                "extras installed": _text("extras"),
                "wall": lambda row: words(row["wall"]),
                "CPU": lambda row: words(row["cpu"]),
                "beyond the bare script": lambda row: words(row["beyond"]) if "beyond" in row else "",
                "at most": _start,
            },
        ),
    ),
    "memory": (_memory("tasks", "5 inner steps"), _memory("inner steps", "4 tasks")),
    "scale": tuple(Table(title, COSTS, _is_in(group)) for group, title in GROUPS.items()),
    "ablations": (
        Table(
            "without over with, 95 % intervals",
            {
                "measure": _text("setup"),
                "time": lambda row: "{:.2f} ({:.2f} … {:.2f})".format(*row["ratio"]),
                "n": _text("n"),
                "peak memory": lambda row: f"{row['memory']:.2f}",
            },
        ),
    ),
    "features": (
        Table(
            "Images per second the first time, and the time of all the second",
            {
                "network": _text("setup"),
                "first time": lambda row: words(row["first"], 0),
                "bare loop": lambda row: words(row["bare"], 0),
                "first / bare": lambda row: words(row["share"]),
                "images": lambda row: f"{row['images']:,}",
                "seconds, first": lambda row: f"{row['seconds'][0]:.1f}",
                "second": lambda row: f"{row['seconds'][1]:.2f}",
                "times as fast": lambda row: f"{_times(row):.0f}",
                "at least": _features,
            },
        ),
    ),
    "answers": (
        Table(
            "Photos answered per second, from files",
            {
                "model": _text("setup"),
                "photos": lambda row: f"{row['photos']:,}",
                "Lifelong": lambda row: words(row["ours"], 0),
                "bare loop": lambda row: words(row["bare"], 0),
                "share": lambda row: words(row["share"]),
                "at least": _answers,
            },
        ),
    ),
}
