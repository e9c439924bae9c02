"""Laws that every network obeys, and what is special to Conv4 and MLP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lifelong.networks import MLP, Backbone, Conv4, ResNet12, Timm, WithHead
from lifelong.networks.norm import BatchNorm, norm_layer
from tests.networks import fake_timm

IMAGE = (1, 16, 16)
SMALL_CONV4: dict[str, Any] = {"n_filters": 16, "norm": "group", "image_size": 16}
SMALL_RESNET: dict[str, Any] = {"in_channels": 1, "widths": [8, 8, 16, 16], "norm": "group", "image_size": 16}

NETWORKS: dict[str, tuple[Callable[[int], nn.Module], tuple[int, ...], int]] = {
    "Backbone": (
        lambda n: Backbone(nn.Conv2d(1, 4, 3), mean=[0.5], in_channels=1, image_size=16, n_outputs=n),
        IMAGE,
        4,
    ),
    "Conv4": (lambda n: Conv4(**SMALL_CONV4, n_outputs=n), IMAGE, 16),
    "Conv4 with stride": (lambda n: Conv4(**SMALL_CONV4, pooling="stride", n_outputs=n), IMAGE, 16),
    "Conv4 that halves twice": (lambda n: Conv4(**SMALL_CONV4, n_halvings=2, n_outputs=n), IMAGE, 16 * 4 * 4),
    "Conv4 with mean": (lambda n: Conv4(**SMALL_CONV4, n_halvings=2, readout="mean", n_outputs=n), IMAGE, 16),
    "MLP": (lambda n: MLP(n_inputs=6, hidden=[8, 5], n_outputs=n), (2, 3), 5),
    "ResNet12": (lambda n: ResNet12(**SMALL_RESNET, n_outputs=n), IMAGE, 16),
    "Timm": (lambda n: Timm(name="some", in_channels=1, image_size=16, n_outputs=n), IMAGE, 6),
    "WithHead": (lambda n: WithHead(nn.Sequential(nn.Flatten(), nn.Tanh()), n_features=6, n_outputs=n), (2, 3), 6),
}
"""Every network with a head of so many outputs, the shape of one input, and its number of features."""


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, Tensor, int]:
    """A network with 5 outputs, four inputs, and its number of features."""
    fake_timm.install(monkeypatch)
    torch.manual_seed(0)
    make, shape, n_features = NETWORKS[request.param]
    return make(5), torch.randn(4, *shape), n_features


def test_the_output_is_the_head_of_the_features(case: tuple[nn.Module, Tensor, int]) -> None:
    net, x, n_features = case
    net.eval()
    features = net.features(x)
    assert features.shape == (4, n_features)
    assert net(x).shape == (4, 5)
    assert torch.equal(net.head(features), net(x))
    assert net.head.in_features == n_features
    assert getattr(net, "n_features", n_features) == n_features


def test_parameters_of_each_task_equal_the_loop_under_vmap(case: tuple[nn.Module, Tensor, int]) -> None:
    net, x, _ = case
    net.eval()
    inputs = torch.stack([x, 2 * x.flip(0), x - 1])
    params = {name: torch.stack([p, p + 0.1, 0.5 * p]).detach() for name, p in net.named_parameters()}

    def output(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(net, params, (x,))

    together = vmap(output)(params, inputs)
    for task in range(3):
        torch.testing.assert_close(together[task], output({n: p[task] for n, p in params.items()}, inputs[task]))


def test_every_parameter_gets_a_gradient(case: tuple[nn.Module, Tensor, int]) -> None:
    net, x, _ = case
    net(x).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


IMAGE_NETWORKS = {"Conv4": (Conv4, SMALL_CONV4), "ResNet12": (ResNet12, SMALL_RESNET)}
image_networks = pytest.mark.parametrize("name", IMAGE_NETWORKS)


def image_network(name: str, **settings: Any) -> nn.Module:
    make, small = IMAGE_NETWORKS[name]
    torch.manual_seed(0)
    return make(**{**small, **settings})


@image_networks
@pytest.mark.parametrize("norm", ["batch", "group", "layer", "instance", "none"])
def test_norms_keep_no_running_statistics(name: str, norm: str) -> None:
    net, x = image_network(name, norm=norm), torch.randn(4, *IMAGE)
    assert not list(net.buffers())
    assert torch.equal(net.train()(x), net.eval()(x))
    scale = net(x).std()
    assert torch.allclose(net(x)[:1] / scale, net(x[:1]) / scale, atol=1e-5) is (norm != "batch")


@image_networks
def test_running_statistics_are_learnt_then_used_in_evaluation(name: str) -> None:
    net, x = image_network(name, norm="running"), torch.randn(4, *IMAGE)
    fresh = {key: value.clone() for key, value in net.named_buffers()}
    assert all(int(value) == 0 for key, value in fresh.items() if key.endswith("num_batches_tracked"))
    assert all(module.training for module in net.modules())
    net(x)
    learnt = {key: value.clone() for key, value in net.named_buffers()}
    assert not any(torch.equal(learnt[key], fresh[key]) for key in fresh)
    net.eval()
    together = net(x)
    torch.testing.assert_close(net(x[[2]]), together[[2]])
    torch.testing.assert_close(net(x.flip(0)), together.flip(0))
    assert all(torch.equal(value, learnt[key]) for key, value in net.named_buffers())


@image_networks
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_an_inner_step_under_vmap_and_its_gradient_equal_a_loop(name: str, norm: str) -> None:
    net, x = image_network(name, norm=norm, n_outputs=2).double(), torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    params = {key: p.detach() for key, p in net.named_parameters()}

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(net, params, (x,)).square().mean()

    def loss_after_a_step(params: dict[str, Tensor], x: Tensor) -> Tensor:
        gradients = grad(loss)(params, x)
        return loss({key: p - 0.1 * gradients[key] for key, p in params.items()}, x)

    # The outer gradient comes from autograd outside vmap, as in training.
    together = grad(lambda params: vmap(loss_after_a_step, in_dims=(None, 0))(params, x).sum())(params)
    alone = [grad(loss_after_a_step)(params, task) for task in x]
    for key in params:
        torch.testing.assert_close(together[key], alone[0][key] + alone[1][key], rtol=1e-6, atol=1e-8)


@image_networks
def test_wrong_images_are_named(name: str) -> None:
    net = image_network(name)
    with pytest.raises(ValueError, match=rf"{name} .*\(1, 16, 16\).*\(3, 32, 32\).*in_channels 3 .*image_size 32"):
        net(torch.zeros(2, 3, 32, 32))
    with pytest.raises(ValueError, match=rf"{name} takes .*\(1, 16, 16\).*\(64,\).*MLP"):
        net(torch.zeros(2, 64))
    with pytest.raises(ValueError, match=rf"{name} cannot take images of 8×8 pixels .*image_size"):
        image_network(name, image_size=8)
    with pytest.raises(ValueError, match="norm 'odd' is unknown"):
        image_network(name, norm="odd")


def test_batch_norm_normalises_each_channel_over_the_batch() -> None:
    norm, x = BatchNorm(3), 5 + 2 * torch.randn(6, 3, 4, 4)
    with torch.no_grad():
        norm.weight[1], norm.bias[2] = 3.0, 7.0
    y = norm(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.tensor([0.0, 0.0, 7.0]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.tensor([1.0, 3.0, 1.0]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vmap(norm)(x[None])[0], y)


def test_group_norm_has_eight_channels_a_group() -> None:
    groups = {channels: norm_layer("group", channels).num_groups for channels in (4, 8, 64, 160)}
    assert groups == {4: 1, 8: 1, 64: 8, 160: 20}
    with pytest.raises(ValueError, match="which 100 channels cannot be shared into"):
        norm_layer("group", 100)


def test_flatten_keeps_places_apart_and_mean_does_not() -> None:
    x = torch.zeros(2, 1, 32, 32)
    assert Conv4(n_filters=8, image_size=32)(x).shape == (2, 32)
    assert Conv4(n_filters=8, image_size=32, readout="mean")(x).shape == (2, 8)
    assert Conv4(n_filters=8, image_size=32, readout="maps")(x).shape == (2, 8, 2, 2)
    maps, means = (image_network("Conv4", n_halvings=2, readout=readout) for readout in ("maps", "mean"))
    x = torch.randn(2, *IMAGE)
    torch.testing.assert_close(means(x), maps(x).mean((2, 3)))


def test_conv4_with_maps_has_no_head() -> None:
    with pytest.raises(ValueError, match="readout maps and a head of 5 outputs"):
        Conv4(readout="maps", n_outputs=5)


def test_mlp_is_linear_layers_with_relu_between() -> None:
    net, x = MLP(n_inputs=4, hidden=[3, 2], n_outputs=5), torch.randn(6, 2, 2)
    (first, _, second, _), last = net.body, net.head
    torch.testing.assert_close(net(x), last(second(first(x.flatten(1)).relu()).relu()))
    assert MLP(n_inputs=4, hidden=[], n_outputs=2)(x).shape == (6, 2)


def test_mlp_names_inputs_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"MLP takes 4 numbers.*has 6.*n_inputs 6"):
        MLP(n_inputs=4)(torch.zeros(2, 2, 3))
