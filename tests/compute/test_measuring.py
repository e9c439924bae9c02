"""How tasks are run fastest: what is tried, what is kept, and that measuring changes nothing else."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute import measuring
from lifelong.compute.measuring import measured, search
from lifelong.compute.plan import Plan
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import MAML, Classifier, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import MLP, Conv4
from lifelong.training import stream_module
from tests.toys import fit, module_of, network, random_episode, toy_data, toy_examples

LOOP, ALL, RUNNER, CPU = Plan("loop"), Plan("vmap"), TaskRunner(plan="measure"), torch.device("cpu")


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


@pytest.mark.parametrize(
    "entry",
    [None, 3, [], {}, {"plan": 3}, {"plan": {"mapping": "loop"}}]
    + [{"plan": asdict(Plan("loop")) | change} for change in ({"mapping": "x"}, {"chunk": 0}, {"graph": 1}, {"a": 1})],
)
def test_an_entry_that_is_no_plan_is_measured_anew(entry: object) -> None:
    assert measuring._plan(entry) is None
    assert measuring._plan({"plan": asdict(Plan("vmap", 4))}) == Plan("vmap", 4)


@pytest.mark.parametrize("content", ["", "[", "3", "[1]", "[" * 100_000, b"\xff\xfe", '{"a": '])
def test_a_broken_tuning_file_is_written_anew(content: str | bytes, cache: Path) -> None:
    cache.write_bytes(content.encode() if isinstance(content, str) else content)
    learner, batch = ProtoNet(MLP(n_inputs=4, hidden=[8], n_outputs=3)), random_episode()
    with pytest.warns(UserWarning, match="are damaged"):
        plan = measured(RUNNER, learner, batch)
    assert measured(RUNNER, learner, batch) == plan
    assert len(json.loads(cache.read_text())) == 1


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
        plan = measured(RUNNER, learner, batch)
    assert f"tasks are run {plan}" in caplog.text
    assert [found["plan"] for found in json.loads(cache.read_text()).values()] == [asdict(plan)]
    monkeypatch.setattr(measuring, "search", None)
    assert measured(RUNNER, learner, batch) == plan
    # A file that cannot be read, or says something else, is as none.
    for damaged in ("{half", "[]", '{"some": {"plan": {"mapping": "vmap", "pieces": 3}}}'):
        cache.write_text(damaged)
        with (
            pytest.raises(TypeError),
            pytest.warns(UserWarning, match=r"the plans in .* are damaged \(.*: they are measured"),
        ):
            measured(RUNNER, learner, batch)


@pytest.mark.parametrize("other", [MAML(nn.Linear(4, 3), n_inner_steps=2), MAML(MLP(n_inputs=4, n_outputs=3))])
def test_another_learner_is_measured_by_itself(cache: Path, other: MAML) -> None:
    for learner in (MAML(nn.Linear(4, 3)), other):
        measured(RUNNER, learner, random_episode())
    assert len(json.loads(cache.read_text())) == 2


def test_measured_plans_are_kept_by_version_and_folder(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, batch = MAML(nn.Linear(4, 3)), random_episode()
    measured(RUNNER, learner, batch)
    measured(RUNNER, learner, batch, tmp_path / "own")
    assert len(json.loads(cache.read_text())) == len(json.loads((tmp_path / "own" / cache.name).read_text())) == 1
    monkeypatch.setattr(measuring, "installed_version", lambda name: f"{name} of tomorrow")
    measured(RUNNER, learner, batch)
    assert len(json.loads(cache.read_text())) == 2


class Noisy(MAML):
    """Draws random numbers."""

    def predict(self, params: dict[str, Tensor], state: dict[str, Tensor], query_x: Tensor) -> Tensor:
        return super().predict(params, state, query_x + torch.randn_like(query_x))


def test_measuring_leaves_learner_and_random_numbers_as_they_are() -> None:
    learner, batch = Noisy(nn.Linear(4, 3)), random_episode()
    before = {name: p.clone() for name, p in learner.named_parameters()}
    state = torch.get_rng_state()
    measured(RUNNER, learner, batch)
    assert torch.equal(torch.get_rng_state(), state)
    for name, p in learner.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None


def test_running_statistics_leave_no_choice(cache: Path) -> None:
    assert measured(RUNNER, ProtoNet(Conv4(n_filters=8, norm="running")), random_episode()) == LOOP
    assert not cache.exists()


@pytest.mark.parametrize(("plan", "is_measured"), [("measure", True), ("auto", False), ("vmap", False)])
def test_training_measures_where_it_is_asked_to(
    plan: PlanName, is_measured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Plan("vmap", 3)
    monkeypatch.setattr(stream_module, "measured", lambda runner, learner, batch: found)
    module = module_of(MAML(nn.Linear(4, 3)), plan=plan)
    fit(module, toy_data(2, steps_per_experience=2, n_way=3))
    assert (module.runner.plan_for(module.learner, CPU) == found) is is_measured


def test_labelled_examples_go_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    # They go through the network in one pass whatever the plan, so that nothing could be found out.
    monkeypatch.setattr(stream_module, "measured", None)
    fit(module_of(Classifier(network(n_outputs=12)), plan="measure"), toy_examples(steps_per_experience=2))


def test_measured_is_the_precision_that_is_trained_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def note(runner: TaskRunner, learner: Learner, batch: Episode) -> Plan:
        seen.append(torch.is_autocast_enabled("cpu"))
        return LOOP

    monkeypatch.setattr(stream_module, "measured", note)
    for precision in ("32-true", "bf16-mixed"):
        module = module_of(MAML(nn.Linear(4, 3)), plan="measure")
        fit(module, toy_data(1, steps_per_experience=1, n_way=3), precision=precision)
    assert seen == [False, True]


def test_a_second_fit_runs_as_the_first_was_measured(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fitted() -> Plan:
        module = module_of(MAML(nn.Linear(4, 3)), plan="measure")
        fit(module, toy_data(1, steps_per_experience=1, n_way=3))
        return module.runner.plan_for(module.learner, CPU)

    first = fitted()
    monkeypatch.setattr(measuring, "search", None)  # must not be called
    assert fitted() == first
    assert len(json.loads(cache.read_text())) == 1
