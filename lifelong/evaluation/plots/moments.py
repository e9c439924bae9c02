"""The scores of old domains during the training on new ones.

Shapes: ``K`` evaluations in an experience, ``D`` old domains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lifelong.evaluation.plots.curves import axes_height
from lifelong.evaluation.plots.key import End, add_key, key_inches, line_styles, line_width
from lifelong.evaluation.plots.style import label, make_figure, title_above, title_lines, with_unit
from lifelong.evaluation.tables import unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def moments_figure(
    moments: Mapping[str, tuple[Sequence[int], Sequence[Sequence[float]]]],
    domains: Sequence[str],
    *,
    title: str,
    score_name: str,
    percent: bool,
) -> Figure:
    """Draw the score of each old domain over the optimizer steps, with a line where an experience begins.

    Args:
        moments: for each experience the steps ``(K,)`` and the scores ``(K, D)`` of its old domains, the first ``D``.
        domains: names of the domains.
        title: title above the figure.
        score_name: name of the score.
        percent: show fractions as percent.

    Example:
        >>> moments = {"b": ([3, 5], [[0.9], [0.4]])}
        >>> figure = moments_figure(moments, ["a", "b"], title="test", score_name="accuracy", percent=True)
    """
    names, factor = [label(name) for name in domains[:-1]], unit(percent)
    high = axes_height(names)
    width = 5.5 + key_inches(names, "")[0]
    figure = make_figure((width, high + 0.7 + 0.2 * (len(title_lines(title, width)) - 1)))
    axes = figure.add_subplot()
    ends = []
    for domain, (name, (colour, _)) in enumerate(zip(names, line_styles(len(names)), strict=True)):
        points = [
            (step, factor * scores[domain])
            for steps, rows in moments.values()
            for step, scores in zip(steps, rows, strict=True)
            if domain < len(scores)
        ]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=line_width(len(names)))
        x, y = points[-1] if points else (np.nan, np.nan)
        ends.append(End(name, x, y, colour))
    for name, (steps, _) in moments.items():
        axes.axvline(steps[0], color="0.6", linewidth=0.8, linestyle=":")
        axes.annotate(
            label(name),
            (steps[0], 1),
            (3, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=8,
            color="0.4",
        )
    axes.set_xlabel("optimizer steps (dotted: an experience begins)")
    axes.set_ylabel(with_unit(score_name, percent))
    add_key(axes, ends, None, high, len(names))
    title_above(figure, title)
    return figure
