"""Executors by name and by class path, and what there is not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifelong.sweep.executors import Ray, Slurm, jobs_at_once, make_executor
from lifelong.sweep.pool import Pool
from lifelong.sweep.table import plan
from lifelong.sweep.training import Training, train
from tests.sweep.runs import training
from tests.sweep.tiny import write_config

LOCAL_JOBS = {"class_path": "slurm", "init_args": {"cluster": "local", "timeout_min": 5}}
OWN = {"class_path": "concurrent.futures.ThreadPoolExecutor", "init_args": {"max_workers": 1}}


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("slrum", r"there is no executor slrum \(.*\): give local, slurm, ray, or the path of a class"),
        ("lifelong.NoSuch", "there is no executor lifelong.NoSuch"),
        (3, "3 is 3: give it class_path"),
        ({"class_path": "local", "args": {}}, "has no key args: did you mean"),
        ({"class_path": "local", "init_args": [1]}, r"the init_args of local are \[1\]: give a mapping"),
        ({"class_path": "local", "init_args": {"cores": 2}}, r"local cannot be made with {'cores': 2} .*correct its"),
        ("builtins.dict", r"builtins.dict has no submit\(function, \*args\)"),
    ],
)
def test_an_executor_that_there_is_not_is_one_sentence(description: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        make_executor(description, tmp_path)


def test_slurm_says_what_is_wrong(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(ValueError, match=r"the executor slurm cannot be had \(.*srun.*\): correct its init_args, or"):
        Slurm(tmp_path)
    with pytest.raises(ValueError, match=r"Unknown argument 'partitoin' for executor 'slurm'"):
        Slurm(tmp_path, cluster="local", partitoin="gpu")
    Slurm(tmp_path, cluster="local", partition="gpu", jobs=3, cpus_per_task=2)  # SLURM's own, and submitit's


@pytest.mark.parametrize(("name", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_missing_extra_is_one_sentence(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ValueError, match=rf"the executor {name} needs the package {package} .*'.\[{name}\]'"):
        make_executor(name, tmp_path)


@pytest.mark.parametrize(
    ("description", "jobs", "at_once"),
    [
        ("local", None, 2),
        ("local", 3, 3),
        ("ray", None, None),
        (OWN, None, None),
        (OWN, 4, 4),
        ({"class_path": "slurm", "init_args": {"jobs": 8}}, None, 8),
        ({"class_path": "slurm", "init_args": {"jobs": 8}}, 4, 4),
    ],
)
def test_a_cluster_decides_how_many_run_at_once(description: Any, jobs: int | None, at_once: int | None) -> None:
    assert jobs_at_once(description, jobs) == at_once


def test_jobs_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="jobs of the executor local is 0"):
        jobs_at_once({"class_path": "local", "init_args": {"jobs": 0}}, None)


def test_the_command_line_says_how_many_run_at_once(tmp_path: Path) -> None:
    executor: Any = make_executor({"class_path": "local", "init_args": {"jobs": 8}}, tmp_path, 3)
    assert executor._max_workers == 3


@pytest.mark.parametrize("description", ["local", OWN], ids=["local", "a class"])
def test_runs_are_run_here(description: Any, starts: Path) -> None:
    runs = [training(Path.cwd() / name) for name in "ab"]
    with Pool(make_executor(description, Path.cwd(), 2)) as pool:
        pool.start(runs)
        ended = pool.wait() + pool.wait()
    assert {outcome.state for _, outcome in ended} == {"finished"}
    assert sorted(starts.read_text().split()) == ["a", "b"]


def fit_all(description: Any, root: Path) -> list[Any]:
    """Matrices of the same four runs."""
    config = str(write_config(root.parent / "tiny.yaml"))
    rows = {"none": "--strategies []", "ewc": "--strategies+=EWC --strategies.strength 10"}
    runs = list(plan({"seeds": [0, 1], "tables": [{"name": "t", "config": config, "rows": rows}]}, root))
    with Pool(make_executor(description, root, 2)) as pool:
        pool.start([run.training for run in runs])
        while len(pool):
            for _, outcome in pool.wait():
                assert outcome.state == "finished", outcome.reason
    return [run.results["matrix"] for run in runs if run.results]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What threads of this machine come to."""
    matrices = fit_all("local", tmp_path_factory.mktemp("here") / "runs")
    assert len(matrices) == 4
    assert matrices[0] != matrices[2]
    return matrices


@pytest.mark.slow
def test_jobs_of_submitit_come_to_the_same_scores(here: list[Any], tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    assert fit_all(LOCAL_JOBS, tmp_path / "runs") == here


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster of its own on this machine."""
    pytest.importorskip("ray")
    utilities = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    cluster = utilities.Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_comes_to_the_same_scores(here: list[Any], ray_cluster: str, tmp_path: Path) -> None:
    description = {"class_path": "ray", "init_args": {"address": ray_cluster, "num_cpus": 1}}
    assert fit_all(description, tmp_path / "runs") == here


@pytest.mark.slow
def test_a_ray_cluster_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="there is no Ray cluster at auto"):
        Ray(tmp_path, address="auto")


def _child(pid: int) -> int:
    """The first process that a process has started, once it has."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    while not (children := path.read_text().split()):
        time.sleep(0.05)
    return int(children[0])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes by /proc")
def test_a_job_that_is_queued_again_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    config = str(write_config(tmp_path / "tiny.yaml", steps_per_experience=200))
    options = ("--config", config, "--checkpoint.every_n_steps", "20")
    whole, run = (Training(name, options, tmp_path / "runs" / name, name, tmp_path) for name in ("whole", "run"))
    assert train(whole, tmp_path / "stop").state == "finished"
    job: Any = Slurm(tmp_path, cluster="local", timeout_min=30).submit(train, run, tmp_path / "stop")
    while not (run.folder / "checkpoints" / "last.ckpt").is_file():
        assert not job.done(), job.stderr()
        time.sleep(0.05)
    os.kill(_child(job._process.pid), signal.SIGUSR2)  # what submitit sends before the time is over
    assert job.result().state == "finished"
    assert "stopped by SIGTERM" in run.beside("log").read_text()
    assert whole.results is not None
    assert run.results is not None
    assert run.results["matrix"] == whole.results["matrix"]
