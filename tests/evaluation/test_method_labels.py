"""Labels of methods: short, and no two alike."""

from __future__ import annotations

import doctest

from lifelong.evaluation import method_labels
from lifelong.evaluation.config_differences import differing
from lifelong.evaluation.method_labels import labels, named_by


def label_all(*configs: dict[str, str]) -> list[str]:
    return labels(differing([[config] for config in configs]), [config.get("strategies", "") for config in configs])


def test_labels_have_the_strategies_and_little_else() -> None:
    ewc = {"strategies": "EWC", "data.joint": "false", "optimizer.lr": "1"}
    found = label_all(
        {**ewc, "strategies.EWC.strength": "1"},
        {**ewc, "strategies.EWC.strength": "2"},
        {**ewc, "strategies": "Replay", "optimizer.lr": "3"},
        {**ewc, "strategies": "none"},
        {**ewc, "strategies": "none", "data.joint": "true"},
    )
    assert found == ["EWC, strength=1", "EWC, strength=2", "Replay", "no strategy", "joint"]


def test_labels_name_the_learner_where_it_tells_methods_apart() -> None:
    grid = [{"model": m, "strategies": s} for m in ("MAML", "ANIL") for s in ("EWC", "none")]
    assert label_all(*grid) == ["MAML, EWC", "MAML, no strategy", "ANIL, EWC", "ANIL, no strategy"]
    assert label_all({"model": "MAML", "strategies": "none"}, {"model": "ANIL", "strategies": "none"}) == [
        "MAML",
        "ANIL",
    ]


def test_labels_name_learner_and_strategies_where_both_differ() -> None:
    bound = {"model": "ANIL", "strategies": "none", "data.joint": "true"}
    assert label_all({"model": "ProtoNet", "strategies": "none"}, {"model": "MAML", "strategies": "EWC"}, bound) == [
        "ProtoNet, no strategy",
        "MAML, EWC",
        "ANIL, joint",
    ]
    ewc = {"model": "MAML", "strategies": "EWC", "data.joint": "false"}
    apart = [{**ewc, "strategies.EWC.strength": s} for s in ("1", "2")]
    assert label_all(*apart, bound) == ["MAML, EWC, strength=1", "MAML, EWC, strength=2", "ANIL, joint"]


def test_a_bound_is_named_where_strategies_tell_it_apart() -> None:
    ewc = {"strategies": "EWC", "data.joint": "false"}
    assert label_all(ewc, {"strategies": "none", "data.joint": "true"}) == ["EWC", "joint"]
    assert label_all({"strategies": "none", "data.joint": "false"}, {**ewc, "data.joint": "true"}) == [
        "no strategy",
        "EWC, joint",
    ]


def test_keys_that_end_alike_are_written_out() -> None:
    grid = [{"optimizer.lr": a, "model.lr": b} for a in ("1", "2") for b in ("1", "2")]
    assert label_all(*grid)[1] == "model.lr=2, optimizer.lr=1"


def test_labels_are_unique_whatever_is_shortened() -> None:
    long = "a" * 60
    found = label_all({"data.root": f"/x/{long}1"}, {"data.root": f"/x/{long}1 "}, {"data.root": f"/y/{long}1"})
    assert len(set(found)) == 3
    assert all(len(label) < 40 for label in found)


def test_a_single_method_has_the_label_of_its_strategies() -> None:
    assert labels({}, ["EWC"]) == ["EWC"]
    assert named_by(["lr"], {"lr": ["", ""]}, ["", ""]) == ["lr=not set", "lr=not set (2)"]


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(method_labels).failed == 0
