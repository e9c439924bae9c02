"""Splits of a domain: pure functions of a seed, disjoint, complete, and never between copies of one example."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lifelong.data.domain import Domain
from lifelong.data.splits import SPLITS, split_domain
from tests.toys import Toy


def domain(**settings: Any) -> Domain:
    return replace(Toy(1).domains()[0], **settings)


def split(d: Domain, seed: int = 0, shares: tuple[float, float] = (0.25, 0.25)) -> dict[str, list[np.ndarray]]:
    return {part: pool.members for part, pool in split_domain(d, d.name, shares, seed).items()}


def flat(members: list[np.ndarray]) -> list[int]:
    return sorted(np.concatenate(members).tolist()) if members else []


@pytest.mark.parametrize("holdout", ["classes", "examples"])
def test_splits_are_disjoint_and_complete(holdout: str) -> None:
    d = domain(holdout=holdout)
    parts = split(d)
    assert sorted(i for p in SPLITS for i in flat(parts[p])) == list(range(144))
    owners = {p: {int(d.y[i]) for i in flat(parts[p])} for p in SPLITS}
    if holdout == "classes":
        assert [len(owners[p]) for p in SPLITS] == [6, 3, 3]
    else:
        assert all(owners[p] == set(range(12)) for p in SPLITS)
        assert [len(parts[p][0]) for p in SPLITS] == [6, 3, 3]


@pytest.mark.parametrize("holdout", ["classes", "examples"])
def test_splits_depend_on_the_split_seed_alone(holdout: str) -> None:
    d = domain(holdout=holdout)
    reference = {p: flat(m) for p, m in split(d).items()}
    np.random.seed(9)  # noqa: NPY002
    torch.manual_seed(9)
    assert {p: flat(m) for p, m in split(d).items()} == reference
    assert {p: flat(m) for p, m in split(d, seed=1).items()} != reference


def test_counts_in_place_of_shares() -> None:
    assert [len(m) for m in split(domain(), shares=(1, 4)).values()] == [7, 1, 4]


@pytest.mark.parametrize("kind", ["siblings", "n_variants"])
def test_families_stay_together(kind: str) -> None:
    d = domain(**{kind: 3})
    for members in split(d).values():
        owners = [int(d.y[m[0]]) for m in members]
        assert owners
        assert len(owners) % 3 == 0
        assert all(owners[i : i + 3] == [owners[i], owners[i] + 1, owners[i] + 2] for i in range(0, len(owners), 3))
        assert all(owners[i] % 3 == 0 for i in range(0, len(owners), 3))


def test_a_given_split_is_kept() -> None:
    given = ["test", "train", "val", "train"]
    parts = split(domain(siblings=3, splits=given))
    assert [[int(m[0]) // 12 for m in parts[p]] for p in SPLITS] == [[3, 4, 5, 9, 10, 11], [6, 7, 8], [0, 1, 2]]


def test_domains_of_one_origin_share_a_split() -> None:
    one, two, other = (domain(name=name, origin=origin) for name, origin in (("a", None), ("b", "a"), ("c", None)))
    assert str(split(one)) == str(split(two)) != str(split(other))


@pytest.mark.parametrize("kind", ["n_variants", "siblings"])
def test_copies_of_an_example_stay_in_one_part(kind: str) -> None:
    twelve = domain(holdout="examples", **{kind: 4})  # example e of classes 4f … 4f + 3 are copies of one drawing
    for seed in range(3):
        for members in split(twelve, seed=seed).values():
            drawings = [(some - 12 * number).tolist() for number, some in enumerate(members)]
            assert all(drawings[4 * family + i] == drawings[4 * family] for family in range(3) for i in range(4))
    families = split(twelve)["test"]
    assert len({tuple(families[4 * family] - 48 * family) for family in range(3)}) > 1


def test_variants_of_other_sizes_cannot_be_kept_apart() -> None:
    fewer = domain(holdout="examples", n_variants=2)
    fewer = replace(fewer, x=fewer.x[:-1], y=fewer.y[:-1])
    with pytest.raises(ValueError, match="c11 has 11 examples and the class that it is a variant of 12"):
        split(fewer)
