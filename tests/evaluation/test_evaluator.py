"""The metrics of real streams, read off the evaluator that watched them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.metrics import METRICS
from lifelong.learners.base import Learner
from strategies import Replay
from tests.command_line import QUIET, run_here
from tests.interrupted import fit_twice
from tests.toys import fit, make_classifier, make_learner, toy_data, toy_examples

DISJOINT = "the classes of the experiences are disjoint"


def of_kind(kind: str) -> tuple[Learner, StreamDataModule]:
    return (make_learner(), toy_data(2)) if kind == "few-shot" else (make_classifier(), toy_examples(kind, 2))


@pytest.mark.parametrize("kind", ["few-shot", "class", "domain", "task"])
def test_forward_transfer_is_not_available_where_classes_are_disjoint(kind: str) -> None:
    learner, data = of_kind(kind)
    evaluator = fit(learner, data, num_sanity_val_steps=-1)
    assert evaluator.untrained_scores() is not None
    missing = {"forward_transfer"} if kind in ("class", "task") else set()
    assert {name for name, e in evaluator.summary(learner.trainer).items() if e is None} == missing
    assert evaluator.reasons(learner.trainer) == dict.fromkeys(missing, DISJOINT)
    logged = {f"val/{name}" for name in METRICS} - {f"val/{name}" for name in missing}
    assert logged <= evaluator.scalars(learner.trainer).keys()
    assert not {f"val/{name}" for name in missing} & evaluator.scalars(learner.trainer).keys()


@pytest.mark.filterwarnings("ignore")
def test_the_command_line_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    data = ["--data=datamodules.examples.ExampleDataModule", "--data.steps_per_experience=2", "--data.batch_size=8"]
    data += ["--data.sources=[{class_path: tests.toys.FewClasses, init_args: {n_domains: 2}}]"]
    model = ["--model=Classifier", "--model.network=MLP", "--model.network.n_inputs=4", "--model.network.n_outputs=8"]
    run_here("fit", *model, *data, *QUIET, "--strategies=[]", "--run.name=r")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"forward transfer ↑ n/a {DISJOINT}" in printed
    results = json.loads(Path("runs/r/results.json").read_text())
    assert results["metrics"]["forward_transfer"] is None
    assert results["metrics"]["backward_transfer"] is not None


def test_between_whole_rows_only_the_domain_just_learnt_and_the_next_are_evaluated() -> None:
    learner, sparse_learner = make_learner(), make_learner()
    full = fit(learner, toy_data(5), num_sanity_val_steps=-1)
    sparse = fit(sparse_learner, toy_data(5, evaluate_every=3), num_sanity_val_steps=-1)
    evaluated = ~np.isnan(sparse.matrix()).all(-1)
    assert evaluated.tolist() == [
        [True, True, False, False, False],
        [False, True, True, False, False],
        [True] * 5,
        [False, False, False, True, True],
        [True] * 5,
    ]
    assert np.array_equal(sparse.matrix()[evaluated], full.matrix()[evaluated])
    assert all(np.array_equal(a, b) for a, b in zip(sparse.untrained or [], full.untrained or [], strict=True))
    theirs, ours = full.summary(learner.trainer), sparse.summary(sparse_learner.trainer)
    for name in ("average_score", "learning_score", "backward_transfer", "forward_transfer"):
        assert ours[name] == theirs[name]
    logged = sparse.scalars(sparse_learner.trainer)
    assert {f"val/score/domain {d}" for d in range(5)} <= logged.keys()


@pytest.mark.parametrize("step", [2, 6, 14])  # in the middle of the first, the second and the fourth experience
def test_a_run_goes_on_between_whole_rows(tmp_path: Path, step: int) -> None:
    (_, whole), (_, resumed) = fit_twice(
        make_learner, lambda: toy_data(5, steps_per_experience=4, evaluate_every=3), lambda: [Replay()], tmp_path, step
    )
    assert np.isnan(whole.matrix()).any()
    assert np.array_equal(whole.matrix(), resumed.matrix(), equal_nan=True)


def test_more_domains_than_the_interpreter_may_nest_are_passed_over() -> None:
    data = toy_data(1100, steps_per_experience=1, n_eval_tasks=1, evaluate_every=2000, tasks_per_batch=1)
    matrix = fit(make_learner("ProtoNet"), data, max_epochs=2).matrix()
    assert np.isfinite(matrix[0, :, 0]).sum() == 2
    assert np.isfinite(matrix[1]).all()


@pytest.mark.parametrize("kind", ["few-shot", "class"])
def test_rows_come_back_from_a_checkpoint_as_they_were(kind: str, tmp_path: Path) -> None:
    learner, data = of_kind(kind)
    data.evaluate_every = 5
    written = fit(learner, data, num_sanity_val_steps=-1)
    torch.save(written.state_dict(), tmp_path / "state.pt")
    read = Evaluator()
    read.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert np.array_equal(read.matrix(), written.matrix(), equal_nan=True)
    assert read.summary(learner.trainer) == written.summary(learner.trainer)


def test_rows_of_an_older_checkpoint_are_read() -> None:
    row = [torch.tensor([0.5, 1.0]).double(), torch.tensor([0.25]).double()]
    evaluator = Evaluator()
    evaluator.load_state_dict({"rows": {"score": [row, row]}, "untrained": row, "seconds": 1.0})
    assert evaluator.matrix().shape == (2, 2, 2)
    assert evaluator.matrix().mean(-1).tolist() == [[0.75, 0.25]] * 2
    assert [scores.tolist() for scores in evaluator.untrained or []] == [[0.5, 1.0], [0.25]]
