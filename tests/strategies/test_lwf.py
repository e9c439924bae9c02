import math
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
from strategies.lwf import binary_distillation, distillation
from strategies.memory.budget import Budget
from tests.interrupted import fit_twice
from tests.toys import AtEnd, fit, make_classifier, make_learner, random_episode, same, toy_data, toy_examples, weights

RUNNER = TaskRunner()

KINDS = ["class", "domain", "task"]


def examples(x: Tensor, y: list[int], ways: list[int]) -> Episode:
    """Examples ``(B, D)`` that are told apart from the same ways."""
    labels, classes = torch.tensor(y)[:, None], torch.tensor(ways).expand(len(y), -1)
    return Episode(x[:, None][:, :0], labels[:, :0], x[:, None], labels, torch.ones(len(y)), len(ways), classes)


def step_on(learner: Learner, batch: Episode, n_own: int | None = None) -> Step:
    params = learner.meta_parameters()
    losses, outputs = RUNNER.losses_and_outputs(learner, params, batch)
    return Step(batch, params, outputs, losses, Position(3, n_tasks=len(batch) if n_own is None else n_own))


def linear(n_classes: int = 4, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(nn.Linear(2, n_classes, bias=False))


def teach(lwf: LwF, learner: Learner, heads: list[list[int]], n_past: int) -> None:
    """As if the learner had ended its experiences."""
    lwf.old = {name: p.detach().clone() for name, p in learner.meta_parameters().items()}
    lwf.heads, lwf.n_past = [torch.tensor(head) for head in heads], n_past


def grad_of(value: Tensor, learner: Learner) -> Tensor:
    (gradient,) = torch.autograd.grad(value, [learner.network.weight])  # type: ignore[list-item]
    return gradient


def test_distillation_by_hand() -> None:
    # At temperature 2: (3/4, 1/4) taught to (1/2, 1/2).
    old, new = torch.tensor([2 * math.log(3), 0.0]), torch.zeros(2, requires_grad=True)
    value = distillation(new, old, 2.0)
    assert value.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    (gradient,) = torch.autograd.grad(value, new)
    torch.testing.assert_close(gradient, torch.tensor([(0.5 - 0.75) / 2, (0.5 - 0.25) / 2]))


def test_binary_distillation_by_hand() -> None:
    # At temperature 2: yes with 3/4 and 1/2, taught to 1/2 and 1/4.
    old = torch.tensor([2 * math.log(3), 0.0])
    new = torch.tensor([0.0, -2 * math.log(3)], requires_grad=True)
    first = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    second = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    value = binary_distillation(new, old, 2.0)
    assert value.item() == pytest.approx(first + second)
    (gradient,) = torch.autograd.grad(value, new)
    torch.testing.assert_close(gradient, torch.tensor([(0.5 - 0.75) / 2, (0.25 - 0.5) / 2]))


def test_sigmoid_outputs_are_distilled_class_by_class() -> None:
    learner, teacher, lwf, x = linear(), linear(seed=1), LwF(), torch.randn(3, 2)
    learner = Classifier(learner.network, loss="sigmoid")
    teach(lwf, teacher, [[0, 1]], n_past=1)
    step = step_on(learner, examples(x, [2, 3, 2], [0, 1, 2, 3]))
    new, old = (RUNNER.outputs(one, one.meta_parameters(), step.batch)[:, 0, :2] for one in (learner, teacher))
    torch.testing.assert_close(lwf.distances(learner, step, step.batch, RUNNER), binary_distillation(new, old, 2.0))


def test_the_penalty_by_hand() -> None:
    learner, teacher, x = linear(), linear(seed=1), torch.randn(3, 2, generator=torch.Generator().manual_seed(2))
    batch = examples(x, [2, 3, 2], [0, 1, 2, 3])

    def by_hand(weight: float) -> Tensor:
        old, new = ((x @ one.network.weight[:2].T / 3).softmax(-1) for one in (teacher, learner))  # type: ignore[index]
        return weight * (old.detach() * (old.detach() / new).log()).sum(-1).mean()

    for settings, weight in (({}, 2.0), ({"weighting": 1.5}, 1.5)):
        lwf = LwF(temperature=3.0, **settings)  # type: ignore[arg-type]
        teach(lwf, teacher, [[0, 1]], n_past=2)
        penalty = lwf.penalty(learner, step_on(learner, batch), runner=RUNNER)
        assert penalty is not None
        torch.testing.assert_close(penalty, by_hand(weight))
        torch.testing.assert_close(grad_of(penalty, learner), grad_of(by_hand(weight), learner))


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_among_all_ways_new_classes_have_no_chance(loss: Any) -> None:
    learner, teacher, lwf, x = linear(5), linear(5, seed=1), LwF(among="ways"), torch.randn(3, 2)
    learner = Classifier(learner.network, loss=loss)
    teach(lwf, teacher, [[0, 2]], n_past=1)
    step = step_on(learner, examples(x, [0, 1, 0], [0, 1, 2, 3]))
    new, old = (x @ one.network.weight.T / 2 for one in (learner, teacher))  # type: ignore[union-attr, operator]
    found = lwf.distances(learner, step, step.batch, RUNNER)
    if loss == "softmax":
        taught = old[:, [0, 2]].softmax(-1)
        expected = (taught * (taught.log() - new[:, :4].log_softmax(-1)[:, [0, 2]])).sum(-1)
    else:
        no = -nn.functional.logsigmoid(-new[:, [1, 3]]).sum(-1)
        expected = binary_distillation(2 * new[:, [0, 2]], 2 * old[:, [0, 2]], 2.0) + no
    torch.testing.assert_close(found, expected)
    gradient = grad_of(found.sum(), learner)
    assert (gradient[:4] != 0).all()
    assert (gradient[4] == 0).all()


def test_among_all_the_old_answers_to_all_ways_are_the_targets() -> None:
    learner, teacher, lwf, x = linear(5), linear(5, seed=1), LwF(among="all"), torch.randn(3, 2)
    teach(lwf, teacher, [[0, 2]], n_past=1)
    step = step_on(learner, examples(x, [0, 1, 0], [0, 1, 2, 3]))
    new, old = ((x @ one.network.weight.T)[:, :4] / 2 for one in (learner, teacher))  # type: ignore[union-attr, operator, index]
    expected = (old.softmax(-1) * (old.log_softmax(-1) - new.log_softmax(-1))).sum(-1)
    torch.testing.assert_close(lwf.distances(learner, step, step.batch, RUNNER), expected)


def test_among_all_equals_seen_where_experiences_have_heads() -> None:
    found = []
    for among in ("seen", "all"):
        learner, lwf, x = linear(4), LwF(among=among), torch.arange(8.0).reshape(4, 2)  # type: ignore[arg-type]
        teach(lwf, linear(4, seed=1), [[0, 1]], n_past=1)
        step = step_on(learner, examples(x, [0, 1, 0, 1], [2, 3]))
        found.append(lwf.distances(learner, step, step.batch, RUNNER))
    assert torch.equal(*found)
    assert found[0].gt(0).all()


@pytest.mark.parametrize("ways", [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [2, 3]], ids=["seen", "all", "current"])
def test_new_and_unseen_classes_are_not_distilled(ways: list[int]) -> None:
    learner, lwf = linear(6), LwF()
    teach(lwf, linear(6, seed=1), [[0, 1]], n_past=1)
    x = torch.randn(4, 2)
    step = step_on(learner, examples(x, [0, 1, 0, 1] if ways == [2, 3] else [2, 3, 2, 3], ways))
    gradient = grad_of(lwf.distances(learner, step, step.batch, RUNNER).sum(), learner)
    assert (gradient[:2] != 0).all()
    assert (gradient[2:] == 0).all()


def test_every_earlier_head_is_distilled_and_counts_alike() -> None:
    learner, teacher, lwf, x = linear(7), linear(7, seed=1), LwF(), torch.randn(3, 2)
    teach(lwf, teacher, [[0, 1, 2], [3, 4]], n_past=2)
    step = step_on(learner, examples(x, [0, 1, 0], [5, 6]))
    new, old = (x @ one.network.weight.T for one in (learner, teacher))  # type: ignore[union-attr, operator]
    heads = [distillation(new[:, h], old[:, h], 2.0) for h in (slice(0, 3), slice(3, 5))]
    torch.testing.assert_close(lwf.distances(learner, step, step.batch, RUNNER), (heads[0] + heads[1]) / 2)


@pytest.mark.parametrize(("ways", "passes"), [([0, 1, 2, 3], 1), ([2, 3], 2)])
def test_the_pass_of_the_loss_is_used_again_where_it_can_be(ways: list[int], passes: int) -> None:
    learner, lwf, calls = linear(), LwF(), []
    teach(lwf, linear(seed=1), [[0], [1]], n_past=2)
    step = step_on(learner, examples(torch.randn(3, 2), [0, 1, 0], ways))
    learner.network.register_forward_hook(lambda *_: calls.append(1))
    lwf.penalty(learner, step, runner=RUNNER)
    assert len(calls) == passes


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
