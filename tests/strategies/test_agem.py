"""A-GEM: the projected gradient, in numbers worked out by hand and on real learners."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from strategies import AGEM
from strategies.memory.budget import Budget
from strategies.reference_gradients import flatten, reference_gradients, trained
from tests.strategies.memories import at, pool, stream_batch, visit
from tests.toys import fit, make_classifier, make_learner, random_episode, toy_data, toy_examples

RUNNER = TaskRunner()


def tiny(strategy: Any, *experiences: tuple[float, int]) -> Classifier:
    """A classifier of two classes by two weights, both 0; each experience kept one example (x, class)."""
    learner = Classifier(nn.Linear(1, 2, bias=False))
    nn.init.zeros_(learner.network.weight)  # type: ignore[arg-type]
    strategy.attach(learner)
    for number, (x, y) in enumerate(experiences):
        here = visit(number, pool(torch.tensor([[x]]), [y]), ways=[0, 1])
        strategy.begin(learner, here, runner=RUNNER)
        strategy.end(learner, here, runner=RUNNER)
    strategy.begin(learner, visit(len(experiences), pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    return learner


def projected(strategy: Any, learner: Learner, gradient: list[float]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A gradient of the two weights, and what becomes of it."""
    position = at(1, n=4)
    strategy.rehearse(learner, stream_batch(torch.zeros(4, 1), [0, 1, 0, 1], [0, 1]), position, runner=RUNNER)
    before = {"network.weight": torch.tensor(gradient)[:, None]}
    return before, strategy.project(learner, before, position, runner=RUNNER)


def moving(learner: Learner) -> dict[str, Tensor]:
    """The parameters that are trained; MAML's inner rates are not."""
    return {name: p for name, p in learner.meta_parameters().items() if p.requires_grad}


def learnt(kind: str, strategy: AGEM) -> tuple[Learner, Episode]:
    """A learner after two experiences, and a batch of another."""
    learner = make_learner("MAML") if kind == "few-shot" else make_classifier()
    fit(learner, toy_data(2) if kind == "few-shot" else toy_examples(kind, 2), [strategy])
    if kind == "few-shot":
        return learner, random_episode(n_tasks=4)
    return learner, stream_batch(torch.randn(4, 4), [0, 1, 2, 3], [*range(4)])


def test_a_projection_worked_out_by_hand() -> None:
    # At weights 0 the example (x = 1, class 0) has the gradient r = (−½, ½). For g = (1, 0): g · r = −½ = −(r · r).
    strategy = AGEM()
    learner = tiny(strategy, (1.0, 0))
    _, after = projected(strategy, learner, [1.0, 0.0])
    torch.testing.assert_close(after["network.weight"], torch.tensor([[0.5], [0.5]]))
    _, after = projected(strategy, learner, [3.0, -1.0])  # g · r = −2: g + 4 r
    torch.testing.assert_close(after["network.weight"], torch.tensor([[1.0], [1.0]]))


@pytest.mark.parametrize("gradient", [[-1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
def test_a_gradient_that_does_no_harm_stays_bit_for_bit(gradient: list[float]) -> None:
    strategy = AGEM()
    before, after = projected(strategy, tiny(strategy, (1.0, 0)), gradient)
    assert after is before


def test_a_reference_of_zero_changes_nothing() -> None:
    strategy = AGEM()
    before, after = projected(strategy, tiny(strategy, (0.0, 0)), [1.0, -2.0])
    assert after is before


@pytest.mark.parametrize("kind", ["few-shot", "class", "domain", "task"])
def test_the_step_does_not_point_against_the_reference(kind: str) -> None:
    strategy, changed = AGEM(budget=Budget(examples=60)), 0
    learner, batch = learnt(kind, strategy)
    for step in range(6):
        position = Position(2, step, n_tasks=4)
        assert strategy.rehearse(learner, batch, position, runner=RUNNER) is batch
        shares = list(strategy._shares)
        gradients = {
            name: torch.randn(p.shape, generator=torch.Generator().manual_seed(step))
            for name, p in moving(learner).items()
        }
        names = trained(learner, gradients)
        (reference,) = reference_gradients(learner, shares, 4, names, RUNNER)
        g, z = flatten(gradients, names), flatten(strategy.project(learner, gradients, position, runner=RUNNER), names)
        assert z @ reference >= -1e-5 * z.norm() * reference.norm()
        if g @ reference < 0:
            changed += 1
            torch.testing.assert_close(z, g - (g @ reference) / (reference @ reference) * reference)
        else:
            assert torch.equal(z, g)
    assert 0 < changed < 6


@pytest.mark.parametrize("kind", ["few-shot", "class"])
def test_the_reference_is_the_gradient_on_the_memory(kind: str) -> None:
    strategy = AGEM(budget=Budget(examples=60), n_reference=5)
    learner, batch = learnt(kind, strategy)
    strategy.rehearse(learner, batch, Position(2, n_tasks=4), runner=RUNNER)
    (share,) = strategy._shares
    assert share is not None
    assert len(share) == 5
    params = moving(learner)
    losses = RUNNER.losses(learner, learner.meta_parameters(), share)
    expected = torch.autograd.grad(losses.mean(), list(params.values()))
    (found,) = reference_gradients(learner, [share], 5, list(params), RUNNER)
    torch.testing.assert_close(found, torch.cat([g.flatten() for g in expected]))


@pytest.mark.parametrize("n_reference", [5, 1])
def test_ranks_add_up_to_the_reference_of_one(n_reference: int) -> None:
    strategy = AGEM(budget=Budget(examples=60), n_reference=n_reference)
    learner, batch = learnt("class", strategy)
    rows = []
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        strategy.rehearse(learner, batch, Position(2, n_tasks=4, rank=rank, world=world), runner=RUNNER)
        rows.append(
            reference_gradients(learner, strategy._shares, n_reference, list(learner.meta_parameters()), RUNNER)
        )
    torch.testing.assert_close(rows[0], rows[1] + rows[2])
    assert n_reference > 1 or rows[2].count_nonzero() == 0


def test_what_is_frozen_or_a_strategys_own_has_no_part() -> None:
    strategy = AGEM(budget=Budget(examples=60))
    learner, batch = learnt("class", strategy)
    name, *others = learner.meta_parameters()
    position = Position(2, n_tasks=4)
    strategy.rehearse(learner, batch, position, runner=RUNNER)
    (reference,) = reference_gradients(learner, strategy._shares, 4, others, RUNNER)
    shapes = {other: learner.meta_parameters()[other] for other in others}
    pieces = torch.split(-reference, [p.numel() for p in shapes.values()])
    gradients = {other: piece.view_as(shapes[other]) for other, piece in zip(others, pieces, strict=True)}
    gradients["strategies.members.0.own"] = torch.full((3,), -1e6)
    after = strategy.project(learner, gradients, position, runner=RUNNER)
    assert after.keys() == gradients.keys()
    assert name not in after
    assert torch.equal(after["strategies.members.0.own"], gradients["strategies.members.0.own"])
    assert max(after[other].abs().max() for other in others) < 1e-6


def test_nothing_is_drawn_or_kept_between_steps() -> None:
    strategy = AGEM()
    learner = tiny(strategy, (1.0, 0))
    before, _ = projected(strategy, learner, [1.0, 0.0])
    assert strategy.project(learner, before, at(1, n=4), runner=RUNNER) is before  # the draw of a step is for that step
    assert strategy.memory_bytes() == 4 + 8


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="AGEM's n_reference is 0"):
        AGEM(n_reference=0)
