"""The range of every number that a plug-in takes."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

import datamodules
import strategies
from datamodules import (
    CIFAR10,
    MNIST,
    EpisodicDataModule,
    ExampleDataModule,
    Glyphs,
    ImageFolder,
    MetaWorld,
    Omniglot,
    Permuted,
    Rotated,
    Sinusoids,
    SplitClasses,
)
from lifelong import learners
from lifelong.compute.runner import TaskRunner
from lifelong.control import CEM, MPPI, ClosedLoop, Imitation
from lifelong.evaluation import AdaptationCurve, Clustering, Divergence, StabilityGap
from lifelong.networks import L2P, MLP, CODAPrompt, Conv4, DualPrompt, ResNet12, WithHead, WithProbabilities
from lifelong.run.loggers import WandB
from lifelong.text import HashedWords, Tokens
from lifelong.training.checkpoint import StreamCheckpoint

NETWORK: Callable[[], nn.Module] = lambda: MLP(n_inputs=4, hidden=[8], n_outputs=3)  # noqa: E731
SOURCE = Glyphs(styles=["strokes"], n_classes=4, n_examples=2, image_size=8)
COUNT, STEPS, REAL, RATE, SHARE = "whole >= 1", "whole >= 0", "real", "real >= 0", "0 <= real <= 1"
POSITIVE = "real > 0"
INNER, AT_ONCE = "0 <= whole <= 1000000", "1 <= whole <= 1048576"
GRADIENT = {"n_inner_steps": INNER, "n_eval_steps": INNER, "inner_rate": RATE}
MAML = GRADIENT | {
    "head_rate": RATE,
    "first_order_until": STEPS,
    "multi_step_loss_until": STEPS,
    "inner_clip": POSITIVE,
}
LEARNERS: dict[str, dict[str, str]] = {
    "ANIL": MAML,
    "BOIL": {name: bound for name, bound in MAML.items() if name != "head_rate"},
    "CAVIA": GRADIENT | {"n_context": COUNT},
    "FineTuning": {"n_steps": INNER, "rate": RATE, "head_rate": RATE},
    "IMAML": GRADIENT | {"regularisation": POSITIVE, "n_cg_steps": STEPS, "damping": RATE},
    "LinearProbe": {"n_steps": INNER, "rate": RATE, "weight_decay": RATE},
    "MAML": MAML,
    "Mahalanobis": {"regulariser": POSITIVE, "temperature": POSITIVE},
    "MatchingNet": {"temperature": POSITIVE},
    "MetaSGD": GRADIENT | {"inner_clip": POSITIVE},
    "ProtoNet": {"temperature": POSITIVE},
    "R2D2": {"regulariser": POSITIVE, "scale": REAL},
    "RanPAC": {"n_projections": COUNT, "strength": POSITIVE, "kernel_width": POSITIVE},
    "RelationNet": {"width": COUNT, "n_hidden": COUNT},
    "Reptile": GRADIENT,
    "SimpleShot": {"n_centre_tasks": COUNT},
    "StreamingLDA": {"shrinkage": "0 < real <= 1"},
    "StreamingRidge": {"strength": POSITIVE},
    "TransductiveProtoNet": {"n_refinements": STEPS, "query_weight": RATE, "temperature": POSITIVE},
}
STRATEGIES: dict[str, dict[str, str]] = {
    "AGEM": {"n_reference": AT_ONCE},
    "AdapterBank": {"rank": COUNT, "temperature": RATE, "n_signature_tasks": COUNT},
    "DER": {"alpha": RATE, "beta": RATE, "n_replay": AT_ONCE},
    "EASE": {"rank": COUNT, "alpha": RATE},
    "ERACE": {"n_replay": AT_ONCE, "weighting": RATE},
    "EWC": {"strength": RATE, "n_fisher_tasks": COUNT, "decay": SHARE},
    "GDumb": {"n_steps": COUNT, "batch_size": COUNT, "rate": POSITIVE, "last_rate": POSITIVE, "clip": POSITIVE}
    | {"momentum": "0 <= real < 1", "weight_decay": RATE},
    "GEM": {"n_reference": AT_ONCE, "margin": RATE},
    "ICaRL": {"temperature": POSITIVE, "n_replay": AT_ONCE},
    "LwF": {"temperature": POSITIVE, "weighting": RATE},
    "MAS": {"strength": RATE, "n_tasks": COUNT},
    "OSF": {"share": SHARE, "growth": SHARE, "most": SHARE},
    "PackNet": {"keep": "0 < real <= 1", "retrain": "0 <= real < 1"},
    "Replay": {"n_replay": AT_ONCE, "weighting": RATE},
    "SI": {"strength": RATE, "damping": POSITIVE},
    "TUNA": {"rank": COUNT, "orthogonality": RATE},
    "WeightAveraging": {"decay": SHARE},
}
IMAGE = "1 <= whole <= 16384"
PLANNER = {"n_candidates": "whole >= 2", "horizon": COUNT, "deviation": POSITIVE, "correlation": "0 <= real < 1"}
OTHERS: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "Budget": (lambda **s: strategies.Budget(**s), {"examples": STEPS, "bytes": STEPS, "per_class": STEPS}),
    "TaskRunner": (TaskRunner, {"chunk": COUNT}),
    "StreamCheckpoint": (StreamCheckpoint, {"every_n_steps": STEPS, "keep_experiences": STEPS}),
    "WandB": (WandB, {"timeout": POSITIVE}),
    "MLP": (MLP, {"n_inputs": COUNT, "n_outputs": COUNT}),
    "Conv4": (Conv4, {"n_outputs": COUNT}),
    "ResNet12": (lambda **s: ResNet12(widths=[2, 2], image_size=16, **s), {"n_outputs": COUNT}),
    "WithHead": (lambda **s: WithHead(nn.Flatten(), **({"n_features": 4, "n_outputs": 2} | s)), {"n_outputs": COUNT}),
    "WithProbabilities": (lambda **s: WithProbabilities(NETWORK(), **s), {"weight": RATE}),
    "L2P": (
        lambda **s: L2P(**({"n_prompts": 8, "n_chosen": 1} | s)),
        {"n_prompts": COUNT, "length": COUNT, "pull": RATE},
    ),
    "DualPrompt": (
        lambda **s: DualPrompt(**({"n_experiences": 1} | s)),
        {"n_experiences": COUNT, "general_length": COUNT, "expert_length": COUNT, "pull": RATE},
    ),
    "CODAPrompt": (
        lambda **s: CODAPrompt(**({"n_experiences": 1} | s)),
        {"n_experiences": COUNT, "n_components": COUNT, "orthogonality": RATE},
    ),
    "CIFAR10": (CIFAR10, {"max_per_class": COUNT}),
    "Glyphs": (Glyphs, {"n_classes": COUNT, "n_examples": COUNT, "image_size": COUNT, "seed": STEPS}),
    "Sinusoids": (Sinusoids, {"n_functions": COUNT, "n_points": COUNT, "seed": STEPS}),
    "MNIST": (MNIST, {"image_size": IMAGE, "max_per_class": COUNT}),
    "Omniglot": (Omniglot, {"image_size": IMAGE, "n_groups": COUNT}),
    "ImageFolder": (lambda **s: ImageFolder(root="d", **s), {"image_size": IMAGE, "cache_bytes": STEPS}),
    "MetaWorld": (
        MetaWorld,
        {"n_demonstrations": COUNT, "episode_steps": COUNT, "n_after": STEPS, "noise": RATE, "seed": STEPS},
    ),
    "Permuted": (
        lambda **s: Permuted(SOURCE, **s),
        {"seed": STEPS, "n_domains": COUNT, "image_size": IMAGE, "pad": STEPS},
    ),
    "Rotated": (lambda **s: Rotated(SOURCE, angles=[0.0], **s), {"image_size": IMAGE}),
    "SplitClasses": (
        lambda **s: SplitClasses(SOURCE, **s),
        {"n_domains": COUNT, "n_classes": COUNT, "order_seed": STEPS},
    ),
    "EpisodicDataModule": (
        lambda **s: EpisodicDataModule([SOURCE], **s),
        dict.fromkeys(("n_way", "n_shot", "n_query", "eval_n_way", "eval_n_shot", "eval_n_query"), COUNT)
        | dict.fromkeys(("tasks_per_batch", "eval_tasks_per_batch"), AT_ONCE)
        | dict.fromkeys(("steps_per_experience", "n_eval_tasks"), COUNT)
        | {"evaluate_every": COUNT, "split_seed": STEPS, "seed": STEPS},
    ),
    "ExampleDataModule": (
        lambda **s: ExampleDataModule([SOURCE], classes="all", **s),
        {"batch_size": AT_ONCE}
        | dict.fromkeys(("steps_per_experience", "passes", "n_eval_examples", "evaluate_every"), COUNT)
        | {"split_seed": STEPS, "fade": SHARE, "seed": STEPS},
    ),
    "HashedWords": (HashedWords, {"n_buckets": "whole >= 2", "max_length": COUNT}),
    "Tokens": (lambda **s: Tokens(model="m", **s), {"max_length": COUNT}),
    "AdaptationCurve": (AdaptationCurve, {"n_steps": COUNT}),
    "Clustering": (Clustering, {"n_classes": "whole >= 2", "n_examples": "whole >= 2", "n_draws": COUNT}),
    "Divergence": (Divergence, {"n_units": COUNT}),
    "StabilityGap": (StabilityGap, {"every_n_steps": COUNT, "n_units": COUNT}),
    "ClosedLoop": (ClosedLoop, {"n_robots": COUNT}),
    "Imitation": (lambda **s: Imitation(**({"n_steps": 1} | s)), {"n_steps": COUNT, "seconds_per_step": POSITIVE}),
    "CEM": (lambda **s: CEM(n_elites=2, **s), PLANNER | {"n_iterations": COUNT, "momentum": "0 <= real < 1"}),
    "MPPI": (MPPI, PLANNER | {"temperature": POSITIVE, "n_iterations": COUNT}),
}
NOT_IN_RANGES = {(kind, "inner_huber") for kind in ("ANIL", "BOIL", "MAML", "MetaSGD")} | {("BOIL", "head_rate")}
"""Refused whatever they are: of regression alone, and in a learner that leaves its head alone."""


@dataclass(frozen=True)
class Setting:
    """Hold a number that a plug-in takes.

    Args:
        kind: the plug-in.
        name: of the argument.
        make: makes the plug-in with the argument.
        bound: in words: ``0 < real <= 1``.
    """

    kind: str
    name: str
    make: Callable[..., Any]
    bound: str

    @property
    def is_whole(self) -> bool:
        """Tell whether only whole numbers are in the range."""
        return "whole" in self.bound

    def holds(self, value: Any) -> bool:
        """Tell whether a value is in the range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        if self.is_whole and not isinstance(value, int):
            return False
        # Only our own bounds are evaluated: numbers, signs of comparison and the value.
        assert re.fullmatch(r"[\d\s<>=.]*(whole|real)[\d\s<>=.]*", self.bound)
        expression = re.sub("whole|real", "value", self.bound)
        return expression == "value" or bool(eval(expression, {"value": value}))


