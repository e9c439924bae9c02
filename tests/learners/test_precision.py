"""Under autocast only the network computes in half: what is compared, solved and counted has all its digits."""

from __future__ import annotations

import pytest
import torch

from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.learners.objective import accuracy
from tests.toys import LEARNERS, make_learner, random_episode

BY_NETWORK = {"ANIL", "BOIL", "CAVIA", "IMAML", "MAML", "MetaSGD", "NoAdaptation", "Reptile"}
"""Their answers are the network's own outputs, and so halves."""


@pytest.mark.parametrize("plan", ["loop", "vmap"])
@pytest.mark.parametrize("name", LEARNERS)
def test_outputs_and_scores_have_the_precision_of_the_inputs(name: str, plan: PlanName) -> None:
    learner, batch = make_learner(name).eval(), random_episode()
    params = learner.meta_parameters()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, scores = (
            TaskRunner(plan=plan).outputs(learner, params, batch),
            TaskRunner(plan=plan).scores(learner, params, batch),
        )
    assert outputs.dtype == scores.dtype == torch.float32
    # Sixteen bits of a number hold its first eight digits: outputs of the network alone survive the rounding.
    assert torch.equal(outputs, outputs.bfloat16().float()) is (name in BY_NETWORK)


@pytest.mark.parametrize("name", ["ProtoNet", "SimpleShot", "MatchingNet", "RelationNet", "Mahalanobis", "R2D2"])
def test_only_the_network_computes_in_half(name: str) -> None:
    learner, batch = make_learner(name).eval(), random_episode(n_shot=5)
    params = learner.meta_parameters()
    with torch.no_grad():
        expected = TaskRunner().outputs(learner, params, batch)
        embed = type(learner).apply_network
        learner.apply_network = lambda p, x: _plainly(embed, learner, p, x)  # type: ignore[method-assign]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = TaskRunner().outputs(learner, params, batch)
    tolerance = 2e-2 if name == "RelationNet" else 1e-5  # whose relation module is a network too
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def _plainly(embed, learner, params, x):  # type: ignore[no-untyped-def]
    with torch.autocast("cpu", enabled=False):
        return embed(learner, params, x)


def test_accuracies_of_half_precision_outputs_are_not_rounded() -> None:
    target = torch.eye(5).repeat(5, 1)
    output = target.clone()
    output[0] = output[0].roll(1)
    assert accuracy(output.bfloat16(), target.bfloat16()).item() == pytest.approx(0.96, abs=1e-6)
