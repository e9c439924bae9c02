"""The hash of a network: the same where it computes the same, another where it does not."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lifelong.networks import Conv4
from lifelong.vision.network_digest import network_digest


def small(stride: int = 1, act: type[nn.Module] = nn.ReLU, **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=stride, **settings), nn.BatchNorm2d(4), act())


@dataclass
class Reader:
    mean: tuple[float, ...] = (0.0, 1.0)
    inside: dict[str, Any] = field(default_factory=dict)


class Slots:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def changed(change: Callable[[nn.Module], Any]) -> nn.Module:
    network = small()
    change(network)
    return network


def test_equal_networks_have_equal_digests() -> None:
    assert network_digest(small()) == network_digest(small())
    assert network_digest(small()) == network_digest(small().eval())
    assert network_digest(small()) == network_digest(small().requires_grad_(False))


@pytest.mark.parametrize(
    "other",
    [
        small(stride=2),
        small(padding_mode="reflect", padding=0),
        small(act=nn.GELU),
        small().double(),
        changed(lambda net: net[0].weight.data[0, 0, 0].add_(1e-6)),
        changed(lambda net: net[1].running_mean.add_(1e-6)),
        changed(lambda net: net[1].register_buffer("extra", torch.zeros(1), persistent=False)),
        changed(lambda net: setattr(net[2], "scale", 2.0)),
        changed(lambda net: setattr(net[2], "function", torch.relu)),
        changed(lambda net: setattr(net[1], "eps", 1e-3)),
        changed(lambda net: setattr(net, "options", {"pooling": "mean"})),
        changed(lambda net: setattr(net, "reader", Reader())),
        changed(lambda net: setattr(net, "scale", torch.ones(2))),
        changed(lambda net: setattr(net, "hidden", [nn.Linear(1, 1)])),
        changed(lambda net: setattr(net, "call", functools.partial(torch.add, alpha=2))),
    ],
)
def test_whatever_changes_the_output_changes_the_digest(other: nn.Module) -> None:
    assert network_digest(other) != network_digest(small())


def test_settings_behind_an_object_count_and_its_place_does_not() -> None:
    def digest(reader: Any) -> str:
        return network_digest(changed(lambda net: setattr(net, "reader", reader)))

    assert digest(Reader()) == digest(Reader())
    others = [Reader(mean=(0.5,)), Reader(inside={"pooling": Reader()}), Reader(inside={"pooling": Slots(1)})]
    assert len({digest(reader) for reader in (Reader(), *others, Reader(inside={"pooling": Slots(2)}))}) == 5
    circle = Reader()
    circle.inside["itself"] = circle
    assert digest(circle) != digest(Reader())


def test_a_head_is_no_part_of_features() -> None:
    def network(n_outputs: int) -> nn.Module:
        torch.manual_seed(0)
        return Conv4(n_filters=8, image_size=16, norm="group", n_outputs=n_outputs)

    assert network_digest(network(2)) == network_digest(network(5))
    headed = nn.Sequential()
    headed.add_module("head", nn.Linear(1, 1))
    before = network_digest(headed)
    nn.init.zeros_(headed.head.weight)
    assert network_digest(headed) != before


def test_where_weights_came_from_is_no_part() -> None:
    assert network_digest(changed(lambda net: setattr(net, "name_or_path", "/there"))) == network_digest(small())


def test_an_edit_of_a_persons_own_code_is_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    text = "from torch import nn\nclass Mine(nn.Module):\n    def forward(self, x):\n        return x{}\n"
    digests = []
    for number, end in enumerate(("", " + 1")):
        (tmp_path / f"own_{number}.py").write_text(text.format(end))
        mine = importlib.import_module(f"own_{number}").Mine
        mine.__module__ = "own"
        sys.modules["own"] = sys.modules[f"own_{number}"]
        digests.append(network_digest(mine()))
    del sys.modules["own"]
    assert digests[0] != digests[1]


def test_another_process_computes_the_same_digest() -> None:
    program = (
        "import torch; from torch import nn; from lifelong.vision.network_digest import network_digest as d; "
        "net = nn.Linear(1, 1); nn.init.ones_(net.weight); nn.init.ones_(net.bias); net.function = torch.relu; "
        "print(d(net))"
    )
    net: Any = nn.Linear(1, 1)
    nn.init.ones_(net.weight), nn.init.ones_(net.bias)
    net.function = torch.relu
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == network_digest(net)
