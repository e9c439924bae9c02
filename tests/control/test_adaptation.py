from __future__ import annotations

import pytest
import torch

from lifelong.compute.runner import TaskRunner
from lifelong.control.adaptation import adapt_to
from tests.control.driving import REGRESSION, learner_for
from tests.control.points import Points


@pytest.mark.parametrize("name", REGRESSION)
def test_models_adapted_together_answer_as_one_by_one(name: str) -> None:
    learner = learner_for(Points(), name).eval()
    rng = torch.Generator().manual_seed(0)
    n_inputs = 4
    x, y, queries = (torch.randn(3, n, k, generator=rng) for n, k in ((10, n_inputs), (10, 2), (7, n_inputs)))
    if name == "R2D2":
        y = y.abs()
    together = adapt_to(learner, x, y, runner=TaskRunner())(queries)
    params = learner.meta_parameters()
    for r in range(3):
        state = learner.adapt(params, x[r], y[r])
        torch.testing.assert_close(together[r], learner.predict(params, state, queries[r]), atol=1e-5, rtol=1e-4)
    before = adapt_to(learner, x, y, runner=TaskRunner(), adapt=False)(queries)
    other = adapt_to(learner, x + 1, y - 1, runner=TaskRunner(), adapt=False)(queries)
    if name != "R2D2":
        torch.testing.assert_close(before, other)
    assert name == "NoAdaptation" or not torch.allclose(before, together)
