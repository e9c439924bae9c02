"""The setting of a run's results: data, learner, strategies, and what the run cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from typing_extensions import Self

from lifelong.data.kinds import Part
from lifelong.utilities.class_names import class_name

MOST_SOURCES = 4
"""Maximum number of sources named in a title."""


@dataclass(frozen=True)
class Setting:
    """Describe the setting of a run's results; ``results.json`` contains every field by name.

    Args:
        domains: names of the columns of the accuracy matrix.
        experiences: names of the experiences of the whole stream; the first of them are the rows of the matrix.
        score: name of the score: accuracy, return, …
        percent: whether scores are fractions that are shown as percent.
        transductive: whether a prediction also depends on the other queries.
        part: the held-out part that was evaluated, ``val`` or ``test``.
        evaluation: description of the evaluation, such as ``1000 test tasks a domain, 5-way 1-shot``.
        n_eval_units: number of evaluation units of each domain.
        n_unseen: number of unseen domains, which are the last ones.
        joint: whether the only experience contains all domains.
        disjoint: whether no class occurs in two experiences.
        checkpoint: whether the only row is the evaluation of a checkpoint, outside its stream.
        learner: class name of the learner.
        strategies: class names of the strategies.
        plan: the plan by which the tasks of a batch were run, such as ``loop`` or ``vmap``.
        parameters: number of trained parameters.
        learner_bytes: memory of the learner without network and parameters, such as the sums of a closed form.
        strategy_bytes: memory of each strategy in bytes.
        split_hash: hash of the split, which assigns classes or examples to parts.
        finished: whether training ran to its end.
        wall_seconds: wall time of the run, including the time before it was resumed.
        peak_memory: peak memory of the process and of the accelerator, in bytes.
        versions: versions of packages.
        machine: system, processor, cores and accelerator; empty if an earlier version of lifelong wrote the results.
        config: the config of the run.
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
        """Return the run's name, learner and strategies, and in a second line its evaluation.

        Args:
            run: name of the run, or an empty string.
        """
        about = ", ".join(filter(None, (" → ".join(self.sources), self.evaluation)))
        return "\n".join(filter(None, (f"{run}: {self.title}" if run else self.title, about)))

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the class names of the stream's sources in the config; of many, only the first few."""
        data = self.config.get("data") or {}
        given = (data.get("init_args") or {}).get("sources") or () if isinstance(data, Mapping) else ()
        paths = [source.get("class_path") if isinstance(source, Mapping) else source for source in given]
        names = tuple(dict.fromkeys(class_name(path) for path in paths if path))
        return names if len(names) <= MOST_SOURCES else (*names[: MOST_SOURCES - 2], "…", names[-1])

    @property
    def score_name(self) -> str:
        """Return the name of the score for tables."""
        return f"{self.score}, transductive" if self.transductive else self.score

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a setting from the output of :meth:`to_dict`, also after a round trip through JSON.

        Entries that are no fields of a setting are ignored.

        Raises:
            KeyError: when an entry is missing.
            ValueError: when ``content`` is not a mapping.
        """
        if not isinstance(content, Mapping):
            raise ValueError(f"the results are a {type(content).__name__} and no mapping: give those of another run")
        content = {"machine": {}, **content}  # earlier versions did not write this entry
        values: dict[str, Any] = {f.name: content[f.name] for f in fields(cls)}
        return cls(**(values | {name: tuple(value) for name, value in values.items() if isinstance(value, list)}))
