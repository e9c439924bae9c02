from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position, Visit
from lifelong.data.stream import Experience
from lifelong.learners.base import Learner
from lifelong.strategy import Step
from strategies import EWC
from strategies.importance.fisher import fisher_diagonal
from tests.toys import fit, make_classifier, make_learner, random_episode, toy_data, toy_examples

RUNNER = TaskRunner()


def penalty(ewc: EWC, theta: dict[str, Tensor]) -> Tensor:
    value = ewc.penalty(make_learner(), Step(random_episode(), theta, None, torch.zeros(3), Position(1)), runner=RUNNER)
    assert value is not None
    return value


def quadratics(n: int = 3) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    made = []
    for _ in range(n):
        fisher = {"a": torch.rand(4, dtype=torch.float64), "b": torch.rand(2, 3, dtype=torch.float64)}
        fisher["a"][0] = 0.0
        made.append((fisher, {k: torch.randn_like(f) for k, f in fisher.items()}))
    return made


def test_the_merged_quadratic_equals_the_sum() -> None:
    ewc, parts = EWC(strength=3.0), quadratics()
    for fisher, anchor in parts:
        ewc._merge({k: f.clone() for k, f in fisher.items()}, {k: a.clone() for k, a in anchor.items()})
    theta = {k: torch.randn_like(v).requires_grad_() for k, v in parts[0][0].items()}
    explicit = 1.5 * sum((f[k] * (theta[k] - a[k]) ** 2).sum() for f, a in parts for k in f)
    merged = penalty(ewc, theta)
    torch.testing.assert_close(merged, explicit)
    gradients = [torch.autograd.grad(value, list(theta.values())) for value in (merged, explicit)]
    torch.testing.assert_close(*gradients)


def test_online_keeps_the_newest_anchor_and_a_decayed_fisher() -> None:
    ewc, ((f1, a1), (f2, a2), (f3, a3)) = EWC(strength=2.0, online=True, decay=0.5), quadratics()
    for fisher, anchor in ((f1, a1), (f2, a2), (f3, a3)):
        ewc._merge(fisher, anchor)
    theta = {k: torch.randn_like(v) for k, v in f1.items()}
    expected = sum(((f3[k] + 0.5 * f2[k] + 0.25 * f1[k]) * (theta[k] - a3[k]) ** 2).sum() for k in f1)
    torch.testing.assert_close(penalty(ewc, theta), expected)


@pytest.mark.parametrize("labels", ["exact", "sampled", "empirical"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MAML", "vector"),
        ("ProtoNet", "vector"),
        ("NoAdaptation", "vector"),
        ("MAML", "regression"),
        ("Classifier", "class"),
        ("Classifier", "domain"),
        ("Classifier", "task"),
    ],
)
def test_penalty_begins_with_the_second_experience(name: str, kind: str, labels: str) -> None:
    found: dict[int, list[float | None]] = {}

    class Watched(EWC):
        def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
            value = super().penalty(learner, step, runner=runner)
            found.setdefault(step.position.experience, []).append(None if value is None else value.item())
            return value

    of_examples = name == "Classifier"
    fit(
        make_classifier() if of_examples else make_learner(name, kind),
        toy_examples(kind) if of_examples else toy_data(3, kind),
        [Watched(strength=10.0, n_fisher_tasks=6, labels=labels)],  # type: ignore[arg-type]
    )
    assert found[0] == [None] * 4
    assert found[1][0] == 0
    assert all(v is not None and v > 0 for v in (*found[1][1:], *found[2]))


def test_fisher_is_a_mean_over_tasks_and_memory_does_not_grow() -> None:
    sizes = []
    for n in (1, 2, 3):
        ewc = EWC(n_fisher_tasks=6)
        learner = make_learner()
        fit(learner, toy_data(n), [ewc])
        sizes.append(ewc.memory_bytes())
    assert sizes == [2 * sum(p.nbytes for p in learner.network.parameters())] * 3


@pytest.mark.parametrize("name", ["MAML", "ProtoNet"])
def test_the_fisher_is_the_mean_over_the_tasks(name: str) -> None:
    learner, whole, ewc = make_learner(name), random_episode(n_tasks=4), EWC(n_fisher_tasks=4, labels="exact")

    def batches(purpose: str, n_tasks: int) -> Iterator[tuple[Sequence[int], Episode]]:
        assert (purpose, n_tasks) == ("fisher", 4)
        yield from ((range(i, i + 2), whole.take(slice(i, i + 2))) for i in (0, 2))

    ewc.end(learner, Visit(Experience(0, "one", ()), 2, 3, batches), runner=RUNNER)
    total = fisher_diagonal(learner, [(whole, torch.empty(4, 0))], "exact", RUNNER)
    torch.testing.assert_close(ewc.fisher, {n: f / 4 for n, f in total.items()})


def test_a_strong_penalty_holds_the_weights() -> None:
    moved = []
    for strength in (1.0, 1e5):
        learner, ewc = make_learner("ProtoNet"), EWC(strength=strength, n_fisher_tasks=6)
        fit(learner, toy_data(2, steps_per_experience=20), [ewc])
        first = make_learner("ProtoNet")
        fit(first, toy_data(1, steps_per_experience=20))
        pairs = zip(learner.network.parameters(), first.network.parameters(), strict=True)
        moved.append(sum((a - b).square().sum().item() for a, b in pairs))
    assert moved[1] < 0.7 * moved[0]


def test_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match=r"strength is -1"):
        EWC(strength=-1)


@pytest.mark.parametrize("name", ["MAML", "SimpleShot", "NoAdaptation"])
def test_a_tasks_random_numbers_depend_on_its_index_alone(name: str) -> None:
    learner, whole, ewc = make_learner(name), random_episode(n_tasks=4), EWC(n_fisher_tasks=4)

    def numbers(*shares: list[int]) -> Tensor:
        def batches(purpose: str, n_tasks: int) -> Iterator[tuple[Sequence[int], Episode]]:
            for i in shares:
                yield i, Episode(*(t[i] for t in whole.tasks()[:4]), whole.weight[i], whole.n_way)

        visit = Visit(Experience(1, "one", ()), 2, 3, batches)
        return torch.cat([uniform for _, uniform in ewc._batches(learner, visit, RUNNER)])

    found = numbers([0, 1, 2, 3])
    assert found.shape == {"MAML": (4, 6, 3), "SimpleShot": (4, 12, 12), "NoAdaptation": (4, 12, 3)}[name]
    assert len(found.unique()) == found.numel()
    assert torch.equal(numbers([0], [1, 2], [3]), found)
    assert torch.equal(numbers([1, 3]), found[1::2])


@pytest.mark.parametrize("labels", ["exact", "sampled"])
def test_all_examples_are_taken_where_no_number_is_given(labels: str) -> None:
    found = []
    for n in (None, 32, 31):
        ewc = EWC(n_fisher_tasks=n, labels=labels)  # type: ignore[arg-type]
        fit(make_classifier(), toy_examples("domain", 1), [ewc])
        found.append(ewc.fisher["network.head.weight"])
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_all_of_few_shot_tasks_are_no_number() -> None:
    with pytest.raises(ValueError, match=r"n_fisher_tasks is not set.*without end.*such as 100"):
        fit(make_learner(), toy_data(1), [EWC(n_fisher_tasks=None)])
    with pytest.raises(ValueError, match=r"n_fisher_tasks is 0.*at least 1"):
        EWC(n_fisher_tasks=0)
