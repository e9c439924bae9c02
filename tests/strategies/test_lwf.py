"""Learning without Forgetting in a stream: weighting, learners, heads, memory, resuming and ranks."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.strategy import Step, Strategy
from strategies import LwF, Replay
from strategies.memory.budget import Budget
from tests.interrupted import fit_twice
from tests.strategies.distilling import KINDS, RUNNER, examples, linear, step_on, teach
from tests.toys import AtEnd, fit, make_classifier, make_learner, random_episode, same, toy_data, toy_examples, weights


class Gradients(Strategy):
    """Notes the gradients of every step: of the loss alone, of LwF's distance alone, and the ones that are stepped."""

    def __init__(self, lwf: LwF) -> None:
        super().__init__()
        self.lwf = lwf
        self.rows: list[tuple[int, Tensor, Tensor]] = []
        self.stepped_with: list[Tensor] = []

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> None:  # type: ignore[override]
        params = list(step.params.values())
        loss = runner.mean(step.losses, step.batch.weight)
        values = [loss, self.lwf.distances(learner, step, step.batch, runner).mean()] if self.lwf.old else [loss]
        found = [torch.autograd.grad(value, params, retain_graph=True) for value in values]
        flat = [torch.cat([gradient.flatten() for gradient in gradients]) for gradients in found]
        self.rows.append((step.position.experience + 1, flat[0], flat[-1] if self.lwf.old else 0 * flat[0]))

    def observe(self, learner: Learner, gradients: Any, position: Position, *, runner: TaskRunner) -> None:
        self.stepped_with.append(torch.cat([gradient.flatten() for gradient in gradients.values()]))


@pytest.mark.parametrize("weighting", ["experience", "normalised", 0.7])
def test_loss_and_distance_are_weighted_as_the_formula_says(weighting: Any) -> None:
    lwf = LwF(weighting=weighting)
    gradients = Gradients(lwf)
    fit(make_classifier(), toy_examples("domain", 3), [lwf, gradients])
    assert [t for t, _, _ in gradients.rows] == [1] * 4 + [2] * 4 + [3] * 4
    for (t, of_loss, of_distance), whole in zip(gradients.rows, gradients.stepped_with, strict=True):
        if weighting == "experience":
            expected = of_loss + (t - 1) * of_distance
        elif weighting == "normalised":
            expected = of_loss / t + (1 - 1 / t) * of_distance
        else:
            expected = of_loss + weighting * of_distance
        torch.testing.assert_close(whole, expected)
    assert gradients.rows[-1][2].abs().max() > 0


