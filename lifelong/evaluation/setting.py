"""The setting of a run's results: what was learnt, by what, how it was run, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from typing_extensions import Self

from lifelong.data.kinds import Part
from lifelong.utilities.class_names import class_name

MOST_SOURCES = 4
"""Names of sources that a title has room for."""


@dataclass(frozen=True)
class Setting:
    """Describe what results are of; every field stands under its name in ``results.json``.

    Args:
        domains: names of the columns of the accuracy matrix.
        experiences: names of the experiences of the whole stream; the first of them are the rows of the matrix.
        score: what a score is: accuracy, return, …
        percent: scores are shares, shown as percent.
        transductive: an answer depends on the queries that are asked with it.
        part: which held-out part was evaluated.
        evaluation: what was evaluated, for people: ``1000 test tasks a domain, 5-way 1-shot``.
        n_eval_units: evaluation units of each domain.
        n_unseen: so many of the domains, the last ones, are never learnt.
        joint: the only experience is of all domains at once.
        disjoint: each experience has classes of its own whose outputs only it teaches.
        checkpoint: the only row is of a checkpoint that was evaluated apart from its stream.
        learner: name of its class.
        strategies: names of their classes.
        plan: how the tasks of a batch were run.
        parameters: how many numbers are trained.
        learner_bytes: memory of the learner beside its network and parameters, such as the sums of a closed form.
        strategy_bytes: memory of each strategy.
        split_hash: which classes or examples are in which part.
        finished: the Trainer came to its end.
        wall_seconds: of the run, its earlier parts included.
        peak_memory: bytes of the process and of the accelerator.
        versions: of packages.
        machine: system, processor, cores and accelerator; empty where an earlier version of lifelong wrote the results.
        config: what the run was started with.
    """

    domains: tuple[str, ...]
    experiences: tuple[str, ...]
    score: str = "score"
    percent: bool = False
    transductive: bool = False
    part: Part = "val"
    evaluation: str = ""
    n_eval_units: tuple[int, ...] = ()
    n_unseen: int = 0
    joint: bool = False
    disjoint: bool = False
    checkpoint: bool = False
    learner: str = ""
    strategies: tuple[str, ...] = ()
    plan: str = ""
    parameters: int = 0
    learner_bytes: int = 0
    strategy_bytes: Mapping[str, int] = field(default_factory=dict)
    split_hash: str = ""
    finished: bool = False
    wall_seconds: float = 0.0
    peak_memory: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return the names of learner and strategies."""
        return f"{self.learner}, {' + '.join(self.strategies) or 'no strategy'}"

    def title_of(self, run: str) -> str:
        """Return the run (its name, learner and strategies), and in a second line what it was evaluated on.

        Args:
            run: its name, or nothing.
        """
        about = ", ".join(filter(None, (" → ".join(self.sources), self.evaluation)))
        return "\n".join(filter(None, (f"{run}: {self.title}" if run else self.title, about)))

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the names of the classes that the stream's data come from, as the config has them; a few of many."""
        data = self.config.get("data") or {}
        given = (data.get("init_args") or {}).get("sources") or () if isinstance(data, Mapping) else ()
        paths = [source.get("class_path") if isinstance(source, Mapping) else source for source in given]
        names = tuple(dict.fromkeys(class_name(path) for path in paths if path))
        return names if len(names) <= MOST_SOURCES else (*names[: MOST_SOURCES - 2], "…", names[-1])

    @property
    def score_name(self) -> str:
        """Return what a score is, for tables."""
        return f"{self.score}, transductive" if self.transductive else self.score

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a setting of what :meth:`to_dict` returned, also after it was JSON; other entries are left out.

        Raises:
            KeyError: when an entry is missing.
            ValueError: when it is no mapping.
        """
        if not isinstance(content, Mapping):
            raise ValueError(f"the results are a {type(content).__name__} and no mapping: give those of another run")
        content = {"machine": {}, **content}  # what earlier versions did not write
        values: dict[str, Any] = {f.name: content[f.name] for f in fields(cls)}
        return cls(**(values | {name: tuple(value) for name, value in values.items() if isinstance(value, list)}))
