"""GEM: its quadratic program against brute force and the conditions of optimality, and what it is asked about."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position
from strategies import AGEM, GEM
from strategies.gem import nearest
from strategies.memory.budget import Budget
from strategies.reference_gradients import flatten, reference_gradients
from tests.strategies.memories import stream_batch
from tests.strategies.test_agem import moving, projected, tiny
from tests.toys import fit, make_classifier, make_learner, random_episode, toy_data, toy_examples

RUNNER = TaskRunner()

pytest.importorskip("scipy", reason="GEM needs the extra gem")


def program(n_past: int, n_parameters: int, seed: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n_parameters, generator=rng).double(), torch.randn(n_past, n_parameters, generator=rng).double()


def brute_force(g: Tensor, r: Tensor) -> Tensor:
    """The nearest of all projections on the intersection of some of the half-spaces' borders that is allowed."""
    best = None
    for size in range(len(r) + 1):
        for chosen in itertools.combinations(range(len(r)), size):
            borders = r[list(chosen)]
            z = g - torch.linalg.pinv(borders) @ (borders @ g) if chosen else g
            if (r @ z >= -1e-9).all() and (best is None or (z - g).norm() < (best - g).norm()):
                best = z
    assert best is not None
    return best


@pytest.mark.parametrize("n_parameters", [2, 3])
@pytest.mark.parametrize("n_past", [1, 2, 3])
def test_the_nearest_step_is_that_of_brute_force(n_past: int, n_parameters: int) -> None:
    changed = 0
    for seed in range(40):
        g, r = program(n_past, n_parameters, seed)
        torch.testing.assert_close(nearest(g, r, margin=0.0), brute_force(g, r), rtol=1e-6, atol=1e-8)
        changed += bool((r @ g < 0).any())
    assert changed > 10


@pytest.mark.parametrize("margin", [0.0, 0.5])
@pytest.mark.parametrize("n_past", [1, 4, 9])
def test_the_conditions_of_optimality_hold(n_past: int, margin: float) -> None:
    for seed in range(20):
        g, r = program(n_past, 30, seed)
        z = nearest(g, r, margin)
        v = torch.linalg.lstsq(r.T, z - g).solution
        assert (v >= margin - 1e-9).all()  # what the past adds
        assert (r @ z >= -1e-9).all()  # what the step may not do
        assert ((v - margin) * (r @ z)).abs().max() < 1e-9  # one of the two is tight


def test_with_a_margin_the_step_turns_further_towards_the_past() -> None:
    g, r = torch.tensor([1.0, -2.0]), torch.tensor([[0.0, 1.0]])
    assert nearest(g, r, margin=0.5).tolist() == [1.0, 0.0]  # 2 is added, more than the margin
    assert nearest(g, r, margin=3.0).tolist() == [1.0, 1.0]


def test_neither_units_nor_doubles_nor_empty_rows_matter() -> None:
    g, r = program(3, 5, seed=1)
    z = nearest(g, r, margin=0.0)
    assert not torch.equal(z, g)
    for other in (r * torch.tensor([[1e-6], [1.0], [1e6]]).double(), torch.cat([r, r]), torch.cat([r, 0 * r])):
        torch.testing.assert_close(nearest(g, other, margin=0.0), z, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(nearest(1e-8 * g, r, margin=0.0), 1e-8 * z, rtol=1e-6, atol=1e-15)
    torch.testing.assert_close(nearest(0 * g, r, margin=0.0), 0 * g, rtol=0, atol=1e-12)


def test_a_step_worked_out_by_hand() -> None:
    # At weights 0, (x = 1, class 0) has the gradient (−½, ½), and (x = 2, class 1) has (1, −1): opposite directions,
    # so only what is at right angles to both is left of (1, 0).
    strategy = GEM(margin=0.0)
    learner = tiny(strategy, (1.0, 0), (2.0, 1))
    _, after = projected(strategy, learner, [1.0, 0.0])
    torch.testing.assert_close(after["network.weight"], torch.tensor([[0.5], [0.5]]))
    before, after = projected(strategy, learner, [2.0, 2.0])
    assert after is before


def test_one_past_experience_without_margin_is_agem() -> None:
    found = []
    for strategy in (GEM(margin=0.0), AGEM()):
        found.append(projected(strategy, tiny(strategy, (1.0, 0)), [3.0, -1.0])[1]["network.weight"])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("kind", ["few-shot", "class", "domain", "task"])
def test_no_step_points_against_any_past_experience(kind: str) -> None:
    strategy, changed = GEM(budget=Budget(examples=60), margin=0.0), 0
    learner = make_learner("MAML") if kind == "few-shot" else make_classifier()
    fit(learner, toy_data(3, shift=100.0) if kind == "few-shot" else toy_examples(kind, 3), [strategy])
    batch = random_episode(n_tasks=4) if kind == "few-shot" else stream_batch(torch.zeros(4, 4), [0] * 4, [*range(4)])
    names = list(moving(learner))
    for step in range(5):
        position = Position(3, step, n_tasks=4)
        assert strategy.rehearse(learner, batch, position, runner=RUNNER) is batch
        references = reference_gradients(learner, strategy._shares, 4, names, RUNNER)
        assert references.shape[0] == 3
        rng = torch.Generator().manual_seed(step)
        gradients = {name: torch.randn(p.shape, generator=rng) for name, p in moving(learner).items()}
        g, z = flatten(gradients, names), flatten(strategy.project(learner, gradients, position, runner=RUNNER), names)
        assert (references @ z >= -1e-4 * references.norm(dim=1) * z.norm()).all()
        changed += not torch.equal(g, z)
        assert torch.equal(g, z) == bool((references @ g >= 0).all())
    assert changed


@pytest.mark.parametrize("policy", ["class_balanced", "reservoir"])
def test_each_reference_is_of_one_past_experience(policy: str) -> None:
    strategy, experiences = GEM(budget=Budget(examples=24), policy=policy, n_reference=6), []  # type: ignore[arg-type]
    data, learner = toy_examples("task", 3), make_classifier()
    fit(learner, data, [strategy])
    batch = data.draw(data.stream.experiences[2], "train", range(4)).gather(learner.device)
    strategy.rehearse(learner, batch, Position(2, n_tasks=4), runner=RUNNER)
    for share in strategy._shares:
        assert share is not None
        assert share.classes is not None
        experiences.append({int(row[0]) // 4 for row in share.classes})  # the task's own ways name it
    # A reservoir is in the third experience until the next one begins.
    assert experiences == ([{0}, {1}, {2}] if policy == "class_balanced" else [{0}, {1}])
    assert strategy.needs_boundaries


def test_without_scipy_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"scipy.*'.\[gem\]'.*strategies.AGEM"):
        GEM()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="GEM's n_reference is 0"):
        GEM(n_reference=0)
    with pytest.raises(ValueError, match="GEM's margin is -1"):
        GEM(margin=-1)
