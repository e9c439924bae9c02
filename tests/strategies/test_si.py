from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position, Visit
from lifelong.data.stream import Experience
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.strategy import Step, Strategy
from strategies import EWC, SI
from tests.interrupted import fit_twice
from tests.toys import (
    LEARNERS,
    fit,
    make_classifier,
    make_learner,
    random_episode,
    same,
    toy_data,
    toy_examples,
    weights,
)

RUNNER = TaskRunner()

STEEPNESS = torch.tensor([[0.5, 2.0], [1.0, 0.0]], dtype=torch.float64)
LOWEST = torch.tensor([[1.0, -1.0], [0.5, 3.0]], dtype=torch.float64)


class Bowl:
    """Plain SGD on ``½ Σ h (θ − m)²``, with a strategy at work as a learner calls it."""

    def __init__(self, si: SI, rate: float = 0.1) -> None:
        self.si, self.rate = si, rate
        self.learner = Classifier(nn.Linear(2, 2, bias=False)).double()
        self.theta = self.learner.get_parameter("network.weight")
        with torch.no_grad():
            self.theta.zero_()

    def slope(self, lowest: Tensor) -> Tensor:
        return STEEPNESS * (self.theta.detach() - lowest)

    def learn(self, lowest: Tensor, n_steps: int, number: int = 0) -> Tensor:
        """``−Σ slope · step`` of the loss alone."""
        visit = Visit(Experience(number, "bowl", ()), 2, 0, lambda *_: iter(()))
        self.si.begin(self.learner, visit, runner=RUNNER)
        fall = torch.zeros_like(self.theta)
        for _ in range(n_steps):
            slope, before = self.slope(lowest), self.theta.detach().clone()
            gradient = slope.clone()
            penalty = self.penalty()
            if penalty is not None:
                gradient += torch.autograd.grad(penalty, self.theta)[0]
            self.si.observe(self.learner, {"network.weight": gradient}, Position(number), runner=RUNNER)
            with torch.no_grad():
                self.theta -= self.rate * gradient
            gradient.zero_()  # as an optimizer may
            self.si.stepped(self.learner, Position(number), runner=RUNNER)
            fall -= slope * (self.theta.detach() - before)
        self.si.end(self.learner, visit, runner=RUNNER)
        return fall

    def penalty(self) -> Tensor | None:
        step = Step(random_episode(), {"network.weight": self.theta}, None, torch.zeros(3), Position(1))
        return self.si.penalty(self.learner, step, runner=RUNNER)

    def importance(self) -> Tensor:
        return self.si.quadratic.importance["network.weight"]


@pytest.mark.parametrize("n_steps", [1, 7])
def test_importance_of_sgd_on_a_quadratic_in_closed_form(n_steps: int) -> None:
    si = SI(strength=1.0, damping=0.1)
    bowl = Bowl(si)
    bowl.learn(LOWEST, n_steps)
    left = (1 - bowl.rate * STEEPNESS) ** n_steps
    drop = STEEPNESS / 2 * LOWEST**2 * (1 - left**2)
    # Each step of size r from d to (1 − r h) d has r h² d² where the loss falls by r h² d² (1 − r h / 2).
    omega = drop / (1 - bowl.rate * STEEPNESS / 2)
    torch.testing.assert_close(bowl.importance(), omega / ((LOWEST * (1 - left)) ** 2 + 0.1))


def test_in_the_limit_of_small_steps_it_is_the_drop_of_the_loss() -> None:
    bowl = Bowl(SI(damping=0.1), rate=1e-4)
    bowl.learn(LOWEST, 2000)
    drop = STEEPNESS / 2 * (LOWEST**2 - (bowl.theta.detach() - LOWEST) ** 2)
    torch.testing.assert_close(bowl.importance() * (bowl.theta.detach() ** 2 + 0.1), drop, rtol=2e-4, atol=0)


