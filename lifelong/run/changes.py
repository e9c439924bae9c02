"""Settings of a run that changed after its ``config.yaml`` was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

DECISIVE = ("seed", "model", "data", "strategies", "optimizer", "lr_scheduler", "reset_optimizer")
"""Options that affect the results; each is compared with all its parts."""
DECISIVE_OF_TRAINER = (
    "precision",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "limit_train_batches",
    "limit_val_batches",
    "overfit_batches",
    "sync_batchnorm",
)
"""Arguments of the Trainer that affect the results; the others set where it runs, how long, and what is logged."""
FREE = ("root", "cache_bytes", "eval_tasks_per_batch")
"""Arguments that may change: where data are stored and how much of them is kept in memory."""
MOST_NAMED = 5


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences between two configurations that affect the results, one phrase each.

    Both contain every option with its value. An option that ``before`` lacks is newer than the run and is not compared.

    Args:
        before: content of the run's ``config.yaml``.
        now: configuration with which the run is to continue.

    Example:
        >>> changed_settings({"seed": 0, "runner": {"plan": "loop"}}, {"seed": 1, "runner": {"plan": "vmap"}})
        ['seed is 0 there and 1 here']
    """
    before, now = _plain(before), _plain(now)
    changes = [change for n in DECISIVE if n in before for change in _differences(n, before[n], now.get(n))]
    of_before, of_now = before.get("trainer") or {}, now.get("trainer") or {}
    for name in DECISIVE_OF_TRAINER:
        if name in of_before:
            changes += _differences(f"trainer.{name}", of_before[name], of_now.get(name))
    return changes


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    """Refuse to continue a run with settings that differ from its own.

    Args:
        before: content of the run's ``config.yaml``.
        now: configuration with which the run is to continue.
        where: path of the run folder, for the message.

    Raises:
        ValueError: naming the changed settings.

    Example:
        >>> check_unchanged({"seed": 0}, {"seed": 0}, "runs/birds")
    """
    if changes := changed_settings(before, now):
        more = f" and {len(changes) - MOST_NAMED} more" if len(changes) > MOST_NAMED else ""
        raise ValueError(
            f"the run in {where} was begun with other settings: {', '.join(changes[:MOST_NAMED])}{more}; give its own, "
            "start another run (--run.name), or go on with the new ones by --run.allow_changes true"
        )


def without_sources(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the sources of its stream, which an extension may change.

    Example:
        >>> without_sources({"data": {"class_path": "A", "init_args": {"sources": [], "n_way": 3}}})
        {'data': {'class_path': 'A', 'init_args': {'n_way': 3}}}
    """
    data = dict(config.get("data") or {})
    arguments = {n: value for n, value in (data.get("init_args") or {}).items() if n not in ("sources", "unseen")}
    return {**config, "data": {**data, "init_args": arguments}}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    # As in a file, where tuples become lists.
    return dict(yaml.safe_load(yaml.safe_dump(dict(config))))


def _differences(name: str, before: Any, now: Any) -> Iterator[str]:
    if before == now:
        return
    if isinstance(before, Mapping) and isinstance(now, Mapping) and before.get("class_path") == now.get("class_path"):
        for part in before:
            if part not in FREE:
                inner = name if part == "init_args" else f"{name}.{part}"
                yield from _differences(inner, before[part], now.get(part))
    elif _are_lists(before, now) and len(before) == len(now):
        for place, parts in enumerate(zip(before, now, strict=True)):
            yield from _differences(f"{name}[{place}]", *parts)
    else:
        yield f"{name} is {_shown(before)} there and {_shown(now)} here"


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, Sequence) and not isinstance(value, str) for value in values)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping) and "class_path" in value:
        return str(value["class_path"])
    if _are_lists(value):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)
