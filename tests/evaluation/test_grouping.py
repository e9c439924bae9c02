"""Which runs are of one method."""

from __future__ import annotations

import pytest

from lifelong.evaluation.grouping import config_differences, grouped, varying
from tests.toy_runs import config_of, make_run

RUNS = [
    make_run(name=f"{strategy}-{lr}-{seed}", config=config_of(seed, strategy, lr=lr))
    for strategy, lr in (("EWC", 0.1), ("EWC", 0.2), (None, 0.1))
    for seed in (0, 1)
]


def names(by: list[str] | None = None) -> dict[str, list[str]]:
    return {label: [run.name for run in runs] for label, runs in grouped(RUNS, by).items()}


def test_runs_that_differ_in_their_seed_are_one_method() -> None:
    assert names() == {
        "EWC, lr=0.1": ["EWC-0.1-0", "EWC-0.1-1"],
        "EWC, lr=0.2": ["EWC-0.2-0", "EWC-0.2-1"],
        "no strategy": ["None-0.1-0", "None-0.1-1"],
    }


def test_named_options_make_methods() -> None:
    assert {label: len(runs) for label, runs in names(["strategies"]).items()} == {"EWC": 4, "no strategy": 2}
    assert {label: len(runs) for label, runs in names(["lr", "seed"]).items()} == {
        "lr=0.1, seed=0": 2,
        "lr=0.1, seed=1": 2,
        "lr=0.2, seed=0": 1,
        "lr=0.2, seed=1": 1,
    }
    assert list(names(["joint"])) == ["data.joint=false"]
    with pytest.raises(ValueError, match=r"did you mean optimizer\?"):
        names(["optimiser"])
    with pytest.raises(ValueError, match=r"give some of strategies, optimizer.lr, seed$"):
        names(["nonsense"])


def test_an_option_that_a_method_does_not_have_is_not_set() -> None:
    config = config_of(strategy=None)
    del config["seed"]
    runs = [make_run(config=config_of(1, "EWC", strength=2)), make_run(config=config)]
    assert list(grouped(runs, ["strategies", "seed"])) == ["EWC, seed=1", "no strategy, seed=not set"]
    assert list(grouped(runs, ["seed"])) == ["seed=1", "seed=not set"]
    assert list(grouped(runs, ["strategies", "strength"])) == ["EWC, strength=2", "no strategy"]


def test_learners_without_a_config_are_told_apart() -> None:
    runs = [make_run(config={}, learner=learner) for learner in ("MAML", "ANIL", "MAML")]
    assert {label: len(of_label) for label, of_label in grouped(runs).items()} == {"MAML": 2, "ANIL": 1}


def test_config_differences_are_by_key_and_label() -> None:
    differences = config_differences(grouped(RUNS))
    assert differences == {
        "optimizer.lr": {"EWC, lr=0.1": "0.1", "EWC, lr=0.2": "0.2", "no strategy": "0.1"},
        "strategies": {"EWC, lr=0.1": "EWC", "EWC, lr=0.2": "EWC", "no strategy": "none"},
    }
    by_strategy = config_differences(grouped(RUNS, ["strategies"]))
    assert by_strategy["optimizer.lr"] == {"EWC": "0.1 / 0.2", "no strategy": "0.1"}


def test_what_varies_within_a_method_is_told() -> None:
    assert varying(RUNS[:2]) == {}
    assert varying(RUNS[:4]) == {"optimizer.lr": "0.1 / 0.2"}