def test_the_penalty_by_formula() -> None:
    bowl = Bowl(SI(strength=3.0))
    assert bowl.penalty() is None
    bowl.learn(LOWEST, 5)
    anchor = bowl.theta.detach().clone()
    with torch.no_grad():
        bowl.theta += torch.tensor([[0.5, -1.0], [2.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(bowl.penalty(), 3.0 * (bowl.importance() * (bowl.theta - anchor) ** 2).sum())


def test_the_penaltys_own_gradient_is_no_part_of_it() -> None:
    si = SI(strength=20.0, damping=0.1)
    bowl = Bowl(si, rate=0.005)
    first = bowl.learn(LOWEST, 20)
    one, anchor = bowl.importance().clone(), bowl.theta.detach().clone()
    torch.testing.assert_close(one, first / (anchor**2 + 0.1))
    second = bowl.learn(-LOWEST, 20, number=1)
    assert float(second[STEEPNESS > 0].min()) > 0
    moved = (bowl.theta.detach() - anchor) ** 2
    torch.testing.assert_close(bowl.importance(), one + second / (moved + 0.1))


def test_what_raised_the_loss_is_not_important() -> None:
    si = SI()
    bowl = Bowl(si, rate=-0.1)
    assert float(bowl.learn(LOWEST, 3).min()) < 0
    assert float(bowl.importance().min()) == float(bowl.importance().max()) == 0


class Watch(Strategy):
    """The path integral of each experience from the losses themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[dict[str, Tensor]] = []
        self.seen: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> None:
        loss = (step.losses * step.batch.weight).sum() / step.batch.weight.sum()
        found = torch.autograd.grad(loss, list(step.params.values()), retain_graph=True)
        self.seen.append((weights(learner), dict(zip(step.params, found, strict=True))))

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        places = [theta for theta, _ in self.seen] + [weights(learner)]
        walk = zip(self.seen, places[1:], strict=True)
        falls = [{n: -g[n] * (after[n] - theta[n]) for n in g} for (theta, g), after in walk]
        self.path.append({n: torch.stack([f[n] for f in falls]).sum(0) for n in falls[0]})
        self.seen = []


@pytest.mark.parametrize("kind", ["few-shot", "class"])
def test_in_a_real_run_it_is_the_path_integral_of_the_loss(kind: str) -> None:
    si, watch = SI(strength=5.0), Watch()
    found: list[Any] = []

    class Look(Strategy):
        def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
            found.append((si.quadratic.importance, weights(learner)))

    learner = make_learner("ProtoNet") if kind == "few-shot" else make_classifier()
    start = weights(learner)
    fit(learner, toy_data(2) if kind == "few-shot" else toy_examples(kind, 2), [si, watch, Look()])
    total = {name: torch.zeros_like(p) for name, p in start.items()}
    for path, (importance, end) in zip(watch.path, found, strict=True):
        assert max(float(p.max()) for p in path.values()) > 0
        total = {n: t + path[n].clamp_min(0) / ((end[n] - start[n]) ** 2 + 0.1) for n, t in total.items()}
        torch.testing.assert_close(importance, total, rtol=1e-3, atol=1e-6)
        start = end


def test_between_experiences_it_keeps_two_parameter_copies() -> None:
    for n in (1, 3):
        learner, si = make_classifier(), SI()
        fit(learner, toy_examples("class", n), [si])
        assert si.memory_bytes() == 2 * sum(p.nbytes for p in learner.network.parameters())


def test_goes_on_bit_for_bit_in_the_middle_of_an_experience(tmp_path: Path) -> None:
    made: list[SI] = []

    def strategies() -> list[Strategy]:
        made.append(SI(strength=50.0))
        return [made[-1], EWC(n_fisher_tasks=6)]

    for step in (2, 6):  # in the first experience and in the second, each of four steps
        (whole, _), (resumed, _) = fit_twice(
            make_classifier, lambda: toy_examples("task", 3), strategies, tmp_path, step
        )
        assert same(weights(whole), weights(resumed))
        one, two = (si.quadratic.importance for si in made[-2:])
        assert one.keys() == weights(whole).keys()
        assert same(one, two)


@pytest.mark.parametrize("name", LEARNERS)
def test_works_with_every_few_shot_learner(name: str) -> None:
    si = SI(strength=10.0)
    learner = make_learner(name)
    fit(learner, toy_data(2), [si])
    assert all(torch.isfinite(i).all() for i in si.quadratic.importance.values())
    assert sum(float(i.sum()) for i in si.quadratic.importance.values()) > 0


def test_a_parameter_without_a_gradient_is_not_important() -> None:
    si = SI()
    bowl = Bowl(si)
    visit = Visit(Experience(0, "bowl", ()), 2, 0, lambda *_: iter(()))
    si.begin(bowl.learner, visit, runner=RUNNER)
    si.observe(bowl.learner, {}, Position(0), runner=RUNNER)
    si.stepped(bowl.learner, Position(0), runner=RUNNER)
    si.end(bowl.learner, visit, runner=RUNNER)
    assert torch.equal(bowl.importance(), torch.zeros(2, 2, dtype=torch.float64))
    bowl.learn(LOWEST, 3, number=1)
    assert float(bowl.importance().max()) > 0


def test_a_strong_penalty_holds_what_is_important() -> None:
    moved = []
    for strength in (0.01, 1e4):
        ends: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
        si = SI(strength=strength)

        class Look(Strategy):
            def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
                ends.append((si.quadratic.importance, weights(learner)))  # noqa: B023

        fit(make_classifier(), toy_examples("class", 2, steps_per_experience=30), [si, Look()])
        (importance, first), (_, second) = ends
        moved.append(sum(float((i * (second[n] - first[n]).square()).sum()) for n, i in importance.items()))
    assert moved[1] < 0.1 * moved[0]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="strength is -1"):
        SI(strength=-1)
    with pytest.raises(ValueError, match=r"damping is 0.*above 0"):
        SI(damping=0)
