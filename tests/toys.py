"""Small sources, episodes and a real Trainer for the tests."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from lifelong import learners
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.learners.base import Learner
from lifelong.networks import MLP, Conv4
from lifelong.strategy import Strategy
from lifelong.training.optimizer import OptimizerCallable
from lifelong.training.stream_module import StreamModule


class Toy(Source):
    """Domains of 12 classes x 12 examples; the inputs of domain ``d`` lie around ``d * shift``."""

    def __init__(self, n_domains: int = 2, kind: str = "vector", shift: float = 3.0) -> None:
        self.n_domains, self.kind, self.shift = n_domains, kind, shift

    def domains(self) -> list[Domain]:
        return [self._domain(d) for d in range(self.n_domains)]

    def _domain(self, d: int) -> Domain:
        rng = np.random.default_rng(100 + d)
        size = (1, 16, 16) if self.kind == "image" else (4,)
        y = np.repeat(np.arange(12), 12)
        centres = rng.normal(size=(12, *size))
        x = torch.from_numpy(centres[y] + 0.3 * rng.normal(size=(144, *size)) + d * self.shift).float()
        targets = x.sum(1, keepdim=True) * torch.from_numpy(1 + y[:, None] / 12) if self.kind == "regression" else None
        return Domain(f"domain {d}", x, y, [f"c{c}" for c in range(12)], None if targets is None else targets.float())


class FewClasses(Toy):
    """The toy with the first four classes of each domain, whose examples are held out."""

    def domains(self) -> list[Domain]:
        return [
            replace(d, x=d.x[:48], y=d.y[:48], class_names=d.class_names[:4], holdout="examples")
            for d in super().domains()
        ]


def toy_data(n_domains: int = 2, kind: str = "vector", shift: float = 3.0, **settings: Any) -> EpisodicDataModule:
    defaults: dict[str, Any] = {
        "n_way": 1 if kind == "regression" else 3,
        "n_shot": 2,
        "n_query": 2,
        "tasks_per_batch": 4,
        "steps_per_experience": 4,
        "n_eval_tasks": 8,
        "split": (3, 3),
    }
    return EpisodicDataModule([Toy(n_domains, kind, shift)], **(defaults | settings))


def network(kind: str = "vector", n_outputs: int = 3, norm: str = "group") -> nn.Module:
    if kind == "image":
        return Conv4(n_filters=8, norm=norm, image_size=16, n_outputs=n_outputs)  # type: ignore[arg-type]
    return MLP(n_inputs=4, hidden=[8], n_outputs=n_outputs)


def toy_examples(scenario: Any = "class", n_domains: int = 3, **settings: Any) -> ExampleDataModule:
    """Labelled examples of four of the toy's classes in each experience."""
    defaults: dict[str, Any] = {"batch_size": 8, "steps_per_experience": 4, "split": (0.2, 0.2)}
    return ExampleDataModule([FewClasses(n_domains)], scenario=scenario, **(defaults | settings))


ADAM = partial(torch.optim.Adam, lr=0.01)
"""What trains in tests unless they say otherwise."""


def make_classifier(n_outputs: int = 12, loss: Literal["softmax", "sigmoid"] = "softmax") -> learners.Classifier:
    """A classifier for toy examples, with weights that depend on nothing but its arguments."""
    torch.manual_seed(1)
    return learners.Classifier(MLP(n_inputs=4, hidden=[8], n_outputs=n_outputs), loss=loss)


LEARNERS: dict[str, dict[str, Any]] = {
    "ANIL": {"n_inner_steps": 2},
    "BOIL": {"n_inner_steps": 2},
    "CAVIA": {"n_inner_steps": 2, "n_context": 4},
    "FineTuning": {"n_steps": 2},
    "IMAML": {"n_inner_steps": 3, "n_cg_steps": 3},
    "LinearProbe": {"n_steps": 5},
    "MAML": {"n_inner_steps": 2},
    "Mahalanobis": {},
    "MatchingNet": {},
    "MetaSGD": {"n_inner_steps": 2},
    "NoAdaptation": {},
    "ProtoNet": {},
    "R2D2": {},
    "RelationNet": {"width": 8},
    "Reptile": {"n_inner_steps": 2},
    "SimpleShot": {"n_centre_tasks": 6},
    "TransductiveProtoNet": {"n_refinements": 2},
}
"""Every learner with the settings that keep it small: one row makes it obey all laws of the contract."""


def make_learner(name: str = "MAML", kind: str = "vector", norm: str = "group", **settings: Any) -> Learner:
    """A learner with weights that depend on nothing but its arguments."""
    torch.manual_seed(1)
    make = getattr(learners, name)
    if "task" in inspect.signature(make).parameters and kind == "regression":
        settings = {"task": "regression"} | settings
    learner = make(network(kind, 1 if kind == "regression" else 3, norm), **(LEARNERS[name] | settings))
    learner.prepare(n_classes=12)
    return learner  # type: ignore[no-any-return]


def random_episode(
    kind: str = "vector", n_tasks: int = 3, n_way: int = 3, n_shot: int = 2, n_query: int = 2, seed: int = 5
) -> Episode:
    rng = torch.Generator().manual_seed(seed)
    size = (1, 16, 16) if kind == "image" else (4,)

    def part(n: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(n_tasks, n * n_way, *size, generator=rng)
        if kind == "regression":
            return x, torch.randn(n_tasks, n * n_way, 1, generator=rng)
        return x, torch.arange(n_way).repeat(n_tasks, n)

    return Episode(*part(n_shot), *part(n_query), torch.ones(n_tasks), 0 if kind == "regression" else n_way)


def module_of(
    learner: Learner,
    strategies: Iterable[Strategy] = (),
    optimizer: OptimizerCallable = ADAM,
    plan: PlanName = "auto",
    **settings: Any,
) -> StreamModule:
    """What a Trainer fits; a ``runner`` or anything else of StreamModule by keyword."""
    return StreamModule(learner, strategies, optimizer=optimizer, **({"runner": TaskRunner(plan=plan)} | settings))


def fit(
    learner: Learner | StreamModule, data: StreamDataModule, strategies: Iterable[Strategy] = (), **trainer: Any
) -> Evaluator:
    """Learn the whole stream with a real Trainer; returns the filled evaluator.

    A learner is trained by ``ADAM``; give a :func:`module_of` it for anything else.
    """
    evaluator = Evaluator(None)
    settings: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": -1,
        "reload_dataloaders_every_n_epochs": 0,
        "default_root_dir": tempfile.gettempdir(),
    }
    module = learner if isinstance(learner, StreamModule) else module_of(learner, strategies)
    L.Trainer(**(settings | trainer), callbacks=[evaluator]).fit(module, datamodule=data)
    return evaluator


class AtEnd(Strategy):
    """Calls a function at the end of each experience and changes nothing."""

    def __init__(self, function: Callable[[], None]) -> None:
        super().__init__()
        self.function = function

    def end(self, learner: Any, visit: Any, *, runner: Any) -> None:
        self.function()


def weights(learner: nn.Module) -> dict[str, Tensor]:
    """A copy of a learner's parameters."""
    return {name: p.detach().clone() for name, p in learner.named_parameters()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit-identical."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
