"""Lifelong: learners that keep learning from few examples, one domain after another, without forgetting.

This module is the public API; all other import paths may change. Names are imported lazily.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning import seed_everything

    from lifelong.compute.runner import TaskRunner
    from lifelong.data.domain import Domain
    from lifelong.data.episode import Episode, Task
    from lifelong.data.source import Source
    from lifelong.evaluation.comparison import Comparison
    from lifelong.evaluation.evaluator import Evaluator
    from lifelong.evaluation.results import Results
    from lifelong.learners.base import Learner
    from lifelong.run.compare import compare
    from lifelong.run.dry_run import dry_run
    from lifelong.run.fit import fit
    from lifelong.run.load import load
    from lifelong.run.model import Model
    from lifelong.run.run import Run
    from lifelong.strategy import Chain, Strategy
    from lifelong.sweep.result_tables import read_tables
    from lifelong.training.stream_module import StreamModule

__all__ = [
    "Chain",
    "Comparison",
    "Domain",
    "Episode",
    "Evaluator",
    "Learner",
    "Model",
    "Results",
    "Run",
    "Source",
    "Strategy",
    "StreamModule",
    "Task",
    "TaskRunner",
    "__version__",
    "compare",
    "dry_run",
    "fit",
    "load",
    "read_tables",
    "seed_everything",
]

PLACES = {
    "Chain": "lifelong.strategy",
    "Comparison": "lifelong.evaluation.comparison",
    "Domain": "lifelong.data.domain",
    "Episode": "lifelong.data.episode",
    "Evaluator": "lifelong.evaluation.evaluator",
    "Learner": "lifelong.learners.base",
    "Model": "lifelong.run.model",
    "Results": "lifelong.evaluation.results",
    "Run": "lifelong.run.run",
    "Source": "lifelong.data.source",
    "Strategy": "lifelong.strategy",
    "StreamModule": "lifelong.training.stream_module",
    "Task": "lifelong.data.episode",
    "TaskRunner": "lifelong.compute.runner",
    "compare": "lifelong.run.compare",
    "dry_run": "lifelong.run.dry_run",
    "fit": "lifelong.run.fit",
    "load": "lifelong.run.load",
    "read_tables": "lifelong.sweep.result_tables",
    "seed_everything": "lightning",
}


def __getattr__(name: str) -> Any:
    """Import a name at its first use, so that reading the version does not import torch."""
    if name == "__version__":
        from lifelong.utilities.versions import installed_version

        return installed_version("lifelong")
    if name not in PLACES:
        raise AttributeError(f"module 'lifelong' has no attribute {name!r}")
    return getattr(importlib.import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
