from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.networks import ResNet12


def test_it_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net = ResNet12(norm="running")
    # A block from a to b channels: 9ab + 9bb + 9bb weights, ab for the shortcut, and 4 norms of scale and shift.
    by_hand = sum(9 * a * b + 18 * b * b + a * b + 8 * b for a, b in ((3, 64), (64, 160), (160, 320), (320, 640)))
    assert sum(p.numel() for p in net.parameters()) == by_hand == 12_424_320
    assert net.n_features == 640


def test_a_block_is_three_convolutions_beside_a_shortcut() -> None:
    torch.manual_seed(0)
    net, x = ResNet12(in_channels=2, widths=[3], norm="none", image_size=6), torch.randn(4, 2, 6, 6)
    first, second, third, shortcut = (m for m in net.modules() if isinstance(m, torch.nn.Conv2d))
    for convolution in (first, second, third, shortcut):
        torch.nn.init.normal_(convolution.bias)

    def leaky(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.1 * x)

    path = third(leaky(second(leaky(first(x)))))
    expected = F.max_pool2d(leaky(path + shortcut(x)), 2)
    assert shortcut.kernel_size == (1, 1)
    assert expected.shape == (4, 3, 3, 3)
    torch.testing.assert_close(net(x), expected.mean((2, 3)))


def test_convolutions_have_a_shift_only_where_no_norm_has_one() -> None:
    for norm, shifted in (("none", True), ("group", False), ("batch", False)):
        net = ResNet12(in_channels=1, widths=[8], norm=norm, image_size=4)
        assert all((m.bias is not None) is shifted for m in net.modules() if isinstance(m, torch.nn.Conv2d))


def test_weights_start_with_the_variance_of_the_paper() -> None:
    torch.manual_seed(0)
    net = ResNet12(in_channels=3, widths=[64], image_size=4)
    first = next(net.parameters())
    assert abs(first.std().item() / (2 / (9 * 64)) ** 0.5 - 1) < 0.1
