"""Compares two methods on the same evaluation units: mean difference after the last experience, with its 95 % interval.

``python -m benchmarks.paired_difference --first runs/table/RanPAC-* --second runs/table/joint-*``

The differences of each unit (a task or an example) are averaged over seeds, then over units and domains; the interval
is over units. Folders are run folders with ``scores.npz``, in the order of their seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.intervals import mean_and_variance, sum_of_means
from lifelong.evaluation.results import Results


def difference(first: Sequence[Results], second: Sequence[Results]) -> Estimate:
    """Compute the mean of first minus second over units and domains, each pair of runs on the same units.

    Args:
        first: the runs of a method, one for each seed.
        second: those of the other method, in the same order.

    Raises:
        ValueError: when the runs are not as many, or were not judged on the same units.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"found {len(first)} runs to compare with {len(second)}: give one of each for each seed")
    units = [(run.domains, run.setting.part, run.setting.split_hash) for run in (*first, *second)]
    if others := [of_run for of_run in units if of_run != units[0]]:
        raise ValueError(f"runs were not judged on the same units: {units[0]} and {others[0]}")
    pairs = zip(first, second, strict=True)
    of_seeds = [one.scores()[-1] - other.scores()[-1] for one, other in pairs]
    return sum_of_means(*mean_and_variance(sum(of_seeds[1:], of_seeds[0]) / len(of_seeds))).scaled(
        1 / len(first[0].domains)
    )


def main(args: list[str] | None = None) -> None:
    """Print the difference in percent, and how many units it is over."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paired_difference", description=__doc__)
    for name in ("--first", "--second"):
        parser.add_argument(name, nargs="+", type=Path, required=True, metavar="RUN")
    given = parser.parse_args(args)
    first, second = ([Results.load(folder) for folder in folders] for folders in (given.first, given.second))
    n_units = int(np.ma.count(first[0].scores()[-1]))
    print(f"{difference(first, second).scaled(100)} % over {n_units} units and {len(first)} seeds")


if __name__ == "__main__":
    main()
