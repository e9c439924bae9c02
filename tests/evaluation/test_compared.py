"""Rows of a comparison: means over seeds, and a person's own metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lifelong.evaluation.compared import Method
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.intervals import t_quantile
from lifelong.evaluation.results import Results
from tests.toy_runs import config_of, make_run, two_rows


def test_estimates_over_seeds_by_hand() -> None:
    runs = [
        make_run(*two_rows([[1, 1, 1, 1], last]), config=config_of(seed), wall_seconds=seconds)
        for seed, last, seconds in ((1, [1, 1, 1, 1], 10.0), (0, [0, 0, 1, 1], 30.0))
    ]
    method = Method.of("EWC", runs)
    average = method.estimates["average_score"]
    assert average.value == pytest.approx((1 + 0.75) / 2)
    assert average.half_width == pytest.approx(float(t_quantile(1)) * 0.125)  # two values 0.125 from their mean
    assert method.seeds == (0, 1)
    assert method.runs == (runs[1].results, runs[0].results)
    assert method.over == "seeds"
    assert method.seconds.value == 20.0
    assert (method.memory_bytes.value, method.memory_bytes.half_width) == (1500.0, 0.0)


def test_one_run_has_its_own_intervals_over_units() -> None:
    run = make_run(*two_rows([[1, 0, 1, 1], [0, 0, 1, 1]]), learner_bytes=20)
    method = Method.of("EWC", [run])
    assert str(method.estimates) == str(run.results.metrics)
    assert method.over == "units"
    assert method.memory_bytes.value == 1520.0


def test_a_metric_that_one_run_has_not_says_why() -> None:
    joint = make_run([[1, 1], [1, 0]], config=config_of(1, joint=True))
    method = Method.of("both", [make_run(), joint])
    assert method.estimates["forgetting"].reason == "all domains are learnt at once"
    assert not method.estimates["average_score"].reason
    unseen = make_run([[1, 1], [1, 0]], n_unseen=1, experiences=("Latin",))
    assert Method.of("both", [make_run(), unseen]).estimates["unseen_score"].reason == "not measured"


def worst(results: Results) -> float:
    return float(results.matrix[-1].min())


def test_a_metric_of_ones_own_is_measured_without_training() -> None:
    runs = [make_run(*two_rows([[1, 1], [0, last]]), config=config_of(seed)) for seed, last in ((0, 0), (1, 1))]
    measured = Method.of("EWC", runs, {"worst": worst}).estimates["worst"]
    assert measured.value == pytest.approx(0.25)
    assert measured.half_width == pytest.approx(float(t_quantile(1)) * 0.25)
    one = Method.of("EWC", runs[:1], {"worst": worst, "given": lambda run: Estimate(1.0, 0.5)}).estimates
    assert one["worst"].value == 0.0
    assert math.isnan(one["worst"].half_width)
    assert one["given"] == Estimate(1.0, 0.5)
    assert Method.of("EWC", runs, {"n": lambda run: np.float32(2)}).estimates["n"].value == 2.0


def test_a_metric_that_is_not_defined_says_why() -> None:
    def undefined(results: Results) -> float:
        raise ValueError("needs a robot")

    estimates = Method.of("EWC", [make_run()], {"drive": undefined, "nothing": lambda run: math.nan}).estimates
    assert estimates["drive"].reason == "needs a robot"
    assert estimates["nothing"].reason == "not a number"


@pytest.mark.parametrize(
    ("name", "metric", "message"),
    [
        ("forgetting", worst, "there is a metric forgetting already"),
        ("a", lambda run: run.nothing, "the metric a failed on run: AttributeError: 'Results'"),
        ("a", lambda run: None, "the metric a returned a NoneType: it must return a number or an Estimate"),
        ("a", lambda run: True, "the metric a returned a bool"),
        ("a", lambda run: run.matrix, "the metric a returned a ndarray"),
        ("a", lambda run: "1", "the metric a returned a str"),
    ],
)
def test_a_metric_that_is_wrong_is_refused(name: str, metric: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Method.of("EWC", [make_run()], {name: metric})  # type: ignore[dict-item]


def test_a_seed_that_is_no_number_is_unknown() -> None:
    for seed in (None, "0", [1]):
        assert make_run(config={**config_of(), "seed": seed}).seed is None
    assert make_run(config={}).seed is None
