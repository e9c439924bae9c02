"""Labelled examples whose inputs are their own numbers, so that one sees which example came."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from datamodules import SplitClasses
from datamodules.examples import ExampleDataModule
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.source import Source
from lifelong.learners import Classifier

CPU = torch.device("cpu")


class Numbered(Source):
    """60 examples of 6 classes; each input is its own number, so that one sees which example came."""

    def __init__(self, holdout: str = "examples") -> None:
        self.holdout: Any = holdout

    def domains(self) -> list[Domain]:
        x = torch.arange(60.0)[:, None]
        return [Domain("numbers", x, np.arange(60) % 6, list("abcdef"), holdout=self.holdout)]


def examples(**settings: Any) -> ExampleDataModule:
    defaults: dict[str, Any] = {"batch_size": 4, "split": (0.1, 0.2)}
    return ExampleDataModule([SplitClasses(Numbered(), n_domains=3)], **(defaults | settings))


def steps(data: ExampleDataModule, experience: int, rank: int = 0, world: int = 1) -> list[Episode]:
    loader = data.train_dataloader()
    loader._place = lambda: (experience, rank, world)
    return [drawn.gather(CPU) for drawn in loader]


def true_class(batch: Episode) -> torch.Tensor:
    return batch.query_x[:, 0, 0].long() % 6


def numbers_classifier() -> Classifier:
    torch.manual_seed(1)
    return Classifier(torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 6)))
