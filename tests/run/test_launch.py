"""Where torchrun or SLURM starts every process, the first one chooses the folder for all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest

from lifelong.run import launch
from lifelong.run.folder import choose_folder
from lifelong.run.launch import Launch, check_processes, decided_by_first, find_launch
from lifelong.run.options import RunOptions
from tests.launches import free_port, outcome, start_nodes, start_slurm, start_torchrun

SLURM = {"SLURM_JOB_ID": "12", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "1"}
SLURM |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


def trainer(devices: int, **settings: Any) -> L.Trainer:
    strategy = "ddp" if devices > 1 else "auto"
    return L.Trainer(accelerator="cpu", devices=devices, strategy=strategy, logger=False, **settings)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], str]], list[str]]:
    """What two processes of a launch, here threads, learn when the first one decides by a function."""
    port = int(free_port())
    monkeypatch.setattr(
        launch, "find_launch", lambda: Launch("SLURM", int(threading.current_thread().name), 2, "127.0.0.1", port)
    )

    def ask(decide: Callable[[], str]) -> list[str]:
        learnt = ["", ""]

        def learn(rank: int) -> None:
            try:
                learnt[rank] = str(decided_by_first(decide if rank == 0 else lambda: "another"))
            except ValueError as error:
                learnt[rank] = f"refused: {error}"

        threads = [threading.Thread(target=learn, args=(rank,), name=str(rank)) for rank in (1, 0)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        return learnt

    return ask


def test_all_processes_learn_what_the_first_decides(answers: Any) -> None:
    assert answers(lambda: "runs/a") == ["runs/a", "runs/a"]
    assert answers(lambda: "runs/b") == ["runs/b", "runs/b"]  # a second run in the same processes


def test_all_processes_learn_what_stops_the_first(answers: Any) -> None:
    def refuse() -> str:
        raise ValueError("the run folder runs/a is in use")

    assert answers(refuse) == ["refused: the run folder runs/a is in use"] * 2


def test_a_process_that_does_not_reach_the_first_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Launch("SLURM", 1, 2, "127.0.0.1", int(free_port()))
    monkeypatch.setattr(launch, "find_launch", lambda: alone)
    monkeypatch.setattr(launch, "PATIENCE", launch.PATIENCE / 600)
    with pytest.raises(ValueError, match=r"process 1 of 2 does not reach the first one at 127.0.0.1"):
        decided_by_first(lambda: "runs/a")


def test_a_trainer_in_other_processes_than_were_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert find_launch() == Launch("SLURM", 1, 2, "127.0.0.1", 29500)
    check_processes(SimpleNamespace(world_size=2, num_devices=2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"SLURM has started 2 processes and the Trainer trains in 1: give --trainer"):
        check_processes(SimpleNamespace(world_size=1, num_devices=1))  # type: ignore[arg-type]
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(ValueError, match="--ntasks-per-node=2"):
        find_launch()


def test_more_processes_than_cores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_n_cores", lambda: 2)
    check_processes(trainer(2))
    with pytest.raises(ValueError, match=r"--trainer.devices 99 would train in 99 processes on 2 cores: set it to 2"):
        check_processes(trainer(99))


def test_nodes_that_nobody_started_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"4 processes on 2 nodes must be started by torchrun or by SLURM's srun"):
        check_processes(trainer(2, num_nodes=2))
    monkeypatch.setenv("LOCAL_RANK", "0")  # as in a process that Lightning has started itself
    check_processes(trainer(2))


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"SLURM_JOB_ID": "12"}, "12"),
        ({"SLURM_JOB_ID": "13", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "7"}, "12_7"),
    ],
)
def test_a_slurm_job_goes_on_with_its_own_run(
    variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert choose_folder(RunOptions(resume="auto"), None) == str(Path("runs") / name)
    assert choose_folder(RunOptions(resume="auto", name="a"), None) == str(Path("runs/a"))
    assert Path(choose_folder(RunOptions(), None)).name.startswith("20")  # every start is a run of its own
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    with pytest.raises(ValueError, match=r"give --run.name as well"):
        RunOptions(resume="auto")


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("start", [start_torchrun, start_nodes, start_slurm])
def test_processes_without_a_name_share_one_folder(start: Any, tmp_path: Path) -> None:
    codes, printed = outcome(start(cwd=tmp_path))
    assert set(codes) == {0}, printed
    (folder,) = (tmp_path / "runs").iterdir()
    assert results(folder)["finished"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "options"),
    [(start_torchrun, ["--run.name=4711"]), (start_nodes, ["--run.name=4711"]), (start_slurm, [])],
)
def test_processes_go_on_with_the_run_of_before(start: Any, options: list[str], tmp_path: Path) -> None:
    for max_epochs in (1, -1):
        codes, printed = outcome(
            start("--run.resume=auto", f"--trainer.max_epochs={max_epochs}", *options, cwd=tmp_path)
        )
        assert set(codes) == {0}, printed
        assert ("experience 1/3" in printed) == (max_epochs == 1)  # learnt once
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["4711"]
    assert len(results(tmp_path / "runs/4711")["matrix"]) == 3
    codes, printed = outcome(start("--run.name=4711", cwd=tmp_path))
    assert 0 not in codes
    assert printed.count("error: the run folder runs/4711 is in use: choose another --run.name") == 2
