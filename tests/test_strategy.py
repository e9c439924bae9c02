"""The strategy contract: when hooks are called, what they are given, and what becomes of what they return."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, ClassVar, get_origin, get_type_hints

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

import strategies
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from lifelong.strategy import Chain, Step, Strategy
from tests.interrupted import fit_twice
from tests.toys import fit, make_classifier, make_learner, same, toy_data, toy_examples, weights

STRATEGIES = [getattr(strategies, name) for name in strategies.__all__ if inspect.isclass(getattr(strategies, name))]
STRATEGIES = [kind for kind in STRATEGIES if issubclass(kind, Strategy)]
WITH_RUNNER = [
    "begin",
    "end",
    "rehearse",
    "loss_weight",
    "penalty",
    "observe",
    "project",
    "stepped",
    "respond",
    "diagnose",
    "training_measures",
]
every_strategy = pytest.mark.parametrize("kind", [Strategy, Chain, *STRATEGIES], ids=lambda kind: kind.__name__)


class Steps(Strategy):
    """Notes the position, the weights and the number of gradients of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Position] = []
        self.observed: list[dict[str, Tensor]] = []
        self.moved: list[dict[str, Tensor]] = []

    def observe(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> None:
        self.observed.append(weights(learner))

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        self.seen.append(position)
        self.moved.append(weights(learner))


class Counting(Strategy):
    """Counts the steps, in the checkpoint too."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("n_steps", torch.zeros(()))

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        self.n_steps += 1


# -- signatures -------------------------------------------------------------------------------------------------------


@every_strategy
@pytest.mark.parametrize("hook", WITH_RUNNER)
def test_every_hook_takes_the_runner_by_keyword(kind: type[Strategy], hook: str) -> None:
    own, contract = (inspect.signature(getattr(owner, hook)).parameters for owner in (kind, Strategy))
    assert own["runner"].kind is inspect.Parameter.KEYWORD_ONLY
    assert list(own) == list(contract)


@pytest.mark.parametrize("kind", STRATEGIES, ids=lambda kind: kind.__name__)
def test_settings_are_given_by_keyword(kind: type[Strategy]) -> None:
    parameters = list(inspect.signature(kind).parameters.values())
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)
    assert all(parameter.default is not inspect.Parameter.empty for parameter in parameters)


@pytest.mark.parametrize("kind", STRATEGIES, ids=lambda kind: kind.__name__)
def test_no_class_variable_is_overwritten_on_an_instance(kind: type[Strategy]) -> None:
    shared = [name for name, hint in get_type_hints(kind).items() if get_origin(hint) is ClassVar or hint is ClassVar]
    assert {"streams", "isolates_parameters"} <= set(shared)
    assert not set(shared) & set(vars(kind()))


# -- after the optimizer step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 2])
def test_stepped_is_called_once_for_every_optimizer_step(accumulate: int) -> None:
    steps = Steps()
    fit(make_classifier(), toy_examples("class", 2), [steps], accumulate_grad_batches=accumulate)
    places = [(position.experience, position.step) for position in steps.seen]
    assert places == [(e, s) for e in range(2) for s in range(accumulate - 1, 4, accumulate)]
    assert len(steps.observed) == len(places)


def test_stepped_sees_the_parameters_that_the_step_made() -> None:
    steps, learner = Steps(), make_classifier()
    fit(learner, toy_examples("class", 2), [steps])
    assert same(steps.moved[-1], weights(learner))
    assert not same(steps.observed[0], steps.moved[0])
    for moved, next_one in zip(steps.moved, steps.observed[1:], strict=False):
        assert same(moved, next_one)


@pytest.mark.parametrize("step", [1, 2, 6])
def test_a_checkpoint_after_a_step_has_what_stepped_made_of_it(tmp_path: Path, step: int) -> None:
    made: list[Counting] = []

    def make() -> list[Strategy]:
        made.append(Counting())
        return [made[-1]]

    fit_twice(make_classifier, lambda: toy_examples("class", 2), make, tmp_path, step)
    saved = torch.load(tmp_path / "middle.ckpt", weights_only=False)["state_dict"]["strategies.members.0.n_steps"]
    assert saved == step
    assert [counting.n_steps.item() for counting in made] == [8, 8]


# -- logging ----------------------------------------------------------------------------------------------------------


class Measuring(Strategy):
    def training_measures(self, learner: Learner, step: Step, *, runner: TaskRunner) -> dict[str, Tensor | float]:
        return {"step": float(step.position.step), "loss": step.losses.mean()}


def test_training_measures_are_logged_under_the_strategys_name(tmp_path: Path) -> None:
    logged: list[dict[str, float]] = []

    class Logger(CSVLogger):
        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            logged.append(dict(metrics))

    fit(
        make_classifier(),
        toy_examples("class", 1),
        [Measuring()],
        logger=Logger(tmp_path),
        log_every_n_steps=2,
    )
    rows = [row for row in logged if "train/Measuring/step" in row]
    assert [row["train/Measuring/step"] for row in rows] == [1, 3]
    assert all(row["train/Measuring/loss"] == pytest.approx(row["train/loss"]) for row in rows)


# -- how much the loss counts -----------------------------------------------------------------------------------------


class Weighted(Strategy):
    """Multiplies the loss, and asks for a penalty that is not multiplied."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def loss_weight(self, learner: Learner, position: Position, *, runner: TaskRunner) -> float:
        return self.weight

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor:
        return torch.stack([p.square().sum() for p in step.params.values()]).sum()


class Again(Weighted):
    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> None:  # type: ignore[override]
        """Nothing."""


class Gradients(Strategy):
    """Notes the gradients of every step, and those of the loss alone."""

    def __init__(self) -> None:
        super().__init__()
        self.whole: list[dict[str, Tensor]] = []
        self.of_loss: list[dict[str, Tensor]] = []

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> None:  # type: ignore[override]
        loss = runner.mean(step.losses, step.batch.weight)
        found = torch.autograd.grad(loss, list(step.params.values()), retain_graph=True)
        self.of_loss.append(dict(zip(step.params, found, strict=True)))

    def observe(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> None:
        self.whole.append({name: gradient.clone() for name, gradient in gradients.items()})


def test_loss_weights_multiply_the_loss_and_not_penalties() -> None:
    gradients, learner = Gradients(), make_classifier()
    start = weights(learner)
    fit(learner, toy_examples("class", 1, steps_per_experience=1), [Weighted(0.5), gradients, Again(0.25)])
    (whole,), (of_loss,) = gradients.whole, gradients.of_loss
    expected = {name: 0.125 * gradient + 2 * start[name] for name, gradient in of_loss.items()}
    torch.testing.assert_close(whole, expected)


def test_a_weight_of_one_changes_no_bit() -> None:
    learners = [make_classifier(), make_classifier()]
    for learner, chain in zip(learners, ([], [Again(1.0)]), strict=True):
        fit(learner, toy_examples("class", 2), chain)
    assert same(*map(weights, learners))


# -- the page of the contract ------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[1] / "docs" / "extend" / "strategy.md").read_text(encoding="utf-8")


def test_the_page_names_every_hook_in_the_order_of_calls(tmp_path: Path) -> None:
    calls: list[str] = []

    def note(name: str) -> Any:
        def hook(self: Strategy, *args: Any, **kwargs: Any) -> Any:
            if name not in calls:
                calls.append(name)
            return getattr(Strategy, name)(self, *args, **kwargs)

        return hook

    rows = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.M)
    assert set(rows) == {"attach", "extend", "check", "route", "answered_by", *WITH_RUNNER}
    rows.remove("extend")  # of a stream that got longer alone
    rows.remove("answered_by")  # of a person's own queries alone
    everything = type("Everything", (Strategy,), {name: note(name) for name in rows})
    fit(make_learner("ProtoNet"), toy_data(1), [everything()], logger=CSVLogger(tmp_path), log_every_n_steps=1)
    assert calls == rows


def test_the_example_of_the_page_trains_and_resumes(tmp_path: Path) -> None:
    (text,) = re.findall(r"```python\n# anchor.py\n(.*?)```", PAGE, flags=re.S)
    names: dict[str, Any] = {}
    exec(text, names)
    (whole, _), (resumed, _) = fit_twice(
        make_classifier, lambda: toy_examples("domain", 3), lambda: [names["Anchor"](strength=0.1)], tmp_path, step=6
    )
    plain = make_classifier()
    fit(plain, toy_examples("domain", 3))
    assert same(weights(whole), weights(resumed))
    assert not same(weights(whole), weights(plain))
