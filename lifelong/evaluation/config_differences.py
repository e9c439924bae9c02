"""What differs between the configs of runs, as text by dotted keys, and short labels that are made of it.

Configs are read as plain data: no class that they name is imported.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.evaluation.results import Results
from lifelong.evaluation.tables import shorten

Flat = Mapping[str, str]
"""The options of a config by dotted key, as text."""

NO_METHOD = ("seed", "run", "ckpt_path", "trust", "trainer.logger", "trainer.default_root_dir")
"""Options in which the runs of one method may differ: which run it is, where it is kept, and who is told of it."""
FIRST = (
    "strategies",
    "model",
    "data.joint",
    "data.cumulative",
    "strategies.",
    "model.",
    "optimizer",
    "optimizer.",
    "data.",
)
"""What labels are made of first, keys and beginnings of keys; then the other keys in their order."""
TOLD = ("strategies", "data.joint", "data.cumulative")
"""What a label always says where there is some."""
CLASSES = ("strategies", "model", "optimizer", "lr_scheduler", "data", "network")
"""Last parts of keys whose value, the name of a class, says what it is of."""
NONE = "none"
LONGEST_VALUE = 24
MOST_TRIED = 3
"""Options in a label beside the strategies, of which all choices are tried."""


def described(results: Results) -> dict[str, str]:
    """Return what a run was started with, by dotted key; where its config says nothing of it, as its results say it.

    Args:
        results: of the run.

    Example:
        >>> from lifelong.evaluation.setting import Setting
        >>> described(Results(Setting(("a",), ("a",), learner="MAML", strategies=("Replay", "EWC")), {}))
        {'model': 'MAML', 'strategies': 'Replay + EWC', 'data.joint': 'false'}
    """
    setting = results.setting
    measured = {
        "model": setting.learner,
        "strategies": " + ".join(setting.strategies) or NONE,
        "data.joint": _text(setting.joint),
    }
    options = flat(setting.config)
    if options.get("strategies") in ("[]", "null"):
        options["strategies"] = NONE
    return measured | options


def flat(config: Any, prefix: str = "") -> dict[str, str]:
    """Return the options of a config by dotted key, as text.

    A class is its name, and its arguments stand below it; those of a class in a list stand below its name.

    Args:
        config: plain data, as ``results.json`` has it.
        prefix: of the keys.

    Example:
        >>> ewc = {"class_path": "strategies.EWC", "init_args": {"strength": 100.0}}
        >>> flat({"seed": 0, "strategies": [ewc], "optimizer": {"class_path": "torch.optim.Adam"}})
        {'seed': '0', 'strategies': 'EWC', 'strategies.EWC.strength': '100', 'optimizer': 'Adam'}
    """
    options: dict[str, str] = {}
    if isinstance(config, Mapping):
        if (name := _class_name(config)) is not None and prefix:
            options[prefix] = name
            config = {**_mapping(config.get("init_args")), **_mapping(config.get("dict_kwargs"))}
        for key, value in config.items():
            options |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(config, list) and config and all(_class_name(item) for item in config):
        names = [str(_class_name(item)) for item in config]
        options[prefix] = " + ".join(names)
        for place, (name, item) in enumerate(zip(names, config, strict=True)):
            nth = names[: place + 1].count(name)
            inner = flat(item, f"{prefix}.{name}" if nth == 1 else f"{prefix}.{name}{nth}")
            options |= dict(list(inner.items())[1:])  # the first says the name
    elif prefix:
        options[prefix] = _text(config)
    return options


def of_method(options: Flat) -> dict[str, str]:
    """Leave out the options in which the runs of one method may differ, and those that are not set.

    ``null`` is what an option is that an older version did not have.

    Example:
        >>> of_method({"seed": "0", "model": "MAML", "trainer.logger": "WandB", "trainer.logger.project": "birds"})
        {'model': 'MAML'}
    """
    return {
        key: value
        for key, value in options.items()
        if value != "null" and not any(key == name or key.startswith(f"{name}.") for name in NO_METHOD)
    }


def differing(methods: Sequence[Sequence[Flat]]) -> dict[str, list[str]]:
    """Return the keys in which methods differ, each with the value of every method as text.

    Args:
        methods: the options of the runs of each.

    Example:
        >>> differing([[{"lr": "0.1", "n": "5"}], [{"lr": "0.2", "n": "5"}, {"lr": "0.3", "n": "5"}]])
        {'lr': ['0.1', '0.2 / 0.3']}
    """
    keys = dict.fromkeys(key for runs in methods for options in runs for key in options)
    values = {key: [" / ".join(dict.fromkeys(o.get(key, "") for o in runs)) for runs in methods] for key in keys}
    return {key: of_key for key, of_key in values.items() if len(set(of_key)) > 1}


def labels(values: Mapping[str, Sequence[str]], fallback: Sequence[str]) -> list[str]:
    """Make a short label for each method: its strategies, and as few other options as no other method has.

    Args:
        values: the value of each method, by the keys in which they differ.
        fallback: for a method that none of them says anything about.

    Example:
        >>> values = {"strategies": ["EWC", "EWC", "none"], "strategies.EWC.strength": ["1", "2", ""]}
        >>> labels(values | {"data.batch_size": ["8", "8", "9"]}, fallback=[""] * 3)
        ['EWC, strength=1', 'EWC, strength=2', 'no strategy']
    """
    keys: list[str] = []
    n_apart = 1
    for key in sorted(values, key=_rank):
        if (n := len(set(zip(*(values[k] for k in [*keys, key]), strict=True)))) > n_apart:
            keys, n_apart = [*keys, key], n
    shown = _shown(keys)
    made = []
    for place, otherwise in enumerate(fallback):
        parts = {key: _part(shown[key], values[key][place]) for key in _telling(place, keys, values)}
        in_order = sorted(parts, key=lambda key: key != "model")
        made.append(", ".join(parts[key] for key in in_order if parts[key]) or otherwise)
    return _numbered(made)


def named_by(keys: Sequence[str], values: Mapping[str, Sequence[str]], fallback: Sequence[str]) -> list[str]:
    """Make a label for each method of the options that are named; those that are equal are numbered.

    Args:
        keys: of the options.
        values: the value of each method, by key; empty text where it has none.
        fallback: for a method that none of them says anything about.

    Example:
        >>> named_by(["optimizer.lr"], {"optimizer.lr": ["0.1", "0.2"]}, ["", ""])
        ['lr=0.1', 'lr=0.2']
    """
    shown = _shown(keys)
    parts = [[_part(shown[key], values[key][place]) for key in keys] for place in range(len(fallback))]
    return _numbered([", ".join(filter(None, of)) or other for of, other in zip(parts, fallback, strict=True)])


def find_key(given: str, known: Sequence[str]) -> str:
    """Return the key that a person means: its name, or its end where no other key ends like this.

    Args:
        given: what they wrote.
        known: all keys.

    Raises:
        ValueError: when there is no such key, or several; with the nearest.

    Example:
        >>> find_key("strength", ["seed", "strategies.EWC.strength"])
        'strategies.EWC.strength'
    """
    ends = [given] if given in known else [key for key in known if key.endswith(f".{given}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise ValueError(f"--by {given} is the end of several options: write one of {', '.join(ends)}")
    by_end = {key.rpartition(".")[2]: key for key in known} | {key: key for key in known}
    nearest = difflib.get_close_matches(given, by_end, 1)
    way_out = f"did you mean {by_end[nearest[0]]}?" if nearest else f"known are {', '.join(known[:8])}, …"
    raise ValueError(f"--by {given} is no option in the configs of these runs: {way_out}")


def _telling(place: int, keys: Sequence[str], values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the fewest keys in which no other method has the values of this one; strategies and joint are told."""
    first = tuple(key for key in keys if key in TOLD and values[key][place] not in (NONE, "false", ""))
    others = [key for key in keys if key not in first]
    for size in range(min(len(others), MOST_TRIED) + 1):
        for more in itertools.combinations(others, size):
            told = first + more
            of_methods = list(zip(*(values[key] for key in told), strict=True))
            if told and of_methods.count(of_methods[place]) == 1 and any(_part(k, values[k][place]) for k in told):
                return told
    return tuple(keys)


