"""The throughput suite of benchmarks/: its contenders take the same steps, and its rows are complete."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.performance import throughput
from benchmarks.performance.contenders import ByHand, Learn2Learn, Ours, learn2learn_batches
from benchmarks.performance.setups import LEARNERS, Setup, batches, grid
from benchmarks.performance.suite import Settings
from tests.learn2learn import learn2learn_or_skip

CPU = torch.device("cpu")


def setup(learner: Any = "MAML", network: str = "Conv4-32", **more: Any) -> Setup:
    return Setup(learner, network, n_query=2, n_steps=2, n_tasks=2, **more)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))


def assert_same_steps(one: Setup, ours: Ours, other: ByHand | Learn2Learn) -> None:
    # In double precision: Adam makes whole steps of gradients that are zero but for rounding.
    ours.learner.double()
    for parameter in other.parameters:
        parameter.data = parameter.data.double()
    for batch in islice(batches(one, CPU), 3):  # the third loss is that after two steps of the optimizer
        found = [contender.losses(batch.to(torch.float64)) for contender in (ours, other)]
        torch.testing.assert_close(*found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("learner", LEARNERS)
def test_steps_of_all_are_the_same(learner: str) -> None:
    one = setup(learner)
    assert_same_steps(one, Ours(one, CPU, plan="loop"), ByHand(one, CPU))


@pytest.mark.parametrize("learner", ["MAML", "Meta-SGD", "first-order MAML"])
def test_regression_is_the_same_too(learner: str) -> None:
    one = setup(learner, "MLP 2 x 40", n_way=1, n_shot=5)
    assert throughput.disagreement([Ours(one, CPU), ByHand(one, CPU)], next(batches(one, CPU)), Settings()) < 1e-4


@pytest.mark.learn2learn
@pytest.mark.parametrize("learner", LEARNERS)
def test_learn2learn_takes_the_same_steps(learner: str) -> None:
    learn2learn_or_skip()
    one = setup(learner)
    assert_same_steps(one, Ours(one, CPU, plan="loop"), Learn2Learn(one, CPU))


@pytest.mark.learn2learn
@pytest.mark.parametrize("from_files", [False, True])
def test_learn2learn_draws_tasks_of_the_same_shape(from_files: bool, tmp_path: Path) -> None:
    learn2learn_or_skip()
    one = setup(n_shot=2)
    ours = next(batches(one, CPU))
    theirs = next(learn2learn_batches(one, CPU, tmp_path if from_files else None))
    assert [part.shape for part in theirs[0]] == [part.shape[1:] for part in ours.tasks()[:4]]
    assert theirs[0][0].max() <= 1
    assert sorted(theirs[0][3].tolist()) == sorted([*range(5)] * 2)


def test_contenders_that_disagree_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "disagreement", lambda *_: 0.5)
    monkeypatch.setattr(throughput, "Learn2Learn", ByHand)
    with pytest.raises(ValueError, match=r"differ by 5.00e-01, relatively: nothing to compare"):
        throughput.measure_setup(setup("MAML", "MLP 2 x 256"), Settings(quick=True))


def called_once(calls: dict[str, Any], **_: Any) -> dict[str, list[float]]:
    for call in calls.values():
        call()
    return {name: [2.0, 4.0] for name in calls}


def test_a_measured_row_has_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    class Peer(ByHand):
        name = "learn2learn"

    monkeypatch.setattr(throughput, "Learn2Learn", Peer)
    monkeypatch.setattr(throughput, "alternate", called_once)
    monkeypatch.setattr(throughput, "learn2learn_batches", lambda one, device, folder=None: batches(one, device))
    row = throughput.measure_setup(setup(), Settings(quick=True))
    assert row["setup"] == "MAML, Conv4-32, 5w1s, 2 steps, 2 tasks"
    assert row["tasks per second"]["Lifelong"] == [0.75, 0.5, 1.0]
    assert list(row["ratio"]) == ["loop by hand", "learn2learn", "learn2learn, from memory", "learn2learn, from files"]
    assert row["ratio"]["learn2learn, from files"][0] == 1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_learner_is_in_the_grid_and_no_row_twice(device: str) -> None:
    rows = grid(torch.device(device))
    assert len(set(rows)) == len(rows)
    assert {row.learner for row in rows} == set(LEARNERS)
    assert {row.n_tasks for row in rows} >= ({4, 32, 128} if device == "cpu" else {32, 128})


def test_everyone_trains_in_halves_where_that_is_asked_for() -> None:
    kinds: list[torch.dtype] = []
    one, halves = setup("ProtoNet", "MLP 2 x 256"), Settings(precision="bf16")
    contenders, batch = [kind(one, CPU) for kind in (Ours, ByHand)], next(batches(one, CPU))
    for network in (contenders[0].learner.network, contenders[1].network):  # type: ignore[attr-defined]
        layer = next(module for module in network.modules() if isinstance(module, torch.nn.Linear))
        layer.register_forward_hook(lambda module, given, output: kinds.append(output.dtype))
    assert throughput.disagreement(contenders, batch, halves) < throughput.TOLERANCE["bf16"]
    assert set(kinds) == {torch.bfloat16}
    before = [throughput._step(contender, iter([batch]), halves)() for contender in contenders]
    after = [throughput._step(contender, iter([batch]), halves)() for contender in contenders]
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))  # a step is of its own weights
