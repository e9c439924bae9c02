"""Grouping runs to methods: runs whose configs differ only in the seed, or agree in the options given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifelong.evaluation.compared import NamedRun
from lifelong.evaluation.config_differences import described, differing, find_key, of_method
from lifelong.evaluation.method_labels import labels, named_by

Groups = Mapping[str, Sequence[NamedRun]]
"""The runs of each method, by label."""


def grouped(runs: Sequence[NamedRun], by: Sequence[str] | None = None) -> dict[str, list[NamedRun]]:
    """Group runs to methods, in the order of their first runs, with a short label for each.

    Args:
        runs: one or more runs.
        by: the options that define a method, as dotted keys or their ends. Default: all options but those that belong
            to a single run, such as the seed.

    Raises:
        ValueError: when no run has such an option; the message suggests a similar one, else those that differ.
    """
    options = [described(run.results) for run in runs]
    known = list(dict.fromkeys(key for of_run in options for key in of_run))
    usual = [*differing([[of_method(of_run)] for of_run in options]), *({"seed"} & {*known})]
    keys = None if by is None else [find_key(key, known, usual) for key in by]
    methods: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, of_run in enumerate(options):
        kept = of_method(of_run) if keys is None else {key: of_run.get(key, "") for key in keys}
        methods.setdefault(tuple(sorted(kept.items())), []).append(place)
    places = list(methods.values())
    first = [options[of_method_[0]] for of_method_ in places]
    if keys is None:
        values = differing([[of_method(options[place]) for place in of_method_] for of_method_ in places])
        names = labels(values, [of_first["strategies"].replace("none", "no strategy") for of_first in first])
    else:
        values = {key: [of_first.get(key, "") for of_first in first] for key in keys}
        names = named_by(keys, values, [", ".join(f"{key}={o.get(key, 'not set')}" for key in keys) for o in first])
    return {name: [runs[place] for place in of_name] for name, of_name in zip(names, places, strict=True)}


def config_differences(groups: Groups) -> dict[str, dict[str, str]]:
    """Return the differences between the configs of methods as text, by dotted key and then by label.

    Args:
        groups: the runs of each method.
    """
    options = [[of_method(described(run.results)) for run in runs] for runs in groups.values()]
    return {key: dict(zip(groups, values, strict=True)) for key, values in differing(options).items()}


def varying(runs: Sequence[NamedRun]) -> dict[str, str]:
    """Return the differences between the configs of one method's runs, except their seeds, as text.

    Args:
        runs: the runs of the method.
    """
    options = [[of_method(described(run.results))] for run in runs]
    return {key: " / ".join(dict.fromkeys(values)) for key, values in differing(options).items()}
