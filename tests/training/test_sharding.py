"""Sharded strategies of the Trainer are refused in one sentence, before anything starts."""

from __future__ import annotations

from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy, SingleDeviceStrategy

import lifelong
from lifelong.learners import StreamingRidge
from lifelong.training.sharding import check_has_parameters, check_not_sharded
from tests.command_line import TINY, error_of
from tests.toys import make_learner, module_of, toy_data


@pytest.mark.parametrize("strategy", ["fsdp", "fsdp_cpu_offload", "deepspeed_stage_2", FSDPStrategy()])
def test_sharded_strategies_are_refused(strategy: Any) -> None:
    with pytest.raises(ValueError, match=r"keeps a part of the weights in each process.*set --trainer.strategy ddp"):
        lifelong.fit(make_learner("ProtoNet"), toy_data(1), strategy=strategy, accelerator="cpu", devices=1)


def test_whole_strategies_are_taken() -> None:
    for strategy in ("auto", "ddp", "ddp_spawn", DDPStrategy()):
        check_not_sharded(strategy)
    with pytest.raises(ValueError, match="ModelParallelStrategy"):
        check_not_sharded(ModelParallelStrategy())


def test_the_command_line_refuses_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, message = error_of(capsys, "fit", *TINY, "--trainer.strategy=deepspeed_stage_3")
    assert code == 1
    assert "error: --trainer.strategy deepspeed_stage_3 keeps a part of the weights" in message
    assert not list(tmp_path.glob("runs/*"))


def test_processes_share_a_gradient() -> None:
    learner, none = StreamingRidge(torch.nn.Flatten()), torch.nn.ModuleList()
    with pytest.raises(ValueError, match=r"StreamingRidge has no parameter .* set --trainer\.strategy auto"):
        check_has_parameters(learner, none, DDPStrategy())
    check_has_parameters(learner, none, SingleDeviceStrategy())
    check_has_parameters(make_learner("ProtoNet"), none, DDPStrategy())


def test_a_trainer_of_your_own_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(make_learner("ProtoNet"), [], torch.optim.SGD)
    trainer = L.Trainer(accelerator="cpu", devices=1, logger=False)
    monkeypatch.setattr(L.Trainer, "strategy", FSDPStrategy())
    module.trainer = trainer
    with pytest.raises(ValueError, match="FSDPStrategy keeps a part"):
        module.setup("fit")
