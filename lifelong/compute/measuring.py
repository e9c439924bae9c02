"""Finding the fastest way to run the tasks of a batch: measured once per learner, device and shape, and stored."""

from __future__ import annotations

import hashlib
import json
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info

from lifelong.compute.params import Params
from lifelong.compute.plan import Plan, takes_vmap
from lifelong.compute.runner import TaskLearner, TaskRunner
from lifelong.data.episode import Episode
from lifelong.utilities.cache import cache_folder
from lifelong.utilities.files import write_whole
from lifelong.utilities.versions import installed_version

GROWTH = 4
"""Factor by which the number of tasks at once grows from one trial to the next."""
GAIN = 0.95
"""A plan replaces a simpler one only below this share of its time; smaller differences are noise."""


def measured(runner: TaskRunner, learner: TaskLearner, batch: Episode, folder: Path | None = None) -> Plan:
    """Return the plan with the fastest training step of a learner, measured unless a stored result exists.

    Results are stored in the folder's ``tuning.json``, so that the same version runs the same training in the same way
    again. Remove the file to measure everything again.

    Args:
        runner: provides all settings except the plan.
        learner: the learner, on its device and ready for training. It is not changed.
        batch: the training tasks of one step on one rank.
        folder: where to store results. Default: the cache folder (``LIFELONG_CACHE``).
    """
    device = batch.weight.device
    if not (learner.takes_vmap and takes_vmap(learner.network)):
        return Plan("loop")
    path, key = (folder or cache_folder()) / "tuning.json", _key(runner, learner, batch)
    if (kept := _plan(_kept(path).get(key))) is not None:
        return kept
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        seconds = partial(seconds_of_a_task, runner, learner, batch)
        plan, measured = search(seconds, len(batch), may_capture=runner.cuda_graph)
    told = ", ".join(f"{plan} {1e3 * seconds:.2f} ms a task" for plan, seconds in measured.items())
    rank_zero_info(f"tasks are run {plan} (measured: {told}; --runner.plan loop or vmap overrides it)")
    _keep(path, key, {"plan": asdict(plan), "measured": told})
    return plan


def search(
    seconds: Callable[[Plan, int], float], n_tasks: int, *, may_capture: bool = False
) -> tuple[Plan, dict[Plan, float]]:
    """Find the fastest plan: try a loop, then more and more tasks at once until that is slower or exceeds memory.

    Args:
        seconds: function of a plan and a number of tasks that returns the seconds per task, ``inf`` if memory does not
            suffice.
        n_tasks: number of tasks in a batch.
        may_capture: also try the best plan as a captured graph.

    Example:
        >>> plan, _ = search(lambda plan, n: 1.0 if plan.mapping == "loop" else 0.5 + 2 / n + (n > 16), 64)
        >>> print(plan)
        16 at once
    """
    best, sizes = Plan("loop"), {Plan("loop"): min(n_tasks, 2)}
    times = {best: seconds(best, sizes[best])}

    def better(plan: Plan, size: int) -> Plan:
        sizes[plan], times[plan] = size, seconds(plan, size)
        # The slower plan is measured again, because the machine may have been busy.
        loser = best if times[plan] < GAIN * times[best] else plan
        times[loser] = min(times[loser], seconds(loser, sizes[loser]))
        return plan if times[plan] < GAIN * times[best] else best

    size = min(GROWTH, n_tasks)
    while True:
        plan = Plan("vmap", None if size == n_tasks else size)
        best = better(plan, size)
        # With few tasks, the overhead of vmap may dominate; a plan that is twice as slow will not become the fastest.
        if size == n_tasks or times[plan] > (2 if best.mapping == "loop" else 1 / GAIN) * times[best]:
            break
        size = min(GROWTH * size, n_tasks)
    if may_capture:
        best = better(replace(best, graph=True), n_tasks)
    return best, times


def seconds_of_a_task(
    runner: TaskRunner, learner: TaskLearner, batch: Episode, plan: Plan, n_tasks: int, repetitions: int = 2
) -> float:
    """Measure the seconds per task for losses and gradients of ``n_tasks`` tasks; ``inf`` if memory does not suffice.

    Args:
        runner: runs the tasks.
        learner: the learner. The memory format of its weights is adapted to the plan.
        batch: provides the tasks.
        plan: how the tasks are run.
        n_tasks: number of tasks.
        repetitions: number of measurements, of which the fastest counts.
    """
    planned, part, times = runner.planned(plan), batch.take(slice(0, n_tasks)), []
    planned.lay_out(learner, batch.weight.device)
    params: Params = dict(learner.named_parameters())
    trained = [p for p in params.values() if p.requires_grad]
    try:
        for _ in range(repetitions + 1):  # the first one warms up
            since = time.perf_counter()
            with torch.enable_grad():
                losses, _ = planned.training_losses(learner, params, part)
                if losses.requires_grad:
                    torch.autograd.grad(losses.sum(), trained, allow_unused=True)
            if batch.weight.device.type == "cuda":
                torch.cuda.synchronize(batch.weight.device)
            times.append(time.perf_counter() - since)
    except torch.OutOfMemoryError:
        return float("inf")
    except RuntimeError:
        if plan.graph:  # an operation that cannot be captured
            return float("inf")
        raise
    return min(times[1:]) / len(part)


def _key(runner: TaskRunner, learner: TaskLearner, batch: Episode) -> str:
    device = batch.weight.device
    plain = {k: v for k, v in vars(learner).items() if isinstance(v, bool | int | float | str) and k[0] != "_"}
    settings: list[Any] = [type(learner).__name__, sorted(plain.items()), repr(learner.network)]
    settings += [[tuple(part.shape), str(part.dtype)] for part in batch.tasks()]
    settings += [device_name(device), torch.get_num_threads(), torch.is_autocast_enabled(device.type)]
    settings += [runner.recompute, runner.cuda_graph, runner.is_routed]
    settings += [torch.__version__, installed_version("lifelong")]
    settings += [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32]
    settings += [str(next(learner.network.parameters(), torch.empty(0)).dtype)]
    return f"{type(learner).__name__} {hashlib.sha256(repr(settings).encode()).hexdigest()[:16]}"


def device_name(device: torch.device) -> str:
    """Return the name of the GPU or processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def _kept(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, dict) or any(_plan(entry) is None for entry in entries.values()):
            raise ValueError("they are no plans")
    except (OSError, ValueError, RecursionError) as error:
        warnings.warn(f"the plans in {path} are damaged ({error!r}): they are measured anew", stacklevel=2)
        return {}
    return entries


def _plan(entry: Any) -> Plan | None:
    """Return the stored plan, or None, which leads to a new measurement, if it is missing or damaged."""
    plan = entry.get("plan") if isinstance(entry, dict) else None
    if not isinstance(plan, dict) or plan.keys() != {"mapping", "chunk", "graph"}:
        return None
    is_plan = plan["mapping"] in ("loop", "vmap") and isinstance(plan["graph"], bool)
    is_chunk = plan["chunk"] is None or (isinstance(plan["chunk"], int) and plan["chunk"] >= 1)
    return Plan(**plan) if is_plan and is_chunk else None


def _keep(path: Path, key: str, entry: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged file was reported when it was first read
        kept = _kept(path)
    text = json.dumps(kept | {key: entry}, indent=1)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
