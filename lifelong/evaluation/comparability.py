"""Comparability of runs: differences in data and evaluation that make scores of two runs not comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelong.evaluation.config_differences import Flat, described
from lifelong.evaluation.results import Results


@dataclass(frozen=True)
class Obstacle:
    """Describe why two runs are not comparable.

    Args:
        short: short text for a cell of a table.
        detail: the values of the first and of the second run.

    Example:
        >>> str(Obstacle("another part", "evaluated on val and on test"))
        'another part (evaluated on val and on test)'
    """

    short: str
    detail: str

    def __str__(self) -> str:
        return f"{self.short} ({self.detail})"


def obstacles(one: Results, other: Results) -> list[Obstacle]:
    """Return the reasons why two runs are not comparable; an empty list if they are.

    Args:
        one: results of a run.
        other: results of another run.

    Example:
        >>> from lifelong.evaluation.setting import Setting
        >>> of_val = Results(Setting(("a",), ("a",), part="val"), {})
        >>> [str(o) for o in obstacles(of_val, Results(Setting(("a",), ("a",), part="test"), {}))]
        ['another part (val and test)']
    """
    a, b = one.setting, other.setting
    found = [
        _unlike("another score", a.score, b.score),
        _unlike("another part", a.part, b.part) or _unlike("other tasks", a.evaluation, b.evaluation),
        _unlike("one is transductive", *("transductive" if s.transductive else "inductive" for s in (a, b))),
        _domains(a.domains, b.domains)
        or _unlike("other unseen domains", *(f"{s.n_unseen} never learnt" for s in (a, b)))
        or _unlike("another split", a.split_hash, b.split_hash)
        or _unlike("other numbers of units", a.n_eval_units, b.n_eval_units)
        or _draws(described(one), described(other)),
    ]
    return [obstacle for obstacle in found if obstacle is not None]


def _unlike(short: str, one: object, other: object) -> Obstacle | None:
    return None if one == other else Obstacle(short, f"{one or 'not said'} and {other or 'not said'}")


def _domains(one: Sequence[str], other: Sequence[str]) -> Obstacle | None:
    only = [[name for name in names if name not in others] for names, others in ((one, other), (other, one))]
    if only[0] or only[1] or len(one) != len(other):
        texts = [f"{len(names)}, of which {_few(own)} only here" for names, own in zip((one, other), only, strict=True)]
        return Obstacle("other domains", " and ".join(texts))
    return None if tuple(one) == tuple(other) else Obstacle("another order", f"{_few(one)} and {_few(other)}")


def _draws(one: Flat, other: Flat) -> Obstacle | None:
    """Compare the config options that determine the evaluation units; return None if a run has no config."""
    for key, values in (
        ("data.split_seed", [options.get("data.split_seed") for options in (one, other)]),
        ("queries a class", [_queries(options) for options in (one, other)]),
    ):
        if None not in values and values[0] != values[1]:
            return Obstacle("other draws", f"{key}: {values[0]} and {values[1]}")
    return None


def _queries(options: Flat) -> str | None:
    asked = options.get("data.eval_n_query", "null")
    return options.get("data.n_query") if asked == "null" else asked


def unfinished(run: Results) -> str:
    """Describe the progress of a run that has not finished its stream; empty if it has.

    Example:
        >>> import numpy as np
        >>> from lifelong.evaluation.setting import Setting
        >>> unfinished(Results(Setting(("a", "b"), ("a", "b")), {"score": [np.ones((2, 5))]}))
        'unfinished (1 of 2 experiences)'
    """
    n_learnt, total = len(run.matrix), len(run.setting.experiences)
    return "" if n_learnt == total else f"unfinished ({n_learnt} of {total} experiences)"


def _few(names: Sequence[str], most: int = 4) -> str:
    if not names:
        return "none"
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])}, … ({len(names)})"
