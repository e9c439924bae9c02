"""``lifelong.compare``: compare runs from their folders alone, without their data, plug-ins or torch."""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

from lifelong.evaluation.compared import IntervalKind, Metric, NamedRun, Procedure
from lifelong.evaluation.comparison import Comparison, compare_methods
from lifelong.evaluation.grouping import grouped
from lifelong.evaluation.results import RESULTS, SCORES, Results
from lifelong.evaluation.significance import INTERVALS
from lifelong.run.last import last_run
from lifelong.utilities.plain_yaml import read_yaml

if TYPE_CHECKING:
    from lifelong.run.run import Run

Comparable: TypeAlias = Union["Run", Results, str, Path]
"""A run, its results or its path: a run folder, one of its checkpoints, ``last``, or a folder of run folders."""
MOST_RESAMPLES = 10_000_000
USAGE = "python -m lifelong compare runs/one runs/two"


def compare(
    runs: Iterable[Comparable] | Mapping[str, Iterable[Comparable] | Comparable],
    *,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    metrics: Mapping[str, Metric] | None = None,
    interval: IntervalKind = "percentile",
    n_resamples: int = 9999,
    seed: int = 0,
) -> Comparison:
    """Compare runs: one row per method, averaged over its seeds, with paired differences on the same evaluation units.

    Runs whose configs differ only in the seed belong to one method. Configs are read as plain data; nothing that they
    name is imported.

    Args:
        runs: runs, results or paths; or a mapping from the label of a method to its runs.
        by: dotted config keys, such as ``strategies`` or ``optimizer.lr``, whose values define a method. Default: all
            keys.
        against: the baseline: label of a method, or name of one of its runs. Default: the first method.
        metrics: further metrics by name. Each is a function that takes the :class:`~lifelong.Results` of a run and
            returns a number or an :class:`~lifelong.evaluation.estimate.Estimate` in the unit in which it is shown. It
            raises ValueError with the reason if the metric is undefined for the run. No training is needed.
        interval: interval of the paired differences: ``percentile`` or ``bca`` bootstrap, or Student's ``t``.
        n_resamples: number of resamples of the bootstrap and of the sign-flip test.
        seed: seed of both.

    Raises:
        ValueError: when there are fewer than two runs, a run cannot be read, or a key or label does not exist.

    Example:
        >>> import numpy as np
        >>> from lifelong.evaluation.setting import Setting
        >>> def run(*scores):
        ...     return Results(Setting(("a",), ("a",), score="accuracy", percent=True), {"score": [np.array([scores])]})
        >>> def worst(results):
        ...     return 100 * results.matrix[-1].min()
        >>> table = compare({"EWC": run(1, 1, 0, 1), "none": run(0, 1, 0, 1)}, against="none", metrics={"worst": worst})
        >>> table.differences[0].value, table.rows[0].estimates["worst"].value
        (0.25, 75.0)
    """
    procedure = Procedure(checked_interval(interval), n_resamples, seed)
    if not 1 <= n_resamples <= MOST_RESAMPLES:
        raise ValueError(f"found {n_resamples} resamples: give 1 to {MOST_RESAMPLES:,}, such as 9999")
    said = _Said()
    if isinstance(runs, Mapping):
        if by is not None:
            raise ValueError("runs have labels and by is given too: give a list of runs, or leave by out")
        groups = {str(label): _all_of(of_label, said) for label, of_label in runs.items()}
    else:
        keys = [key.strip() for key in by.split(",")] if isinstance(by, str) else by
        groups = grouped(found, keys) if (found := _all_of(runs, said)) else {}
    if empty := [label for label, of_label in groups.items() if not of_label]:
        raise ValueError(f"the method {empty[0]!r} has no run: give it one or leave it out")
    named = [run.name for of_label in groups.values() for run in of_label]
    if len(named) < 2:
        what = f"and there is one only, {named[0]}" if named else "and there is none"
        raise ValueError(f"compare puts two runs or more beside each other, {what}: {USAGE}")
    return compare_methods(
        groups, against=against, metrics=metrics, procedure=procedure, notes=said.notes, warnings=said.warnings
    )


def checked_interval(name: str) -> IntervalKind:
    """Return the name of an interval, once checked.

    Raises:
        ValueError: when there is no interval of this name.
    """
    for known in INTERVALS:
        if name == known:
            return known
    raise ValueError(f"there is no interval {name!r}: give {', '.join(INTERVALS)}")


