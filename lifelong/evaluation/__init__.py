"""Judging a learner over its stream: metrics, the evaluator callback, plots, tables, and callbacks that one may add."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifelong.evaluation.adaptation_curve import AdaptationCurve
    from lifelong.evaluation.clustering import Clustering
    from lifelong.evaluation.divergence import Divergence
    from lifelong.evaluation.recency_bias import RecencyBias
    from lifelong.evaluation.stability_gap import StabilityGap

__all__ = ["AdaptationCurve", "Clustering", "Divergence", "RecencyBias", "StabilityGap"]

CALLBACKS = {
    "AdaptationCurve": "adaptation_curve",
    "Clustering": "clustering",
    "Divergence": "divergence",
    "RecencyBias": "recency_bias",
    "StabilityGap": "stability_gap",
}


def __getattr__(name: str) -> Any:
    """Import a callback when it is asked for: metrics and tables alone shall not wait for Lightning."""
    if name not in CALLBACKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{CALLBACKS[name]}"), name)
