"""Tables printed by a run: the accuracy matrix, the metrics with their intervals, and one line per experience."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from lifelong.evaluation.estimate import Array, Estimate, decimals, number

MEANINGS = {
    "average_score": ("average {score} ↑", "after the last experience"),
    "learning_score": ("learning {score} ↑", "right after learning each domain"),
    "forgetting": ("forgetting ↓", "best earlier {score} minus the last"),
    "backward_transfer": ("backward transfer ↑", "last minus right after learning"),
    "forward_transfer": ("forward transfer ↑", "right before learning minus untrained"),
    "unseen_score": ("unseen {score} ↑", "on domains that are never learnt"),
}

MAX_NAMED_COLUMNS = 12
MAX_ROWS = 40
NARROWEST = 4  # width of the narrowest column in characters, with its gap
GAP = "…"


def shorten(name: str, length: int = 22) -> str:
    """Shorten a name to ``length`` characters in its middle; numbered names differ at the end, which is kept.

    Example:
        >>> shorten("Latin"), shorten("Old Church Slavonic (Cyrillic) 2", 22)
        ('Latin', 'Old Church S…rillic) 2')
    """
    tail = (length - 1) * 2 // 5 + 1
    return name if len(name) <= length else f"{name[: length - 1 - tail]}…{name[len(name) - tail :]}"


def unit(percent: bool) -> float:
    """Return the factor by which scores are multiplied for display."""
    return 100.0 if percent else 1.0


def places(values: Array | list[float], percent: bool) -> int:
    """Choose decimal places: one for percentages, else as many as show three digits of the largest score."""
    return 1 if percent else decimals(values)


def row_line(
    index: int,
    total: int,
    name: str,
    scores: Array,
    average: Estimate,
    domain_names: Sequence[str],
    *,
    percent: bool,
    joint: bool = False,
    n_unseen: int = 0,
) -> str:
    """Write the line after an experience: the scores of the domains learnt so far, and their average.

    If there are many domains, only the newest evaluated ones are named. If some of the domains learnt so far were not
    evaluated, the line shows how many were instead of the average.

    The line is plain text: print it with ``print``, or with rich and ``markup=False``.

    Args:
        index: index of the experience, from 0.
        total: number of experiences.
        name: name of the experience.
        scores: ``(D,)`` scores after the experience; those of future domains are not shown.
        average: average over the domains learnt so far.
        domain_names: ``D`` names of domains.
        percent: show fractions as percent.
        joint: whether all domains are learnt in the only experience.
        n_unseen: number of unseen domains, which are the last ones; they are shown after the average.

    Example:
        >>> average, names = Estimate(0.9235, 0.012), ["Latin", "Greek", "Tagalog"]
        >>> row_line(1, 3, "Greek", np.array([0.912, 0.935, 0.2]), average, names, percent=True)
        "experience 2/3 'Greek' learnt │ Latin 91.2  Greek 93.5 │ average 92.3 ± 1.2"
        >>> row_line(1, 3, "Greek", np.array([np.nan, 0.935, 0.2]), average, names, percent=True)
        "experience 2/3 'Greek' learnt │ Greek 93.5 │ 1 of 2 domains evaluated"
    """
    n_learnt = len(scores) - n_unseen if joint else index + 1
    values = np.asarray(scores, dtype=float) * unit(percent)
    shown = places(np.asarray(scores, dtype=float)[:n_learnt], percent)
    n_evaluated = int((~np.isnan(values[:n_learnt])).sum())
    line = f"experience {index + 1}/{total} '{name}' learnt │ {_cells(domain_names, values[:n_learnt], shown)}"
    if 0 < n_evaluated < n_learnt:
        line += f" │ {n_evaluated} of {n_learnt} domains evaluated"
    else:
        line += f" │ average {_average_text(average.scaled(unit(percent)), shown)}"
    unseen = range(len(values) - n_unseen, len(values))
    others = "  ".join(f"{shorten(domain_names[j])} {number(float(values[j]), shown)}" for j in unseen)
    return f"{line} │ unseen: {others}" if (~np.isnan(values[len(values) - n_unseen :])).any() else line


def _average_text(average: Estimate, n_places: int) -> str:
    return number(average.value, n_places) if np.isnan(average.half_width) else average.text(n_places)


def _cells(names: Sequence[str], scores: Array, n_places: int) -> str:
    """List the evaluated scores with their names, of many only the newest; ``n/a`` if there is none."""
    known = np.flatnonzero(~np.isnan(scores))
    named = known if len(known) else np.arange(len(scores))
    chosen = named[-MAX_NAMED_COLUMNS:]
    cells = "  ".join(f"{shorten(names[i])} {number(float(scores[i]), n_places)}" for i in chosen.tolist())
    return cells if len(chosen) == len(named) else f"{GAP}  {cells}"


def metrics_table(
    metrics: Mapping[str, Estimate | None],
    reasons: Mapping[str, str] | None = None,
    *,
    percent: bool,
    score_name: str = "score",
    title: str = "",
) -> Table:
    """Make the table of the metrics with 95 % intervals and one line on the meaning of each.

    Args:
        metrics: metrics by name; one that is not available is None, or an estimate with a reason.
        reasons: why a metric that is None is not available, by name.
        percent: show fractions as percent.
        score_name: name of the score: accuracy, return, …
        title: title above the table.

    Example:
        >>> table = metrics_table({"forgetting": Estimate(0.019, 0.004)}, percent=True)
        >>> [str(cell) for column in table.columns for cell in column.cells]
        ['forgetting ↓', '1.9 ± 0.4', 'best earlier score minus the last']
    """
    shown = places([e.value * unit(percent) for e in metrics.values() if e is not None], percent)
    reasons = {name: e.reason for name, e in metrics.items() if e is not None and e.reason} | dict(reasons or {})
    table = Table(box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column(f"{'%' if percent else 'value'} ± 95 % CI", justify="right", no_wrap=True)
    table.add_column("meaning", style="dim")
    for key, estimate in metrics.items():
        label, meaning = (text.format(score=score_name) for text in MEANINGS[key])
        if estimate is None or estimate.reason:
            table.add_row(Text(label), "n/a", Text(reasons.get(key, "not available")))
        else:
            table.add_row(Text(label), estimate.scaled(unit(percent)).text(shown), Text(meaning))
    return table


def matrix_table(
    matrix: Array,
    half_widths: Array | None,
    row_names: Sequence[str],
    column_names: Sequence[str],
    averages: Sequence[Estimate],
    *,
    percent: bool,
    joint: bool = False,
    n_unseen: int = 0,
    title: str = "",
    width: int | None = None,
) -> Table:
    """Make the table of the accuracy matrix, no wider than the terminal.

    Domains not learnt yet are dim, the one just learnt is bold. Intervals are shown if they fit. If there are more than
    12 columns, or their names do not fit, the headers are numbers. Columns that still do not fit are left out in the
    middle, and replaced by a column ``…``. If there are more than 40 rows, the first and the last 20 are shown.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` half widths of their 95 % intervals, or None.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        averages: ``T`` averages over the domains learnt so far.
        percent: show fractions as percent.
        joint: whether all domains are learnt in the only row.
        n_unseen: number of unseen domains, which are the last ones; they are dim, and not part of the averages.
        title: title above the table.
        width: maximum number of characters per line. If None, the terminal's width.

    Example:
        >>> names, averages = ["Latin", "Greek"], [Estimate(1.0, 0.1), Estimate(0.5, 0.1)]
        >>> table = matrix_table(np.eye(2), None, names, names, averages, percent=True, width=60)
        >>> for column in table.columns:
        ...     print(column.header, [str(cell) for cell in column.cells])
        after ['1 Latin', '2 Greek']
        Latin ['100.0', '0.0']
        Greek ['0.0', '100.0']
        average ['100.0', '50.0']
    """
    width = shutil.get_terminal_size().columns if width is None else width
    rows, domains = ends(len(matrix), MAX_ROWS // 2), ends(matrix.shape[1], width // NARROWEST + 1)
    labels = [f"{i + 1} {shorten(row_names[i], min(max(width // 4, 8), 22))}" for i in rows]
    averages = [averages[i] for i in rows]
    n_learnt = [matrix.shape[1] - n_unseen if joint else i + 1 for i in rows]
    matrix = matrix[np.ix_(rows, domains)]
    half_widths = None if half_widths is None else half_widths[np.ix_(rows, domains)]
    room = width - _column_width(["after", *labels])
    for with_widths, numbered in ((half_widths is not None, False), (False, False), (False, True)):
        texts, average_texts = _texts(matrix, half_widths if with_widths else None, averages, percent)
        heads = [str(j + 1) if numbered else shorten(column_names[j]) for j in domains]
        columns = [[head, *column] for head, column in zip(heads, texts.T.tolist(), strict=True)]
        n_fit = _count_fitting(columns, room - _column_width(["average", *average_texts]))
        if n_fit == len(columns) and (numbered or len(columns) <= MAX_NAMED_COLUMNS):
            break
    styles = [[_style(j, n, joint) for j in domains] for n in n_learnt]
    gap = None if len(rows) == len(row_names) else len(rows) // 2
    table = _build_table(labels, columns, average_texts, styles, n_fit=n_fit, gap=gap, title=title)
    if np.isnan(matrix).any():
        table.caption = Text("n/a: not evaluated")
    return table


def ends(total: int, n: int) -> list[int]:
    """List the numbers below ``total``; if there are more than ``2 n``, only the first and the last ``n``.

    Example:
        >>> ends(3, 2), ends(9, 2)
        ([0, 1, 2], [0, 1, 7, 8])
    """
    return list(range(total)) if total <= 2 * n else [*range(n), *range(total - n, total)]


def _texts(
    matrix: Array, half_widths: Array | None, averages: list[Estimate], percent: bool
) -> tuple[np.ndarray, list[str]]:
    scores, shown = matrix * unit(percent), places(matrix, percent)
    texts = np.array([[number(s, shown) for s in row] for row in scores], dtype=object)
    if half_widths is None:
        return texts, [number(a.value * unit(percent), shown) for a in averages]
    for (i, j), width in np.ndenumerate(half_widths * unit(percent)):
        texts[i, j] = Estimate(float(scores[i, j]), float(width)).text(shown)
    return texts, [a.scaled(unit(percent)).text(shown) for a in averages]


def _column_width(texts: Sequence[str]) -> int:
    return max(Text(text).cell_len for text in texts) + 2  # one space of padding, one of the box


def _count_fitting(columns: Sequence[Sequence[str]], room: int) -> int:
    """Count the columns that fit: all, or as many of the widest as fit together with the column of the gap."""
    widths = [_column_width(column) for column in columns]
    if sum(widths) <= room:
        return len(columns)
    return min(max((room - _column_width([GAP])) // max(widths), 1), len(columns) - 1)


def _build_table(
    labels: Sequence[str],
    columns: Sequence[Sequence[str]],
    average_texts: Sequence[str],
    styles: Sequence[Sequence[str]],
    *,
    n_fit: int,
    gap: int | None,
    title: str,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title=Text(title) if title else None)
    table.add_column("after", no_wrap=True)
    first, last = (n_fit + 1) // 2, len(columns) - n_fit // 2
    kept = [*range(first), *([] if first == last else [None]), *range(last, len(columns))]
    for j in kept:
        table.add_column(GAP if j is None else Text(columns[j][0]), justify="right", no_wrap=True)
    table.add_column("average", justify="right", no_wrap=True)
    for i, (label, average) in enumerate(zip(labels, average_texts, strict=True)):
        if i == gap:
            table.add_row(*[Text(GAP, "dim")] * (len(kept) + 2))
        cells = [Text(GAP, "dim") if j is None else Text(columns[j][i + 1], styles[i][j]) for j in kept]
        table.add_row(Text(label), *cells, average)
    return table


def _style(column: int, n_learnt: int, joint: bool) -> str:
    if column >= n_learnt:
        return "dim"
    return "bold" if column == n_learnt - 1 and not joint else ""
