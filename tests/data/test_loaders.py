"""Loaders: an exact place in the stream, kept and resumed."""

from __future__ import annotations

from itertools import islice

import torch

from lifelong.data.loaders import RowLoader
from tests.datamodules.drawn import inputs, loader
from tests.toys import toy_data


def test_a_loader_goes_on_at_the_very_next_task() -> None:
    data = toy_data(steps_per_experience=6)
    whole, interrupted, resumed = inputs(loader(data)), loader(data), loader(data)
    before = inputs(islice(interrupted, 2))
    resumed.load_state_dict(interrupted.state_dict())
    assert interrupted.state_dict() == {"experience": 0, "step": 2}
    assert torch.equal(torch.cat([*before, *inputs(resumed)]), torch.cat(whole))
    assert len(inputs(resumed)) == 6


def test_a_resumed_place_counts_in_its_experience_only() -> None:
    data = toy_data()
    made = loader(data, 1)
    made.load_state_dict({"experience": 0, "step": 3})
    assert len(inputs(made)) == 4


def test_a_row_passes_over_what_is_not_wanted() -> None:
    wanted: list[int] = [0, 2]
    row = RowLoader([loader(toy_data(steps_per_experience=2)) for _ in range(3)], lambda: wanted)
    assert [number for _, _, number in row] == [0, 0, 2, 2]
    wanted[:] = [1]
    assert [number for _, _, number in row] == [1, 1]
