"""Notes and warnings below a comparison, as sentences: what is not comparable, and what is not available."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifelong.evaluation.comparability import obstacles, unfinished
from lifelong.evaluation.compared import MISSING, Difference, Method, NamedRun, Procedure
from lifelong.evaluation.grouping import Groups, varying

FEWEST_UNITS = 15
"""Number of units in a domain below which bootstrap intervals are about 3 % too narrow, or more."""


def of_runs(groups: Groups, kept: Groups) -> list[str]:
    """Name the runs that are unfinished, duplicated, or different from the other runs of their method.

    Args:
        groups: the runs of each method, by label.
        kept: the runs that are part of the comparison.
    """
    sentences = []
    for label, runs in groups.items():
        for run in runs:
            if state := unfinished(run.results):
                is_kept = any(run is other for other in kept[label])
                what = "its numbers are of the experiences so far" if is_kept else "it is left out"
                sentences.append(f"{_run_of(run, label)} is {state}: {what}")
        sentences += _within(label, kept[label])
    return sentences


def _within(label: str, runs: Sequence[NamedRun]) -> list[str]:
    """Describe what makes the runs of a method inconsistent with each other."""
    sentences = []
    apart = dict.fromkeys(str(o) for run in runs[1:] for o in obstacles(runs[0].results, run.results))
    if apart:
        sentences.append(f"the runs of {label!r} are not comparable with each other: {'; '.join(apart)}")
    if others := varying(runs):
        listed = "; ".join(f"{key} {value}" for key, value in list(others.items())[:5])
        more = f"; and {len(others) - 5} more" if len(others) > 5 else ""
        sentences.append(f"the runs of {label!r} differ in more than their seeds: {listed}{more}")
    by_seed: dict[int | None, list[str]] = {}
    for run in runs:
        by_seed.setdefault(run.seed, []).append(run.name)
    for seed, names in by_seed.items():
        if len(names) > 1:
            which = "unknown seeds" if seed is None else f"the same seed {seed}"
            sentences.append(f"{len(names)} runs of {label!r} have {which} ({', '.join(names)}), and count as several")
    return sentences


def of_methods(rows: Sequence[Method], reference: Method) -> list[str]:
    """Name the methods that are not comparable with the reference method.

    Args:
        rows: the methods.
        reference: the reference method.
    """
    sentences = []
    if joint := [repr(row.label) for row in rows if row.runs[0].setting.joint]:
        sentences.append(f"joint training, all domains at once, is a bound and no continual method: {', '.join(joint)}")
    for row in rows:
        apart = dict.fromkeys(str(o) for run in row.runs for o in obstacles(run, reference.runs[0]))
        if apart and row is not reference:
            sentences.append(f"{row.label!r} is not comparable with {reference.label!r}: {'; '.join(apart)}")
        if without := [name for name, run in zip(row.names, row.runs, strict=True) if "score" not in run.rows]:
            sentences.append(
                f"{', '.join(without)} of {row.label!r} has no scores.npz, where the scores of single units are: "
                "there is no paired difference without"
            )
    return sentences


def on_metrics(rows: Sequence[Method]) -> list[str]:
    """Explain why metrics are not available.

    Args:
        rows: the methods.
    """
    sentences: list[str] = []
    by_label: dict[tuple[str, str], list[str]] = {}
    for name in dict.fromkeys(name for row in rows for name in row.estimates):
        missing = {row.label: e.reason for row in rows if (e := row.estimates.get(name, MISSING)).reason}
        if len(missing) == len(rows):
            sentences.append(f"{_words(name)}: not available, {'; '.join(dict.fromkeys(missing.values()))}")
            continue
        for label, reason in missing.items():
            by_label.setdefault((label, reason), []).append(_words(name))
    by_names: dict[tuple[str, str], list[str]] = {}
    for (label, reason), names in by_label.items():
        by_names.setdefault((", ".join(names), reason), []).append(repr(label))
    sentences += [f"{names} of {', '.join(labels)}: n/a, {why}" for (names, why), labels in by_names.items()]
    return sentences


def on_pairs(
    differences: Sequence[Difference], rows: Sequence[Method], reference: Method, procedure: Procedure
) -> list[str]:
    """Name the runs that have no pair, and the intervals that are based on few units.

    Args:
        differences: paired differences of all methods but the reference.
        rows: the methods.
        reference: the reference method.
        procedure: how intervals are computed.
    """
    sentences = []
    by_label = {row.label: row for row in rows}
    by_seeds: dict[str, list[str]] = {}
    for difference in differences:
        row = by_label[difference.label]
        if difference.reason == "no seed in common":
            seeds = " and ".join(_listed(of.seeds) for of in (row, reference))
            sentences.append(f"{row.label!r} and {reference.label!r} have no seed in common: {seeds}")
        elif not difference.reason and not set(row.seeds) == set(reference.seeds) == set(difference.seeds):
            by_seeds.setdefault(_listed(difference.seeds), []).append(repr(row.label))
    sentences += [f"paired by seed {seeds} alone: {', '.join(labels)}" for seeds, labels in by_seeds.items()]
    if procedure.interval != "t" and any(not difference.reason for difference in differences):
        fewest = int(np.ma.count(reference.runs[0].scores()[-1], axis=-1).min())
        if fewest < FEWEST_UNITS:
            sentences.append(
                f"a domain has {fewest} evaluation units, of which bootstrap intervals are too narrow: set interval t"
            )
    return sentences


def _run_of(run: NamedRun, label: str) -> str:
    return f"{run.name} of {label!r}" if run.name != label else repr(label)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _listed(seeds: Sequence[int | None]) -> str:
    return ", ".join("unknown" if seed is None else str(seed) for seed in seeds)
