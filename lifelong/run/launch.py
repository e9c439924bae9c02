"""Processes started by torchrun or SLURM: each runs the whole program, and the first one decides for all."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import lightning as L
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.accelerators import CPUAccelerator

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the first one, which may start later."""


@dataclass(frozen=True)
class Launch:
    """Hold the rank of this process among those that a launcher has started.

    Args:
        launcher: name of the launcher, for messages.
        rank: number of this process, from 0.
        world: number of processes.
        address: address of the first process.
        port: port of the first process.
    """

    launcher: str
    rank: int
    world: int
    address: str
    port: int


def find_launch() -> Launch | None:
    """Return this process's rank in a distributed launch. None if it was started alone.

    Processes that Lightning starts itself do not count: they read the first process's decisions from the environment.

    Raises:
        ValueError: when SLURM was given a number of tasks in a form that Lightning does not support.

    Example:
        >>> find_launch()
    """
    if not dist.is_available():
        return None
    launcher = "torchrun" if TorchElasticEnvironment.detect() else "SLURM" if SLURMEnvironment.detect() else None
    if launcher is None:
        return None
    try:
        environment: ClusterEnvironment = TorchElasticEnvironment() if launcher == "torchrun" else SLURMEnvironment()
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())) from error
    rank, world = environment.global_rank(), environment.world_size()
    if world == 1:
        return None
    return Launch(launcher, rank, world, environment.main_address, environment.main_port)


def decided_by_first(decide: Callable[[], str | None]) -> str | None:
    """Return what the first process of a launch decides; a process that was started alone decides itself.

    Every process must call this function for the same decisions in the same order.

    Args:
        decide: returns the decision; called only in the first process.

    Raises:
        ValueError: in every process, when the first one cannot decide or cannot be reached.

    Example:
        >>> decided_by_first(lambda: "runs/birds")
        'runs/birds'
    """
    launch = find_launch()
    if launch is None:
        return decide()
    try:
        store = _store(launch)
        question = f"{_prefix()}/{store.add(f'{_prefix()}/asked by {launch.rank}', 1)}"
        if launch.rank > 0:
            answer = json.loads(store.get(question))
    except dist.DistError as error:
        raise ValueError(
            f"process {launch.rank} of {launch.world} does not reach the first one at {launch.address}:{launch.port} "
            f"({str(error).splitlines()[0]}): it did not start, or MASTER_ADDR and MASTER_PORT name another place"
        ) from error
    if launch.rank > 0:
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["decision"]  # type: ignore[no-any-return]
    try:
        decision = decide()
    except Exception as error:
        store.set(question, json.dumps({"error": str(error)}))  # otherwise the other processes would wait
        raise
    store.set(question, json.dumps({"decision": decision}))
    return decision


def check_processes(trainer: L.Trainer) -> None:
    """Refuse a Trainer with another number of processes than the launch, or with more than there are CPU cores.

    Args:
        trainer: the Trainer of the run.

    Raises:
        ValueError: naming both numbers.

    Example:
        >>> check_processes(L.Trainer(accelerator="cpu", devices=1, logger=False))
    """
    launch, n_processes, n_here = find_launch(), trainer.world_size, trainer.num_devices
    if launch is not None:
        if launch.world != n_processes:  # each process would train alone, in the same folder
            raise ValueError(
                f"{launch.launcher} has started {launch.world} processes and the Trainer trains in {n_processes}: "
                "give --trainer.devices the number on each node, --trainer.num_nodes that of nodes, and "
                "--trainer.strategy ddp"
            )
        return  # it may reserve one core per process, which then sees only its own
    environment = getattr(trainer.strategy, "cluster_environment", None)
    is_lightnings = environment is None or isinstance(environment, LightningEnvironment)
    if n_processes > n_here or (n_processes > 1 and not is_lightnings):
        raise ValueError(
            f"{n_processes} processes on {trainer.num_nodes} nodes must be started by torchrun or by SLURM's srun, so "
            "that the first one chooses the run folder for all: this one was not"
        )
    if isinstance(trainer.accelerator, CPUAccelerator) and n_here > (n_cores := _n_cores()):
        raise ValueError(
            f"--trainer.devices {n_here} would train in {n_here} processes on {n_cores} cores: set it to {n_cores} at "
            "most"
        )


def _n_cores() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux; a container or batch system may allow only some cores
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


@functools.cache
def _store(launch: Launch) -> Any:
    from torch.distributed.rendezvous import rendezvous  # missing if torch is built without torch.distributed

    # torch's rendezvous uses the store of torchrun's agent, or else one that the process group will share. The store
    # is kept, as the other processes query the one in the first process for as long as they run.
    url = f"tcp://{launch.address}:{launch.port}"
    store, _, _ = next(rendezvous(url, launch.rank, launch.world, timeout=PATIENCE))
    return store


def _prefix() -> str:
    return f"lifelong/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
