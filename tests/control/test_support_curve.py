from __future__ import annotations

import numpy as np
import pytest
import torch

from lifelong.compute.runner import TaskRunner
from lifelong.control.support_curve import default_sizes, errors_by_size, windows
from lifelong.learners import NoAdaptation
from lifelong.networks import MLP
from tests.control.driving import QUICK, data_of, learner_for
from tests.control.points import Points


def test_errors_are_of_the_end_of_the_support_set() -> None:
    data = data_of(Points())
    batch = windows(data, "val", 0, 10, 5, torch.device("cpu"))
    assert batch.support_x.shape == (5, 10, 4)
    # Always answering the mean has an error of 1.
    constant = NoAdaptation(MLP(n_inputs=4, hidden=[4], n_outputs=2), task="regression")
    for p in constant.parameters():
        torch.nn.init.zeros_(p)
    assert errors_by_size(constant, batch, [0, 10], runner=TaskRunner()).mean() == pytest.approx(1, abs=0.1)
    learner = learner_for(Points(), "MAML", **QUICK)
    whole = errors_by_size(learner, batch, [3], runner=TaskRunner())
    cut = type(batch)(batch.support_x[:, 7:], batch.support_y[:, 7:], batch.query_x, batch.query_y, batch.weight, 0)
    np.testing.assert_allclose(whole, errors_by_size(learner, cut, [3], runner=TaskRunner()), rtol=1e-6)
    assert default_sizes(1) == [0, 1]
    assert default_sizes(8) == [0, 1, 2, 4, 8]
