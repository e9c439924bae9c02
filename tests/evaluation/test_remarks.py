"""What a comparison says in words: what is not comparable, and what is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lifelong.evaluation.compared import NamedRun, Procedure
from lifelong.evaluation.comparison import Comparison, compare_methods
from lifelong.evaluation.results import Results
from tests.toy_runs import config_of, make_run


def compared(*of_methods: Sequence[NamedRun], procedure: Procedure | None = None) -> Comparison:
    return compare_methods(dict(zip("ABC", of_methods, strict=False)), procedure=procedure)


def runs(*seeds: int, prefix: str = "run", **setting: Any) -> list[NamedRun]:
    return [make_run(name=f"{prefix}-{seed}", config=config_of(seed), **setting) for seed in seeds]


def test_comparable_methods_have_no_warning() -> None:
    found = compared(runs(0, 1), runs(0, 1))
    assert found.warnings == ()
    assert found.notes == (
        "forward transfer: not available, no score of the untrained learner",
        "a domain has 4 evaluation units, of which bootstrap intervals are too narrow: set interval t",
    )


def test_few_units_are_no_matter_for_student_t() -> None:
    assert len(compared(runs(0), runs(0), procedure=Procedure("t")).notes) == 1


def test_methods_that_are_not_comparable_are_named() -> None:
    found = compared(runs(0), runs(0, split_hash="xyz", part="val"))
    assert found.warnings == (
        "'B' is not comparable with 'A': another part (val and test); another split (xyz and abc)",
    )
    assert found.differences[0].reason == "another part"


def test_runs_of_a_method_that_are_not_comparable_are_named() -> None:
    odd = [*runs(0), *runs(1, split_hash="xyz")]
    found = compared(odd, runs(0))
    assert found.warnings[0] == "the runs of 'A' are not comparable with each other: another split (abc and xyz)"
    assert found.differences[0].reason == "another split"


def test_an_unfinished_run_is_left_out_where_others_are_not() -> None:
    row = [[1] * 4] * 2
    begun = make_run(row, name="begun", config=config_of(1))
    found = compared([*runs(0), begun], runs(0))
    assert found.warnings == ("begun of 'A' is unfinished (1 of 2 experiences): it is left out",)
    assert found.rows[0].names == ("run-0",)
    assert not found.differences[0].reason
    alone = compared([begun], runs(0))
    assert alone.warnings[0].endswith("its numbers are of the experiences so far")
    assert alone.differences[0].reason == "unfinished"
    assert alone.rows[0].estimates["average_score"].value == 1.0


def test_joint_training_is_flagged() -> None:
    joint = make_run([[1.0] * 4] * 2, config=config_of(joint=True))
    found = compared(runs(0), [joint])
    assert found.warnings == ("joint training, all domains at once, is a bound and no continual method: 'B'",)
    assert "forgetting, backward transfer of 'B': n/a, all domains are learnt at once" in found.notes[1]
    assert not found.differences[0].reason


def test_the_same_seed_twice_is_flagged() -> None:
    found = compared([*runs(0), *runs(0, prefix="again")], runs(0))
    assert found.warnings == ("2 runs of 'A' have the same seed 0 (run-0, again-0), and count as several",)
    nameless = [make_run(config={}, name=name) for name in "xy"]
    assert compared(nameless, runs(0)).warnings == ("2 runs of 'A' have unknown seeds (x, y), and count as several",)


def test_other_options_within_a_method_are_flagged() -> None:
    mixed = [make_run(name=str(lr), config=config_of(place, lr=lr)) for place, lr in enumerate((0.1, 0.2))]
    found = compared(mixed, runs(0, 1))
    assert found.warnings == ("the runs of 'A' differ in more than their seeds: optimizer.lr 0.1 / 0.2",)


def test_pairs_by_a_part_of_the_seeds_are_noted() -> None:
    found = compared(runs(0, 1, 2), runs(1, 2), runs(7))
    assert "paired by seed 1, 2 alone: 'B'" in found.notes
    assert "'C' and 'A' have no seed in common: 7 and 0, 1, 2" in found.notes


def test_missing_scores_of_units_are_flagged() -> None:
    bare = NamedRun("bare", Results.from_dict(make_run().results.to_dict()))
    found = compared(runs(0), [bare])
    assert found.warnings[0].startswith("bare of 'B' has no scores.npz")
    assert found.differences[0].reason == "no scores.npz"
    assert compared([bare], runs(0)).rows[0].estimates["average_score"].value == 1.0
