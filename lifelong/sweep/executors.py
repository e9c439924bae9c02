"""Where the runs of a sweep are run: threads of this machine, SLURM, Ray, or a class of your own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from lifelong.sweep.names import check_keys
from lifelong.sweep.requeued import Requeued
from lifelong.utilities.extras import imported
from lifelong.utilities.ranges import check_number

NAMES = ("local", "slurm", "ray")
Description = str | dict[str, Any]
"""An executor, sampler or pruner by its name or class path, alone or as ``class_path`` with its ``init_args``."""
DEFAULT_JOBS = 2
SHARED = (
    "name",
    "timeout_min",
    "mem_gb",
    "nodes",
    "cpus_per_task",
    "gpus_per_node",
    "tasks_per_node",
    "stderr_to_stdout",
)
"""Parameters of submitit's that are no SLURM parameters."""
MOST_TIMEOUTS = 100
"""A run that is queued again goes on from where it was, so it may run out of time often."""


class Future(Protocol):
    """Something that is under way, as in ``concurrent.futures``."""

    def done(self) -> bool:
        """Return whether it has ended."""

    def result(self) -> Any:
        """Return what came of it, or raise what went wrong."""

    def cancel(self) -> Any:
        """Keep it from being begun."""


class Executor(Protocol):
    """Something that calls functions elsewhere, as in ``concurrent.futures``."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future:
        """Call a function some time."""


def check_executor(description: Description) -> None:
    """Refuse what no executor is called, before anything is run.

    Args:
        description: as for :func:`make_executor`.

    Raises:
        ValueError: when there is none of that name, or its package is missing.
    """
    _class_of(read_description(description)[0])


def make_executor(description: Description, folder: Path, jobs: int | None = None) -> Executor:
    """Make an executor by name or by the path of its class.

    Args:
        description: ``local``, ``slurm``, ``ray`` or a class path, alone or as ``class_path`` with its ``init_args``.
        folder: for files of its own.
        jobs: at most so many at a time, in place of those in its arguments; two on this machine, and all on a cluster,
            where neither says it.

    Raises:
        ValueError: when there is none of that name, its package is missing, or it does not take its arguments.

    Example:
        >>> type(make_executor("local", Path("runs"))).__name__
        'ThreadPoolExecutor'
    """
    path, arguments = read_description(description)
    kind = _class_of(path)
    if path in NAMES:
        arguments = {"folder": folder} | arguments | ({} if jobs is None else {"jobs": jobs})
    try:
        executor = kind(**arguments)
    except TypeError as error:
        given = {name: value for name, value in arguments.items() if name not in ("folder", "jobs")}
        raise ValueError(f"the executor {path} cannot be made with {given} ({error}): correct its init_args") from error
    if not callable(getattr(executor, "submit", None)):
        raise ValueError(f"the executor {path} has no submit(function, *args): name a class as in concurrent.futures")
    return executor  # type: ignore[no-any-return]


def jobs_at_once(description: Description, jobs: int | None) -> int | None:
    """Return how many runs an executor has under way at a time; None where it decides that by itself.

    Args:
        description: as for :func:`make_executor`.
        jobs: that are asked for; the executor's own arguments say it where None.

    Raises:
        ValueError: when its arguments have a number that is none.

    Example:
        >>> jobs_at_once("local", None), jobs_at_once("slurm", None), jobs_at_once("slurm", 8)
        (2, None, 8)
    """
    path, arguments = read_description(description)
    own = arguments.get("jobs") if path in NAMES else None
    check_number(f"jobs of the executor {path}", own, least=1, whole=True)
    return jobs or own or (DEFAULT_JOBS if path == "local" else None)


def read_description(description: Description) -> tuple[str, dict[str, Any]]:
    """Return class path and arguments of an executor, sampler or pruner that is given by name or as a mapping.

    Raises:
        ValueError: when it is neither.

    Example:
        >>> read_description({"class_path": "slurm", "init_args": {"timeout_min": 60}})
        ('slurm', {'timeout_min': 60})
    """
    if isinstance(description, str):
        return description, {}
    check_keys(f"{description!r}", description, ("class_path", "init_args"), needed=("class_path",))
    arguments = description.get("init_args") or {}
    if not isinstance(arguments, dict):
        raise ValueError(f"the init_args of {description['class_path']} are {arguments!r}: give a mapping")
    return description["class_path"], dict(arguments)


def _class_of(path: str) -> Callable[..., Any]:
    if path in NAMES:
        return {"local": local, "slurm": Slurm, "ray": Ray}[path]
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
    except (ImportError, AttributeError, ValueError) as error:
        known = ", ".join(NAMES)
        raise ValueError(f"there is no executor {path} ({error}): give {known}, or the path of a class") from error


def local(folder: Path, jobs: int | None = None) -> Executor:
    """Make threads that start processes on this machine.

    Args:
        folder: is not used.
        jobs: threads.
    """
    return ThreadPoolExecutor(jobs or DEFAULT_JOBS)


class Slurm:
    """Submit jobs to SLURM by submitit, as arrays; one that is preempted or runs out of time is queued again.

    Args:
        folder: of submitit's files.
        jobs: at most so many of an array at a time; all where None.
        cluster: ``slurm``, or ``local`` for processes of this machine that behave like jobs.
        parameters: of submitit's ``update_parameters``: ``timeout_min``, ``cpus_per_task``, ``gpus_per_node``,
            ``mem_gb``, and SLURM's own, such as ``partition``, ``account``, ``qos``, ``constraint``.

    Raises:
        ValueError: when there is no SLURM here, or it does not take a parameter.
    """

    def __init__(self, folder: Path, jobs: int | None = None, cluster: str = "slurm", **parameters: Any) -> None:
        submitit = imported("submitit", "the executor slurm", "slurm")
        named = {name if name in SHARED else f"slurm_{name}": value for name, value in parameters.items()}
        if jobs is not None:
            named["slurm_array_parallelism"] = jobs
        try:
            limits = {"slurm_max_num_timeout": MOST_TIMEOUTS, "local_max_num_timeout": MOST_TIMEOUTS}
            self._executor = submitit.AutoExecutor(folder=folder / "jobs", cluster=cluster, **limits)
            self._executor.update_parameters(**({"name": "lifelong", "timeout_min": 60} | named))
        except (RuntimeError, ValueError, NameError, AssertionError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"the executor slurm cannot be had ({reason}): correct its init_args, or take local"
            ) from error

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Submit all jobs of a with block as one array."""
        with self._executor.batch(allow_implicit_submissions=True):
            yield

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future:
        """Submit one job."""
        return self._executor.submit(Requeued(function), *args)  # type: ignore[no-any-return]


