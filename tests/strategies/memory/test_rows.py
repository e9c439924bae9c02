"""Rows store labelled examples in columns."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.memory.rows import Rows, integers


def columns(*labels: tuple[int, int]) -> dict[str, Tensor]:
    """An example ``(experience, class)`` each, whose input and note is its number."""
    numbers = torch.arange(len(labels))
    experience, label = (torch.tensor(column, dtype=torch.int32) for column in zip(*labels, strict=True))
    return {"x": numbers[:, None].float(), "label": label, "experience": experience, "note": numbers}


def test_rows_are_found_by_experience_and_by_class_in_order() -> None:
    rows = Rows()
    assert (len(rows), rows.of_class(), rows.of_experience()) == (0, [], {})
    rows.put(columns((1, 0), (0, 5), (1, 0), (0, 2), (0, 5)))
    assert [group.tolist() for group in rows.of_class()] == [[3], [1, 4], [0, 2]]
    assert {number: found.tolist() for number, found in rows.of_experience().items()} == {0: [1, 3, 4], 1: [0, 2]}


def test_rows_that_change_are_found_where_they_are_now() -> None:
    rows = Rows()
    rows.append(columns((0, 0), (0, 1)))
    rows.append(columns((1, 3)))
    assert rows.of_experience()[1].tolist() == [2]
    rows.replace([0], columns((1, 4)))
    assert {number: found.tolist() for number, found in rows.of_experience().items()} == {0: [1], 1: [0, 2]}
    assert rows.label.tolist() == [4, 1, 3]
    assert rows.extra["note"].tolist() == [0, 1, 0]


def test_bytes_are_those_of_all_columns() -> None:
    rows = Rows()
    rows.put({"x": torch.zeros(3, 2), "label": integers(3, 1), "experience": integers(3, 0), "note": torch.zeros(3)})
    assert rows.nbytes == 3 * (8 + 4 + 4 + 4)
    assert set(rows.take(slice(1))) == {"x", "label", "experience", "note"}
