"""Plot the divergence of predictions on new experiences against forgetting, one point per method.

``python -m benchmarks.divergence_and_forgetting runs/table/none-* runs/table/EWC-* --picture divergence.png``

The folders are run folders of runs with the callback ``lifelong.evaluation.Divergence``. Runs are grouped to methods by
the names of their folders, which end in the seed.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.intervals import interval
from lifelong.evaluation.plots.style import COLOURS, LEGEND, MARKERS, make_figure, save_figure
from lifelong.evaluation.results import Results

SIZE = (7.0, 4.6)


@dataclass(frozen=True)
class Method:
    """Store both measures of a method, with intervals over its seeds, or over evaluation units if it has one seed.

    Args:
        divergence: in nats, the mean over all experiences but the first.
        forgetting: best earlier score minus the final score, in the unit of the score.
    """

    divergence: Estimate
    forgetting: Estimate


def measure(folders: Sequence[Path]) -> dict[str, Method]:
    """Compute both measures of each method from its runs.

    Args:
        folders: run folders; those of one method differ only in the seed at the end of their names.

    Raises:
        ValueError: when a run has no divergence, or no forgetting because it learnt only one experience.
    """
    found: dict[str, list[tuple[Estimate, Estimate]]] = {}
    for folder in folders:
        results = Results.load(folder)
        found.setdefault(re.sub(r"-\d+$", "", folder.name), []).append((_divergence(folder), _forgetting(results)))
    return {name: Method(*(_over_seeds(column) for column in zip(*rows, strict=True))) for name, rows in found.items()}


def draw(methods: Mapping[str, Method], picture: Path) -> None:
    """Draw one point with intervals for each method.

    Args:
        methods: measures by name of the method.
        picture: path of the file; its ending sets the format.
    """
    figure = make_figure(SIZE)
    axes = figure.add_subplot()
    for number, (name, method) in enumerate(methods.items()):
        x, y = method.divergence, method.forgetting.scaled(100)
        axes.errorbar(
            x.value,
            y.value,
            xerr=np.nan_to_num(x.half_width),
            yerr=np.nan_to_num(y.half_width),
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            capsize=2,
            linestyle="none",
            label=name,
        )
    axes.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.set_xlabel("divergence on each new experience (nats)")
    axes.set_ylabel("forgetting (points)")
    axes.legend(**LEGEND)
    save_figure(figure, picture)


def main(args: list[str] | None = None) -> None:
    """Print both measures of each method, and plot them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.divergence_and_forgetting", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--picture", type=Path, required=True)
    given = parser.parse_args(args)
    methods = measure(given.folders)
    draw(methods, given.picture)
    for name, method in methods.items():
        print(f"{name}: divergence {method.divergence.text(3)} nats, forgetting {method.forgetting.scaled(100)} points")
    print(f"written: {given.picture}")


def _divergence(folder: Path) -> Estimate:
    files = sorted(folder.glob("divergence_*.json"))
    if not files:
        raise ValueError(
            f"{folder} has no divergence: train it with --trainer.callbacks+=lifelong.evaluation.Divergence"
        )
    values = np.array(list(json.loads(files[0].read_text(encoding="utf-8"))["experiences"].values()))[1:]
    return Estimate(float(values[:, 0].mean()), float(np.sqrt((values[:, 1] ** 2).sum()) / len(values)))


def _forgetting(results: Results) -> Estimate:
    if (metric := results.metrics.get("forgetting")) is None:
        raise ValueError("a run forgets where it learnt two experiences or more: leave the others out")
    return Estimate(metric.value, metric.half_width)


def _over_seeds(values: Sequence[Estimate]) -> Estimate:
    if len(values) == 1:
        return values[0]
    mean, half_width = interval(np.array([[estimate.value for estimate in values]]))
    return Estimate(float(mean[0]), float(half_width[0]))


if __name__ == "__main__":
    main()
