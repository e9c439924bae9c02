"""Executors, which run the trainings of a sweep: local threads, SLURM, Ray, or a custom class."""

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
"""An executor, sampler or pruner: a name or class path, or a mapping of ``class_path`` and ``init_args``."""
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
"""Parameters of submitit that are not SLURM parameters."""
MOST_TIMEOUTS = 100
"""Maximum number of timeouts per run: a requeued run resumes, so it may time out often."""


class Future(Protocol):
    """A running call, as in ``concurrent.futures``."""

    def done(self) -> bool:
        """Return whether the call has ended."""

    def result(self) -> Any:
        """Return the result of the call, or raise its exception."""

    def cancel(self) -> Any:
        """Cancel the call if it has not started."""


class Executor(Protocol):
    """Run function calls elsewhere, as in ``concurrent.futures``."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future:
        """Schedule a function call."""


def check_executor(description: Description) -> None:
    """Raise an error before any run if the executor does not exist.

    Args:
        description: see :func:`make_executor`.

    Raises:
        ValueError: when the executor is unknown, or its package is missing.
    """
    _class_of(read_description(description)[0])


def make_executor(description: Description, folder: Path, jobs: int | None = None) -> Executor:
    """Make an executor by name or class path.

    Args:
        description: ``local``, ``slurm``, ``ray`` or a class path, or a mapping of ``class_path`` and ``init_args``.
        folder: folder for the executor's own files.
        jobs: maximum number of parallel runs; overrides the executor's arguments. Default: two on this machine, no
            limit on a cluster.

    Raises:
        ValueError: when the executor is unknown, its package is missing, or its arguments are invalid.

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
    """Return the maximum number of parallel runs of an executor; None if the executor decides.

    Args:
        description: see :func:`make_executor`.
        jobs: the number set by the user. If None, it is taken from the executor's arguments.

    Raises:
        ValueError: when the number in the arguments is invalid.

    Example:
        >>> jobs_at_once("local", None), jobs_at_once("slurm", None), jobs_at_once("slurm", 8)
        (2, None, 8)
    """
    path, arguments = read_description(description)
    own = arguments.get("jobs") if path in NAMES else None
    check_number(f"jobs of the executor {path}", own, least=1, whole=True)
    return jobs or own or (DEFAULT_JOBS if path == "local" else None)


def read_description(description: Description) -> tuple[str, dict[str, Any]]:
    """Split the description of an executor, sampler or pruner into its class path and arguments.

    Raises:
        ValueError: when the description is neither a name nor a mapping.

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
    """Make a thread pool; each thread starts processes on this machine.

    Args:
        folder: not used.
        jobs: number of threads.
    """
    return ThreadPoolExecutor(jobs or DEFAULT_JOBS)


class Slurm:
    """Submit job arrays to SLURM by submitit; jobs that are preempted or time out are requeued.

    Args:
        folder: folder for submitit's files.
        jobs: maximum number of parallel jobs in an array. If None, no limit.
        cluster: ``slurm``, or ``local`` to emulate jobs by processes on this machine.
        parameters: parameters of submitit's ``update_parameters``, such as ``timeout_min``, ``cpus_per_task``,
            ``gpus_per_node`` and ``mem_gb``, and of SLURM, such as ``partition``, ``account``, ``qos`` and
            ``constraint``.

    Raises:
        ValueError: when SLURM is not available, or a parameter is invalid.
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
        """Submit all jobs of a ``with`` block as one array."""
        with self._executor.batch(allow_implicit_submissions=True):
            yield

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future:
        """Submit one job."""
        return self._executor.submit(Requeued(function), *args)  # type: ignore[no-any-return]


class Ray:
    """Run function calls on a Ray cluster.

    Args:
        folder: not used.
        jobs: not used; ``num_cpus`` determines how many calls run in parallel.
        address: address of the cluster, such as ``auto`` or ``ray://head:10001``. Default: a cluster on this machine.
        options: options of ``ray.remote`` for each run: ``num_cpus``, ``num_gpus``, ``resources``, ….

    Raises:
        ValueError: when there is no cluster at this address.
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
        """Schedule a function call on the cluster."""
        remote = self._ray.remote(**self._options)(function)
        return RayFuture(self._ray, remote.remote(*args))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect from the cluster."""
        if self._started:
            self._ray.shutdown()


class RayFuture:
    """Track one call on a Ray cluster.

    Args:
        ray: the package ``ray``.
        reference: Ray's reference to the result.
    """

    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray, self._reference = ray, reference

    def done(self) -> bool:
        """Return whether the call has ended."""
        return bool(self._ray.wait([self._reference], timeout=0)[0])

    def result(self) -> Any:
        """Return the result of the call, or raise its exception."""
        return self._ray.get(self._reference)

    def cancel(self) -> None:
        """Cancel the call if it has not started."""
        self._ray.cancel(self._reference)
