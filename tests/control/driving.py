"""Learners of the points, and their drives."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from datamodules.episodic import EpisodicDataModule
from lifelong import learners
from lifelong.control.drive import Drive
from lifelong.data.episode import Episode
from lifelong.data.sampling import generator
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.training.stream_module import StreamModule
from tests.control.points import Points
from tests.toys import fit, module_of

ADAM = partial(torch.optim.Adam, lr=0.02)
REGRESSION = ("ANIL", "BOIL", "CAVIA", "IMAML", "MAML", "MetaSGD", "NoAdaptation", "R2D2", "Reptile")
QUICK: dict[str, Any] = {"n_inner_steps": 3, "inner_rate": 0.1, "learn_inner_rate": True}
"""Settings of a MAML that learns the points in a few steps."""


def learner_for(source: Points, name: str = "MAML", **settings: Any) -> Learner:
    """A learner with weights that depend on nothing but its arguments."""
    torch.manual_seed(0)
    n_inputs = 2 if source.imitate else 6 if source.told else 4
    n_outputs = 8 if name == "R2D2" else 2
    if name == "CAVIA":
        settings["n_context"] = 3
    network = MLP(n_inputs=n_inputs, hidden=[16], n_outputs=n_outputs)
    return getattr(learners, name)(network, task="regression", **settings)  # type: ignore[no-any-return]


def module_for(source: Points, name: str = "MAML", strategies: Any = (), **settings: Any) -> StreamModule:
    """A learner with strategies, in training mode."""
    return module_of(learner_for(source, name, **settings), strategies, optimizer=ADAM)


def data_of(source: Points, **settings: Any) -> EpisodicDataModule:
    shape: dict[str, Any] = {
        "n_way": 1,
        "n_shot": 10,
        "n_query": 10,
        "tasks_per_batch": 8,
        "split": (4, 4),
        "n_eval_tasks": 8,
        "steps_per_experience": 70,
    }
    return EpisodicDataModule([source], **(shape | settings))


def trained(source: Points, name: str = "MAML", strategies: Any = (), **settings: Any) -> tuple[StreamModule, Any]:
    """A learner that has seen the stream, in evaluation mode, and its data."""
    module, data = module_for(source, name, strategies, **settings), data_of(source, joint=not strategies)
    fit(module, data)
    return module.eval(), data


def support(data: EpisodicDataModule, domain: int, n: int = 6) -> Episode:
    return data.draw_for_evaluation("val", domain, range(n)).gather(torch.device("cpu"))


def driven(source: Points, module: StreamModule, data: EpisodicDataModule, domain: int, **settings: Any) -> Drive:
    """The drive of six robots of a domain by the source's own controller."""
    robots = source.simulations(domain, 6, generator(0, "drive", domain))
    rng = generator(0, "drive", domain, 1)
    return source.controller.drive(module.learner, robots, support(data, domain), rng, runner=module.runner, **settings)
