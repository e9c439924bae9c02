"""The setup of a run in plain words, from its results and the first lines of docstrings."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifelong.evaluation.results import Results
from lifelong.evaluation.setting import Setting
from lifelong.utilities.class_names import class_name
from lifelong.utilities.plugins import GROUPS
from lifelong.utilities.source_code import find_definition, first_paragraph

MOST_NAMES = 12
"""Largest number of domain names in a sentence; of more domains, only the first and the last are named."""
PARTS = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class Fact:
    """Hold a class with its description.

    Args:
        name: name of the class.
        does: its description, as a sentence. Empty if no installed plug-in has this name.
    """

    name: str
    does: str = ""


def title(results: Results) -> str:
    """Return a title with the learner and the strategies."""
    setting = results.setting
    learner = setting.learner or "A learner"
    return f"{learner} with {_joined(setting.strategies)}" if setting.strategies else f"{learner}, without a strategy"


def lead(results: Results) -> str:
    """Return a sentence that says what was learnt."""
    setting, n = results.setting, len(results.domains) - results.setting.n_unseen
    domains = f"{n} domain{'s' if n != 1 else ''}"
    if setting.checkpoint:
        return f"A checkpoint, evaluated on {domains}."
    if setting.joint:
        return f"{domains}, all learnt jointly, so there is no stream and no forgetting."
    done, total = len(results.experiences), len(setting.experiences)
    progress = "" if done == total else f" So far {done} of {total} experiences are learnt."
    return f"{domains}, learnt sequentially in {total} experience{'s' if total != 1 else ''}.{progress}"


def facts(results: Results) -> list[tuple[str, list[Fact]]]:
    """Return the setup: headings, each with its classes."""
    setting, config = results.setting, results.setting.config
    strategies = _classes(config.get("strategies"))
    data = config.get("data")
    options = data.get("init_args", {}) if isinstance(data, Mapping) else {}
    given: list[tuple[str, list[Fact]]] = [
        ("Learner", [_of_class(setting.learner, _path(config.get("model")))]),
        ("Strategies", [_of_class(name, strategies.get(name, "")) for name in setting.strategies] or [_no_strategy()]),
        ("Data", [_of_class(class_name(path), path) for path in [_path(data), *_sources(options)] if path]),
        ("Domains", [Fact(_listed(results.domains[: len(results.domains) - setting.n_unseen]))]),
        ("Only evaluated, never learnt", [Fact(_listed(results.domains[len(results.domains) - setting.n_unseen :]))]),
        ("Evaluated on", [Fact(_evaluated(setting))]),
        ("Predictions", [Fact(_answers(setting))]),
    ]
    return [(heading, items) for heading, items in given if items and items[0].name]


def _of_class(name: str, path: str) -> Fact:
    return Fact(name, _first_line(path or name))


def _first_line(path: str) -> str:
    """Return the first line of a plug-in's docstring, read from its source code without importing it.

    Args:
        path: import path of the class, or its name alone.
    """
    for group in GROUPS:
        for entry in importlib.metadata.entry_points(group=group):
            if path in (entry.name, dotted := entry.value.replace(":", ".")):
                found = find_definition(dotted)
                return "" if found is None else first_paragraph(found[0])
    return ""


def _path(made: Any) -> str:
    """Return the class path in a config."""
    return str(made.get("class_path", "")) if isinstance(made, Mapping) else made if isinstance(made, str) else ""


def _classes(made: Any) -> dict[str, str]:
    paths = [_path(item) for item in made] if isinstance(made, (list, tuple)) else []
    return {class_name(path): path for path in paths}


def _sources(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the class paths of sources and of the sources nested in them, each once."""
    seen: dict[str, None] = {}

    def visit(made: Any) -> None:
        if isinstance(made, (list, tuple)):
            for item in made:
                visit(item)
        elif path := _path(made):
            seen.setdefault(path)
            if isinstance(made, Mapping):
                inner = made.get("init_args") or {}
                visit([inner[name] for name in ("source", "sources") if inner.get(name)])

    visit([options.get("sources") or [], options.get("unseen") or []])
    yield from seen


def _no_strategy() -> Fact:
    return Fact("none", "Plain fine-tuning, without a method against forgetting.")


def _evaluated(setting: Setting) -> str:
    counts, units = setting.n_eval_units, ""
    if counts and min(counts) < max(counts):  # otherwise the evaluation part of the sentence contains the number
        units = f" ({min(counts):,} to {max(counts):,} for each domain)"
    return f"the {PARTS[setting.part]} part: {setting.evaluation or 'its units'}{units}"


def _answers(setting: Setting) -> str:
    if setting.transductive:
        return "transductive: a prediction also depends on the other queries"
    return "inductive: a prediction does not depend on the other queries"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 2])}, … {names[-1]} ({len(names)} in all)"


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
