"""The training tasks of a DataModule as one rank gets them."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lifelong.data.loaders import Drawn, StepLoader
from lifelong.data.stream_datamodule import StreamDataModule

CPU = torch.device("cpu")


def loader(data: StreamDataModule, experience: int = 0, rank: int = 0, world: int = 1) -> StepLoader:
    made = data.train_dataloader()
    made._place = lambda: (experience, rank, world)
    return made


def inputs(items: Iterable[Drawn]) -> list[torch.Tensor]:
    return [item.gather(CPU).support_x for item in items]
