"""Recorded sweeps: the files in ``benchmarks/`` whose journal of finished runs is kept in ``benchmarks/results/``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lifelong.utilities.plain_yaml import read_yaml

ROOT = Path(__file__).parents[1]


class RecordedSweep(NamedTuple):
    """Store the paths of a sweep and its journal."""

    file: Path
    journal: Path


def recorded_sweeps(root: Path = ROOT) -> dict[str, RecordedSweep]:
    """Return the sweeps with tables and a journal by their names; ``benchmarks/NAME/sweep.yaml`` is called NAME.

    Args:
        root: root of the repository.

    Example:
        >>> recorded_sweeps()["split_mnist"].journal.name
        'split_mnist.jsonl'
    """
    folder = root / "benchmarks"
    files = {file.parent.name: file for file in folder.glob("*/sweep.yaml")}
    files |= {file.stem: file for file in folder.glob("*.yaml")}
    sweeps = {name: RecordedSweep(files[name], folder / "results" / f"{name}.jsonl") for name in sorted(files)}
    return {name: of for name, of in sweeps.items() if of.journal.is_file() and "tables" in read_yaml(of.file)}
