"""Divergence, stability gap, worst-case accuracy and recency bias: formulas by hand, and callbacks on small streams."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation import Divergence, RecencyBias, StabilityGap, why
from lifelong.evaluation.evaluator import Evaluator
from lifelong.learners import NearestClassMean
from lifelong.networks import MLP
from strategies import Replay
from strategies.memory.budget import Budget
from tests.interrupted import SaveAt
from tests.toys import make_classifier, make_learner, module_of, same, toy_data, toy_examples, weights

pytestmark = pytest.mark.filterwarnings("ignore")
MEASURES: list[Any] = [Divergence, StabilityGap, RecencyBias]


def trainer_of(folder: Path, *callbacks: L.Callback, **settings: Any) -> L.Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "default_root_dir": folder, "max_epochs": -1}
    quiet |= {"num_sanity_val_steps": 0}
    return L.Trainer(**(quiet | settings), callbacks=list(callbacks))


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}_val.json").read_text(encoding="utf-8"))


# -- formulas ---------------------------------------------------------------------------------------------------------


def test_divergence_by_hand() -> None:
    before, after = np.array([[0.75, 0.25], [1.0, 0.0]]), np.array([[0.25, 0.75], [0.5, 0.5]])
    expected = [0.75 * math.log(3) - 0.25 * math.log(3), math.log(2)]
    np.testing.assert_allclose(why.divergence(before, after), expected)
    assert np.isfinite(why.divergence(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))).all()


def test_the_stability_gap_by_hand() -> None:
    scores = np.array([[0.9, 0.6], [0.5, 0.7], [0.8, 0.4]])
    assert why.stability_gap(scores) == pytest.approx((0.4 + 0.2) / 2)
    assert why.stability_gap(scores[:1]) == 0


def test_worst_case_accuracy_by_hand() -> None:
    lowest, newest = [0.5, 0.1, 0.3], 0.8
    assert why.worst_case_accuracy(lowest, newest) == pytest.approx(0.8 / 4 + (1 - 1 / 4) * (0.5 + 0.1 + 0.3) / 3)


def test_recency_bias_by_hand() -> None:
    answered = [np.array([0, 2, 2, 1]), np.array([1, 2]), np.array([2, 2])]  # the newest domain does not count
    assert why.recency_bias(answered) == pytest.approx((2 / 4 + 1 / 2) / 2)


# -- callbacks --------------------------------------------------------------------------------------------------------


def learn(folder: Path, *callbacks: L.Callback, strategies: Any = (), **settings: Any) -> Any:
    folder.mkdir(exist_ok=True)
    learner, data, evaluator = make_classifier(), toy_examples("class", 3, steps_per_experience=12), Evaluator()
    trainer = trainer_of(folder, evaluator, *callbacks, **settings)
    trainer.fit(module_of(learner, strategies), data)
    return learner, evaluator, trainer


def test_they_change_nothing_that_is_learnt(tmp_path: Path) -> None:
    plain, evaluator, _ = learn(tmp_path / "plain")
    watched, other, _ = learn(tmp_path / "watched", *(make() for make in MEASURES))
    assert same(weights(plain), weights(watched))
    assert (evaluator.matrix() == other.matrix()).all()


def test_a_classifier_without_replay_answers_the_newest(tmp_path: Path) -> None:
    none, replay = RecencyBias(), RecencyBias()
    learn(tmp_path / "none", none)
    learn(tmp_path / "replay", replay, strategies=[Replay(budget=Budget(examples=48))])
    assert list(none.values) == ["domain 1", "domain 2"]
    assert list(none.values.values())[-1] > list(replay.values.values())[-1]
    told = read(tmp_path / "none", "recency_bias")
    np.testing.assert_allclose(np.array(told["answered"]).sum(1), 1)
    assert list(told["recency_bias"].values())[-1] == pytest.approx(np.mean([row[2] for row in told["answered"][:2]]))


def test_the_gap_is_that_of_the_moments_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gap = StabilityGap(every_n_steps=3, n_units=1000)
    _, evaluator, _ = learn(tmp_path, gap)
    told, matrix = read(tmp_path, "stability_gap"), evaluator.matrix().mean(-1)
    assert [moments["steps"] for moments in told["moments"].values()] == [[12, 15, 18, 21, 24], [24, 27, 30, 33, 36]]
    for number, (name, moments) in enumerate(told["moments"].items(), start=1):
        scores = np.array(moments["scores"])
        np.testing.assert_allclose(scores[0], matrix[number - 1, :number])  # before its first step
        np.testing.assert_allclose(scores[-1], matrix[number, :number])  # at its end
        assert told["stability_gap"][name] == pytest.approx((scores[0] - scores.min(0)).mean())
    first, second = (np.array(moments["scores"]) for moments in told["moments"].values())
    lowest = [min(first[:, 0].min(), second[:, 0].min()), second[:, 1].min()]
    expected = (sum(lowest) + matrix[2, 2]) / 3
    assert list(told["worst_case_accuracy"].values())[-1] == pytest.approx(expected)
    assert "stability gap while each was learnt" in capsys.readouterr().out
    assert Image.open(tmp_path / "stability_gap_val.png").size[0] > 300


def test_divergence_is_that_of_the_models_before_and_after(tmp_path: Path) -> None:
    measure = Divergence(n_units=1000)
    learn(tmp_path, measure)
    assert len(measure.values) == 3
    still = Divergence()
    folder = tmp_path / "still"
    folder.mkdir()
    data = toy_examples("class", 2, steps_per_experience=2)
    trainer_of(folder, still).fit(module_of(make_classifier(), optimizer=lambda p: torch.optim.SGD(p, lr=0.0)), data)
    assert [mean for mean, _ in still.values.values()] == [0.0, 0.0]
    assert all(mean > 0.01 for mean, _ in measure.values.values())


@pytest.mark.parametrize("make", MEASURES)
def test_a_resumed_run_measures_as_the_whole_one(make: Any, tmp_path: Path) -> None:
    whole, second, path = make(), make(), tmp_path / "middle.ckpt"
    learn(tmp_path / "whole", whole, SaveAt(18, path))
    (tmp_path / "rest").mkdir()
    rest = trainer_of(tmp_path / "rest", Evaluator(), second)
    rest.fit(module_of(make_classifier()), toy_examples("class", 3, steps_per_experience=12), ckpt_path=path)
    one, other = whole.state_dict(), second.state_dict()
    assert {k: v for k, v in one.items() if k != "before"} == {k: v for k, v in other.items() if k != "before"}


def test_few_shot_tasks_have_divergence_and_gap(tmp_path: Path) -> None:
    gap, divergence = StabilityGap(every_n_steps=2), Divergence()
    data = toy_data()
    trainer_of(tmp_path, gap, divergence).fit(module_of(make_learner("ProtoNet")), data)
    assert len(divergence.values) == len(data.stream.experiences)
    assert len(gap.gaps) == len(data.stream.experiences) - 1


def test_a_learner_in_closed_form_has_them_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    learner, gap, divergence = NearestClassMean(MLP(n_inputs=4, hidden=[8], n_outputs=12)), StabilityGap(), Divergence()
    trainer_of(tmp_path, gap, divergence, RecencyBias()).fit(module_of(learner), toy_examples("class", 3))
    assert np.isfinite([mean for mean, _ in divergence.values.values()]).all()


@pytest.mark.parametrize(
    ("make", "data", "message"),
    [
        (RecencyBias, lambda: toy_examples("domain"), "is of class-incremental streams, and this one is domain"),
        (StabilityGap, lambda: toy_examples("class", classes="all", fade=0.5), "needs experiences that begin and end"),
        (Divergence, lambda: toy_examples("class", classes="all", fade=0.5), "compares classes' probabilities"),
    ],
)
def test_what_has_no_such_measure_is_refused(make: Any, data: Any, message: str, tmp_path: Path) -> None:
    stream: StreamDataModule = data()
    with pytest.raises(ValueError, match=message):
        trainer_of(tmp_path, make()).fit(module_of(make_classifier()), stream)
