"""The ablations: both variants take the same step, and the interval is that of the ratios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmarks.performance import ablations
from benchmarks.performance.setups import Setup
from benchmarks.performance.suite import Settings
from benchmarks.performance.tables import TABLES
from strategies.importance.quadratic import Quadratic

CPU = torch.device("cpu")
SMALL = Setup("ProtoNet", "Conv4-32", n_query=2, n_tasks=2)


@pytest.mark.parametrize("make", [ablations.channels_last, ablations.graphs_of_one_task])
def test_both_variants_take_the_same_steps(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    copies = ablations._copies
    monkeypatch.setattr(ablations, "_copies", lambda ours: kept.extend(copies(ours)) or tuple(kept))
    for step in make(SMALL, CPU):
        step()
    with_it, without_it = (dict(ours.learner.named_parameters()) for ours in kept)
    for name, parameter in with_it.items():
        torch.testing.assert_close(parameter, without_it[name], rtol=1e-3, atol=2e-3)


def test_the_interval_holds_the_mean_of_logarithms() -> None:
    mean, low, high = ablations.interval([1.0, 4.0, 2.0])
    assert mean == pytest.approx(2.0)
    assert low * high == pytest.approx(4.0)


def test_a_row_has_time_and_memory() -> None:
    (row,) = ablations.measure(Settings(quick=True, only=("fused optimizer",)), lambda what: None)
    assert row["n"] == 3
    assert min(*row["ratio"], row["memory"]) > 0
    assert row["setup"] in TABLES["ablations"][0].markdown([row])


def test_the_penalty_has_the_same_value_and_gradient_either_way() -> None:
    def like(random: Callable[..., torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"w": random(3, 2), "b": random(2)}

    quadratic, params = Quadratic(), {name: p.requires_grad_() for name, p in like(torch.randn).items()}
    quadratic.add(like(torch.rand), like(torch.randn))
    values = [quadratic.value(params), ablations.value_by_autograd(quadratic, params)]
    torch.testing.assert_close(*values)
    ours, theirs = (torch.autograd.grad(value, list(params.values())) for value in values)
    torch.testing.assert_close(ours, theirs)
