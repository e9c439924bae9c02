"""Pools: what tasks of a shape need, and how inputs are gathered."""

from __future__ import annotations

import pytest
import torch

from lifelong.data.pool import Pool, TaskShape, as_input
from tests.data.toy_pool import SHAPE
from tests.data.toy_pool import toy_pool as pool


def test_bytes_become_the_unit_interval() -> None:
    assert as_input(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])
    x = torch.tensor([7.0])
    assert as_input(x) is x


def test_what_is_missing_is_named_with_its_numbers() -> None:
    pool().check(SHAPE)
    with pytest.raises(ValueError, match=r"class 'c1' of toy has 3 examples.*3-way 2-shot with 2 queries.*need 4"):
        pool((4, 3, 4)).check(SHAPE)
    with pytest.raises(ValueError, match=r"toy has 2 classes.*3-way.*n_way to at most 2"):
        pool((4, 4)).check(SHAPE)
    with pytest.raises(ValueError, match="toy has 1 classes"):
        pool((4, 4, 4), n_variants=3).check(SHAPE)
    with pytest.raises(ValueError, match="toy is empty"):
        Pool(torch.zeros(0, 2), [], [], name="toy").check(SHAPE)
    regression = pool()
    regression.targets = torch.zeros(len(regression), 1)
    with pytest.raises(ValueError, match=r"toy is regression.*n_way 1 \(found 3\)"):
        regression.check(SHAPE)
    with pytest.raises(ValueError, match="n_shot is 0"):
        TaskShape(5, 0, 5)
