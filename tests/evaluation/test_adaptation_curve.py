"""The score after every inner step."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lifelong import learners
from lifelong.compute.runner import TaskRunner
from lifelong.evaluation import AdaptationCurve
from lifelong.evaluation.adaptation_curve import scores_by_step
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.intervals import interval
from lifelong.evaluation.plots import adaptation_curve_figure
from lifelong.learners.base import Learner
from strategies import AdapterBank
from tests.evaluation.plots.figures import ends_of
from tests.toys import LEARNERS, fit, make_learner, module_of, random_episode, same, toy_data, weights

STEPS = {
    name: "n_eval_steps" if "n_eval_steps" in inspect.signature(getattr(learners, name)).parameters else "n_steps"
    for name in LEARNERS
    if hasattr(getattr(learners, name), "trajectory")
}
quiet = pytest.mark.filterwarnings("ignore")


def with_steps(name: str, n_steps: int, **settings: Any) -> Learner:
    return make_learner(name, **{STEPS[name]: n_steps}, **settings).eval()


@pytest.mark.parametrize(("name", "kind"), [("MAML", "regression"), *((name, "vector") for name in STEPS)])
def test_a_step_scores_as_the_learner_with_so_many_steps(name: str, kind: str) -> None:
    fast = {"rate": 0.5} if name == "FineTuning" else {}
    batch = random_episode(kind, n_tasks=5, n_way=1 if kind == "regression" else 3, n_query=40)
    learner = with_steps(name, 2, kind=kind, **fast)
    curve = scores_by_step(learner, learner.meta_parameters(), batch, 4, TaskRunner())
    assert curve.shape == (5, 5)
    for n_steps in range(5):
        other = with_steps(name, n_steps, kind=kind, **fast)
        torch.testing.assert_close(curve[:, n_steps], TaskRunner().scores(other, other.meta_parameters(), batch))
    assert not torch.allclose(curve[:, 0], curve[:, 4])


def trainer_of(folder: Path, *callbacks: L.Callback, **settings: Any) -> L.Trainer:
    quiet_settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet_settings |= {"enable_model_summary": False, "accelerator": "cpu", "default_root_dir": folder}
    return L.Trainer(**(quiet_settings | settings), callbacks=list(callbacks))


@quiet
def test_the_curve_is_that_of_the_evaluation_tasks(tmp_path: Path) -> None:
    module, data = module_of(make_learner("MAML", n_eval_steps=3), [AdapterBank()]), toy_data(2, n_eval_tasks=7)
    curve, evaluator = AdaptationCurve(n_steps=3), Evaluator()
    fit(module, data)
    before = weights(module)
    trainer_of(tmp_path, evaluator, curve).test(module, data, verbose=False)  # in Lightning's inference mode
    assert curve.result is not None
    assert evaluator.evaluation is not None
    scores = evaluator.evaluation.scores()[0]
    assert scores.shape == (2, 7)
    np.testing.assert_allclose(curve.result["mean"][:, 3], scores.mean(-1))
    np.testing.assert_allclose(curve.result["half_width"][:, 3], interval(scores)[1])
    assert same(before, weights(module))


@quiet
@pytest.mark.parametrize("max_epochs", [-1, 2, 9])
def test_fit_draws_the_curve_after_the_last_experience_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_epochs: int
) -> None:
    batches = []

    def counted(*arguments: Any) -> Tensor:
        batches.append(arguments)
        return scores_by_step(*arguments)

    monkeypatch.setattr("lifelong.evaluation.adaptation_curve.scores_by_step", counted)
    curve, data = AdaptationCurve(n_steps=1), toy_data(3 if max_epochs == 2 else 2)
    trainer_of(tmp_path, curve, max_epochs=max_epochs).fit(module_of(make_learner("MAML")), data)
    assert len(batches) == 2 * len(data.stream.domains)  # of 8 tasks in fours, in each domain
    assert curve.result is not None
    assert curve.result["part"] == "val"


@quiet
def test_a_learner_without_steps_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ProtoNet has no trajectory: leave the callback out"):
        trainer_of(tmp_path, AdaptationCurve()).fit(module_of(make_learner("ProtoNet")), toy_data(1))
    with pytest.raises(ValueError, match="n_steps is 0"):
        AdaptationCurve(n_steps=0)


@pytest.mark.parametrize("n_domains", [1, 3, 14])
def test_the_picture_has_a_line_per_domain_a_band_and_labels(n_domains: int) -> None:
    scores = np.random.default_rng(0).uniform(size=(n_domains, 5))
    names = [f"domain {i}" for i in range(n_domains)]
    figure = adaptation_curve_figure(scores, scores / 20, names, title="t", score_name="accuracy", percent=True)
    axes = figure.axes[0]
    lines = [line for line in axes.lines if line.get_gid() == "domain"]
    assert len(lines) == n_domains
    np.testing.assert_allclose(lines[0].get_xydata(), np.stack([np.arange(5), 100 * scores[0]], 1))
    averages = [line.get_ydata() for line in axes.lines if line.get_gid() == "average"]
    assert len(averages) == (n_domains > 1)  # of a single domain the average is its own line
    np.testing.assert_allclose(averages, [100 * scores.mean(0)] * len(averages))
    assert len(axes.collections) == {1: 1, 3: 4, 14: 1}[n_domains]
    texts = axes.get_legend().get_texts() if n_domains <= 6 else ends_of(axes)
    assert [text.get_text() for text in texts] == (names if n_domains == 1 else ["average", *names])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("inner steps", "accuracy (%)")
    # The first band is the average's (or that of the only domain): domains are independent.
    expected = np.sqrt((scores[:, 0] ** 2).sum()) / 20 / n_domains * 100
    path = axes.collections[0].get_paths()[0].vertices
    at_zero = np.asarray(path)[np.asarray(path)[:, 0] == 0, 1]
    assert (at_zero.max() - at_zero.min()) / 2 == pytest.approx(expected)


def test_the_band_of_the_average_can_be_given() -> None:
    averages = [Estimate(0.5, 0.1), Estimate(0.75, 0.2)]
    figure = adaptation_curve_figure(
        np.ones((2, 2)), None, ["a", "b"], title="t", score_name="accuracy", percent=True, averages=averages
    )
    (average,) = [line for line in figure.axes[0].lines if line.get_gid() == "average"]
    np.testing.assert_allclose(average.get_ydata(), [50, 75])
    heights = np.asarray(figure.axes[0].collections[0].get_paths()[0].vertices)
    assert heights[:, 1].max() == pytest.approx(95)


@quiet
def test_the_files_are_of_the_part_that_was_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, data, evaluator = module_of(make_learner("MAML")), toy_data(2), Evaluator()
    trainer = trainer_of(tmp_path, evaluator, AdaptationCurve(n_steps=4), max_epochs=-1)
    trainer.fit(module, data)
    assert f"written: {tmp_path / 'adaptation_curve_val.png'}" in capsys.readouterr().out
    fitted = json.loads((tmp_path / "adaptation_curve_val.json").read_text())
    assert fitted["steps"] == [0, 1, 2, 3, 4]
    # After two steps, as the learner is evaluated, it is the last row of the matrix.
    assert [row[2] for row in fitted["mean"]] == pytest.approx(evaluator.results.matrix[-1])
    with Image.open(tmp_path / "adaptation_curve_val.png") as picture:
        assert picture.size[0] > 600
    trainer.validate(module, data, verbose=False)
    assert json.loads((tmp_path / "adaptation_curve_val.json").read_text())["mean"] == fitted["mean"]
    trainer.test(module, data, verbose=False)
    assert json.loads((tmp_path / "adaptation_curve_test.json").read_text())["part"] == "test"
