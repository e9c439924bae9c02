from __future__ import annotations

import logging
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from lifelong.outer import OuterLoop
from tests.toys import fit, make_learner, toy_data

SGD = partial(torch.optim.SGD, lr=1.0)


def test_the_schedule_moves_on_after_every_step() -> None:
    learner = make_learner(
        "ProtoNet", outer=OuterLoop(optimizer=SGD, scheduler=partial(StepLR, step_size=3, gamma=0.5))
    )
    fit(learner, toy_data(2))  # two experiences of four steps
    assert learner.trainer.optimizers[0].param_groups[0]["lr"] == 0.25


def test_a_schedule_that_waits_for_a_measurement_is_one_sentence() -> None:
    learner = make_learner("ProtoNet", outer=OuterLoop(optimizer=SGD, scheduler=ReduceLROnPlateau))
    with pytest.raises(ValueError, match="ReduceLROnPlateau waits for a measurement"):
        fit(learner, toy_data(1))


@pytest.mark.parametrize(("length", "warned"), [(8, False), (5, True)])
def test_a_schedule_of_another_length_is_warned_of(length: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    schedule = partial(CosineAnnealingLR, T_max=length)
    with caplog.at_level(logging.WARNING, "lifelong.outer"):
        fit(make_learner("ProtoNet", outer=OuterLoop(optimizer=SGD, scheduler=schedule)), toy_data(2))
    assert ("made for 5 steps, but the stream has 8: set --model.outer.scheduler.T_max 8" in caplog.text) is warned


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--model.outer.chunk is 0: it must be at least 1"):
        OuterLoop(chunk=0)
