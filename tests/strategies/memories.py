"""Small memories of labelled examples for the tests of strategies that have one."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool
from lifelong.data.position import Position, Visit
from lifelong.data.stream import Experience
from strategies import Replay
from strategies.memory.balanced import BalancedMemory
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory
from strategies.memory.reservoir import Reservoir
from tests.toys import AtEnd, fit, make_classifier, toy_examples

RUNNER = TaskRunner()

CPU = torch.device("cpu")


def visit(number: int, *pools: Pool, ways: list[int], seed: int = 0, **settings: Any) -> Visit:
    """Experience ``number`` of a stream, with training pools and the classes seen so far."""
    experience = Experience(number, f"experience {number}", pools)
    return Visit(experience, 9, seed, lambda *_: iter(()), ways=np.array(ways), **settings)


def pool(x: Tensor, y: list[int], **settings: Any) -> Pool:
    """Examples ``(M, *X)`` of the classes ``y (M,)``, each class with its number in the stream."""
    numbers = sorted(set(y))
    members = [np.flatnonzero(np.array(y) == number) for number in numbers]
    return Pool(x, members, [f"class {n}" for n in numbers], numbers=np.array(numbers), name="pool", **settings)


def stream_batch(x: Tensor, y: list[int], ways: list[int]) -> Episode:
    """Labelled examples ``x (B, *X)`` of the classes ``y (B,)``, told apart from ``ways``."""
    labels = torch.tensor([[ways.index(number)] for number in y])
    classes = torch.tensor(ways).repeat(len(x), 1)
    return Episode(x[:, None][:, :0], labels[:, :0], x[:, None], labels, torch.ones(len(x)), len(ways), classes)


def at(experience: int, step: int = 0, *, n: int, **settings: Any) -> Position:
    """A step with ``n`` examples over all ranks."""
    return Position(experience, step, n_tasks=n, **settings)


def reservoir(learner: Any, n_stream: int, capacity: int, *, seed: int = 0, batch: int = 4) -> Reservoir:
    """What a reservoir keeps of a stream of the numbers 0, 1, …; even and odd ones are two classes."""
    memory = Reservoir(Budget(capacity))
    memory.begin(learner, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    for step in range(n_stream // batch):
        update_with_numbers(memory, learner, range(step * batch, (step + 1) * batch), step, seed)
    return memory


def update_with_numbers(memory: Reservoir, learner: Any, numbers: range, step: int, seed: int) -> None:
    """A step of the stream of numbers goes by."""
    batch = stream_batch(torch.tensor(numbers).float()[:, None], [n % 2 for n in numbers], [0, 1])
    memory.update(learner, batch, at(0, step, n=len(numbers), seed=seed), runner=RUNNER)


LEARNER = make_classifier()
POLICIES = ["class_balanced", "herding", "reservoir"]
every_policy = pytest.mark.parametrize("policy", POLICIES)
every_scenario = pytest.mark.parametrize("scenario", ["class", "domain", "task"])


def memory_of(replay: Replay) -> ExampleMemory:
    assert isinstance(replay.memory, ExampleMemory)
    return replay.memory


def kept(n: int = 3, scenario: str = "class", **settings: Any) -> tuple[Replay, list[dict[tuple[int, int], int]]]:
    """A memory after ``n`` experiences, and how many examples of each (experience, class) it held after each."""
    replay, history = Replay(**settings), []

    def look() -> None:
        memory = memory_of(replay)
        pairs = list(zip(memory.rows.experience.tolist(), memory.rows.label.tolist(), strict=True))
        history.append({pair: pairs.count(pair) for pair in sorted(set(pairs))})

    fit(make_classifier(), toy_examples(scenario, n), [replay, AtEnd(look)])
    return replay, history


def copy(memory: ExampleMemory) -> ExampleMemory:
    """The memory after a trip through a checkpoint file."""
    file = io.BytesIO()
    torch.save(memory.state(), file)
    file.seek(0)
    other = Reservoir(memory.budget) if isinstance(memory, Reservoir) else BalancedMemory(memory.budget)
    other.load(torch.load(file, weights_only=True))
    return other


def columns(memory: ExampleMemory) -> dict[str, Tensor]:
    return memory.rows.columns()
