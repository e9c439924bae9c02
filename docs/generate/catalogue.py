"""Learners and strategies by kind, each with a page of the site."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from docs.generate.docstring import Docstring, read_docstring

Role = Literal["learner", "strategy"]

LEARNERS = {
    "Gradient-based adaptation": ["MAML", "ANIL", "BOIL", "MetaSGD", "IMAML", "Reptile", "CAVIA", "Learn2Learn"],
    "Metric-based": [
        "ProtoNet",
        "TransductiveProtoNet",
        "MatchingNet",
        "RelationNet",
        "Mahalanobis",
    ],
    "Closed-form solver per task": ["R2D2", "MetaOptNet"],
    "Pre-training and adaptation": ["FineTuning", "LinearProbe", "SimpleShot"],
    "Labelled examples": ["Classifier"],
    "Labelled examples, in closed form": ["NearestClassMean", "StreamingLDA", "StreamingRidge", "RanPAC"],
    "Without adaptation": ["NoAdaptation"],
}
"""Learners by kind."""
STRATEGIES = {
    "Rehearsal": ["Replay", "DER", "ERACE", "ICaRL", "GDumb"],
    "Gradient projection": ["AGEM", "GEM"],
    "Regularisation of parameters": ["EWC", "SI", "MAS"],
    "Distillation": ["LwF"],
    "Parameter isolation and orthogonal updates": ["PackNet", "OSF"],
    "Adapters and prompts per experience": ["AdapterBank", "EASE", "TUNA", "PromptPool"],
    "Weight averaging": ["WeightAveraging"],
}
"""Strategies by kind."""


@dataclass(frozen=True)
class Method:
    """Name a learner or a strategy.

    Args:
        role: ``learner`` or ``strategy``.
        kind: its group.
        name: name of the class.
    """

    role: Role
    kind: str
    name: str

    @property
    def module(self) -> str:
        """Return the package that exports it."""
        return "lifelong.learners" if self.role == "learner" else "strategies"

    @property
    def path(self) -> str:
        """Return its public path."""
        return f"{self.module}.{self.name}"

    @property
    def option(self) -> str:
        """Return the option of the command line that takes it."""
        return "--model" if self.role == "learner" else "--strategies"

    @property
    def page(self) -> str:
        """Return the path of its page in the site."""
        return f"methods/{self.name.lower()}.md"

    @cached_property
    def of_class(self) -> type:
        """Return the class."""
        made = getattr(importlib.import_module(self.module), self.name)
        assert isinstance(made, type)
        return made

    @cached_property
    def docstring(self) -> Docstring:
        """Return the docstring of its class."""
        return read_docstring(self.of_class)


def methods() -> list[Method]:
    """List all learners and strategies, by kind."""
    learners = [Method("learner", kind, name) for kind, names in LEARNERS.items() for name in names]
    return [*learners, *(Method("strategy", kind, name) for kind, names in STRATEGIES.items() for name in names)]
