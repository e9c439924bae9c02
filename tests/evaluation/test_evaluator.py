"""The accuracy matrix of real streams, as the evaluator fills it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.metrics import METRICS
from lifelong.learners.base import Learner
from lifelong.training.stream_module import StreamModule
from strategies import AdapterBank, Replay
from tests.interrupted import SaveAt, fit_twice
from tests.toys import fit, make_classifier, make_learner, module_of, same, toy_data, toy_examples, weights

DISJOINT = "the classes of the experiences are disjoint"


def of_kind(kind: str) -> tuple[Learner, StreamDataModule]:
    return (make_learner(), toy_data(2)) if kind == "few-shot" else (make_classifier(), toy_examples(kind, 2))


@pytest.mark.parametrize("kind", ["few-shot", "class", "domain", "task"])
def test_disjoint_classes_have_no_forward_transfer(kind: str) -> None:
    learner, data = of_kind(kind)
    results = fit(learner, data, num_sanity_val_steps=-1).results
    assert results.untrained is not None
    missing = {"forward_transfer"} if kind in ("class", "task") else set()
    assert {name: e.reason for name, e in results.metrics.items() if e.reason} == dict.fromkeys(missing, DISJOINT)
    logged = {f"val/{name}" for name in METRICS} - {f"val/{name}" for name in missing}
    assert logged <= results.scalars().keys()
    assert not {f"val/{name}" for name in missing} & results.scalars().keys()


def test_sparse_rows_have_the_domain_just_learnt_and_the_next() -> None:
    full = fit(make_learner(), toy_data(5), num_sanity_val_steps=-1)
    sparse = fit(make_learner(), toy_data(5, evaluate_every=3), num_sanity_val_steps=-1)
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
    theirs, ours = full.results.metrics, sparse.results.metrics
    for name in ("average_score", "learning_score", "backward_transfer", "forward_transfer"):
        assert ours[name] == theirs[name]
    assert {f"val/score/domain {d}" for d in range(5)} <= sparse.results.scalars().keys()


# -- plain Lightning --------------------------------------------------------------------------------------------------

quiet = pytest.mark.filterwarnings("ignore")


def plain_fit(folder: Path, data: StreamDataModule, **trainer: Any) -> tuple[Evaluator, dict[str, torch.Tensor]]:
    """Fit with what Lightning does by default, but for files and the bar."""
    evaluator, learner = Evaluator(), make_learner()
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings = quiet | {"accelerator": "cpu", "devices": 1, "default_root_dir": folder, "max_epochs": 9}
    L.Trainer(**(settings | trainer), callbacks=[evaluator]).fit(module_of(learner), data)
    return evaluator, weights(learner)


@quiet
@pytest.mark.parametrize("evaluate_every", [1, 2])
def test_lightnings_two_sanity_batches_change_nothing(tmp_path: Path, evaluate_every: int) -> None:
    settings: dict[str, Any] = {"n_eval_tasks": 20, "evaluate_every": evaluate_every}
    whole, by_whole = plain_fit(tmp_path, toy_data(3, **settings), num_sanity_val_steps=-1)
    two, by_two = plain_fit(tmp_path, toy_data(3, **settings))
    assert two.matrix().shape == (3, 3, 20)
    assert np.array_equal(two.matrix(), whole.matrix(), equal_nan=True)
    assert two.results.untrained is not None
    assert np.array_equal(two.results.untrained, whole.results.untrained)
    assert two.results.metrics == whole.results.metrics
    assert same(by_two, by_whole)


@quiet
def test_a_trainer_with_nothing_but_defaults_fills_the_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evaluator = Evaluator()
    L.Trainer(max_epochs=9, callbacks=[evaluator]).fit(StreamModule(make_learner()), toy_data(2, n_eval_tasks=20))
    results = evaluator.results
    assert results.matrix.shape == (2, 2)
    assert np.isfinite(results.half_widths).all()
    assert results.metrics["forward_transfer"].reason == ""


@quiet
def test_no_sanity_steps_mean_no_untrained_row(tmp_path: Path) -> None:
    evaluator, _ = plain_fit(tmp_path, toy_data(2), num_sanity_val_steps=0)
    assert evaluator.untrained is None
    assert evaluator.results.metrics["forward_transfer"].reason == "no score of the untrained learner"
    assert np.isfinite(evaluator.results.matrix).all()


@quiet
@pytest.mark.parametrize(("max_epochs", "n_rows"), [(1, 1), (2, 2), (3, 3), (50, 3), (-1, 3), (None, 3)])
def test_rows_end_with_the_trainer_or_the_stream(tmp_path: Path, max_epochs: int | None, n_rows: int) -> None:
    evaluator, _ = plain_fit(tmp_path, toy_data(3), max_epochs=max_epochs)
    results = evaluator.results
    assert results.matrix.shape == (n_rows, 3)
    assert results.experiences == ("domain 0", "domain 1", "domain 2")[:n_rows]
    assert results.setting.finished


@quiet
def test_the_untrained_learner_is_left_in_training_mode(tmp_path: Path) -> None:
    learner, modes = make_learner(), []

    class Look(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
            modes.append([module.training for module in pl_module.modules()])

    settings: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(
        **settings, accelerator="cpu", default_root_dir=tmp_path, max_epochs=9, callbacks=[Evaluator(), Look()]
    )
    trainer.fit(module_of(learner), toy_data(2))
    assert modes
    assert all(all(mode) for mode in modes)


@quiet
def test_a_few_batches_of_each_evaluation_make_a_matrix(tmp_path: Path) -> None:
    evaluator, _ = plain_fit(tmp_path, toy_data(2, n_eval_tasks=20), limit_val_batches=2)
    assert evaluator.matrix().shape == (2, 2, 8)
    assert evaluator.results.metrics["forward_transfer"].reason == ""


@quiet
def test_an_evaluator_starts_anew_with_each_run(tmp_path: Path) -> None:
    evaluator = Evaluator()
    settings: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    for n_domains in (3, 2):
        trainer = L.Trainer(
            **settings, accelerator="cpu", default_root_dir=tmp_path, max_epochs=9, callbacks=[evaluator]
        )
        trainer.fit(module_of(make_learner()), toy_data(n_domains))
    assert evaluator.results.matrix.shape == (2, 2)


@quiet
def test_a_checkpoint_has_one_row_and_no_history(tmp_path: Path) -> None:
    evaluator, module, data = Evaluator(), module_of(make_learner(), [AdapterBank()]), toy_data(2)
    settings: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(**settings, accelerator="cpu", default_root_dir=tmp_path, max_epochs=9, callbacks=[evaluator])
    trainer.fit(module, data)
    learnt = evaluator.results
    trainer.validate(module, data, verbose=False)
    assert evaluator.evaluation is not None
    np.testing.assert_array_equal(evaluator.evaluation.matrix, learnt.matrix[-1:])
    assert list(evaluator.evaluation.metrics) == ["average_score"]
    trainer.test(module, data, verbose=False)
    assert evaluator.evaluation.setting.part == "test"
    assert "routing_accuracy" in "".join(evaluator.evaluation.rows)
    np.testing.assert_array_equal(evaluator.results.matrix, learnt.matrix)


def test_results_before_the_first_row_are_one_sentence() -> None:
    with pytest.raises(ValueError, match="no experience has been evaluated"):
        Evaluator().results  # noqa: B018


# -- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [2, 6, 14])  # in the middle of the first, the second and the fourth experience
def test_a_run_goes_on_between_whole_rows(tmp_path: Path, step: int) -> None:
    (_, whole), (_, resumed) = fit_twice(
        make_learner, lambda: toy_data(5, steps_per_experience=4, evaluate_every=3), lambda: [Replay()], tmp_path, step
    )
    assert np.isnan(whole.matrix()).any()
    assert np.array_equal(whole.matrix(), resumed.matrix(), equal_nan=True)


def test_more_domains_than_the_interpreter_may_nest() -> None:
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
    assert all(np.array_equal(a, b) for a, b in zip(read.untrained or [], written.untrained or [], strict=True))
    assert read.elapsed() >= written.seconds


@quiet
def test_a_resumed_run_has_the_untrained_row_of_its_checkpoint(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings |= {"accelerator": "cpu", "default_root_dir": tmp_path, "max_epochs": 9}
    whole, resumed, path = Evaluator(), Evaluator(), tmp_path / "middle.ckpt"
    L.Trainer(**settings, callbacks=[whole, SaveAt(6, path)]).fit(module_of(make_learner()), toy_data(2))
    L.Trainer(**settings, callbacks=[resumed]).fit(module_of(make_learner("MAML")), toy_data(2), ckpt_path=path)
    assert resumed.results.untrained is not None
    assert np.array_equal(resumed.results.untrained, whole.untrained or [])
    assert np.array_equal(resumed.matrix(), whole.matrix())
