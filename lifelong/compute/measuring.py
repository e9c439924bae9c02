"""How the tasks of a batch are run fastest: measured once for a learner, a device and a shape, and remembered."""

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
"""How many times as many tasks are tried at once after so many have been."""
GAIN = 0.95
"""Seconds of what is chosen, relative to those of the simpler way: a difference that is smaller is noise."""


def measured(runner: TaskRunner, learner: TaskLearner, batch: Episode, folder: Path | None = None) -> Plan:
    """Return the plan by which a training step of a learner is fastest, measured unless it was before.

    What is measured is kept in ``tuning.json`` of the folder, so that the same training is run the same way again by
    the same version; remove the file to have everything measured anew.

    Args:
        runner: whose settings hold but for the plan.
        learner: on the device, ready to be trained; it is left as it is.
        batch: one rank's training tasks of a step.
        folder: the cache folder (``LIFELONG_CACHE``) where None.
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
    """Find the best plan: try a loop, then ever more tasks at once until that is slower or does not fit.

    Args:
        seconds: of a plan and a number of tasks, what each task takes; ``inf`` where memory does not suffice.
        n_tasks: in a batch.
        may_capture: try the best plan as a captured graph too.

    Example:
        >>> plan, _ = search(lambda plan, n: 1.0 if plan.mapping == "loop" else 0.5 + 2 / n + (n > 16), 64)
        >>> print(plan)
        16 at once
    """
    best, sizes = Plan("loop"), {Plan("loop"): min(n_tasks, 2)}
    times = {best: seconds(best, sizes[best])}

    def better(plan: Plan, size: int) -> Plan:
        sizes[plan], times[plan] = size, seconds(plan, size)
        # Whoever loses tries again: the machine may have been busy with something else.
        loser = best if times[plan] < GAIN * times[best] else plan
        times[loser] = min(times[loser], seconds(loser, sizes[loser]))
        return plan if times[plan] < GAIN * times[best] else best

    size = min(GROWTH, n_tasks)
    while True:
        plan = Plan("vmap", None if size == n_tasks else size)
        best = better(plan, size)
        # Few tasks at once may not pay yet for what vmap costs; twice as slow will not.
        if size == n_tasks or times[plan] > (2 if best.mapping == "loop" else 1 / GAIN) * times[best]:
            break
        size = min(GROWTH * size, n_tasks)
    if may_capture:
        best = better(replace(best, graph=True), n_tasks)
    return best, times


def seconds_of_a_task(
    runner: TaskRunner, learner: TaskLearner, batch: Episode, plan: Plan, n_tasks: int, repetitions: int = 2
) -> float:
    """Measure the seconds that one of ``n_tasks`` tasks takes, losses and gradients; ``inf`` where memory is too small.

    Args:
        runner: runs them.
        learner: whose weights are laid out as suits the plan.
        batch: from which the tasks are taken.
        plan: how they are run.
        n_tasks: how many.
        repetitions: the fastest one counts.
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
        if plan.graph:  # an operation that no graph can capture
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
    """Return the name of the GPU, or of the processor."""
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
    """Return the plan of an entry; None where there is none, or the file was damaged, and it is measured anew."""
    plan = entry.get("plan") if isinstance(entry, dict) else None
    if not isinstance(plan, dict) or plan.keys() != {"mapping", "chunk", "graph"}:
        return None
    is_plan = plan["mapping"] in ("loop", "vmap") and isinstance(plan["graph"], bool)
    is_chunk = plan["chunk"] is None or (isinstance(plan["chunk"], int) and plan["chunk"] >= 1)
    return Plan(**plan) if is_plan and is_chunk else None


def _keep(path: Path, key: str, entry: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damage, which was told when the file was first read
        kept = _kept(path)
    text = json.dumps(kept | {key: entry}, indent=1)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
