"""A dry run tells what a run would be, as the run itself then says, and leaves everything as it was."""

from __future__ import annotations

import copy
import os
import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lifelong
from datamodules import EpisodicDataModule, ExampleDataModule, Glyphs
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Visit
from lifelong.learners import Classifier, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.run.dry_run import EXPERIENCES, MEASURED, WARM_UP
from lifelong.strategy import Strategy
from strategies import EWC, Replay
from strategies.memory.budget import Budget

pytestmark = pytest.mark.filterwarnings("ignore")
STYLES = ["strokes", "textures", "silhouettes"]


def stream(**settings: Any) -> EpisodicDataModule:
    glyphs = Glyphs(styles=STYLES, n_classes=24, n_examples=10, image_size=8)
    given = {"n_way": 3, "n_shot": 2, "n_query": 2, "steps_per_experience": 30, "n_eval_tasks": 5} | settings
    return EpisodicDataModule([glyphs], **given)


def learner() -> ProtoNet:
    return ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))


def test_it_tells_the_stream_and_the_sizes() -> None:
    forecast = lifelong.dry_run(
        learner(), stream(evaluate_every=2), strategies=[Replay(budget=Budget(examples=90))], run="runs/a"
    )
    assert forecast.experiences == tuple(STYLES) == tuple(forecast.domains)
    assert (forecast.steps, forecast.units, forecast.eval_units) == (30, "4 tasks", (5, 5, 5))
    assert [list(row) for row in forecast.rows] == [[0, 1, 2], [0, 1], [0, 1, 2], [0, 1, 2]]
    assert forecast.parameters == forecast.trained == 64 * 8 + 8 + 8 * 8 + 8
    assert forecast.n_bytes["parameters"] == 4 * forecast.parameters
    assert 8 * forecast.parameters <= forecast.n_bytes["optimizer"] <= 8 * forecast.parameters + 100
    assert [kept.name for kept in forecast.kept] == ["Replay"]
    assert forecast.budgets == {"Replay": "90 examples"}
    assert forecast.folder == "runs/a"
    assert forecast.device == "cpu" or torch.cuda.is_available()


def test_it_changes_and_writes_nothing(tmp_path: Path) -> None:
    made, data, ewc = learner(), stream(), EWC()
    before = copy.deepcopy(made.state_dict())
    lifelong.seed_everything(1, verbose=False)
    lifelong.dry_run(made, data, strategies=[ewc], seed=5)
    drawn = torch.rand(1).item(), random.random()
    lifelong.seed_everything(1, verbose=False)
    assert drawn == (torch.rand(1).item(), random.random())
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())
    assert (data.seed, data.trainer, made.training) == (0, None, True)
    assert ewc.memory_bytes() == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_trainer_sets_for_the_process_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    benchmark = torch.backends.cudnn.benchmark
    lifelong.dry_run(learner(), stream(), deterministic=True, benchmark=not benchmark, accelerator="cpu")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark == benchmark
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_a_run_after_it_is_the_same_run() -> None:
    results = []
    for dry in (False, True):
        lifelong.seed_everything(0, verbose=False)
        made, data = learner(), stream(steps_per_experience=3)
        if dry:
            lifelong.dry_run(made, data, strategies=[])
        results.append(lifelong.fit(made, data, run=f"runs/{dry}", logger=False, enable_progress_bar=False).matrix)
    assert np.array_equal(*results)


def test_few_steps_are_taken_and_the_estimate_is_of_all() -> None:
    taken: list[int] = []

    class Counted(ProtoNet):
        def start_step(self, step: int) -> None:
            taken.append(step)
            super().start_step(step)

    made = Counted(MLP(n_inputs=64, hidden=[8], n_outputs=8))
    forecast = lifelong.dry_run(made, stream(steps_per_experience=1000), strategies=[])
    assert len(taken) == EXPERIENCES * (WARM_UP + MEASURED)
    costs = forecast.costs
    training = 1000 * (costs.first_step + 2 * costs.later_step) + 3 * costs.end
    assert forecast.seconds == pytest.approx(training + 4 * 15 * costs.unit)
    assert forecast.seconds > 0
    assert "an estimate" in str(forecast)


