"""Sampling: a task is a pure function of its place, and support and query never overlap."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from lifelong.data.pool import Pool, TaskShape
from lifelong.data.sampling import PURPOSES, Draw, draw_task, gather, generator
from tests.data.toy_pool import SHAPE
from tests.data.toy_pool import toy_pool as pool


def classes(p: Pool, indices: np.ndarray) -> np.ndarray:
    return p.x[torch.from_numpy(indices), 0].numpy().astype(int)


def key(draw: Draw) -> tuple[int, ...]:
    return (*draw.support.tolist(), *draw.query.tolist())


def test_a_task_is_a_pure_function_of_its_place() -> None:
    p = pool()

    def task(*place: Any) -> tuple[int, ...]:
        return key(draw_task([p], SHAPE, generator(*place)))

    reference = task(0, "train", 1, 7)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    task(0, "train", 1, 3)
    assert task(0, "train", 1, 7) == reference
    for other in ((1, "train", 1, 7), (0, "fisher", 1, 7), (0, "train", 2, 7), (0, "train", 1, 8)):
        assert task(*other) != reference
    assert len({task(0, "train", 0, i) for i in range(200)}) > 195


def test_support_and_query_are_disjoint() -> None:
    p = pool()
    seen = set()
    for i in range(200):
        draw = draw_task([p], SHAPE, generator(0, "train", 0, i))
        examples = key(draw)
        assert len(set(examples)) == 12
        support, query = classes(p, draw.support).reshape(2, 3), classes(p, draw.query).reshape(2, 3)
        assert (support == support[0]).all()
        assert (query == support[0]).all()
        assert len(set(support[0])) == 3
        seen |= set(examples)
    assert len(seen) == len(p)


def test_variants_of_a_class_never_meet_but_all_occur() -> None:
    p, seen = pool((4,) * 12, n_variants=4), set()
    assert p.n_classes == 3
    for i in range(100):
        ways = classes(p, draw_task([p], SHAPE, generator(0, "train", 0, i)).support)[:3]
        assert sorted(ways // 4) == [0, 1, 2]
        seen |= set(ways.tolist())
    assert seen == set(range(12))


def test_a_task_comes_from_one_of_several_pools() -> None:
    pools = [pool(), pool(offset=100)]
    draws = [draw_task(pools, SHAPE, generator(0, "train", 0, i)) for i in range(20)]
    assert {id(d.pool) for d in draws} == {id(p) for p in pools}
    batch = gather(draws, SHAPE, torch.device("cpu"))
    for i, draw in enumerate(draws):
        assert torch.equal(batch.support_x[i], draw.pool.x[torch.from_numpy(draw.support)])
        assert torch.equal(batch.query_x[i], draw.pool.x[torch.from_numpy(draw.query)])
    assert batch.support_y.tolist() == [[0, 1, 2, 0, 1, 2]] * 20
    assert batch.n_way == 3


def test_regression_targets_stay_beside_their_inputs() -> None:
    p = pool()
    p.targets = p.x[:, 1:] * 10
    shape = TaskShape(1, 2, 1)
    batch = gather([draw_task([p], shape, generator(0, "train", 0, i)) for i in range(5)], shape, torch.device("cpu"))
    assert batch.n_way == 0
    assert torch.equal(batch.support_y, batch.support_x[..., 1:] * 10)
    assert torch.equal(batch.query_y, batch.query_x[..., 1:] * 10)


def test_neighbouring_counters_do_not_overlap() -> None:
    numbers = [generator(0, "train", 0, i).random(64) for i in range(20)]
    assert not any(np.isin(a, b).any() for a, b in pairwise(numbers))


def test_a_purpose_of_ones_own_has_numbers_of_its_own() -> None:
    first, again, other = (generator(0, purpose, 0).random(64) for purpose in ("sketch", "sketch", "sketches"))
    assert (first == again).all()
    assert not np.isin(first, other).any()
    assert not any(np.isin(first, generator(0, purpose, 0).random(64)).any() for purpose in PURPOSES)
