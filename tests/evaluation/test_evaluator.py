"""The metrics of real streams, read off the evaluator that watched them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifelong.evaluation.metrics import METRICS
from lifelong.learner import Learner
from lifelong.streaming import StreamDataModule
from tests.command_line import QUIET, run_here
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
    data = ["--data=lifelong.examples.ExampleDataModule", "--data.steps_per_experience=2", "--data.batch_size=8"]
    data += ["--data.sources=[{class_path: tests.toys.FewClasses, init_args: {n_domains: 2}}]"]
    model = ["--model=Classifier", "--model.network=MLP", "--model.network.n_inputs=4", "--model.network.n_outputs=8"]
    run_here("fit", *model, *data, *QUIET, "--strategies=[]", "--run.name=r")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"forward transfer ↑ n/a {DISJOINT}" in printed
    results = json.loads(Path("runs/r/results.json").read_text())
    assert results["metrics"]["forward_transfer"] is None
    assert results["metrics"]["backward_transfer"] is not None
