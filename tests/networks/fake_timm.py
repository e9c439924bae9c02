"""Stands in for the package timm, which the tests run without: the part of it that we use, and what it was asked."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from torch import Tensor, nn

MEAN, DEVIATION = (0.25, 0.5, 0.75), (0.5, 0.25, 0.125)


class Body(nn.Module):
    """A convolution with running statistics, and features of another number than the channels of its maps."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.last = nn.Linear(4, 6)
        self.pretrained_cfg = {"mean": MEAN, "std": DEVIATION}

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return self.last(self.stem(x).mean((-2, -1)))  # type: ignore[no-any-return]


def install(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put it in the place of timm; returns the list of what models were asked for."""
    asked: list[dict[str, Any]] = []

    def create_model(name: str, **options: Any) -> nn.Module:
        asked.append({"name": name, **options})
        if name == "nonsense":
            raise RuntimeError("Unknown model (nonsense)")
        body = Body(options["in_chans"])
        if "pretrained_cfg_overlay" in options:
            body.load_state_dict(options["pretrained_cfg_overlay"]["state_dict"], strict=False)
        return body

    def get_pretrained_cfg(name: str) -> SimpleNamespace | None:
        return None if name == "nonsense" else SimpleNamespace(fixed_input_size=name.startswith("vit"))

    module: Any = ModuleType("timm")
    module.create_model, module.get_pretrained_cfg = create_model, get_pretrained_cfg
    monkeypatch.setitem(sys.modules, "timm", module)
    return asked
