"""What a source loads is checked before anything is learnt from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.episodic import EpisodicDataModule
from lifelong.data import checked as module
from lifelong.data.checked import check_finite, checked
from lifelong.data.domain import Domain
from tests.toys import Toy

GOOD = Domain("toy", torch.zeros(4, 2), np.array([0, 1, 0, -1]), ["a", "b"])
BAD: list[tuple[dict[str, Any], str]] = [
    ({"x": torch.tensor([[0.0], [torch.nan], [0.0], [0.0]])}, r"has nan among its inputs, in example 1 .* at \[0\]"),
    ({"x": torch.tensor([0.0, 0.0, -torch.inf, 0.0])}, "has -inf among its inputs, in example 2 .*: correct it"),
    ({"x": torch.full((4, 1), 1e39, dtype=torch.float64)}, r"has 1e\+39 among its inputs, in example 0"),
    ({"x": torch.zeros(4, 0)}, r"shape \(4, 0\), which hold no numbers"),
    ({"x": torch.zeros(4, 2).bool()}, "torch.bool: give a dense array"),
    ({"x": torch.zeros(4, 2).to_sparse()}, "sparse: give a dense array"),
    ({"x": torch.zeros(3, 2)}, r"3 inputs, and labels of shape \(4,\)"),
    ({"y": np.zeros(4)}, "type float64: give one whole number for each"),
    ({"y": np.array([0, 1, 2, 0])}, "the label 2 and 2 class names: give labels from 0 to 1"),
    ({"y": np.array([0, 1, -2, 0])}, "the label -2 and 2 class names"),
    ({"targets": torch.full((4, 1), torch.nan)}, "has nan among its targets, in example 0"),
    ({"targets": torch.zeros(3, 1)}, "4 inputs and 3 targets"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_what_does_not_fit_is_named_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^Toy: the domain 'toy' .*{message}"):
        checked(replace(GOOD, **changes), "Toy")
    assert checked(GOOD, "Toy").x is GOOD.x


def test_double_precision_is_converted_and_the_rest_stays() -> None:
    for dtype, kept in ((torch.float64, torch.float32), (torch.float16, torch.float16), (torch.uint8, torch.uint8)):
        assert checked(replace(GOOD, x=GOOD.x.to(dtype)), "Toy").x.dtype == kept
    assert checked(replace(GOOD, targets=GOOD.x.double()), "Toy").targets.dtype == torch.float32  # type: ignore[union-attr]


def test_the_place_is_counted_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 16)
    x = torch.zeros(10, 2)
    x[7, 1] = torch.inf
    with pytest.raises(ValueError, match=r"inf among its inputs, in example 7 .* at \[1\]"):
        check_finite(x, "here")


def test_a_stream_of_numbers_that_are_none_is_not_begun() -> None:
    class Broken(Toy):
        def domains(self) -> list[Domain]:
            first, second = super().domains()
            second.x[3, 2] = torch.nan
            return [first, second]

    with pytest.raises(ValueError, match=r"^Broken: the domain 'domain 1' has nan .* in example 3"):
        EpisodicDataModule([Broken()], n_way=3, n_shot=2, n_query=2).load()
