"""Weights & Biases: a resumed run goes on as the same one, and a failure stops no run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import wandb
from lightning.pytorch.loggers import WandbLogger

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from lifelong.run.labels import RunLabels
from lifelong.run.loggers import KEPT, VARIABLES, WandB, placed
from strategies import Replay
from tests.run.wandb_records import axes_of, config_of, history_of, offline_runs, records_of, run_of
from tests.toys import make_learner, toy_data


class FakeRun:
    """Stands for W&B's run, and keeps what it is given."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.id, self.project, self.entity = settings.get("id") or "new-id", settings["project"], "me"
        self.offline, self.url = settings["mode"] == "offline", "https://wandb.test/run"
        self.config: Any = SimpleNamespace(update=lambda values, **_: self.values.update(values))
        self.values: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.axes: dict[str, str | None] = {}
        self.artifacts: list[str] = []
        self.exit_code: int | None = None

    def define_metric(self, name: str, step_metric: str | None = None, step_sync: bool | None = None) -> None:
        assert "*" not in name.removesuffix("*"), "W&B refuses it"
        self.axes[name] = step_metric

    def log(self, values: dict[str, Any], step: int | None = None, commit: bool = False) -> None:
        self.rows.append(values)

    def log_artifact(self, path: str, name: str, type: str) -> None:
        self.artifacts.append(path)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The runs that are begun, of a user who is logged in."""
    begun: list[FakeRun] = []
    for variable in (*VARIABLES.values(), "WANDB_MODE", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(wandb, "init", lambda **settings: begun.append(FakeRun(settings)) or begun[-1])
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    return begun


def learn(folder: Path, logger: Any, n_experiences: int = 2, **settings: Any) -> lifelong.Run:
    quiet: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 1}
    lifelong.seed_everything(0, verbose=False)
    return lifelong.fit(
        make_learner(), toy_data(n_experiences), strategies=[Replay()], run=folder, logger=logger, **quiet, **settings
    )


def glyphs(style: str) -> Glyphs:
    return Glyphs(styles=[style], n_classes=24, n_examples=10, image_size=8)


quiet = pytest.mark.filterwarnings("ignore")


# -- offline, as it is written --------------------------------------------------------------------------------------


@quiet
def test_a_resumed_run_goes_on_as_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "birds"
    learn(folder, WandB(group="table 1"), max_epochs=1, resume="auto")
    learn(folder, WandB(group="table 1"), resume="auto")
    wandb.teardown()  # the files are whole once W&B's own process has ended
    first, second = (records_of(run) for run in offline_runs(folder))
    for records in (first, second):
        run = run_of(records)
        assert run.run_id == json.loads((folder / KEPT).read_text())["id"]
        assert (run.project, run.display_name, run.run_group, run.job_type) == ("lifelong", "birds", "table 1", "fit")
        learner = type(make_learner()).__name__
        assert list(run.tags) == [learner, "Replay", type(toy_data(1).sources[0]).__name__]
        assert config_of(records)["model"]["class_path"] == f"lifelong.learners.{learner}"
        axes = axes_of(records)
        assert axes["*"] == "trainer/global_step"
        assert axes["val/average_score"] == axes["val/score/domain 0"] == "experience"
        assert "train/loss" not in axes
    rows = [history_of(records) for records in (first, second)]
    steps = [[row["trainer/global_step"] for row in of_part if "train/loss" in row] for of_part in rows]
    assert steps[0] + steps[1] == list(range(len(steps[0] + steps[1])))
    assert min(map(len, steps)) == 4
    experiences = [[row["experience"] for row in of_part if "val/average_score" in row] for of_part in rows]
    assert experiences == [[1], [2]]
    assert max(row["_step"] for row in rows[0]) < min(row["_step"] for row in rows[1])  # none is lost when uploaded
    for of_part in rows:
        assert any("matrix._type" in row for row in of_part)
        assert any("heat map._type" in row for row in of_part)
        assert any("curves._type" in row for row in of_part)


# -- what a run is called -------------------------------------------------------------------------------------------


@quiet
def test_fit_extend_and_test_are_told_apart(tmp_path: Path, runs: list[FakeRun]) -> None:
    data = EpisodicDataModule([glyphs("strokes")], n_way=3, n_shot=1, n_query=2, steps_per_experience=2, n_eval_tasks=3)
    learner = ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8))
    run = lifelong.fit(learner, data, run=tmp_path / "birds", logger=WandB(), accelerator="cpu")
    run = run.extend([glyphs("textures")], logger=WandB())
    run.test(logger=WandB())
    run.validate(logger=True)
    labels = [(r.settings["job_type"], r.settings["name"], r.settings["id"]) for r in runs]
    # A longer stream is the same run; what is measured later is one of its own.
    ids = {"extend": "new-id"}
    assert labels == [(job, "birds", ids.get(job)) for job in ("fit", "extend", "test", "validate")]
    assert all(r.settings["resume"] == "allow" and r.settings["tags"] == ["ProtoNet", "Glyphs"] for r in runs)
    assert {"test/score/strokes", "test/score/textures", "test/average_score"} <= runs[2].rows[0].keys()
    assert isinstance(runs[2].rows[1]["scores"], wandb.Table)
    assert [r.exit_code for r in runs] == [0] * 4


@quiet
def test_without_a_logger_nothing_is_logged_of_a_test(tmp_path: Path, runs: list[FakeRun]) -> None:
    learn(tmp_path / "birds", False).test()
    assert not runs


@quiet
def test_environment_variables_decide_before_arguments(runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch) -> None:
    logger = WandB(run_name="a", group="b", tags=["c"], job_type="d", entity="e", id="f", project="g", notes="h")
    (logger,) = placed(logger, Path("runs/x"), RunLabels("x", "test", ("X",)))  # type: ignore[assignment]
    given = {name: f"of {name}" for name in VARIABLES}
    names = {"name": "a", "group": "b", "tags": ["c"], "job_type": "d", "entity": "e", "id": "f", "project": "g"}
    names |= {"notes": "h", "resume": "allow", "dir": "runs/x"}
    assert {name: logger._arguments()[name] for name in given} == names
    for name, variable in VARIABLES.items():
        monkeypatch.setenv(variable, given[name])
    arguments = logger._arguments()
    assert arguments.pop("tags") == ["of tags"]
    assert arguments == {name: value for name, value in given.items() if name != "tags"}
    monkeypatch.setenv("WANDB_TAGS", "one,two")
    assert logger._arguments()["tags"] == ["one", "two"]


def test_a_sweep_of_an_agent_is_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    assert WandB()._arguments()["group"] is None
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep-1")
    assert WandB()._arguments()["group"] == "sweep-1"
    assert WandB(group="mine")._arguments()["group"] == "mine"
    monkeypatch.setenv("WANDB_RUN_GROUP", "of the environment")
    assert WandB(group="mine")._arguments()["group"] == "of the environment"


def test_tags_are_as_long_as_they_may_be(tmp_path: Path) -> None:
    logger = WandB()
    logger.place(tmp_path, RunLabels(tags=("x" * 70,)))
    assert logger._arguments()["tags"] == ["x" * 64]


def test_the_kept_id_is_that_of_a_run_that_goes_on_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    (tmp_path / KEPT).write_text('{"id": "kept"}')
    logger = WandB()
    for goes_on, expected in ((True, "kept"), (False, None)):
        logger.place(tmp_path, RunLabels(job_type="fit", goes_on=goes_on))
        assert logger._arguments()["id"] == expected
    (tmp_path / KEPT).write_text("{")
    logger.place(tmp_path, RunLabels(job_type="fit", goes_on=True))
    with pytest.warns(UserWarning, match=r"wandb.json cannot be read: the run goes on as a new one"):
        assert logger._arguments()["id"] is None


# -- what is logged -------------------------------------------------------------------------------------------------


def test_numbers_of_an_experience_have_it_as_their_axis(tmp_path: Path, runs: list[FakeRun]) -> None:
    logger = WandB()
    logger.place(tmp_path, RunLabels())
    logger.log_metrics({"train/loss": 1.0, "epoch": 0}, 3)
    logger.log_metrics({"val/score/a": 0.5, "val/score/C*": 0.5, "epoch": 1}, 7)
    (run,) = runs
    assert run.axes == {
        "trainer/global_step": None,
        "experience": None,
        "*": "trainer/global_step",
        "val/score/a": "experience",
    }
    assert run.rows[0] == {"train/loss": 1.0, "epoch": 0, "experience": 1, "trainer/global_step": 3}
    assert (run.rows[1]["experience"], run.rows[1]["trainer/global_step"]) == (2, 7)


def test_it_is_the_logger_of_lightning(tmp_path: Path, runs: list[FakeRun]) -> None:
    logger = WandB()
    logger.place(tmp_path, RunLabels())
    assert isinstance(logger, WandbLogger)
    assert logger.experiment is logger.experiment is runs[0]
    assert (logger.name, logger.version, logger.save_dir) == ("lifelong", "new-id", str(tmp_path))
    logger.log_table("table", columns=["a"], data=[[1]], step=2)
    assert isinstance(runs[0].rows[-1]["table"], wandb.Table)


def test_the_checkpoint_is_uploaded_where_asked(tmp_path: Path, runs: list[FakeRun]) -> None:
    (tmp_path / "checkpoints").mkdir()
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes(b"weights")
    for log_model in (True, False):
        logger = WandB(log_model=log_model)
        logger.place(tmp_path, RunLabels())
        logger.log_metrics({"a": 1.0}, 0)
        logger.finalize("success" if log_model else "failed")
    assert [run.artifacts for run in runs] == [[str(last)], []]
    assert [run.exit_code for run in runs] == [0, 1]


@quiet
def test_a_logger_that_is_given_twice_begins_anew(tmp_path: Path, runs: list[FakeRun]) -> None:
    logger = WandB()
    for name in ("a", "b"):
        learn(tmp_path / name, logger, 1)
    assert [run.settings["name"] for run in runs] == ["a", "b"]
    assert all(run.rows for run in runs)


# -- failing --------------------------------------------------------------------------------------------------------


def use(logger: WandB) -> None:
    logger.log_hyperparams({"a": 1})
    logger.log_metrics({"b": 1.0}, 0)
    logger.log_table("t", columns=["a"], data=[[1]])
    logger.watch(None)
    logger.experiment.anything.at(all=1)
    logger.finalize("success")


def test_a_failure_warns_once_and_is_let_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: 1 / 0)
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    logger = WandB()
    logger.place(tmp_path, RunLabels())
    with pytest.warns(UserWarning, match=r"switched off: division by zero; metrics.csv has everything") as caught:
        use(logger)
    assert len(caught) == 1


@quiet
def test_a_run_goes_on_when_it_fails_in_the_middle(
    tmp_path: Path, runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeRun, values: dict[str, Any], step: int | None = None, commit: bool = False) -> None:
        self.rows.append(values)
        if "val/average_score" in values:
            raise ConnectionError("the net is gone")

    monkeypatch.setattr(FakeRun, "log", fail)
    run = learn(tmp_path / "birds", WandB())
    assert run.matrix.shape == (2, 2)
    assert "val/average_score" in runs[0].rows[-1]
    assert len(runs) == 1


def test_without_a_connection_it_goes_offline(
    tmp_path: Path, runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, tried = wandb.init, []

    def unreachable(**settings: Any) -> Any:
        tried.append((settings["mode"], settings["settings"].init_timeout))
        if settings["mode"] == "online":
            raise wandb.errors.CommError("timed out")
        return begin(**settings)

    monkeypatch.setattr(wandb, "init", unreachable)
    logger = WandB(timeout=3)
    logger.place(tmp_path, RunLabels())
    logger.log_metrics({"a": 1.0}, 0)
    assert tried == [("online", 3.0), ("offline", 3.0)]
    assert runs[0].rows


@pytest.mark.parametrize(("logged_in", "mode"), [(True, "online"), (False, "offline")])
def test_who_is_not_logged_in_is_offline(
    logged_in: bool, mode: str, runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: logged_in)
    logger = WandB()
    logger.place(tmp_path, RunLabels())
    assert logger.experiment.settings["mode"] == mode


def test_another_process_goes_on_with_the_run(
    tmp_path: Path, runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = WandB()
    logger.place(tmp_path, RunLabels())
    logger.experiment._attach_id = "attached"
    monkeypatch.setattr(wandb, "_attach", lambda attach_id: f"the run {attach_id}")
    assert pickle.loads(pickle.dumps(logger)).experiment == "the run attached"


def test_loggers_are_a_list() -> None:
    other = L.pytorch.loggers.CSVLogger("x")
    assert placed(False, Path(), RunLabels()) == []
    assert placed(other, Path(), RunLabels()) == [other]
    assert placed([other, other], Path(), RunLabels()) == [other, other]
