import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import NoAdaptation
from tests.toys import fit, make_learner, random_episode, toy_data


def test_the_support_set_is_ignored_in_answers_but_trained_on() -> None:
    learner, batch = make_learner("NoAdaptation"), random_episode()
    other = Episode(batch.support_x + 1, batch.support_y, batch.query_x, batch.query_y, batch.weight, batch.n_way)
    params = learner.meta_parameters()
    assert torch.equal(TaskRunner().outputs(learner, params, batch), TaskRunner().outputs(learner, params, other))
    losses = TaskRunner().losses(learner, params, batch)
    x, y = torch.cat([batch.support_x, batch.query_x], 1), torch.cat([batch.support_y, batch.query_y], 1)
    by_hand = torch.stack([F.cross_entropy(learner.network(a), b) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(losses, by_hand)
    assert not torch.allclose(TaskRunner().losses(learner, params, other), losses)


def test_classification_with_shuffled_labels_stays_at_chance() -> None:
    learner = make_learner("NoAdaptation")
    evaluator = fit(learner, toy_data(1, steps_per_experience=150, n_eval_tasks=200))
    assert abs(evaluator.matrix().mean() - 1 / 3) < 0.05


def test_regression_learns_the_mean_function() -> None:
    learner = NoAdaptation(nn.Linear(1, 1), task="regression").double()
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)[None, :, None].repeat(2, 1, 1)
    y = x * torch.tensor([1.0, 3.0]).double()[:, None, None]
    batch = Episode(x, y, x, y, torch.ones(2), n_way=0)
    solver = torch.optim.SGD(learner.parameters(), lr=0.5)
    for _ in range(200):
        solver.zero_grad()
        TaskRunner().losses(learner, learner.meta_parameters(), batch).mean().backward()  # type: ignore[no-untyped-call]
        solver.step()
    assert learner.network.weight.item() == pytest.approx(2.0)  # type: ignore[arg-type]
    # Around the mean slope 2 both functions are off by x: the score is the negative mean of x².
    assert TaskRunner().scores(learner, learner.meta_parameters(), batch).tolist() == pytest.approx([-0.5, -0.5])


def test_another_number_of_ways_is_refused() -> None:
    learner = make_learner("NoAdaptation")
    with pytest.raises(ValueError, match=r"has 3 outputs, but the tasks ask for 4: set --model.network.n_outputs 4"):
        TaskRunner().losses(learner, learner.meta_parameters(), random_episode(n_way=4))
