"""Norm layers that look at a whole batch give what one process gives, or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners import Classifier, ProtoNet
from lifelong.networks import Conv4
from lifelong.training.running_statistics import average_running_statistics, check_shared_batches
from tests.processes import fit_in_processes
from tests.training.norms import of_tasks


class OfTwo(TaskRunner):
    """The first of two processes, of which the other has seen the tenfold."""

    @property
    def world(self) -> int:
        return 2

    def sum(self, value: Tensor) -> Tensor:
        return 11 * value


def test_running_statistics_become_the_mean_of_all_processes() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False))
    network.append(nn.BatchNorm1d(3).eval())
    norm, frozen = network[0], network[3]
    norm.running_mean.copy_(torch.tensor([2.0, 4.0]))
    average_running_statistics(network, runner=OfTwo())
    assert norm.running_mean.tolist() == [11, 22]
    assert norm.running_var.tolist() == [5.5, 5.5]
    assert frozen.running_var.tolist() == [1, 1, 1]


@pytest.mark.slow
def test_all_processes_evaluate_by_the_same_statistics(tmp_path: Path) -> None:
    one, two = (fit_in_processes(of_tasks, n, tmp_path)["state"] for n in (1, 2))
    of_ranks = two["strategies.members.0.of_ranks"]
    assert torch.equal(of_ranks[0], of_ranks[1])
    name = "learner.network.2.running_"
    assert torch.equal(of_ranks[0], torch.cat([two[f"{name}mean"], two[f"{name}var"]]))  # the checkpoint's as well
    # What is trained does not depend on them; they have averaged the same tasks, in other groups.
    weights = [{n: w for n, w in state.items() if n.startswith("learner.") and ".2." not in n} for state in (one, two)]
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(one[f"{name}mean"], two[f"{name}mean"], rtol=0.15, atol=0.05)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), Conv4(n_filters=8, norm="batch", image_size=16, n_outputs=3)])
def test_a_norm_of_a_shared_batch_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"normalises by the whole batch, of which each of 2 processes has a share"):
        check_shared_batches(Classifier(layer), 2)
    check_shared_batches(Classifier(layer), 1)
    check_shared_batches(ProtoNet(layer), 2)
    check_shared_batches(Classifier(layer.eval()), 2)
    check_shared_batches(Classifier(nn.SyncBatchNorm(3)), 2)
