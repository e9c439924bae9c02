"""What no learner can answer is one sentence, and never a score."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import NoAdaptation
from tests.toys import make_learner, random_episode


@pytest.mark.parametrize(("name", "settings"), [("NoAdaptation", {}), ("MAML", {"n_eval_steps": 0})])
@pytest.mark.parametrize("plan", ["vmap", "loop"])
def test_another_number_of_ways_is_not_scored(name: str, settings: dict[str, int], plan: PlanName) -> None:
    learner, runner = make_learner(name, **settings).eval(), TaskRunner(plan=plan)
    for method in (runner.scores, runner.outputs, runner.losses):
        with pytest.raises(
            ValueError, match=r"has 3 outputs, but the tasks ask for 4: set --model.network.n_outputs 4"
        ):
            method(learner, learner.meta_parameters(), random_episode(n_way=4))


def test_targets_of_another_shape_are_not_scored() -> None:
    learner, x, y = NoAdaptation(nn.Linear(4, 1), task="regression"), torch.randn(2, 5, 4), torch.randn(2, 5)
    batch = Episode(x, y, x, y, torch.ones(2), n_way=0)
    with pytest.raises(ValueError, match=r"predicts \(1,\) numbers for each example, but its target has the shape"):
        TaskRunner().scores(learner, learner.meta_parameters(), batch)
