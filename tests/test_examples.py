"""Streams of labelled examples: what an example is told apart from, and the order in which examples come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from datamodules import SplitClasses
from lifelong.batch import Episode
from lifelong.examples import ExampleDataModule
from lifelong.stream import Domain, Source

CPU = torch.device("cpu")


class Numbered(Source):
    """60 examples of 6 classes; each input is its own number, so that one sees which example came."""

    def __init__(self, holdout: str = "examples") -> None:
        self.holdout: Any = holdout

    def domains(self) -> list[Domain]:
        x = torch.arange(60.0)[:, None]
        return [Domain("numbers", x, np.arange(60) % 6, list("abcdef"), holdout=self.holdout)]


def examples(**settings: Any) -> ExampleDataModule:
    defaults: dict[str, Any] = {"batch_size": 4, "split": (0.1, 0.2)}
    return ExampleDataModule([SplitClasses(Numbered(), n_domains=3)], **(defaults | settings))


def steps(data: ExampleDataModule, experience: int, rank: int = 0, world: int = 1) -> list[Episode]:
    loader = data.train_dataloader()
    loader._place = lambda: (experience, rank, world)
    return [drawn.gather(CPU) for drawn in loader]


def true_class(batch: Episode) -> torch.Tensor:
    return batch.query_x[:, 0, 0].long() % 6


@pytest.mark.parametrize(
    ("scenario", "classes", "ways"),
    [
        ("class", "all", [0, 1, 2, 3, 4, 5]),
        ("class", "seen", [0, 1, 2, 3]),
        ("class", "current", [2, 3]),
        ("task", "seen", [2, 3]),
        ("domain", "seen", [0, 1]),
    ],
)
def test_the_scenario_is_what_an_example_is_told_apart_from(scenario: Any, classes: Any, ways: list[int]) -> None:
    (batch, *_) = steps(examples(scenario=scenario, classes=classes, steps_per_experience=3), experience=1)
    assert batch.support_x.shape == (4, 0, 1)
    assert batch.query_x.shape == (4, 1, 1)
    assert batch.classes is not None
    assert batch.classes.tolist() == [ways] * 4
    named = batch.classes.gather(1, batch.query_y)[:, 0]
    expected = true_class(batch) - 2 if scenario == "domain" else true_class(batch)
    assert torch.equal(named, expected)


def test_class_incremental_batches_do_not_tell_the_experience() -> None:
    # Poison: whatever a task-agnostic learner is given is the same for examples of different experiences.
    data = examples(scenario="class", classes="all")
    first, last = steps(data, 0)[0], steps(data, 2)[0]
    assert torch.equal(first.classes, last.classes)  # type: ignore[arg-type]
    assert first.n_way == last.n_way == 6
    told = examples(scenario="task")
    assert not torch.equal(steps(told, 0)[0].classes, steps(told, 2)[0].classes)  # type: ignore[arg-type]


def test_a_pass_deals_out_every_example_once_and_passes_differ() -> None:
    data = examples(passes=2, batch_size=4)
    seen = torch.cat([batch.query_x.flatten() for batch in steps(data, 0)])
    first, second = seen.chunk(2)
    assert len(seen) == 2 * 14  # of 20 examples 2 are for val and 4 for test
    assert torch.equal(first.sort().values, second.sort().values)
    assert len(first.unique()) == 14
    assert not torch.equal(first, second)


def test_two_ranks_together_see_the_examples_of_one() -> None:
    data = examples(steps_per_experience=5)
    whole, *shared = (steps(data, 1, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2)))
    for batch, a, b in zip(whole, *shared, strict=True):
        assert torch.equal(torch.stack([a.query_x, b.query_x], 1).flatten(0, 1), batch.query_x)


def test_evaluation_takes_all_examples_of_the_part_in_the_same_order() -> None:
    one, two = examples(seed=0), examples(seed=1)
    for part in ("val", "test"):
        found = []
        for data in (one, two):
            drawn = data.draw_for_evaluation(part, 2, range(data.n_eval_units(part, 2))).gather(CPU)  # type: ignore[arg-type]
            found.append(drawn.query_x.flatten())
        assert torch.equal(*found)
        assert len(found[0].unique()) == {"val": 2, "test": 4}[part]
        assert set((found[0] % 6).long().tolist()) == {4, 5}


def test_a_class_that_is_not_seen_yet_is_none_of_the_ways() -> None:
    data = examples(scenario="class", classes="seen")
    drawn = data.draw_for_evaluation("test", 2, range(4)).gather(CPU)
    assert drawn.n_way == 2
    assert drawn.query_y.flatten().tolist() == [2] * 4


def test_who_trains_on_the_current_classes_is_judged_among_those_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    data = examples(scenario="class", classes="current")
    monkeypatch.setattr(ExampleDataModule, "current_experience", 1)
    drawn = data.draw_for_evaluation("test", 0, range(4)).gather(CPU)
    assert drawn.classes is not None
    assert drawn.classes.tolist() == [[0, 1, 2, 3]] * 4
    assert torch.equal(drawn.query_y[:, 0], true_class(drawn))


def test_joint_examples_come_from_all_domains_each_with_its_own_ways() -> None:
    data = examples(scenario="task", joint=True, batch_size=42)
    (batch,) = steps(data, 0)
    assert len(batch.query_x.unique()) == 42
    assert batch.classes is not None
    assert torch.equal(batch.classes.gather(1, batch.query_y)[:, 0], true_class(batch))
    assert len(batch.classes.unique(dim=0)) == 3


def test_what_does_not_suit_a_scenario_is_one_sentence() -> None:
    uneven = [SplitClasses(Numbered(), n_domains=3), Numbered()]
    with pytest.raises(ValueError, match="the task scenario needs as many classes in every domain"):
        ExampleDataModule(uneven, scenario="task").stream  # noqa: B018
    with pytest.raises(ValueError, match="fewer than two classes"):
        ExampleDataModule([SplitClasses(Numbered(), n_domains=6)]).stream  # noqa: B018
    for name in ("batch_size", "n_eval_examples", "passes", "steps_per_experience"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            examples(**{name: 0})
    with pytest.raises(ValueError, match=r"the val part of numbers a, b is empty.*--data.evaluate_on"):
        examples(split=(0, 0.2)).val_dataloader()
