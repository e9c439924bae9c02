"""Making the setting of results from a Trainer."""

from __future__ import annotations

import functools
import os
import platform

import lightning as L
import torch

from lifelong.data.kinds import DISJOINT_STREAMS
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation.setting import Setting
from lifelong.training.accessors import evaluation_part, stream_module
from lifelong.utilities.peak_memory import peak_memory
from lifelong.utilities.versions import installed_version

PACKAGES = ("lifelong", "torch", "lightning", "numpy", "torchmetrics", "wandb")


def setting_of(trainer: L.Trainer, *, seconds: float = 0.0, finished: bool = False) -> Setting:
    """Describe the current evaluation of a Trainer; in ``validate`` and ``test`` it evaluates a checkpoint.

    Args:
        trainer: a Trainer that runs a stream module on the data of a stream.
        seconds: wall time of the run in seconds.
        finished: whether training ran to its end.
    """
    module, data, part = stream_module(trainer), stream_data(trainer), evaluation_part(trainer)
    learner, stream, checkpoint = module.learner, data.stream, trainer.state.fn != "fit"
    return Setting(
        domains=tuple(stream.domains),
        experiences=("checkpoint",) if checkpoint else tuple(e.name for e in stream.experiences),
        score=learner.objective.score_name,
        percent=learner.objective.percent,
        transductive=learner.transductive,
        part=part,
        evaluation=data.about_evaluation(part),
        n_eval_units=tuple(data.n_eval_units(part, domain) for domain in range(len(stream.domains))),
        n_unseen=stream.n_unseen,
        joint=data.joint,
        disjoint=data.kind in DISJOINT_STREAMS,
        checkpoint=checkpoint,
        learner=type(learner).__name__,
        strategies=tuple(module.strategies.names),
        plan=str(module.runner.plan_for(learner, module.device)),
        parameters=sum(p.numel() for p in learner.meta_parameters().values()),
        learner_bytes=learner.memory_bytes(),
        strategy_bytes={type(s).__name__: s.memory_bytes() for s in module.strategies},
        split_hash=stream.fingerprint,
        finished=finished,
        wall_seconds=seconds,
        peak_memory=peak_memory(),
        versions=_versions(),
        machine=_machine(module.device),
    )


def _machine(device: torch.device) -> dict[str, str]:
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "threads of torch": str(torch.get_num_threads()),
        "device": "cpu, no accelerator" if accelerator == "cpu" else accelerator,
    }


@functools.cache
def _versions() -> dict[str, str]:
    return {package: installed_version(package) for package in PACKAGES} | {"python": platform.python_version()}
