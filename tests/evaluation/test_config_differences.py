"""Configs as text by dotted keys."""

from __future__ import annotations

import doctest

import pytest

from lifelong.evaluation import config_differences
from lifelong.evaluation.config_differences import described, find_key, flat, of_method
from tests.toy_runs import config_of, make_run


def test_classes_are_names_and_their_arguments_stand_below() -> None:
    options = flat(config_of(strategy="Replay", budget={"examples": 160.0, "bytes": None}))
    assert options["model"] == "MAML"
    assert options["model.inner_lr"] == "0.4"
    assert options["strategies"] == "Replay"
    assert options["strategies.Replay.budget.examples"] == "160"
    assert options["strategies.Replay.budget.bytes"] == "null"
    assert options["data.joint"] == "false"
    assert options["optimizer.betas"] == "[0.9, 0.999]"


def test_several_strategies_are_told_apart() -> None:
    two = [{"class_path": "strategies.EWC", "init_args": {"strength": s}} for s in (1, 2)]
    options = flat({"strategies": two})
    assert options == {
        "strategies": "EWC + EWC",
        "strategies.EWC.strength": "1",
        "strategies.EWC2.strength": "2",
    }


def test_whole_numbers_are_alike_however_they_are_written() -> None:
    assert flat({"a": 1000.0, "b": 1000, "c": 1e-08, "d": True, "e": "x", "f": None}) == {
        "a": "1000",
        "b": "1000",
        "c": "1e-08",
        "d": "true",
        "e": "x",
        "f": "null",
    }


@pytest.mark.parametrize(
    "config", [None, "text", 3, [1, 2], {"class_path": 5}, {"a": {"class_path": None}}, {1: {2: 3}}]
)
def test_a_config_that_is_none_is_no_error(config: object) -> None:
    assert all(isinstance(key, str) for key in flat(config))


def test_what_is_of_a_single_run_is_left_out() -> None:
    kept = of_method(flat(config_of(seed=3)))
    assert kept == of_method(flat(config_of(seed=4)))
    assert not {key for key in kept if key.startswith(("seed", "trainer.logger"))}
    assert kept["optimizer.lr"] == "0.1"


def test_null_is_what_an_older_version_did_not_have() -> None:
    assert of_method({"model.transform": "null", "model": "MAML"}) == of_method({"model": "MAML"})


def test_results_without_a_config_are_described_by_their_setting() -> None:
    options = described(make_run(config={}, strategies=("EWC",), joint=True).results)
    assert options == {"model": "MAML", "strategies": "EWC", "data.joint": "true"}
    assert described(make_run(config=config_of(strategy=None)).results)["strategies"] == "none"


def test_a_key_is_found_by_its_end_and_else_the_nearest_is_named() -> None:
    known = ["strategies", "strategies.EWC.strength", "optimizer.lr", "model.lr"]
    assert find_key("optimizer.lr", known) == "optimizer.lr"
    assert find_key("strength", known) == "strategies.EWC.strength"
    for given, message in (
        ("lr", "is the end of several options: write one of optimizer.lr, model.lr"),
        ("strategis", r"did you mean strategies\?"),
        ("strenth", r"did you mean strategies.EWC.strength\?"),
        ("nonsense", "these runs: give some of strategies, strategies.EWC.strength, optimizer.lr, model.lr$"),
        ("strategies.Replay.n_examples", "give some of strategies, "),  # no near name, though it begins like one
    ):
        with pytest.raises(ValueError, match=message):
            find_key(given, known)
    with pytest.raises(ValueError, match=r"give some of optimizer.lr$"):
        find_key("nonsense", known, ["optimizer.lr"])


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(config_differences).failed == 0
