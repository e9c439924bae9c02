from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.mapping import over_tasks
from lifelong.compute.memory_format import channels_last
from lifelong.compute.plan import mapping_by_rule
from lifelong.compute.runner import TaskRunner
from lifelong.learners import MAML, ProtoNet
from lifelong.networks import MLP, Conv4
from strategies import EWC
from tests.toys import fit, random_episode, toy_data


@pytest.mark.parametrize(("mapping", "chunk"), [("loop", None), ("vmap", None), ("vmap", 2)])
def test_results_are_stacked_in_any_nesting(mapping: str, chunk: int | None) -> None:
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    found = over_tasks(lambda x, y: {"dot": x @ y, "pair": (x + y, x.max())}, a, b, mapping=mapping, chunk=chunk)
    torch.testing.assert_close(found["dot"], (a * b).sum(1))
    torch.testing.assert_close(found["pair"][0], a + b)
    assert torch.equal(found["pair"][1], a.max(1).values)


def test_vmap_draws_differ_between_tasks() -> None:
    noise = over_tasks(lambda x: x + torch.randn(()), torch.zeros(4), mapping="vmap")
    assert len(set(noise.tolist())) == 4


def test_automatic_choice() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert mapping_by_rule(MLP(), cpu) == "vmap"
    assert mapping_by_rule(Conv4(n_filters=8), cpu) == "loop"
    assert mapping_by_rule(Conv4(n_filters=8), cuda) == "vmap"


NORMS = [
    nn.LayerNorm(4),
    nn.LayerNorm(4, elementwise_affine=False),
    nn.GroupNorm(2, 4),
    nn.Sequential(nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2, affine=True), nn.Flatten()),
    nn.BatchNorm1d(4, track_running_stats=False),
    nn.RMSNorm(4),
]


@pytest.mark.parametrize("norm", NORMS)
def test_second_derivatives_of_norms_equal_the_loop_under_vmap(norm: nn.Module) -> None:
    fused = F.layer_norm, F.batch_norm, F.instance_norm
    network = nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 3))
    for parameter in network.parameters():
        parameter.data.normal_()
    learner = MAML(network, n_inner_steps=2, inner_rate=0.1).double()
    found = []
    for plan in ("vmap", "loop"):
        runner = TaskRunner(plan=plan)
        losses = runner.losses(learner, learner.meta_parameters(), random_episode())
        found.append((losses, torch.autograd.grad(losses.sum(), list(network.parameters()))))
    torch.testing.assert_close(found[0], found[1], atol=1e-9, rtol=1e-7)
    assert (F.layer_norm, F.batch_norm, F.instance_norm) == fused


class Recurrent(nn.Module):
    """Reads the numbers of an input one after the other."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layer = kind(1, 6, batch_first=True)  # type: ignore[call-arg, arg-type]

    def forward(self, x: Tensor) -> Any:
        return self.layer(x[..., None])[0][:, -1]


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_networks_are_learnt_task_by_task(kind: type[nn.RNNBase]) -> None:
    learner = ProtoNet(Recurrent(kind))
    evaluator = fit(learner, toy_data(2, steps_per_experience=2), [EWC(n_fisher_tasks=2)])
    assert np.isfinite(evaluator.matrix()).all()
    for device in (torch.device("cpu"), torch.device("cuda")):
        assert mapping_by_rule(learner.network, device) == "loop"


@pytest.mark.parametrize(
    ("module", "mapping"),
    [
        (nn.EmbeddingBag(3, 2), "loop"),
        (nn.LSTMCell(3, 2), "loop"),
        (nn.GRUCell(3, 2), "loop"),
        (nn.Embedding(3, 2), "vmap"),
    ],
)
def test_modules_that_vmap_has_no_rule_for(module: nn.Module, mapping: str) -> None:
    assert mapping_by_rule(nn.Sequential(nn.Flatten(), nn.Sequential(module)), torch.device("cuda")) == mapping


@pytest.mark.parametrize("n_channels", [1, 3])
def test_images_are_laid_out_for_whole_passes_on_a_cpu(n_channels: int) -> None:
    x = torch.randn(2, n_channels, 4, 5)
    laid_out = channels_last(x)
    assert torch.equal(laid_out, x)
    assert laid_out.stride() == (20 * n_channels, 1, 5 * n_channels, n_channels)
    for other in (torch.randn(2, 3), torch.ones(2, 3, 4, 4, dtype=torch.uint8)):
        assert channels_last(other) is other
    under_vmap: list[bool] = []
    torch.func.vmap(lambda images: (under_vmap.append(channels_last(images) is images), images)[1])(x[None])
    assert under_vmap == [True]


@pytest.mark.parametrize(("settings", "last"), [({}, [False, True]), ({"first_order": True}, [True, True])])
def test_passes_without_second_derivatives_are_laid_out_so(settings: dict[str, bool], last: list[bool]) -> None:
    network, seen = Conv4(n_filters=8, image_size=16, n_outputs=3), []
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0].stride()[1] == 1))
    learner = MAML(network, n_inner_steps=1, **settings)  # type: ignore[arg-type]
    TaskRunner(plan="loop").losses(learner, learner.meta_parameters(), random_episode("image", n_tasks=1))
    assert seen == last