class Watched(LwF):
    """Notes at the first step of each experience the distances, and whether they have a gradient."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.seen: list[tuple[int, float, float]] = []

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        if self.old and step.position.step == 0:
            distances = self.distances(learner, step, step.batch, runner)
            learnt = [p for p in step.params.values() if p.requires_grad]
            gradients = torch.autograd.grad(distances.sum(), learnt, retain_graph=True, allow_unused=True)
            largest = max(float(g.abs().max()) for g in gradients if g is not None)
            self.seen.append((step.position.experience, float(distances.detach().abs().max()), largest))
        return super().penalty(learner, step, runner=runner)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_pulls_at_the_moment_after_an_end(kind: str) -> None:
    lwf = Watched()
    fit(make_classifier(), toy_examples(kind, 3), [lwf])
    assert [experience for experience, _, _ in lwf.seen] == [1, 2]
    assert all(distance < 1e-6 and gradient < 1e-6 for _, distance, gradient in lwf.seen)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MAML", "vector"),
        ("MAML", "regression"),
        ("IMAML", "vector"),
        ("Reptile", "vector"),
        ("ProtoNet", "vector"),
        ("ProtoNet", "image"),
        ("RelationNet", "vector"),
        ("SimpleShot", "vector"),
        ("NoAdaptation", "vector"),
    ],
)
def test_few_shot_learners_begin_at_zero_and_are_held(name: str, kind: str) -> None:
    steps = 4 if kind != "image" else 2
    lwf, plain, held = Watched(), make_learner(name, kind), make_learner(name, kind)
    fit(held, toy_data(2, kind, steps_per_experience=steps, n_eval_tasks=4), [lwf])
    fit(plain, toy_data(2, kind, steps_per_experience=steps, n_eval_tasks=4))
    ((_, distance, gradient),) = lwf.seen
    assert distance < 1e-4
    assert gradient < 1e-3
    assert not same(weights(plain), weights(held))
    step = step_on(held, random_episode(kind))
    moved = {n: p + 0.1 * torch.randn_like(p) for n, p in step.params.items()}
    losses, outputs = RUNNER.losses_and_outputs(held, moved, step.batch)
    apart = lwf.distances(held, Step(step.batch, moved, outputs, losses, step.position), step.batch, RUNNER)
    assert apart.shape == (3,)
    assert (apart > 1e-4).all()


def test_real_targets_are_distilled_by_the_loss_itself() -> None:
    learner, lwf, batch = make_learner("NoAdaptation", "regression"), LwF(), random_episode("regression")
    teacher = make_learner("NoAdaptation", "regression")
    with torch.no_grad():
        for p in teacher.parameters():
            p.add_(0.1)
    teach(lwf, teacher, [[0]], n_past=1)
    new, old = (RUNNER.outputs(one, one.meta_parameters(), batch) for one in (learner, teacher))
    distances = lwf.distances(learner, step_on(learner, batch), batch, RUNNER)
    torch.testing.assert_close(distances, (new - old).square().mean((1, 2)))


def test_a_pretrained_classifier_is_distilled_at_seen_classes() -> None:
    learner, lwf = make_learner("SimpleShot"), LwF()
    fit(learner, toy_data(2), [lwf])
    lwf.heads = [torch.tensor([1, 4])]
    batch = random_episode()
    params = {n: p + 0.1 * torch.randn_like(p) for n, p in learner.meta_parameters().items()}
    losses, outputs = RUNNER.losses_and_outputs(learner, params, batch)
    step = Step(batch, params, outputs, losses, Position(1, n_tasks=3))
    (gradient,) = torch.autograd.grad(lwf.distances(learner, step, batch, RUNNER).sum(), [params["classifier.bias"]])
    assert gradient.nonzero().flatten().tolist() == [1, 4]


@pytest.mark.parametrize(
    ("kind", "classes", "expected"),
    [
        ("class", "seen", [list(range(8))]),
        ("class", "all", [list(range(8))]),
        ("class", "current", [list(range(8))]),
        ("domain", "seen", [list(range(4))]),
        ("task", "seen", [[0, 1, 2, 3], [4, 5, 6, 7]]),
    ],
)
def test_heads_are_the_classes_seen(kind: str, classes: str, expected: list[list[int]]) -> None:
    lwf, found = LwF(), []
    fit(
        make_classifier(),
        toy_examples(kind, 3, classes=classes),
        [lwf, AtEnd(lambda: found.append([h.tolist() for h in lwf.heads]))],
    )
    assert found[1] == expected


def test_rehearsed_units_are_not_distilled() -> None:
    learner, lwf = linear(), LwF()
    teach(lwf, linear(seed=1), [[0, 1]], n_past=1)
    own = examples(torch.randn(2, 2), [2, 3], [0, 1, 2, 3])
    old = examples(torch.randn(3, 2), [0, 1, 0], [0, 1, 2, 3]).weighted(0.5)
    joined = step_on(learner, Episode.cat([own, old]), n_own=2)
    alone = step_on(learner, own)
    penalty = lwf.penalty(learner, joined, runner=RUNNER)
    assert penalty is not None
    torch.testing.assert_close(penalty, lwf.distances(learner, alone, own, RUNNER).mean())


@pytest.mark.parametrize("passes", [False, True])
def test_the_streams_own_units_are_those_of_the_step(passes: bool) -> None:
    found: list[bool] = []

    class Own(LwF):
        def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
            self.n_own = len(batch)
            return batch

        def distances(self, learner: Learner, step: Step, own: Episode, runner: TaskRunner) -> Tensor:
            found.append(len(own) == self.n_own < len(step.batch))
            return super().distances(learner, step, own, runner)

    steps = {"steps_per_experience": None, "passes": 1, "batch_size": 7} if passes else {}
    fit(make_classifier(), toy_examples("class", 2, **steps), [Own(), Replay(budget=Budget(examples=12))])
    assert found
    assert all(found)


def test_old_and_new_learner_have_their_own_statistics() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 12))
    batch_norm: Any = network[2]
    learner, lwf = Classifier(network), LwF()
    data = toy_examples("task", 2)
    fit(learner, data, [lwf])
    learner.eval()
    batch = data.draw(data.stream.experiences[1], "train", range(4)).gather(torch.device("cpu"))
    step = step_on(learner, batch)
    new, ask = lwf._answers(learner, step, batch, RUNNER)
    lwf._answers = lambda *_: (new, ask)  # type: ignore[method-assign, assignment]
    learner.train()
    network[3].eval()
    with torch.no_grad():
        for tensor in (*network.parameters(), batch_norm.running_mean):
            tensor.add_(1.0)
    running, modes = batch_norm.running_mean.clone(), [m.training for m in network.modules()]
    assert (lwf.distances(learner, step, batch, RUNNER) < 1e-6).all()
    assert torch.equal(batch_norm.running_mean, running)
    assert [m.training for m in network.modules()] == modes


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_in_the_middle_of_an_experience_it_is_the_same(tmp_path: Path, kind: str) -> None:
    (whole, a), (parts, b) = fit_twice(make_classifier, partial(toy_examples, kind), lambda: [LwF()], tmp_path, 10)
    assert same(weights(whole), weights(parts))
    assert np.array_equal(a.matrix(), b.matrix())


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_one_learner_after_any_experience(kind: str) -> None:
    sizes = []
    for n in (2, 3):
        lwf, learner = LwF(), make_classifier()
        fit(learner, toy_examples(kind, n), [lwf])
        labels = sum(8 * len(head) for head in lwf.heads)
        sizes.append(lwf.memory_bytes() - labels)
    assert sizes == [sum(p.nbytes for p in learner.network.parameters())] * 2


def test_a_strong_weight_holds_the_outputs_of_an_old_head() -> None:
    moved = []
    for strategies in ([], [LwF(weighting=100.0)]):
        learner, answers = make_classifier(), []
        data = toy_examples("task", 2, steps_per_experience=30)
        batch = data.draw(data.stream.experiences[1], "train", range(16)).gather(torch.device("cpu"))
        asked = replace(batch, classes=torch.arange(4).expand(16, 4))
        look = AtEnd(lambda: answers.append(RUNNER.outputs(learner, learner.meta_parameters(), asked).softmax(-1)))  # noqa: B023
        fit(learner, data, [*strategies, look])
        moved.append(float((answers[1] - answers[0]).detach().abs().mean()))
    assert moved[1] < 0.2 * moved[0]


def test_ranks_share_the_penalty() -> None:
    learner, lwf = linear(), LwF()
    teach(lwf, linear(seed=1), [[0, 1]], n_past=1)
    whole = examples(torch.randn(4, 2), [2, 3, 2, 3], [0, 1, 2, 3])
    parts = []
    for rank in range(2):
        step = step_on(learner, whole.take(slice(rank, None, 2)))
        position = Position(1, n_tasks=4, rank=rank, world=2)
        parts.append(
            lwf.penalty(learner, Step(step.batch, step.params, step.outputs, step.losses, position), runner=RUNNER)
        )
    alone = lwf.penalty(learner, step_on(learner, whole), runner=RUNNER)
    assert alone is not None
    torch.testing.assert_close((parts[0] + parts[1]) / 2, alone)  # type: ignore[operator]


@pytest.mark.parametrize(("settings", "found"), [({"temperature": 0.0}, "temperature is 0"), ({"weighting": -1}, "-1")])
def test_settings_out_of_range_are_refused(settings: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        LwF(**settings)
