import pytest
import torch

from lifelong.networks import MLP, Conv4


@pytest.mark.parametrize("pooling", ["max", "stride"])
@pytest.mark.parametrize(("readout", "n_features"), [("flatten", 16), ("mean", 16)])
def test_conv4_shapes(pooling: str, readout: str, n_features: int) -> None:
    x = torch.randn(2, 3, 16, 16)
    settings = {"in_channels": 3, "n_filters": 16, "image_size": 16, "pooling": pooling, "readout": readout}
    assert Conv4(**settings)(x).shape == (2, n_features)
    assert Conv4(**settings, n_outputs=5)(x).shape == (2, 5)


def test_flatten_keeps_places_apart_and_mean_does_not() -> None:
    x = torch.zeros(2, 1, 32, 32)
    assert Conv4(n_filters=8, image_size=32)(x).shape == (2, 32)
    assert Conv4(n_filters=8, image_size=32, readout="mean")(x).shape == (2, 8)


@pytest.mark.parametrize("norm", ["batch", "group", "layer", "instance", "none"])
def test_norms_keep_no_running_statistics(norm: str) -> None:
    net, x = Conv4(n_filters=16, norm=norm, image_size=32), torch.randn(4, 1, 32, 32)
    assert not list(net.buffers())
    assert torch.equal(net.train()(x), net.eval()(x))
    alone = net(x[:1])
    assert torch.allclose(net(x)[:1], alone, atol=1e-5) is (norm != "batch")


def test_unknown_norm_and_wrong_inputs_are_named() -> None:
    with pytest.raises(ValueError, match="norm 'odd' is unknown"):
        Conv4(norm="odd")
    with pytest.raises(ValueError, match=r"\(1, 28, 28\).*\(3, 32, 32\).*in_channels 3 .*image_size 32"):
        Conv4()(torch.zeros(2, 3, 32, 32))
    with pytest.raises(ValueError, match=r"MLP takes 4 numbers.*has 6.*n_inputs 6"):
        MLP(n_inputs=4)(torch.zeros(2, 2, 3))


def test_mlp_is_linear_layers_with_relu_between() -> None:
    net, x = MLP(n_inputs=4, hidden=[3, 2], n_outputs=5), torch.randn(6, 2, 2)
    (first, _, second, _), last = net.body, net.head
    torch.testing.assert_close(net(x), last(second(first(x.flatten(1)).relu()).relu()))
    assert MLP(n_inputs=4, hidden=[], n_outputs=2)(x).shape == (6, 2)
