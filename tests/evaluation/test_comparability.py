"""What makes runs different questions, one by one."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from lifelong.evaluation import comparability
from lifelong.evaluation.comparability import obstacles, unfinished
from tests.toy_runs import config_of, make_run

RUN = make_run().results


def data_with(**init: Any) -> dict[str, Any]:
    config = config_of()
    config["data"]["init_args"] |= init
    return config


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"score": "return"}, "another score (accuracy and return)"),
        ({"part": "val"}, "another part (test and val)"),
        ({"evaluation": "5-way 5-shot"}, "other tasks (4 test tasks a domain, 5-way 1-shot and 5-way 5-shot)"),
        ({"transductive": True}, "one is transductive (inductive and transductive)"),
        (
            {"domains": ("Latin", "Dutch")},
            "other domains (2, of which Greek only here and 2, of which Dutch only here)",
        ),
        ({"domains": ("Greek", "Latin")}, "another order (Latin, Greek and Greek, Latin)"),
        ({"n_unseen": 1}, "other unseen domains (0 never learnt and 1 never learnt)"),
        ({"split_hash": "xyz"}, "another split (abc and xyz)"),
        ({"split_hash": ""}, "another split (abc and not said)"),
        ({"n_eval_units": (4, 5)}, "other numbers of units ((4, 4) and (4, 5))"),
        ({"config": data_with(split_seed=1)}, "other draws (data.split_seed: 0 and 1)"),
        ({"config": data_with(n_query=1)}, "other draws (queries a class: 5 and 1)"),
        ({"config": data_with(eval_n_query=15)}, "other draws (queries a class: 5 and 15)"),
    ],
)
def test_each_obstacle_is_said_in_words(other: dict[str, Any], sentence: str) -> None:
    assert [str(found) for found in obstacles(RUN, make_run(**other).results)] == [sentence]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"config": {}},
        {"config": config_of(seed=1, strategy=None, lr=5.0)},
        {"config": data_with(eval_n_query=5, n_query=2)},
        {"learner": "ANIL", "plan": "loop", "wall_seconds": 1.0, "finished": False},
    ],
)
def test_what_a_method_is_does_not_matter(other: dict[str, Any]) -> None:
    assert obstacles(RUN, make_run(**other).results) == obstacles(make_run(**other).results, RUN) == []


def test_several_obstacles_are_all_said() -> None:
    other = make_run(score="return", part="val", split_hash="xyz").results
    assert [found.short for found in obstacles(RUN, other)] == ["another score", "another part", "another split"]


def test_a_run_is_unfinished_while_rows_are_missing() -> None:
    assert unfinished(RUN) == ""
    assert unfinished(make_run([[1, 1], [0, 0]]).results) == "unfinished (1 of 2 experiences)"
    assert unfinished(make_run([[1, 1], [0, 0]], config=config_of(joint=True)).results) == ""


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(comparability).failed == 0
