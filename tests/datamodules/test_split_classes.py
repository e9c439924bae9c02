from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules import SplitClasses
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.splits import split_domain


class Labelled(Source):
    def domains(self) -> list[Domain]:
        x = torch.arange(24.0)[:, None]
        in_test = np.arange(24) >= 18
        return [Domain("all", x, np.arange(24) % 6, list("abcdef"), holdout="examples", in_test=in_test)]


class Shared(Source):
    """The same inputs, however often they are asked for."""

    x = torch.arange(24.0)[:, None]

    def domains(self) -> list[Domain]:
        return [replace(domain, x=self.x) for domain in Labelled().domains()]


@pytest.mark.parametrize(("order", "names"), [(None, ["ab", "cd", "ef"]), ([5, 0, 1, 4, 2, 3], ["fa", "be", "cd"])])
def test_classes_are_dealt_in_order_with_all_their_examples(order: list[int] | None, names: list[str]) -> None:
    domains = SplitClasses(Labelled(), n_domains=3, order=order).domains()
    assert ["".join(d.class_names) for d in domains] == names
    assert [d.name for d in domains] == [f"all {n[0]}, {n[1]}" for n in names]
    for domain in domains:
        assert len(domain.x) == 8
        for value, label, test in zip(domain.x[:, 0].tolist(), domain.y, domain.in_test, strict=True):
            assert "abcdef"[int(value) % 6] == domain.class_names[label]
            assert test == (value >= 18)


def test_the_seed_alone_shuffles() -> None:
    one, again, other = (
        [d.class_names for d in SplitClasses(Labelled(), n_domains=3, order_seed=s).domains()] for s in (1, 1, 2)
    )
    assert one == again
    assert one != other
    assert sorted(c for names in one for c in names) == list("abcdef")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_domains": 4}, "cannot be dealt into 4 domains"),
        ({"n_domains": 3, "order": [0, 1, 2]}, r"order \[0, 1, 2\] cannot be dealt"),
        ({"n_domains": 3, "order": [0], "order_seed": 1}, "give one of them"),
    ],
)
def test_what_cannot_be_dealt_is_one_sentence(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SplitClasses(Labelled(), **settings).domains()  # type: ignore[arg-type]


def test_a_large_source_is_shared_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def dealt() -> list[Domain]:
        return SplitClasses(SplitClasses(Shared(), n_domains=2, order=[5, 0, 1, 4, 2, 3]), n_domains=3).domains()

    def inputs(domains: list[Domain]) -> list[list[list[float]]]:
        """By domain and part the inputs of each class."""
        parts = [split_domain(domain, domain.name, (0.25, 0.25), 0) for domain in domains]
        return [[pool.x[members, 0].tolist() for pool in p.values() for members in pool.members] for p in parts]

    source = Shared()
    copied = dealt()
    monkeypatch.setattr("lifelong.data.stream.RESIDENT_BYTES", source.x.nbytes - 1)
    shared = dealt()
    assert [len(d.x) for d in copied] == [4] * 6
    assert all(d.x is source.x for d in shared)
    assert [(d.name, d.class_names) for d in shared] == [(d.name, d.class_names) for d in copied]
    assert inputs(shared) == inputs(copied)
