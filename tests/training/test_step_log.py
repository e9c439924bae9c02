"""Which steps are logged, and what of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.strategy import Step, Strategy
from lifelong.training.stream_module import StreamModule
from tests.toys import fit, make_learner, module_of, toy_data


class Measured(Strategy):
    """Adds a penalty and a measure of its own."""

    def penalty(self, learner: Any, step: Step, *, runner: Any) -> Tensor | None:
        return torch.tensor(2.0)

    def training_measures(self, learner: Any, step: Step, *, runner: Any) -> dict[str, Tensor]:
        return {"size": torch.tensor(float(len(step.batch)))}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, Any]]]:
    """The optimizer steps before each log, and what was logged."""
    values: list[tuple[int, dict[str, Any]]] = []

    def log(module: StreamModule, given: dict[str, Any], **_: Any) -> None:
        if "train/loss" in given:  # the evaluator logs as well
            values.append((module.trainer.global_step, given))

    monkeypatch.setattr(StreamModule, "log_dict", log)
    return values


def test_first_steps_and_every_nth_are_logged(logged: list[tuple[int, dict[str, Any]]]) -> None:
    fit(module_of(make_learner("ProtoNet")), toy_data(2, steps_per_experience=5), log_every_n_steps=4)
    assert [n for n, _ in logged] == [0, 3, 5, 7]  # experiences begin at 0 and 5; loggers write after 4 and 8 steps


def test_strategies_add_penalty_and_measures(logged: list[tuple[int, dict[str, Any]]]) -> None:
    fit(module_of(make_learner("ProtoNet"), [Measured()]), toy_data(1, steps_per_experience=1, tasks_per_batch=3))
    ((_, values),) = logged
    assert set(values) == {"train/loss", "train/score", "train/penalty", "train/Measured/size"}
    assert (values["train/penalty"], values["train/Measured/size"]) == (2.0, 3.0)
