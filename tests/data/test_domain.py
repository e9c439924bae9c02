"""Domains: parts of them, and the members of their classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lifelong.data.domain import Domain, members_by_class


def whole() -> Domain:
    x = torch.arange(6.0)[:, None]
    return Domain("all", x, np.arange(6) % 3, list("abc"), targets=10 * x, in_test=np.arange(6) >= 3)


def test_a_part_has_its_examples_with_all_that_belongs_to_them() -> None:
    part = whole().part(np.array([-1, 1, 0, -1, 1, 0]), "some", ["c", "b"])
    assert (part.name, list(part.class_names), part.y.tolist()) == ("some", ["c", "b"], [1, 0, 1, 0])
    assert part.x[:, 0].tolist() == [1, 2, 4, 5]
    assert part.targets is not None
    assert part.targets[:, 0].tolist() == [10, 20, 40, 50]
    assert part.in_test is not None
    assert part.in_test.tolist() == [False, False, True, True]


def test_a_large_domain_shares_its_inputs_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = whole()
    monkeypatch.setattr("lifelong.data.domain.RESIDENT_BYTES", domain.x.nbytes - 1)
    y = np.array([-1, 1, 0, -1, 1, 0])
    part = domain.part(y, "some", ["c", "b"])
    assert part.x is domain.x
    assert part.y.tolist() == y.tolist()


def test_members_are_ascending_and_minus_one_is_no_class() -> None:
    members = members_by_class(np.array([2, 0, -1, 2, 0]), 4)
    assert [m.tolist() for m in members] == [[1, 4], [], [0, 3], []]
