"""Streams: the order of experiences, the upper bounds, the names of domains and the fingerprint of a split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lifelong.data.domain import Domain
from lifelong.data.stream import Stream, build_stream
from tests.toys import Toy


def named(name: str) -> Domain:
    return replace(Toy(1).domains()[0], name=name)


def flat(members: list[np.ndarray]) -> list[int]:
    return sorted(np.concatenate(members).tolist()) if members else []


def stream(seed: int = 0, joint: bool = False, n: int = 3) -> Stream:
    return build_stream(Toy(n).domains(), split=(3, 3), split_seed=seed, joint=joint)


def test_fingerprint_tells_splits_apart() -> None:
    assert stream().fingerprint == stream().fingerprint == stream(joint=True).fingerprint
    assert stream().fingerprint != stream(1).fingerprint
    assert stream().fingerprint != stream(n=2).fingerprint


def test_experiences_are_in_order_and_joint_is_one() -> None:
    s, joint = stream(), stream(joint=True)
    assert [(e.index, e.name, len(e.pools)) for e in s.experiences] == [(i, f"domain {i}", 1) for i in range(3)]
    assert len(s.val) == len(s.test) == 3
    assert [len(e.pools) for e in joint.experiences] == [3]
    assert joint.domains == s.domains
    for one, e in zip(joint.experiences[0].pools, s.experiences, strict=True):
        assert flat(one.members) == flat(e.pools[0].members)


def test_cumulative_experiences_train_on_all_domains_so_far() -> None:
    s, cumulative = stream(), build_stream(Toy(3).domains(), split=(3, 3), split_seed=0, cumulative=True)
    assert [(e.index, e.name, len(e.pools)) for e in cumulative.experiences] == [
        (i, f"domain {i}", i + 1) for i in range(3)
    ]
    for e in cumulative.experiences:
        assert [flat(p.members) for p in e.pools] == [
            flat(s.experiences[i].pools[0].members) for i in range(e.index + 1)
        ]
    assert cumulative.fingerprint == s.fingerprint


def test_equal_names_are_numbered() -> None:
    d = named("a")
    assert build_stream([d, d, d], split=(3, 3), split_seed=0).domains == ("a", "a 2", "a 3")


def test_numbered_names_do_not_meet_given_ones() -> None:
    ds = [named(n) for n in ("a", "a 2", "a")]
    assert len(set(build_stream(ds, split=(3, 3), split_seed=0).domains)) == 3


def test_no_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="no experience"):
        build_stream([], split=(3, 3), split_seed=0)