def _shown(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, and all of it where others end alike."""
    lasts = Counter(key.rpartition(".")[2] for key in keys)
    return {key: key if lasts[last] > 1 else last for key in keys for last in [key.rpartition(".")[2]]}


def _numbered(labels: Sequence[str]) -> list[str]:
    """Number labels that are equal."""
    made: list[str] = []
    for label in labels:
        numbered = (label if n == 1 else f"{label} ({n})" for n in itertools.count(1))
        made.append(next(candidate for candidate in numbered if candidate not in made))
    return made


def _part(name: str, value: str) -> str:
    """Write what an option says of a method; what is off or not there is not written."""
    if (last := name.rpartition(".")[2]) in ("joint", "cumulative"):
        return last if value == "true" else ""
    if not value:
        return ""
    if name == "strategies" and value == NONE:
        return "no strategy"
    return value if last in CLASSES else f"{name}={shorten(value.rpartition('/')[2] or value, LONGEST_VALUE)}"


def _rank(key: str) -> int:
    places = (i for i, name in enumerate(FIRST) if key == name or (name[-1] == "." and key.startswith(name)))
    return next(places, len(FIRST))


def _class_name(value: Any) -> str | None:
    path = value.get("class_path") if isinstance(value, Mapping) else None
    return path.rpartition(".")[2] if isinstance(path, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    """Write a plain value; whole numbers alike whether they were written 1 or 1.0."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)
