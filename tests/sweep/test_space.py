"""The space of a search: ranges and choices, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from lifelong.sweep.space import as_options, check_space, settings_to_check, suggest

SPACE = {
    "a.strength": {"log": [1, "1e5"]},  # YAML takes 1e5 for text
    "b": {"float": [-0.5, 0.5]},
    "c": {"int": [2, 4]},
    "d": {"log_int": [1, 100]},
    "e": [0.001, "Adam", None, [1, 2]],
}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "the search's space is {}: give options"),
        ({"--a": [1]}, "name an option without dashes"),
        ({"a": []}, "the choice of a is empty"),
        ({"a": {"logg": [1, 2]}}, r"a: {'logg': \[1, 2\]}, which is no range: give {float: \[0, 1\]}"),
        ({"a": 3}, "a: 3, which is no range"),
        ({"a": {"float": [2, 1]}}, "give two numbers, the lower one first"),
        ({"a": {"float": [1, "x"]}}, "give two numbers, the lower one first"),
        ({"a": {"int": [1, 2.5]}}, "give whole numbers, or float"),
        ({"a": {"log": [0, 1]}}, "a logarithm needs numbers above 0"),
        ({"data.init_args.evaluate_on": ["test"]}, "which the search sets itself: leave it out"),
        ({"seed": {"int": [0, 9]}}, "which the search sets itself: leave it out"),
    ],
)
def test_a_space_that_is_none_is_refused(space: Any, message: str) -> None:
    check_space(SPACE)
    with pytest.raises(ValueError, match=message):
        check_space(space)


def test_every_choice_and_both_ends_are_to_be_checked() -> None:
    settings = list(settings_to_check(SPACE))
    assert settings[0] == {"a.strength": 1.0, "b": -0.5, "c": 2, "d": 1, "e": 0.001}
    assert {setting["c"] for setting in settings} == {2, 4}
    assert {setting["e"] for setting in settings} == {0.001, "Adam", None, "[1, 2]"}
    strengths = sorted({setting["a.strength"] for setting in settings})
    assert (strengths[0], strengths[2]) == (1.0, 1e5)
    assert strengths[1] % 1  # no whole number, for an option that takes these alone
    assert len(settings) == 1 + 2 + 2 + 1 + 1 + 3


def test_values_are_suggested_within_their_ranges() -> None:
    optuna = pytest.importorskip("optuna")
    trials = [suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(n)).ask(), SPACE) for n in range(30)]
    assert all(1 <= t["a.strength"] <= 1e5 and -0.5 <= t["b"] <= 0.5 and t["c"] in (2, 3, 4) for t in trials)
    assert 5 < sum(t["a.strength"] < 316 for t in trials) < 25  # by its logarithm
    assert {t["e"] for t in trials} == {0.001, "Adam", None, "[1, 2]"}
    assert as_options(trials[0] | {"b": 0.25, "c": 3, "d": 7, "e": "[1, 2]"})[1:] == [
        "--b=0.25",
        "--c=3",
        "--d=7",
        "--e=[1, 2]",
    ]
