"""The picture at the top of the README: the accuracy matrix of the default stream without and with replay.

``python -m docs.generate.front_picture`` draws it anew from the records in ``benchmarks/results/default``, which two
runs left behind: ``python -m lifelong fit --strategies []`` and ``python -m lifelong fit``, both with seed 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.evaluation.estimate import Array
from lifelong.evaluation.plots.style import make_figure
from lifelong.evaluation.results import Results
from lifelong.utilities.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECORDS = Path("benchmarks") / "results" / "default"
PICTURE = Path("docs") / "pictures" / "replay_beside_none.png"
RUNS = {"none": "Fine-tuning alone", "replay": "With Replay, 2,000 images kept"}
"""The folders of the runs, and what stands above their matrices."""
SIZE = (8.7, 4.6)
INK = "0.5"
"""Of all letters around the matrices: readable on a light page and on a dark one."""
PALE = 0.72
"""Share of white in the colour of a domain that is not learnt yet, as in the heat map of a run."""


def front_figure(records: Path) -> Figure:
    """Draw two accuracy matrices side by side, in one scale of colours.

    Args:
        records: folder with ``none/results.json`` and ``replay/results.json``.

    Raises:
        ValueError: when they are of other streams.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    none, replay = (Results.load(records / name) for name in RUNS)
    if none.domains != replay.domains or none.matrix.shape != replay.matrix.shape:
        raise ValueError(f"the runs in {records} are of two streams: record both anew, with the same data")
    values = np.stack([none.matrix, replay.matrix]) * 100
    scale = ScalarMappable(Normalize(values.min(), values.max()), colormaps["viridis"])
    figure = make_figure(SIZE)
    axes: Any = figure.subplots(1, 2, sharey=True)
    for panel, results, title in zip(axes, (none, replay), RUNS.values(), strict=True):
        _draw_matrix(panel, results.matrix * 100, results.domains, scale)
        average, forgetting = (results.metrics[name].scaled(100) for name in ("average_score", "forgetting"))
        panel.set_title(
            f"{title}\naverage {average.value:.1f} %, forgetting {forgetting.value:.1f} points", fontsize=11, color=INK
        )
    axes[0].set_yticks(range(len(none.domains)), [f"after {name}" for name in none.experiences], fontsize=9.5)
    bar = figure.colorbar(scale, ax=list(axes), pad=0.015, aspect=24, shrink=0.86)
    bar.set_label("accuracy (%)", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_visible(False)
    tasks = none.setting.evaluation.replace(" val ", " validation ")
    figure.supxlabel(f"Pale: not learnt yet. Accuracy on {tasks}; one seed.", fontsize=9.5, color=INK)
    return figure


def draw(records: Path, picture: Path) -> None:
    """Write the picture.

    Args:
        records: folder of the runs.
        picture: path of the PNG file; its background is transparent, for light pages and dark ones.
    """
    figure = front_figure(records)
    write_whole(
        picture,
        lambda part: figure.savefig(part, format="png", dpi=180, transparent=True, pil_kwargs={"optimize": True}),
    )


def _draw_matrix(axes: Axes, values: Array, domains: tuple[str, ...], scale: Any) -> None:
    colours = np.asarray(scale.to_rgba(values))
    later = np.triu(np.ones_like(values, dtype=bool), 1)
    colours[later, :3] = PALE + (1 - PALE) * colours[later, :3]
    axes.imshow(colours, interpolation="nearest")
    for (row, column), value in np.ndenumerate(values):
        dark = colours[row, column, :3] @ np.array([0.2126, 0.7152, 0.0722]) < 0.5
        weight = "normal" if later[row, column] else "bold"
        shade = "white" if dark else "0.4" if later[row, column] else "black"
        axes.text(column, row, f"{value:.1f}", color=shade, fontweight=weight, ha="center", va="center", fontsize=10)
    axes.set_xticks(range(len(domains)), domains, fontsize=9.5, rotation=30, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    edges = np.arange(len(domains) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)


if __name__ == "__main__":
    draw(RECORDS, PICTURE)
