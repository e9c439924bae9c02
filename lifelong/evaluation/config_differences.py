"""Differences between the configs of runs, as text by dotted keys.

Configs are read as plain data: the classes named in them are not imported.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.evaluation.results import Results
from lifelong.utilities.class_names import class_name

Flat = Mapping[str, str]
"""The options of a config by dotted key, as text."""

NO_METHOD = ("seed", "run", "ckpt_path", "trust", "trainer.logger", "trainer.default_root_dir")
"""Options in which the runs of one method may differ: seed, folder, checkpoint and loggers."""
NEAR = 0.75
"""Least similarity (difflib's ratio) at which a word counts as a misspelling of another."""
MOST_LISTED = 8
NONE = "none"
"""The value of ``strategies`` for a run without strategies."""


def described(results: Results) -> dict[str, str]:
    """Return the options of a run by dotted key; options missing in its config are taken from its results.

    Args:
        results: results of the run.

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

    A class becomes its name, and its arguments become keys below it; for a class in a list, below its name.

    Args:
        config: plain data, as in ``results.json``.
        prefix: prefix of the keys.

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
            options |= dict(list(inner.items())[1:])  # the first item is the name
    elif prefix:
        options[prefix] = _text(config)
    return options


def of_method(options: Flat) -> dict[str, str]:
    """Leave out the options in which the runs of one method may differ, and those that are not set.

    Options with the value ``null`` count as not set, so a run of an older version without the option is equal.

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
        methods: for each method, the options of its runs.

    Example:
        >>> differing([[{"lr": "0.1", "n": "5"}], [{"lr": "0.2", "n": "5"}, {"lr": "0.3", "n": "5"}]])
        {'lr': ['0.1', '0.2 / 0.3']}
    """
    keys = dict.fromkeys(key for runs in methods for options in runs for key in options)
    values = {key: [" / ".join(dict.fromkeys(o.get(key, "") for o in runs)) for runs in methods] for key in keys}
    return {key: of_key for key, of_key in values.items() if len(set(of_key)) > 1}


def find_key(given: str, known: Sequence[str], usual: Sequence[str] = ()) -> str:
    """Return the key with this name, or the only key that ends with it.

    Args:
        given: the name or end of a key, as the user wrote it.
        known: all keys.
        usual: keys to suggest if no known key is similar.

    Raises:
        ValueError: when no key matches, or several do; the message suggests a similar key, else the usual ones.

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
    nearest = difflib.get_close_matches(given, by_end, 1, NEAR)
    way_out = f"did you mean {by_end[nearest[0]]}?" if nearest else f"give some of {_listed(usual or known)}"
    raise ValueError(f"--by {given} is no option in the configs of these runs: {way_out}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_LISTED]) + (", …" if len(names) > MOST_LISTED else "")


def _class_name(value: Any) -> str | None:
    return class_name(value.get("class_path")) or None if isinstance(value, Mapping) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    """Format a plain value; 1 and 1.0 give the same text."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)
