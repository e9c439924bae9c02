"""The cells of a comparison's table, and the captions below it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lifelong.evaluation.compared import MISSING, Difference, Method, Procedure
from lifelong.evaluation.estimate import Estimate, number
from lifelong.evaluation.sheets import Sheet
from lifelong.evaluation.significance import INTERVALS
from lifelong.evaluation.tables import MEANINGS, places, unit
from lifelong.utilities.amounts import bytes_text, seconds_text

LEAST_P = 0.001


def sheet(rows: Sequence[Method], differences: Sequence[Difference], against: str) -> Sheet:
    """Make the table for people: rounded, and in percent if scores are fractions.

    Args:
        rows: the methods.
        differences: paired differences of all methods but the reference.
        against: label of the reference method.
    """
    columns = [["method", *(row.label for row in rows)], ["runs", *(str(len(row.runs)) for row in rows)]]
    columns += [[_head(name, rows), *_cells(name, rows)] for name in _available(rows)]
    if any(row.memory_bytes.value for row in rows):
        columns.append(["memory", *(bytes_text(row.memory_bytes.value) for row in rows)])
    if any(row.seconds.value for row in rows):
        columns.append(["time", *(seconds_text(row.seconds.value) for row in rows)])
    if differences:
        columns += _pairs(rows, differences, against)
    heads, *lines = zip(*columns, strict=True)
    return Sheet(heads, tuple(lines))


def raw_sheet(rows: Sequence[Method], differences: Sequence[Difference]) -> Sheet:
    """Make the table for programs: all digits, in raw units; what is not available is empty.

    Args:
        rows: the methods.
        differences: paired differences of all methods but the reference.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.estimates))
    heads = ["method", "runs", "seeds", "interval_over"]
    heads += [head for name in names for head in (name, f"{name}_half_width")]
    heads += ["memory_bytes", "seconds", "seconds_half_width", "against", "difference", "difference_low"]
    heads += ["difference_high", "p", "p_holm", "n_units", "no_difference_because"]
    by_label = {difference.label: difference for difference in differences}
    lines = []
    for row in rows:
        estimates = [row.estimates.get(name, Estimate(math.nan, math.nan)) for name in names]
        line = [row.label, ", ".join(row.names), ", ".join("" if s is None else str(s) for s in row.seeds), row.over]
        line += [_digits(part) for e in estimates for part in (e.value, e.half_width)]
        line += [_digits(part) for part in (row.memory_bytes.value, row.seconds.value, row.seconds.half_width)]
        d = by_label.get(row.label)
        values = () if d is None else (d.value, d.low, d.high, d.p, d.adjusted_p)
        ends = [""] * 8 if d is None else [d.against, *map(_digits, values), str(d.n_units or ""), d.reason]
        lines.append((*line, *ends))
    return Sheet(tuple(heads), tuple(lines))


def captions(
    rows: Sequence[Method], differences: Sequence[Difference], against: str, procedure: Procedure
) -> list[str]:
    """Write the sentences that explain the numbers of a table.

    Args:
        rows: the methods.
        differences: paired differences of all methods but the reference.
        against: label of the reference method.
        procedure: how intervals and p values were computed.
    """
    setting = next(row for row in rows if row.label == against).runs[0].setting
    scores = dict.fromkeys(f"{row.runs[0].setting.score_name}{' in %' * row.runs[0].setting.percent}" for row in rows)
    over = {row.over for row in rows}
    both = "over seeds where a method has several runs, over evaluation units where it has one"
    what_over = both if len(over) > 1 else f"over {'seeds' if 'seeds' in over else 'evaluation units'}"
    what = " or ".join(scores)
    lines = [
        f"{what[0].upper()}{what[1:]}{f' on {setting.evaluation}' if setting.evaluation else ''}",
        f"± 95 % interval by Student's t, {what_over}",
        "Memory: of learner and strategies, without the network; time: of one run; both are means over runs",
    ]
    if paired := [difference for difference in differences if not difference.reason]:
        kind = INTERVALS[procedure.interval][0]
        drawn = f"{procedure.n_resamples:,} resamples, seed {procedure.seed}"
        n_units = "/".join(dict.fromkeys(f"{d.n_units:,}" for d in paired))
        flips = "all flips" if all(d.exact for d in paired) else drawn
        lines.append(
            f"Difference: of the average after the last experience from that of {against}, on the same {n_units} "
            f"evaluation units, averaged over seeds; 95 % interval by {kind} over units within their domains"
            f"{'' if procedure.interval == 't' else f' ({drawn})'}, for these runs as they are"
        )
        corrected = f", corrected for {len(paired)} comparisons by Holm's method" if len(paired) > 1 else ""
        lines.append(f"p: two-sided sign-flip permutation test ({flips}){corrected}")
    return lines


def _available(rows: Sequence[Method]) -> list[str]:
    """Return the names of the metrics that at least one method has."""
    names = dict.fromkeys(name for row in rows for name in row.estimates)
    return [name for name in names if any(name in row.estimates and not row.estimates[name].reason for row in rows)]


def _head(name: str, rows: Sequence[Method]) -> str:
    scores = {row.runs[0].setting.score for row in rows}
    score = scores.pop() if len(scores) == 1 else "score"
    return MEANINGS[name][0].format(score=score) if name in MEANINGS else name.replace("_", " ")


def _cells(name: str, rows: Sequence[Method]) -> list[str]:
    """Format the estimates of a metric: scores in their display unit, custom metrics as they are."""
    in_percent = [row.runs[0].setting.percent and name in MEANINGS for row in rows]
    estimates = [row.estimates.get(name, MISSING) for row in rows]
    shown = places([e.value for e, p in zip(estimates, in_percent, strict=True) if not p], any(in_percent))
    return [_with_interval(e.scaled(unit(p)), shown) for e, p in zip(estimates, in_percent, strict=True)]


def _with_interval(estimate: Estimate, n_places: int) -> str:
    return number(estimate.value, n_places) if math.isnan(estimate.half_width) else estimate.text(n_places)


def _pairs(rows: Sequence[Method], differences: Sequence[Difference], against: str) -> list[list[str]]:
    """Format the columns of differences and of their p values."""
    by_label = {difference.label: difference for difference in differences}
    factors = {row.label: unit(row.runs[0].setting.percent) for row in rows}
    shown = places([d.value for d in differences], any(factor != 1 for factor in factors.values()))
    columns = [[f"difference from {against}"], ["p (Holm)" if sum(not d.reason for d in differences) > 1 else "p"]]
    for row in rows:
        difference, factor = by_label.get(row.label), factors[row.label]
        if difference is None:
            texts = ["", ""]
        elif difference.reason:
            texts = [f"n/a: {difference.reason}", "n/a"]
        else:
            value, low, high = (_signed(v * factor, shown) for v in (difference.value, difference.low, difference.high))
            p = difference.adjusted_p
            texts = [f"{value} [{low}, {high}]", f"<{LEAST_P}" if p < LEAST_P else f"{p:.3f}"]
        for column, text in zip(columns, texts, strict=True):
            column.append(text)
    return columns


def _signed(value: float, n_places: int) -> str:
    text = number(value, n_places)
    return text if text.startswith("-") or float(text) == 0 else f"+{text}"


def _digits(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))
