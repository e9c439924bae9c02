"""The search space: options of ``fit``, each with a range or a list of values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

KINDS = ("float", "log", "int", "log_int")
"""Types of ranges: uniform, log-uniform, and both for integers. A list is a choice."""
WAYS = "{float: [0, 1]}, {log: [1e-4, 1]}, {int: [1, 8]}, {log_int: [1, 512]}, or a list to choose from"

FRACTION = 0.371
"""Relative position of a value tested inside a range; it is unlikely to be an integer by chance."""


def check_space(space: Any) -> None:
    """Raise an error if the search space is invalid.

    Args:
        space: the space in the file.

    Raises:
        ValueError: when it is; the message names the option and the valid values.

    Example:
        >>> check_space({"optimizer.lr": {"log": [0, 1]}})
        Traceback (most recent call last):
            ...
        ValueError: the range of optimizer.lr is log: [0, 1], and a logarithm needs numbers above 0
    """
    if not isinstance(space, dict) or not space:
        raise ValueError(f"the search's space is {space!r}: give options, such as 'optimizer.lr: {{log: [1e-4, 1]}}'")
    for name, values in space.items():
        if not isinstance(name, str) or name.startswith("-"):
            raise ValueError(f"the search's space has {name!r}: name an option without dashes, such as optimizer.lr")
        if name.replace(".init_args", "") in ("data.evaluate_on", "seed", "trainer.max_epochs", "data.joint"):
            raise ValueError(f"the search's space has {name}, which the search sets itself: leave it out")
        if isinstance(values, list):
            if not values:
                raise ValueError(f"the choice of {name} is empty: give it values")
        else:
            _check_range(name, values)


def _check_range(name: str, values: Any) -> None:
    if not isinstance(values, dict) or len(values) != 1 or not set(values) <= set(KINDS):
        raise ValueError(f"the search's space has {name}: {values!r}, which is no range: give {WAYS}")
    ((kind, ends),) = values.items()
    ends = [_number(end) for end in ends] if isinstance(ends, list) else []
    if len(ends) != 2 or None in ends or not ends[0] < ends[1]:
        raise ValueError(f"the range of {name} is {values}: give two numbers, the lower one first")
    if kind.endswith("int") and any(end != int(end) for end in ends):
        raise ValueError(f"the range of {name} is {values}: give whole numbers, or float")
    if kind.startswith("log") and ends[0] <= 0:
        raise ValueError(f"the range of {name} is {kind}: {values[kind]}, and a logarithm needs numbers above 0")


def _number(value: Any) -> float | None:
    """Return a number, also if YAML reads it as text: ``1e5`` has no decimal point."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def suggest(trial: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Let a trial of Optuna choose a value for each option.

    Args:
        trial: trial of Optuna.
        space: search space, as accepted by :func:`check_space`.
    """
    chosen: dict[str, Any] = {}
    for name, values in space.items():
        if isinstance(values, list):
            chosen[name] = trial.suggest_categorical(name, choices(values))
            continue
        ((kind, (low, high)),) = values.items()
        log = kind.startswith("log")
        if kind.endswith("int"):
            chosen[name] = trial.suggest_int(name, int(low), int(high), log=log)
        else:
            chosen[name] = trial.suggest_float(name, float(low), float(high), log=log)
    return chosen


def settings_to_check(space: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield settings that cover each choice, both ends of each range and a value between them at least once.

    The first setting has the first value of every option; each other setting changes one option.

    Args:
        space: search space, as accepted by :func:`check_space`.

    Example:
        >>> list(settings_to_check({"n": {"int": [2, 4]}, "model": ["MAML", "ANIL"]}))
        [{'n': 2, 'model': 'MAML'}, {'n': 4, 'model': 'MAML'}, {'n': 2, 'model': 'ANIL'}]
    """
    values = {name: _values_to_check(of_option) for name, of_option in space.items()}
    first = {name: of_option[0] for name, of_option in values.items()}
    yield first
    for name, of_option in values.items():
        yield from (first | {name: value} for value in of_option[1:])


def _values_to_check(values: Any) -> list[Any]:
    if isinstance(values, list):
        return choices(values)
    ((kind, (low, high)),) = values.items()
    if kind.endswith("int"):
        return [int(low), int(high)]
    low, high = float(low), float(high)
    # The ends may be integers although values between them are not.
    return [low, low + (high - low) * FRACTION, high]


def choices(values: list[Any]) -> list[Any]:
    """Return the values of a choice in Optuna's format: lists and mappings as JSON."""
    return [json.dumps(value) if isinstance(value, (list, dict)) else value for value in values]


def as_options(chosen: Mapping[str, Any]) -> list[str]:
    """Return chosen values as options of ``fit``.

    Example:
        >>> as_options({"optimizer.lr": 0.1, "data.fade": None, "model": "MAML"})
        ['--optimizer.lr=0.1', '--data.fade=null', '--model=MAML']
    """
    return [f"--{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in chosen.items()]