def find_metrics(paths: Sequence[str]) -> dict[str, Metric]:
    """Import metrics by the import paths of their functions.

    Args:
        paths: import paths such as ``package.module.function``.

    Raises:
        ValueError: when a function does not exist.

    Example:
        >>> list(find_metrics(["math.sqrt"]))
        ['sqrt']
    """
    metrics: dict[str, Metric] = {}
    for path in paths:
        module, _, name = path.rpartition(".")
        if not module or not name:
            raise ValueError(
                f"there is no metric {path or '(an empty name)'}: give a function by its dotted path, module.function, "
                "from this folder or an installed package; metrics of lifelong's own are in every table"
            )
        try:
            metric = getattr(importlib.import_module(module), name)
        except Exception as error:  # a user's module may raise anything
            raise ValueError(
                f"there is no function {path} ({error}): give its dotted path, module.function, from this folder or an "
                "installed package"
            ) from error
        if not callable(metric):
            raise ValueError(f"{path} is no function: give one that takes the results of a run and returns a number")
        metrics[name] = metric
    return metrics


@dataclass
class _Said:
    """Collect notes and warnings about how the runs were found."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _all_of(runs: Iterable[Comparable] | Comparable, said: _Said) -> list[NamedRun]:
    """Read each run once; a folder of run folders stands for all runs in it."""
    single = isinstance(runs, (str, Path, Results)) or hasattr(runs, "results")
    named: list[NamedRun] = []
    places: set[Path] = set()
    for run in cast("Iterable[Comparable]", [runs] if single else runs):
        if isinstance(run, Results):
            named.append(NamedRun(f"run {len(named) + 1}", run))
        elif isinstance(run, (str, Path)):
            for folder in _folders(run, said):
                if folder.resolve() in places:
                    said.notes.append(f"{folder} is named twice, and counts once")
                else:
                    named.append(_read(folder))
                    places.add(folder.resolve())
        elif hasattr(run, "results"):
            named.append(NamedRun(run.folder.name, _of_run(run.results, run.folder.name, run.config)))
        else:
            raise ValueError(f"found a {type(run).__name__} among the runs: give runs, results or paths of run folders")
    return named


def _folders(path: str | Path, said: _Said) -> list[Path]:
    """Return the run folders of a path: the folder itself, the run folders in it, or none if it has no results yet.

    Raises:
        ValueError: when the path is neither a run folder nor a folder of run folders.
    """
    if str(path) == "last":
        folder = last_run()
        said.notes.append(f"last is {folder}")
    else:
        folder = _on_this_machine(path)
    if folder.is_file():
        folder = folder.parent.parent if folder.parent.name == "checkpoints" else folder.parent
    if (folder / RESULTS).is_file():
        return [folder]
    if not folder.exists():
        raise ValueError(f"{path} is not there: give run folders, checkpoints in them, or last; {USAGE}")
    if (folder / "config.yaml").is_file():
        said.warnings.append(f"{folder} has no {RESULTS}, which comes after the first experience: it is left out")
        return []
    inside = sorted(child.parent for child in folder.glob(f"*/{RESULTS}"))
    if not inside and (deeper := sorted({str(file.parent.parent) for file in folder.glob(f"*/*/{RESULTS}")})):
        raise ValueError(f"{folder} holds no run itself; runs lie in {', '.join(deeper[:5])}: give one of these")
    if not inside:
        raise ValueError(f"{folder} is no run folder and holds none: there is no {RESULTS} in it; {USAGE}")
    said.notes.append(f"{path} holds {len(inside)} runs")
    return inside


def _on_this_machine(path: str | Path) -> Path:
    if "://" not in str(path):
        return Path(path).expanduser()
    from lifelong.run.mirror import Mirror  # imports Lightning, which takes seconds

    mirror = Mirror(str(path).rpartition("/checkpoints/")[0] if str(path).endswith(".ckpt") else str(path))
    for name in (RESULTS, SCORES):
        mirror.fetch_file(name)
    return mirror.folder


def _read(folder: Path) -> NamedRun:
    """Read the results of a run folder.

    Raises:
        ValueError: when a file in it is damaged.
    """
    try:
        results = Results.load(folder)
    except ValueError as error:
        raise ValueError(str(error) if str(folder) in str(error) else f"{folder}: {error}") from error
    except (KeyError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"the results in {folder} cannot be read ({error}): leave it out, or run it again") from error
    if not results.setting.config and (folder / "config.yaml").is_file():
        results = _of_run(results, folder.resolve().name, read_yaml(folder / "config.yaml"))
    if not isinstance(results.setting.config, dict):
        raise ValueError(f"the config in {folder / RESULTS} is no mapping: leave this run out, or run it again")
    return NamedRun(folder.resolve().name, results)


def _of_run(results: Results, name: str, config: Mapping[str, Any]) -> Results:
    """Return results with the config added, if they contain none."""
    return results.of_run(name, config) if config and results.rows and not results.setting.config else results
