"""The trials of a search: so many over all searchers, seeded, and those of the dead do not count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifelong.sweep.study import Study, make_pruner, make_sampler

pytest.importorskip("optuna")
SPACE = {"optimizer.lr": {"log": [1e-4, 1.0]}, "n": [1, 2, 3]}


def study(root: Path, n_trials: int = 3, **settings: Any) -> Study:
    return Study(root, "name", SPACE, n_trials=n_trials, **settings)


def ask(of: Study) -> Any:
    asked = of.ask()
    assert asked is not None
    return asked


def test_searchers_share_so_many_trials(tmp_path: Path) -> None:
    one, other = study(tmp_path), study(tmp_path)
    asked = [ask(searcher) for searcher in (one, other, one)]
    assert one.ask() is None
    assert other.ask() is None
    assert len({chosen["optimizer.lr"] for _, chosen in asked}) == 3  # not the same ones
    assert not one.is_over
    for value, (trial, _) in enumerate(asked):
        one.tell(trial, float(value), "COMPLETE")
    assert other.is_over
    assert other.best.number == 2


def test_trials_of_a_dead_searcher_are_taken_over(tmp_path: Path) -> None:
    dead, living = study(tmp_path), study(tmp_path)
    _, lost = ask(dead)
    ask(living)
    dead._alive.release()  # as the system does
    assert ask(living)[1] == lost  # its settings are tried again
    ask(living)
    assert living.ask() is None
    assert [t.number for t in living.trials] == [1, 2, 3]


def test_a_search_that_was_stopped_chooses_as_if_it_had_not(tmp_path: Path) -> None:
    def choose(root: Path, n_searchers: int) -> list[Any]:
        chosen = []
        for _ in range(n_searchers):
            searcher = study(root, 6, sampler="RandomSampler", seed=3)
            for _ in range(6 // n_searchers):
                trial, values = ask(searcher)
                searcher.tell(trial, values["optimizer.lr"], "COMPLETE")
                chosen.append(values)
            searcher.close()
        return chosen

    assert choose(tmp_path / "one", 1) == choose(tmp_path / "three", 3)


def test_trials_that_only_fail_end_a_search_until_restarted(tmp_path: Path) -> None:
    searcher = study(tmp_path, 20)
    values = []
    while asked := searcher.ask():
        values.append(asked[1])
        searcher.tell(asked[0], None, "FAIL")
    assert len(values) == 3
    assert searcher.is_over
    searcher.retry_failed()
    assert not searcher.is_over
    assert ask(searcher)[1] == values[0]


def test_the_smallest_forgetting_is_the_best(tmp_path: Path) -> None:
    searcher = study(tmp_path, 2, minimize=True)
    for value in (0.3, 0.1):
        searcher.tell(ask(searcher)[0], value, "COMPLETE")
    assert searcher.best.value == 0.1


@pytest.mark.parametrize("name", ["GridSampler", "BruteForceSampler", "QMCSampler"])
@pytest.mark.filterwarnings("ignore")
def test_other_samplers_serve(name: str, tmp_path: Path) -> None:
    space = {"n": [1, 2, 3]}
    searcher = Study(tmp_path, "name", space, n_trials=3, sampler=name)
    chosen = []
    while asked := searcher.ask():
        chosen.append(asked[1]["n"])
        searcher.tell(asked[0], 0.5, "COMPLETE")
    assert len(chosen) == 3
    assert name == "QMCSampler" or sorted(chosen) == [1, 2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_sampler("TPESamplr", SPACE, 0), r"Optuna has no sampler TPESamplr: did you mean TPES"),
        (lambda: make_pruner("MediumPruner"), r"Optuna has no pruner MediumPruner: did you mean MedianPr"),
        (
            lambda: make_sampler("GridSampler", SPACE, 0),
            "GridSampler takes choices alone, and optimizer.lr has a range",
        ),
        (
            lambda: make_pruner({"class_path": "MedianPruner", "init_args": {"n": 1}}),
            r"the pruner MedianPruner cannot be made with {'n': 1} \(.*\): correct its init_args",
        ),
    ],
)
def test_what_optuna_has_not_is_one_sentence(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