def test_labelled_examples_and_a_single_experience() -> None:
    glyphs = Glyphs(styles=["strokes"], n_classes=6, n_examples=10, image_size=8)
    data = ExampleDataModule([glyphs], batch_size=4, steps_per_experience=20, split=(0.2, 0.2))
    forecast = lifelong.dry_run(Classifier(MLP(n_inputs=64, hidden=[8], n_outputs=6)), data)
    assert (forecast.units, forecast.steps, len(forecast.experiences)) == ("4 examples", 20, 1)
    assert "1  strokes" in str(forecast)


class Growing(Strategy):
    """Keep a byte after the first experience, and three more after each that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(0, dtype=torch.uint8))

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        self.kept = torch.zeros(len(self.kept) + (3 if len(self.kept) else 1), dtype=torch.uint8)


def test_bytes_of_strategies_grow_as_they_do_in_the_run() -> None:
    run = lifelong.fit(learner(), stream(), strategies=[Growing()], run="runs/a", logger=False)
    (kept,) = lifelong.dry_run(learner(), stream(), strategies=[Growing()]).kept
    assert list(kept.ends) == [1, 4]
    assert kept.at_end(3, 30) == 7 == run.results.setting.strategy_bytes["Growing"]
    assert "Growing 1 B after the first experience, 4 B after the second, about 7 B in the end" in str(
        lifelong.dry_run(learner(), stream(), strategies=[Growing()])
    )


@pytest.mark.parametrize("examples", [60, 10_000])
@pytest.mark.parametrize("policy", ["class_balanced", "reservoir"])
def test_bytes_of_a_memory_end_at_its_budget_or_with_the_stream(examples: int, policy: Any) -> None:
    glyphs = Glyphs(styles=STYLES, n_classes=6, n_examples=20, image_size=8)
    data = {"batch_size": 4, "steps_per_experience": 40, "split": (0.2, 0.2)}
    replay = partial(Replay, budget=Budget(examples=examples), policy=policy)
    made = [Classifier(MLP(n_inputs=64, hidden=[8], n_outputs=18)) for _ in range(2)]
    forecast = lifelong.dry_run(made[0], ExampleDataModule([glyphs], **data), strategies=[replay()])
    run = lifelong.fit(made[1], ExampleDataModule([glyphs], **data), strategies=[replay()], run="runs/a", logger=False)
    in_the_end = run.results.setting.strategy_bytes["Replay"]
    assert forecast.kept[0].at_end(3, 40) == pytest.approx(in_the_end, rel=0.12)  # 18 classes share 60 as 54


def test_limits_of_the_trainer_count() -> None:
    forecast = lifelong.dry_run(learner(), stream(), max_epochs=2, limit_train_batches=0.5, num_sanity_val_steps=0)
    assert (forecast.steps, len(forecast.experiences), len(forecast.rows)) == (15, 2, 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"n_way": 50}, "50"), ({"trainer": {"max_epoch": 1}}, "did you mean max_epochs"), ({"seed": -1}, "--seed")],
)
def test_what_fit_refuses_is_refused(settings: dict[str, Any], words: str) -> None:
    given = dict(settings)
    more = given.pop("trainer", {}) | ({"seed": given.pop("seed")} if "seed" in given else {})
    with pytest.raises(ValueError, match=words):
        lifelong.dry_run(learner(), stream(**given), **more)


def test_a_folder_in_use_is_refused_as_by_fit() -> None:
    lifelong.fit(learner(), stream(steps_per_experience=1), run="runs/a", logger=False, enable_progress_bar=False)
    with pytest.raises(ValueError, match="in use"):
        lifelong.dry_run(learner(), stream(), run="runs/a")


def test_devices_that_were_not_measured_are_noted() -> None:
    runner = lifelong.TaskRunner(plan="measure")
    notes = " ".join(lifelong.dry_run(learner(), stream(), devices=2, runner=runner).notes)
    assert "one device" in notes
    assert "--runner.plan auto" in notes
