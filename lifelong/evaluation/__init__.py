"""Evaluation of a learner over its stream: metrics, the Evaluator callback, plots, tables and optional callbacks."""

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
    """Import a callback on first access, so that metrics and tables alone do not import Lightning."""
    if name not in CALLBACKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{CALLBACKS[name]}"), name)