class Ray:
    """Call functions on a Ray cluster.

    Args:
        folder: is not used.
        jobs: is not used; what runs at the same time is decided by ``num_cpus``.
        address: of the cluster, such as ``auto`` or ``ray://head:10001``; a cluster on this machine where None.
        options: of ``ray.remote`` for each run: ``num_cpus``, ``num_gpus``, ``resources``, ….

    Raises:
        ValueError: when there is no cluster at the address.
    """

    def __init__(self, folder: Path, jobs: int | None = None, address: str | None = None, **options: Any) -> None:
        self._ray: Any = imported("ray", "the executor ray", "ray")
        self._options = {"num_cpus": 1, "max_retries": 0} | options
        self._started = not self._ray.is_initialized()
        if self._started:
            told = {name: value for name, value in os.environ.items() if name.startswith(("LIFELONG_", "PYTHONPATH"))}
            try:
                self._ray.init(address, runtime_env={"env_vars": told}, logging_level="warning", log_to_driver=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise ValueError(
                    f"there is no Ray cluster at {address} ({reason}): start one with ray start"
                ) from error

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future:
        """Call a function where the cluster has room."""
        remote = self._ray.remote(**self._options)(function)
        return RayFuture(self._ray, remote.remote(*args))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster."""
        if self._started:
            self._ray.shutdown()


class RayFuture:
    """Follow one call on a Ray cluster.

    Args:
        ray: the package.
        reference: to what will come of it.
    """

    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray, self._reference = ray, reference

    def done(self) -> bool:
        """Return whether it has ended."""
        return bool(self._ray.wait([self._reference], timeout=0)[0])

    def result(self) -> Any:
        """Return what came of it, or raise what went wrong."""
        return self._ray.get(self._reference)

    def cancel(self) -> None:
        """Keep it from being begun."""
        self._ray.cancel(self._reference)
