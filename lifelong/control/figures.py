"""Figures of a closed-loop evaluation: scores, trajectories of robots, and errors of their models.

Shapes: ``T`` rows (experiences), ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.control.closed_loop_result import ClosedLoopResult
from lifelong.control.drive import Drive
from lifelong.control.simulation import Array
from lifelong.control.support_curve import SupportCurve
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.plots import COLOURS, accuracy_matrix_figure, adaptation_curve_figure, title_above
from lifelong.evaluation.plots.style import make_figure
from lifelong.evaluation.tables import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROBOTS = 5  # more trajectories in one panel are hard to tell apart
SIDE = 2.9  # side of a panel in inches


def score_figure(result: ClosedLoopResult, data: StreamDataModule, *, title: str) -> Figure:
    """Draw the closed-loop accuracy matrix, or its only row if robots were driven after one experience.

    Args:
        result: result of the evaluation.
        data: the stream.
        title: title above the figure.
    """
    names, matrix = list(data.stream.domains), result.matrix
    if matrix is not None and not np.isnan(matrix.mean[:-1]).all():
        mean, width, joint = matrix.mean, matrix.half_width, data.joint
        rows = [experience.name for experience in data.stream.experiences[: len(mean)]]
    else:
        mean, width = (np.full((1, len(names)), np.nan) for _ in range(2))
        columns, score = [names.index(name) for name in result.domains], result.measures[result.score]
        mean[0, columns], width[0, columns] = score.mean, score.half_width
        rows, joint = ["learning"], True
    return accuracy_matrix_figure(
        mean,
        width,
        rows,
        names,
        title=title,
        score_name=f"{result.score} in closed loop",
        percent=result.is_percentage,
        joint=joint,
        n_unseen=data.stream.n_unseen,
    )


def trajectories_figure(drives: Sequence[tuple[str, Drive | None, Drive]], *, title: str) -> Figure:
    """Draw trajectories of the first robots of each domain, in two panels: before and after adaptation.

    Both panels show the region of the trajectories after adaptation; the others are clipped to it.

    Args:
        drives: for each domain its name, its drive before adaptation (or None) and its drive after adaptation, both
            with positions.
        title: title above the figure.

    Raises:
        ValueError: when there is nothing to draw.
    """
    if not drives:
        raise ValueError("there are no trajectories to draw: give those of one domain or more")
    n_panels = 2 if any(before is not None for _, before, _ in drives) else 1
    per_row = min(len(drives), 4 // n_panels)  # at most four panels side by side
    n_rows = -(-len(drives) // per_row)
    figure = make_figure((SIDE * n_panels * per_row + 0.3, (SIDE + 0.45) * n_rows + 0.9))
    axes = figure.subplots(n_rows, n_panels * per_row, squeeze=False)
    for panel in axes.flat:
        panel.set_visible(False)
    for number, (name, before, after) in enumerate(drives):
        row, first = divmod(number, per_row)
        columns = axes[row, first * n_panels : (first + 1) * n_panels]
        shown = ((before, "before adaptation"), (after, "after adaptation"))[2 - n_panels :]
        for panel, (drive, when) in zip(columns, shown, strict=True):
            if drive is not None:
                _draw_trajectories(panel, drive, _limits(after))
                panel.set_title(f"{shorten(name)}\n{when}: {_score(drive)}", fontsize=9)
                panel.set_visible(True)
    _add_key(figure)
    title_above(figure, title)
    return figure


def support_curve_figure(curve: SupportCurve, names: Sequence[str], *, title: str) -> Figure:
    """Draw the model's error in each domain by the size of the support set, on a logarithmic scale.

    Args:
        curve: the errors.
        names: names of the domains.
        title: title above the figure.
    """
    figure = adaptation_curve_figure(
        curve.mean,
        curve.half_width,
        names,
        title=title,
        score_name="squared error / variance of the targets",
        percent=False,
        step_names=[str(size) for size in curve.sizes],
        step_label="transitions in the support set",
    )
    axes = figure.axes[0]
    axes.set_yscale("log")
    known = curve.mean[np.isfinite(curve.mean) & (curve.mean > 0)]
    if known.size:  # an interval that includes zero must not set the logarithmic scale
        axes.set_ylim(float(known.min()) / 1.6, float(known.max()) * 1.6)
    axes.axhline(1, color="0.5", linewidth=0.9, linestyle="--", zorder=0)
    axes.annotate("the mean", (1, 1), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7.5)
    return figure


def _draw_trajectories(axes: Axes, drive: Drive, limits: tuple[tuple[float, float], tuple[float, float]]) -> None:
    assert drive.positions is not None
    for path, goals, colour in zip(drive.positions[:MAX_ROBOTS], drive.goals, COLOURS, strict=False):
        places = np.unique(_finite(goals[:, :2]), axis=0)
        axes.plot(places[:, 0], places[:, 1], "*", color=colour, markersize=10, markeredgecolor="white", zorder=3)
        axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=1.3, gid="trajectory")
        axes.plot(path[0, 0], path[0, 1], "o", color=colour, markersize=5.5, markerfacecolor="white", zorder=4)
    axes.set_aspect("equal")
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.set_xlabel("x", fontsize=8, labelpad=1)
    axes.set_ylabel("y", fontsize=8, labelpad=0)
    axes.tick_params(labelsize=7.5)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _limits(drive: Drive) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the limits of a square around the drawn trajectories and goals."""
    assert drive.positions is not None
    paths, goals = drive.positions[:MAX_ROBOTS].reshape(-1, 2), drive.goals[:MAX_ROBOTS, :, :2].reshape(-1, 2)
    places = _finite(np.concatenate([paths, goals]))
    low, high = places.min(0), places.max(0)
    middle, half = (low + high) / 2, 0.55 * max(float((high - low).max()), 1e-3)
    (x, y) = ((float(m - half), float(m + half)) for m in middle)
    return x, y


def _finite(places: Array) -> Array:
    return places[np.isfinite(places).all(-1)]


def _score(drive: Drive) -> str:
    mean = float(np.nanmean(drive.scores))
    return f"success {100 * mean:.0f} %" if drive.score_name == "success" else f"return {mean:.3g}"


def _add_key(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    grey: dict[str, Any] = {"color": "0.4"}
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=5.5, markerfacecolor="white", **grey),
        Line2D([], [], linewidth=1.3, **grey),
        Line2D([], [], linestyle="none", marker="*", markersize=10, markeredgecolor="white", **grey),
    ]
    labels = ["start", f"trajectory (a colour for each of the first {MAX_ROBOTS} robots)", "goal"]
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
