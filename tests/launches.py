"""Launches of several processes as torchrun and SLURM make them, on this machine."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests.command_line import TINY, start_apart

TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]
TWO_NODES = ["--trainer.devices=1", "--trainer.num_nodes=2", "--trainer.strategy=ddp"]
TORCHRUN = ["-m", "torch.distributed.run"]


def free_port() -> str:
    """A port that nothing listens at."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return str(opened.getsockname()[1])


def start_torchrun(*args: str, cwd: Path) -> list[subprocess.Popen[str]]:
    """Start two processes of one node by torchrun."""
    launcher = [*TORCHRUN, "--nproc-per-node=2", f"--master-port={free_port()}"]
    return [start_apart("fit", *TINY, *TWO, *args, cwd=cwd, launcher=launcher)]


def start_nodes(*args: str, cwd: Path) -> list[subprocess.Popen[str]]:
    """Start a process on each of two nodes by torchrun."""
    where = [*TORCHRUN, "--nproc-per-node=1", "--nnodes=2", "--master-addr=127.0.0.1", f"--master-port={free_port()}"]
    nodes = [[*where, f"--node-rank={number}"] for number in (0, 1)]
    return [start_apart("fit", *TINY, *TWO_NODES, *args, cwd=cwd, launcher=node) for node in nodes]


def start_slurm(*args: str, cwd: Path) -> list[subprocess.Popen[str]]:
    """Start two processes of the job 4711 with the variables that srun gives them."""
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    job |= {"SLURM_NODEID": "0", "SLURM_NNODES": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    places = [{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in (0, 1)]
    return [start_apart("fit", *TINY, *TWO, *args, cwd=cwd, variables=job | place) for place in places]


def outcome(processes: list[subprocess.Popen[str]]) -> tuple[list[int], str]:
    """Wait for processes; return their exit codes and all that they printed."""
    printed = [process.communicate(timeout=120) for process in processes]
    return [process.returncode for process in processes], "".join(out + err for out, err in printed)
