"""Measure how well a model distinguishes photos of unknown classes from those of known classes.

``python -m benchmarks.far_queries runs/letters unseen/Armenian``

``python -m benchmarks.far_queries runs/classes-? unseen/Armenian --known held_out``

The folder contains a folder of photos for each class. In each trial, random classes form the support set with a few
photos each; their other photos are known, and those of all other classes are far. Models of labelled examples have no
support set: ``--known`` is a folder of further photos of the classes on which they were trained. The output is the area
under the ROC curve of ``distance``, and the rejection rates at its calibrated threshold. Intervals are over trials, or
over models.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torchmetrics.functional.classification import binary_auroc

import lifelong
from lifelong.data.sampling import generator
from lifelong.evaluation.intervals import interval
from lifelong.run.answers import Answers
from lifelong.run.model import Model
from lifelong.vision.decoding import SUFFIXES

MEASURES = ("area under the ROC curve", "known queries that are told known", "far queries that are told far")


def photos(folder: Path) -> dict[str, list[Path]]:
    """Return the photos of each class.

    Args:
        folder: folder that contains a folder of photos for each class.
    """
    classes = {path.name: sorted(path.iterdir()) for path in sorted(folder.iterdir()) if path.is_dir()}
    return {name: [f for f in files if f.suffix.lower() in SUFFIXES] for name, files in classes.items()}


def trial(model: Model, classes: Mapping[str, Sequence[Path]], n_way: int, n_shot: int, number: int) -> list[float]:
    """Return the measures for one random choice of classes and support photos.

    Args:
        model: model of few-shot tasks.
        classes: photos by class.
        n_way: number of classes in the support set.
        n_shot: number of support photos per class.
        number: number of the trial, which seeds the choice.

    Raises:
        ValueError: when the model does not report whether queries are far.
    """
    rng = generator(0, "test", 0, number)
    chosen = rng.permutation(list(classes))[:n_way].tolist()
    order = {name: rng.permutation(len(classes[name])).tolist() for name in chosen}
    fitted = model.adapt({name: [classes[name][n] for n in order[name][:n_shot]] for name in chosen})
    known = [classes[name][n] for name in chosen for n in order[name][n_shot:]]
    far = [file for name, files in classes.items() if name not in chosen for file in files]
    return measures(fitted.predict([*known, *far]), len(known))


def measures(answers: Answers, n_known: int) -> list[float]:
    """Return the measures for predictions on known photos, followed by far ones.

    Args:
        answers: predictions for all photos.
        n_known: number of known photos, which come first.

    Raises:
        ValueError: when the model does not report whether queries are far.
    """
    if answers.far is None:
        raise ValueError(
            "the model cannot tell what is far: it needs two photos a class and an inductive network, or, of labelled "
            "examples, validation photos"
        )
    is_far = torch.arange(len(answers)) >= n_known
    told = answers.far > 1
    area = binary_auroc(answers.far, is_far.int()).item()
    return [area, (~told[~is_far]).double().mean().item(), told[is_far].double().mean().item()]


def main(args: list[str] | None = None) -> None:
    """Print the measures in percent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.far_queries", description=__doc__)
    parser.add_argument("runs", nargs="+", help="run folders or checkpoints")
    parser.add_argument("folder", type=Path, help="with a folder of photos for each class")
    parser.add_argument("--known", type=Path, help="the same of classes that models of labelled examples were taught")
    for name, default in (("n_way", 5), ("n_shot", 5), ("n_trials", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args(args)
    classes, rows = photos(given.folder), []
    for run in given.runs:
        model = lifelong.load(run).model
        if given.known is None:
            trials = track(range(given.n_trials), "trials")
            rows += [trial(model, classes, given.n_way, given.n_shot, n) for n in trials]
        else:
            known, far = (
                [file for files in some.values() for file in files] for some in (photos(given.known), classes)
            )
            rows.append(measures(model.predict([*known, *far]), len(known)))
    means, half_widths = interval(np.array(rows).T)
    for name, mean, half_width in zip(MEASURES, means.tolist(), half_widths.tolist(), strict=True):
        print(f"{name}: {100 * mean:.1f}" + (f" ± {100 * half_width:.1f} %" if len(rows) > 1 else " %"))


if __name__ == "__main__":
    main()
