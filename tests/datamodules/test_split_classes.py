"""A data set dealt into domains by its classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import SplitClasses
from datamodules.examples import ExampleDataModule
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.splits import split_domain
from lifelong.learners import Classifier
from tests.toys import fit


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


def sizes(**settings: Any) -> list[int]:
    return [len(d.class_names) for d in SplitClasses(Many(), **settings).domains()]


class Many(Source):
    """659 classes of two examples."""

    def domains(self) -> list[Domain]:
        y = np.arange(1318) % 659
        return [Domain("many", torch.from_numpy(y.copy())[:, None].float(), y, [str(c) for c in range(659)])]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [132, 132, 132, 132, 131]),
        ({"n_domains": 10, "n_classes": 600}, [60] * 10),
        ({"n_domains": 659}, [1] * 659),
        ({"sizes": [300, 1, 299]}, [300, 1, 299]),
        ({"n_domains": 2, "order": list(range(658, 55, -1)), "n_classes": 600}, [300, 300]),
        ({"order_seed": 3, "sizes": [100] * 6}, [100] * 6),
    ],
)
def test_any_number_of_classes_makes_domains_of_any_size(settings: dict[str, Any], expected: list[int]) -> None:
    assert sizes(**settings) == expected


def test_classes_that_are_not_dealt_out_are_in_no_domain() -> None:
    order = [658, 3, 5, 657]
    first, second = SplitClasses(Many(), sizes=[1, 2], order=order).domains()
    assert (first.class_names, second.class_names) == (["658"], ["3", "5"])
    assert [sorted(d.x[:, 0].tolist()) for d in (first, second)] == [[658, 658], [3, 3, 5, 5]]


@pytest.mark.parametrize("kind", ["n_variants", "siblings"])
def test_variants_of_a_class_come_to_one_domain(kind: str) -> None:
    class Turned(Source):
        def domains(self) -> list[Domain]:
            whole = Labelled().domains()[0]
            return [replace(whole, splits=["train", "val", "test"], **{kind: 2})]  # type: ignore[arg-type]

    first, second = SplitClasses(Turned(), sizes=[2, 1], order=[2, 0, 1]).domains()
    assert (list(first.class_names), first.splits) == (list("efab"), ["test", "train"])
    assert (list(second.class_names), second.splits) == (list("cd"), ["val"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_domains": 660}, "^659 classes of many cannot be dealt into 660 domains: lower n_domains$"),
        ({"n_domains": 4, "n_classes": 3}, "^3 classes of many cannot be dealt into 4 domains"),
        ({"n_classes": 660}, "^many has 659 classes to deal out, and 660 are asked for: lower n_classes$"),
        ({"sizes": [600, 60]}, "^many has 659 classes to deal out, and 660 are asked for: lower sizes$"),
        ({"order": [*range(659), 0, 659]}, "^the order of the classes of many has 0, 659: give each index once, from"),
        ({"order": [-1] * 9}, "has -1: give each index once, from 0 to 658$"),
        ({"order": list(range(600, 700))}, "has 659, 660, 661, 662, 663 and 36 more: give"),
        ({"order": [0], "order_seed": 1}, "give one of them"),
        ({"n_domains": 0}, "n_domains is 0: it must be a whole number, at least 1"),
        ({"n_classes": 0}, "n_classes is 0: it must be a whole number, at least 1"),
        ({"sizes": []}, "has nothing as sizes: give each domain at least 1 class"),
        ({"sizes": [2, 0]}, "has 2, 0 as sizes"),
        ({"sizes": [2, 2], "n_domains": 3}, "n_domains 3, but sizes make 2: leave n_domains out"),
        ({"sizes": [2, 2], "n_classes": 5}, "n_classes 5, but sizes make 4: leave n_classes out"),
    ],
)
def test_what_cannot_be_dealt_is_one_short_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        sizes(**settings)
    assert len(str(raised.value)) < 200


def test_one_class_per_experience_is_a_stream() -> None:
    source: list[Source] = [SplitClasses(Labelled(), n_domains=6)]
    data = ExampleDataModule(source, classes="seen", batch_size=2, steps_per_experience=2, split=(0.3, 0.2))
    torch.manual_seed(0)
    assert fit(Classifier(torch.nn.Linear(1, 6)), data).matrix().shape == (6, 6, 1)
    assert data.n_classes == 6
    assert [data.ways(e).tolist() for e in data.stream.experiences] == [list(range(n + 1)) for n in range(6)]
    for settings in ({"classes": "current"}, {"scenario": "task"}, {"scenario": "domain"}):
        with pytest.raises(ValueError, match=r"one class, and with --data.scenario .* no other competes .* or seen$"):
            ExampleDataModule(source, **settings).load()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the stream has 1 class in all"):
        ExampleDataModule([SplitClasses(Labelled(), sizes=[1])]).load()


def test_a_large_source_is_shared_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def dealt() -> list[Domain]:
        return SplitClasses(SplitClasses(Shared(), n_domains=2, order=[5, 0, 1, 4, 2, 3]), n_domains=3).domains()

    def inputs(domains: list[Domain]) -> list[list[list[float]]]:
        """By domain and part the inputs of each class."""
        parts = [split_domain(domain, domain.name, (0.25, 0.25), 0) for domain in domains]
        return [[pool.x[members, 0].tolist() for pool in p.values() for members in pool.members] for p in parts]

    source = Shared()
    copied = dealt()
    monkeypatch.setattr("lifelong.data.domain.RESIDENT_BYTES", source.x.nbytes - 1)
    shared = dealt()
    assert [len(d.x) for d in copied] == [4] * 6
    assert all(d.x is source.x for d in shared)
    assert [(d.name, d.class_names) for d in shared] == [(d.name, d.class_names) for d in copied]
    assert inputs(shared) == inputs(copied)
