"""Domains that share their classes (sentiment): a way means the same in every task, and unseen domains are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.episodic import EpisodicDataModule
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.evaluation import metrics
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.plots import accuracy_matrix_figure, forgetting_curves_figure
from lifelong.evaluation.tables import matrix_table, row_line
from strategies import Replay
from strategies.memory.budget import Budget
from tests.toys import fit, make_learner, toy_examples

CPU = torch.device("cpu")


class Signs(Source):
    """Two classes told apart by the sign of the first number, in domains that differ in all others."""

    def __init__(self, *numbers: int, names: tuple[str, ...] = ("negative", "positive")) -> None:
        self.numbers, self.names = numbers, names

    def domains(self) -> list[Domain]:
        return [self._domain(number) for number in self.numbers]

    def _domain(self, number: int) -> Domain:
        rng = np.random.default_rng(number)
        y = rng.permutation(np.arange(60) % 2)
        x = rng.normal(size=(60, 4)) + number
        x[:, 0] = (2 * y - 1) * (1 + rng.random(60))
        return Domain(f"signs {number}", torch.from_numpy(x).float(), y, self.names)


def data(**settings: Any) -> EpisodicDataModule:
    few: dict[str, Any] = {"n_way": 2, "n_shot": 1, "n_query": 2, "n_eval_tasks": 8, "steps_per_experience": 4}
    return EpisodicDataModule(
        [Signs(0, 1)], **({"fixed_ways": True, "unseen": [Signs(2)], "split": (0.2, 0.2)} | few | settings)
    )


def test_a_way_is_the_same_class_in_every_task_of_every_domain() -> None:
    made = data(joint=True)
    stream = made.stream
    for purpose in ("train", "fisher"):
        batch = made.draw(stream.experiences[0], purpose, range(40)).gather(CPU)
        assert torch.equal(batch.classes, torch.tensor([[0, 1]]).expand(40, 2))
        assert torch.equal((batch.query_x[..., 0] > 0).long(), batch.query_y)
        assert torch.equal((batch.support_x[..., 0] > 0).long(), batch.support_y)
    unseen = made.draw_for_evaluation("test", 2, range(8)).gather(CPU)
    assert torch.equal((unseen.query_x[..., 0] > 0).long(), unseen.query_y)
    assert torch.equal(unseen.classes, torch.tensor([[0, 1]]).expand(8, 2))
    assert stream.n_classes == 2


def test_a_memory_shuffles_classes_and_keeps_the_ways() -> None:
    seen: list[Any] = []

    class Watching(Replay):
        def rehearse(self, learner: Any, batch: Any, position: Any, *, runner: Any) -> Any:
            batch = super().rehearse(learner, batch, position, runner=runner)
            seen.append(batch)
            return batch

    fit(make_learner("ProtoNet"), data(unseen=None), [Watching(budget=Budget(examples=24))])
    rehearsed = seen[-1]
    assert len(rehearsed.weight) > 4
    for batch in seen:
        assert torch.equal((batch.support_x[..., 0] > 0).long(), batch.support_y)


def test_unseen_domains_are_judged_and_never_learnt() -> None:
    made = data()
    stream = made.stream
    assert [e.name for e in stream.experiences] == ["signs 0", "signs 1"]
    assert stream.domains == ("signs 0", "signs 1", "signs 2")
    assert (stream.n_unseen, stream.n_learnt) == (1, 2)
    trained = {pool.name for e in stream.experiences for pool in e.pools}
    assert trained == {"signs 0 (train)", "signs 1 (train)"}
    evaluator = fit(make_learner("ProtoNet"), made)
    scores = evaluator.matrix()
    assert scores.shape == (2, 3, 8)
    found = metrics.summary(scores, n_unseen=1)
    assert found["unseen_score"].value == pytest.approx(scores[-1, 2].mean())  # type: ignore[union-attr]
    assert found["average_score"].value == pytest.approx(scores[-1, :2].mean())  # type: ignore[union-attr]
    assert found["forgetting"] is not None
    assert "unseen_score" not in metrics.summary(scores[:, :2])


def test_joint_training_spends_the_steps_of_what_it_learns() -> None:
    made = data(joint=True)
    assert made.steps_per_experience == 8
    scores = np.array([[[0.5, 0.7], [0.7, 0.9], [0.1, 0.3]]])
    found = metrics.summary(scores, joint=True, n_unseen=1)
    assert found["average_score"].value == pytest.approx(0.7)  # type: ignore[union-attr]
    assert found["unseen_score"].value == pytest.approx(0.2)  # type: ignore[union-attr]
    assert set(metrics.reasons(scores, joint=True, n_unseen=1)) == set(metrics.METRICS) - {"average_score"}


def test_what_a_person_sees_of_unseen_domains() -> None:
    scores = np.array([[0.6, 0.8, 0.2]])
    names = ["a", "b", "c"]
    average = Estimate(0.7, np.nan)
    line = row_line(0, 1, "all domains", scores[0], average, names, percent=True, joint=True, n_unseen=1)
    assert line.endswith("a 60.0  b 80.0 │ average 70.0 │ unseen: c 20.0")
    table = matrix_table(scores, None, ["all"], names, [average], percent=True, joint=True, n_unseen=1, width=80)
    cells = [next(iter(column.cells)) for column in table.columns]
    assert [str(cell) for cell in cells] == ["1 all", "60.0", "80.0", "20.0", "70.0"]
    assert [cell.style for cell in cells[1:4]] == ["", "", "dim"]  # type: ignore[union-attr]
    style: dict[str, Any] = {"title": "t", "score_name": "accuracy", "percent": True}
    matrix = np.array([[0.6, 0.8, 0.2], [0.6, 0.8, 0.2]])
    figure = accuracy_matrix_figure(matrix, None, ["a", "b"], names, **style, n_unseen=1)
    assert len(figure.axes[0].texts) == 6
    averages = [Estimate(0.6, np.nan), average]
    curves = forgetting_curves_figure(matrix, None, ["a", "b"], names, averages, **style, n_unseen=1)
    dotted = [line for line in curves.axes[0].lines if line.get_linestyle() == ":"]
    assert [len(line.get_xdata()) for line in dotted] == [2, 2]  # b before it is learnt, c always
    drawn = next(line for line in curves.axes[0].lines if line.get_gid() == "average")
    assert np.allclose(drawn.get_ydata(), [60, 70])


def test_unseen_examples_need_classes_that_are_shared() -> None:
    from tests.toys import FewClasses

    made = toy_examples("domain", n_domains=2, unseen=[FewClasses(3)])
    assert made.stream.n_classes == 4
    assert len(made.stream.domains) == 5
    with pytest.raises(ValueError, match=r"set --data\.scenario domain"):
        toy_examples("class", unseen=[FewClasses(1)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_way": 3}, "signs 0 .train. has 2 classes, and with --data.fixed_ways every task has them all"),
        ({"unseen": [Signs(2, names=("positive", "negative"))]}, "signs 2 has positive, negative: leave one"),
    ],
)
def test_what_does_not_fit_fixed_ways_is_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data(**settings).load()


def test_domains_of_the_same_examples_still_share_their_split() -> None:
    one = Signs(0)
    source = [replace(one.domains()[0], origin="same"), replace(one.domains()[0], name="again", origin="same")]

    class Both(Source):
        def domains(self) -> list[Domain]:
            return source

    stream = EpisodicDataModule([Both()], fixed_ways=True, n_way=2, n_shot=1, n_query=1, split=(0.2, 0.2)).stream
    for ours, theirs in zip(stream.test[0].members, stream.test[1].members, strict=True):
        assert np.array_equal(ours, theirs)
