"""How tasks are run fastest: what is tried, what is kept, and that measuring changes nothing else."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute import measuring as tuning
from lifelong.compute.measuring import fastest_plan, search
from lifelong.compute.plan import Plan
from lifelong.data.episode import Episode
from lifelong.learners import MAML, Classifier, ProtoNet
from lifelong.learners import base as learner_module
from lifelong.learners.base import Learner
from lifelong.networks import MLP, Conv4
from lifelong.training.optimizer import OuterLoop
from tests.toys import fit, network, random_episode, toy_data, toy_examples

LOOP, ALL = Plan("loop"), Plan("vmap")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))
    return tmp_path / "tuning.json"


@pytest.mark.parametrize(
    ("by_size", "best", "tried"),
    [
        ({1: 1.0, 4: 2.5}, LOOP, 2),  # so much slower that more at once is not tried
        ({1: 1.0, 4: 1.2, 16: 0.7, 64: 0.5}, ALL, 4),
        ({1: 1.0, 4: 0.6, 16: 0.7}, Plan("vmap", 4), 3),
        ({1: 1.0, 4: 0.6, 16: 0.3, 64: float("inf")}, Plan("vmap", 16), 4),  # all together do not fit
        ({1: 1.0, 4: 0.97, 16: 0.96, 64: 0.96}, LOOP, 4),  # noise is no reason
    ],
)
def test_more_at_once_is_tried_while_it_may_pay(by_size: dict[int, float], best: Plan, tried: int) -> None:
    plan, found = search(lambda plan, n: by_size[1 if plan == LOOP else n], 64)
    assert plan == best
    assert len(found) == tried


@pytest.mark.parametrize("busy", [LOOP, Plan("vmap")])
@pytest.mark.parametrize("together", [0.5, 2.0])
def test_a_moment_in_which_the_machine_is_busy_decides_nothing(busy: Plan, together: float) -> None:
    asked: list[Plan] = []

    def seconds(plan: Plan, n: int) -> float:
        asked.append(plan)
        slowed = 8 if plan == busy and asked.count(plan) == 1 else 1
        return slowed * (1.0 if plan == LOOP else together)

    plan, found = search(seconds, 2)
    assert plan == (Plan("vmap") if together < 1 else LOOP)
    assert found == {LOOP: 1.0, Plan("vmap"): together}


@pytest.mark.parametrize(("captured", "graph"), [(0.3, True), (0.49, False)])
def test_the_best_is_tried_as_a_graph(captured: float, graph: bool) -> None:
    plan, found = search(lambda plan, n: captured if plan.graph else 0.5, 2, may_capture=True)
    assert plan.graph is graph
    assert len(found) == 3


def test_what_is_found_is_told_kept_and_not_measured_again(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, batch = MAML(nn.Linear(4, 3)), random_episode()
    with caplog.at_level(logging.INFO, logger="lightning.pytorch.utilities.rank_zero"):
        plan = fastest_plan(learner, batch)
    assert f"tasks are run {plan}" in caplog.text
    assert [found["plan"] for found in json.loads(cache.read_text()).values()] == [asdict(plan)]
    monkeypatch.setattr(tuning, "search", None)
    assert fastest_plan(learner, batch) == plan
    cache.write_text("{half")  # a file that cannot be read is as none
    with pytest.raises(TypeError):
        fastest_plan(learner, batch)


@pytest.mark.parametrize("other", [MAML(nn.Linear(4, 3), n_inner_steps=2), MAML(MLP(n_inputs=4, n_outputs=3))])
def test_another_learner_is_measured_by_itself(cache: Path, other: MAML) -> None:
    for learner in (MAML(nn.Linear(4, 3)), other):
        fastest_plan(learner, random_episode())
    assert len(json.loads(cache.read_text())) == 2


def test_another_version_measures_anew_and_a_folder_of_its_own_has_a_file_of_its_own(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, batch = MAML(nn.Linear(4, 3)), random_episode()
    fastest_plan(learner, batch)
    fastest_plan(learner, batch, tmp_path / "own")
    assert len(json.loads(cache.read_text())) == len(json.loads((tmp_path / "own" / cache.name).read_text())) == 1
    monkeypatch.setattr(tuning, "installed_version", lambda name: f"{name} of tomorrow")
    fastest_plan(learner, batch)
    assert len(json.loads(cache.read_text())) == 2


class Noisy(MAML):
    """Draws random numbers."""

    def predict(self, params: dict[str, Tensor], state: dict[str, Tensor], query_x: Tensor) -> Tensor:
        return super().predict(params, state, query_x + torch.randn_like(query_x))


def test_measuring_leaves_learner_and_random_numbers_as_they_are() -> None:
    learner, batch = Noisy(nn.Linear(4, 3)), random_episode()
    before = {name: p.clone() for name, p in learner.named_parameters()}
    state = torch.get_rng_state()
    fastest_plan(learner, batch)
    assert torch.equal(torch.get_rng_state(), state)
    assert learner.measured_plan is None
    for name, p in learner.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None


def test_running_statistics_leave_no_choice(cache: Path) -> None:
    assert fastest_plan(ProtoNet(Conv4(n_filters=8, norm="running")), random_episode()) == LOOP
    assert not cache.exists()


@pytest.mark.parametrize(
    ("outer", "measured"),
    [(OuterLoop(), True), (OuterLoop(mapping="vmap"), False), (OuterLoop(chunk=2), False)],
)
def test_training_measures_where_the_choice_is_open(
    outer: OuterLoop, measured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner_module, "WORTH_MEASURING", 4)
    monkeypatch.setattr(learner_module, "fastest_plan", lambda learner, batch: Plan("vmap", len(batch) - 1))
    learner = MAML(nn.Linear(4, 3), outer=outer)
    fit(learner, toy_data(2, steps_per_experience=2, tasks_per_batch=4, n_way=3))
    assert (learner.measured_plan == Plan("vmap", 3)) is measured
    assert learner.plan(torch.device("cpu")).chunk == (3 if measured else outer.chunk)


def test_labelled_examples_go_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    # They go through the network in one pass whatever the plan, so that nothing could be found out.
    monkeypatch.setattr(learner_module, "WORTH_MEASURING", 1)
    monkeypatch.setattr(learner_module, "fastest_plan", None)
    learner = Classifier(network(n_outputs=12))
    fit(learner, toy_examples(steps_per_experience=2))
    assert learner.measured_plan is None


def test_measured_is_the_precision_that_is_trained_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def look(learner: Learner, batch: Episode) -> Plan:
        seen.append(torch.is_autocast_enabled("cpu"))
        return Plan("loop")

    monkeypatch.setattr(learner_module, "WORTH_MEASURING", 1)
    monkeypatch.setattr(learner_module, "fastest_plan", look)
    for precision in ("32-true", "bf16-mixed"):
        fit(MAML(nn.Linear(4, 3)), toy_data(1, steps_per_experience=1, n_way=3), precision=precision)
    assert seen == [False, True]


def test_short_trainings_go_by_rule() -> None:
    learner = MAML(nn.Linear(4, 3))
    fit(learner, toy_data(2, steps_per_experience=2, n_way=3))
    assert learner.measured_plan is None


@pytest.mark.parametrize(("device", "plan"), [("cpu", Plan("loop")), ("cuda", None)])
def test_a_run_that_goes_on_keeps_its_plan_on_the_same_kind_of_device(device: str, plan: Plan | None) -> None:
    first, second = MAML(nn.Linear(4, 3)), MAML(nn.Linear(4, 3))
    first.measured_plan = Plan("loop")
    checkpoint: dict[str, dict[str, dict[str, str]]] = {}
    first.on_save_checkpoint(checkpoint)
    checkpoint["lifelong"]["plan"]["device"] = device
    second.on_load_checkpoint(checkpoint)
    assert second.measured_plan == plan
