"""Few examples a class: the support may be the training examples, and what is too small is left out by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import EpisodicDataModule
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.splits import SPLITS, split_domain

CPU = torch.device("cpu")


class Numbered(Source):
    """Domains of classes of these sizes; the input of an example is (its domain, its class, its number)."""

    def __init__(self, *sizes: tuple[int, ...], first: int = 0, **settings: Any) -> None:
        self.sizes, self.first, self.settings = sizes, first, settings

    def domains(self) -> list[Domain]:
        return [self._domain(f"site {d}", d, sizes) for d, sizes in enumerate(self.sizes, self.first)]

    def _domain(self, name: str, d: int, sizes: tuple[int, ...]) -> Domain:
        y = np.repeat(np.arange(len(sizes)), sizes)
        x = torch.from_numpy(np.stack([np.full(len(y), d), y, np.arange(len(y))], 1)).float()
        settings = {"holdout": "examples"} | self.settings
        return Domain(name, x, y, [f"c{c}" for c in range(len(sizes))], **settings)


def data(*sizes: tuple[int, ...], **settings: Any) -> EpisodicDataModule:
    given = {"n_way": 3, "n_shot": 5, "n_query": 1, "eval_n_query": 2, "split": (0.2, 0.2), "eval_support": "train"}
    domain = settings.pop("domain", {})
    return EpisodicDataModule([Numbered(*sizes, **domain)], **(given | settings))


def rows(x: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in x.flatten(0, 1).tolist()}


def test_ten_examples_a_class_are_enough() -> None:
    with pytest.raises(ValueError, match=r"class 'c0' of site 0 \(val\) has 2 examples.*need 7"):
        data((10, 10, 10), eval_support="held_out").load()
    made = data((10, 10, 10))
    batch = made.draw_for_evaluation("test", 0, range(20)).gather(CPU)
    assert (batch.support_x.shape, batch.query_x.shape) == ((20, 15, 3), (20, 6, 3))
    assert len(rows(batch.query_x)) == 6
    assert len(rows(batch.support_x)) == 18  # all that are trained on


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("domain", [0, 1, 2])
def test_no_query_is_a_support_or_trained_on(part: Any, domain: int) -> None:
    made = data((10, 23, 60, 11), (14, 10, 31), unseen=[Numbered((10, 12, 13), first=2)])
    trained = [rows(batch) for e in (0, 1) for batch in _training(made, e)]
    drawn = made.draw_for_evaluation(part, domain, range(200)).gather(CPU)
    queries, supports = rows(drawn.query_x), rows(drawn.support_x)
    other = made.draw_for_evaluation("val" if part == "test" else "test", domain, range(200)).gather(CPU)
    assert not queries & set().union(*trained)
    assert not queries & (supports | rows(other.support_x) | rows(other.query_x))
    for support, query in zip(drawn.support_x, drawn.query_x, strict=True):
        assert len(set(map(tuple, support.tolist()))) == 15
        assert len(set(map(tuple, query.tolist()))) == 6
        assert support[:3, 1].tolist() == query[:3, 1].tolist() == query[3:, 1].tolist()


def _training(made: EpisodicDataModule, experience: int) -> list[torch.Tensor]:
    batch = made.draw_for_training(experience, range(300)).gather(CPU)
    return [batch.support_x, batch.query_x]


def test_training_and_its_tasks_do_not_depend_on_the_support() -> None:
    held_out, train = (
        data((20, 30, 20), n_shot=2, eval_support=where, split=(4, 4)) for where in ("held_out", "train")
    )
    assert torch.equal(*(made.draw_for_training(0, range(9)).gather(CPU).query_x for made in (held_out, train)))
    assert held_out.stream.fingerprint == train.stream.fingerprint
    assert held_out.about_evaluation("val") != train.about_evaluation("val")
    assert held_out.evaluation_name("val") != train.evaluation_name("val")


def test_held_out_classes_keep_their_own_support() -> None:
    made = data((10,) * 12, domain={"holdout": "classes"}, split=(0.25, 0.25))
    batch = made.draw_for_evaluation("test", 0, range(9)).gather(CPU)
    assert set(batch.support_x[..., 1].flatten().tolist()) == set(batch.query_x[..., 1].flatten().tolist())


def test_given_test_examples_are_asked_about_alone() -> None:
    in_test = np.arange(30) % 10 >= 8
    made = data((10, 10, 10), domain={"in_test": in_test}, split=(0.25, 0))
    batch = made.draw_for_evaluation("test", 0, range(50)).gather(CPU)
    assert {int(number) for *_, number in rows(batch.query_x)} == set(np.flatnonzero(in_test).tolist())
    assert not {int(number) for *_, number in rows(batch.support_x)} & set(np.flatnonzero(in_test).tolist())


def test_ordered_examples_come_from_one_part() -> None:
    with pytest.raises(ValueError, match=r"site 0 \(train\) follow each other in time.*eval_support held_out$"):
        data((30, 30, 30), domain={"ordered": True}).load()


def test_each_lack_is_named_with_its_number() -> None:
    with pytest.raises(ValueError, match=r"class 'c1' of site 0 \(train\) has 4 examples, .*need 6: lower"):
        data((10, 6, 10)).load()
    with pytest.raises(ValueError, match=r"class 'c1' of site 0 \(val\) has 1 examples.*need 2 queries"):
        data((30, 7, 30), n_shot=2).load()
    with pytest.raises(ValueError, match=r"class 'c1' of site 0 \(val\) has 6 training examples.*need 7"):
        data((30, 10, 30), eval_n_shot=7).load()


@pytest.mark.parametrize("support", ["train", "held_out"])
def test_small_classes_are_left_out_in_one_line(support: Any, caplog: pytest.LogCaptureFixture) -> None:
    sizes = ((60, 4, 70, 50), (60, 60, 3, 60, 2))
    made = data(*sizes, small_classes="leave_out", eval_support=support)
    kept = [[pool.names for pool in pools] for pools in (made.stream.val, made.stream.test)]
    assert kept == [[["c0", "c2", "c3"], ["c0", "c1", "c3"]]] * 2
    assert [e.pools[0].names for e in made.stream.experiences] == kept[0]
    assert made.n_classes == 6
    (record,) = caplog.records
    assert "c1 of site 0 (4), c2 of site 1 (3), c4 of site 1 (2)" in record.getMessage()
    assert len(record.getMessage().splitlines()) == 1
    queries = made.draw_for_evaluation("test", 0, range(30)).gather(CPU).query_x
    assert {int(c) for _, c, _ in rows(queries)} == {0, 2, 3}


def test_what_cannot_be_asked_about_is_not_trained_on() -> None:
    made = data((30, 7, 30, 30), n_shot=2, eval_n_shot=2, small_classes="leave_out")
    assert made.stream.experiences[0].pools[0].names == ["c0", "c2", "c3"]


def test_nothing_is_left_out_without_being_asked() -> None:
    with pytest.raises(ValueError, match=r"class 'c1' of site 0 .*\(--data.small_classes leave_out\)$"):
        data((60, 4, 70, 50)).load()
    everything = data((60, 14, 70, 50), small_classes="leave_out")
    assert everything.stream.fingerprint == data((60, 14, 70, 50)).stream.fingerprint


def test_a_site_with_too_few_classes_left_is_refused() -> None:
    with pytest.raises(ValueError, match=r"site 0 \(train\) has 2 classes, but the tasks are 3-way"):
        data((60, 4, 70), small_classes="leave_out").load()


def test_variants_of_a_small_class_go_together() -> None:
    made = data((20, 20, 4, 4, 20, 20, 20, 20), domain={"n_variants": 2}, small_classes="leave_out", split=(0.2, 0.2))
    assert made.stream.val[0].names == ["c0", "c1", "c4", "c5", "c6", "c7"]
    assert made.stream.val[0].n_classes == 3


def test_small_held_out_classes_go_from_their_part_alone() -> None:
    sizes = tuple(3 if c % 4 == 0 else 10 for c in range(24))
    made = data(sizes, domain={"holdout": "classes"}, small_classes="leave_out", split=(0.25, 0.25))
    (domain,) = Numbered(sizes, holdout="classes").domains()
    before = split_domain(domain, domain.name, (0.25, 0.25), 0)
    after = {"train": made.stream.experiences[0].pools[0], "val": made.stream.val[0], "test": made.stream.test[0]}
    for part in SPLITS:
        large = [name for name in before[part].names if sizes[int(name[1:])] == 10]
        assert after[part].names == large


def test_an_empty_part_needs_no_examples() -> None:
    made = data((7, 8, 9), split=(0, 2), small_classes="leave_out", n_shot=4)
    assert [pool.n_classes for pool in made.stream.test] == [3]
    assert len(made.stream.val[0]) == 0


def test_the_unused_training_part_of_unseen_domains_is_free() -> None:
    unseen = [Numbered((6, 6, 6), first=1)]
    made = data((20, 20, 20), unseen=unseen, small_classes="leave_out", n_shot=4, eval_n_shot=3, eval_n_query=1)
    assert made.stream.test[1].n_classes == 3
    assert replace(made.stream.records[1], name="").n_examples["train"] == 12


def test_fixed_ways_leave_no_class_out() -> None:
    with pytest.raises(ValueError, match="fixed_ways needs every class in every domain"):
        EpisodicDataModule([], fixed_ways=True, small_classes="leave_out")
