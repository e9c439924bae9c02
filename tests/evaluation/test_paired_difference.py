"""The difference of two methods on the same units, by hand, and in words where there is none."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest

from lifelong.evaluation import paired_difference as module
from lifelong.evaluation.compared import Difference, Method, NamedRun, Procedure
from lifelong.evaluation.intervals import t_quantile
from lifelong.evaluation.paired_difference import corrected, paired_difference, unit_differences
from lifelong.evaluation.results import Results
from lifelong.evaluation.significance import INTERVALS
from tests.toy_runs import config_of, make_run, two_rows


def method(label: str, *lasts: list[list[float]], seeds: tuple[int, ...] | None = None, **setting: Any) -> Method:
    """Runs whose last rows are given, of the seeds from 0."""
    of_seeds = zip(lasts, seeds or range(len(lasts)), strict=True)
    return Method.of(label, [make_run(*two_rows(last), config=config_of(seed), **setting) for last, seed in of_seeds])


FIRST = method("first", [[1.0, 1, 0, 1], [1, 1, 1, 1]], [[1.0, 1, 1, 1], [1, 1, 1, 1]])
SECOND = method("second", [[0.0, 1, 0, 1], [1, 1, 1, 1]], [[0.0, 1, 0, 1], [1, 1, 1, 1]])


def test_units_are_paired_and_domains_weigh_alike() -> None:
    found = paired_difference(FIRST, SECOND, Procedure("t"))
    of_units = np.array([1, 0, 0.5, 0])  # over both seeds; the second domain has no difference
    assert found.value == pytest.approx(of_units.mean() / 2)
    half_width = float(t_quantile(3)) * of_units.std(ddof=1) / 2 / 2  # of four units, and halved with the mean
    assert found.low == pytest.approx(found.value - half_width)
    assert found.high == pytest.approx(found.value + half_width)
    assert (found.p, found.exact) == (0.5, True)  # of the four flips of two units two are as far from 0
    assert (found.n_units, found.seeds, found.reason) == (8, (0, 1), "")


def test_only_the_last_row_counts() -> None:
    assert paired_difference(FIRST, FIRST).value == 0.0
    rows = [[0.0, 0, 0, 0], [0, 0, 0, 0]], [[1.0, 1, 0, 1], [1, 1, 1, 1]]
    other = Method.of("other", [make_run(*rows)])
    assert paired_difference(other, method("one", [[1.0, 1, 0, 1], [1, 1, 1, 1]])).value == 0.0


@pytest.mark.parametrize("kind", INTERVALS)
def test_a_method_is_as_good_as_itself(kind: Any) -> None:
    found = paired_difference(FIRST, FIRST, Procedure(kind))
    assert (found.value, found.low, found.high, found.p, found.adjusted_p) == (0.0, 0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("kind", INTERVALS)
def test_the_other_way_round_has_the_other_sign(kind: Any) -> None:
    one, other = paired_difference(FIRST, SECOND, Procedure(kind)), paired_difference(SECOND, FIRST, Procedure(kind))
    assert other.value == -one.value
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=0.02)
    assert other.p == one.p


def test_the_difference_is_that_of_the_average_scores() -> None:
    found = paired_difference(FIRST, SECOND)
    averages = [of.estimates["average_score"].value for of in (FIRST, SECOND)]
    assert found.value == pytest.approx(averages[0] - averages[1])


def test_domains_that_are_never_learnt_do_not_count() -> None:
    one, other = (
        Method.of("a", [make_run([[1, 1], [unseen, 1]], n_unseen=1, experiences=("Latin",))]) for unseen in (0, 1)
    )
    assert paired_difference(one, other).value == 0.0


def test_domains_may_have_different_numbers_of_units() -> None:
    def ragged_run(last: list[list[float]]) -> Method:
        row: Any = np.ma.masked_all((2, 3))
        row[0, :3], row[1, :1] = last
        run = make_run([[1, 1, 1], [1, 1, 1]]).results.setting
        return Method.of("a", [NamedRun("a", Results(run, {"score": [row, row]}))])

    found = paired_difference(ragged_run([[1, 1, 1], [1]]), ragged_run([[0, 1, 1], [1]]))
    assert found.value == pytest.approx(1 / 6)
    assert found.n_units == 4


def test_runs_are_paired_by_their_seeds() -> None:
    right, wrong = [[1.0] * 4] * 2, [[0.0] * 4] * 2
    one = method("one", right, wrong, seeds=(5, 7))
    found = paired_difference(one, method("other", right, wrong, right, seeds=(7, 5, 6)))
    assert found.seeds == (5, 7)
    assert found.value == 0.0  # seed 5 is better by 1, and seed 7 worse
    assert paired_difference(one, method("other", wrong, seeds=(5,))).value == 1.0


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (method("b", [[1.0] * 4] * 2, split_hash="x"), "another split"),
        (method("b", [[1.0] * 4] * 2, part="val"), "another part"),
        (method("b", [[1.0] * 4] * 2, transductive=True), "one is transductive"),
        (method("b", [[1.0] * 4] * 2, experiences=("Latin", "Greek", "Dutch")), "unfinished"),
        (method("b", [[1.0] * 4] * 2, seeds=(7,)), "no seed in common"),
        (method("b", [[1.0] * 4] * 2, [[1.0] * 4] * 2, seeds=(0, 0)), "a seed twice"),
        (Method.of("b", [make_run(config={}), make_run(config={})]), "seeds unknown"),
        (method("b", [[1.0, 1, 1, math.nan], [1.0] * 4]), "scores missing or not finite"),
        (method("b", [[1.0, 1, 1, math.inf], [1.0] * 4]), "scores missing or not finite"),
    ],
)
def test_what_cannot_be_paired_says_why(other: Method, reason: str) -> None:
    for found in (paired_difference(other, FIRST), paired_difference(FIRST, other)):
        assert found.reason == reason
        assert all(math.isnan(number) for number in (found.value, found.low, found.high, found.p, found.adjusted_p))


def test_runs_of_unknown_seed_are_paired_one_by_one() -> None:
    one, other = (Method.of(label, [make_run(config={})]) for label in "ab")
    assert paired_difference(one, other).seeds == (None,)


def test_without_scores_of_units_there_is_no_difference() -> None:
    run = make_run()
    bare = Results.from_dict(run.results.to_dict())
    assert paired_difference(Method.of("a", [NamedRun("a", bare)]), FIRST).reason == "no scores.npz"


def test_joint_training_is_compared_on_the_same_units() -> None:
    joint = Method.of("joint", [make_run([[1.0] * 4] * 2, config=config_of(joint=True))])
    assert paired_difference(joint, FIRST).value == pytest.approx(1 / 8)


def test_unit_differences_refuse_other_units() -> None:
    run = make_run().results
    with pytest.raises(ValueError, match="found 1 runs to compare with 2"):
        unit_differences([run], [run, run])
    with pytest.raises(ValueError, match="were not judged on the same units"):
        unit_differences([run], [make_run([[1, 1], [1, 1]]).results])


def test_only_differences_that_are_there_are_corrected_for() -> None:
    differences = [
        Difference("a", "z", p=0.01),
        Difference("b", "z", reason="unfinished"),
        Difference("c", "z", p=0.04),
    ]
    adjusted = corrected(differences)
    assert [d.adjusted_p for d in adjusted if not d.reason] == [0.02, 0.04]
    assert adjusted[1].reason == "unfinished"


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(module).failed == 0