def _of(make: Callable[..., Any], kind: str, bounds: dict[str, str]) -> list[Setting]:
    return [Setting(kind, name, make, bound) for name, bound in bounds.items()]


def _learner(kind: str) -> Callable[..., Any]:
    return lambda **settings: getattr(learners, kind)(NETWORK(), **settings)


def _strategy(kind: str) -> Callable[..., Any]:
    return lambda **settings: getattr(strategies, kind)(**settings)


SETTINGS: list[Setting] = [
    *(setting for kind, bounds in LEARNERS.items() for setting in _of(_learner(kind), kind, bounds)),
    *(setting for kind, bounds in STRATEGIES.items() for setting in _of(_strategy(kind), kind, bounds)),
    *(setting for kind, (make, bounds) in OTHERS.items() for setting in _of(make, kind, bounds)),
]
PLUG_INS: dict[str, Any] = {
    **{name: getattr(learners, name) for name in learners.__all__},
    **{name: getattr(strategies, name) for name in strategies.__all__ if name != "Budget"},
    **{name: getattr(datamodules, name) for name in datamodules.__all__},
}


def numbers(kind: str) -> list[str]:
    """Return the names of the arguments of a plug-in that are numbers, by their types."""
    parameters = inspect.signature(PLUG_INS[kind]).parameters.values()
    return [p.name for p in parameters if re.match(r"^(int|float)\b", str(p.annotation))]
