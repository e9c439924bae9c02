"""A quiet run prints nothing, and writes all that another run writes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.evaluation import StabilityGap
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from lifelong.run.options import RunOptions, run_options
from lifelong.utilities.quiet import LOGGERS, quietly, say
from tests.command_line import TINY, run_here

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("folder_of_its_own")]
TRAINER: dict[str, Any] = {"logger": False, "accelerator": "cpu"}
SHORT = [*TINY, "--data.n_eval_tasks=2", "--data.steps_per_experience=1", "--run.report=false"]


def fit(name: str, callbacks: Sequence[Callback] = (), **settings: Any) -> lifelong.Run:
    source = Glyphs(styles=["strokes", "textures"], n_classes=24, n_examples=10, image_size=8)
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 1, "n_query": 2, "steps_per_experience": 2, "n_eval_tasks": 3}
    learner = ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8))
    data = EpisodicDataModule([source], **shape)
    all_of_them = [StabilityGap(every_n_steps=1), *callbacks]
    return lifelong.fit(learner, data, run=f"runs/{name}", callbacks=all_of_them, **TRAINER, **settings)


def files(run: str) -> set[str]:
    return {str(path.relative_to(run)) for path in Path(run).rglob("*") if not path.name.startswith("epoch")}


def test_a_quiet_fit_prints_nothing_and_writes_everything(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    fit("loud")
    assert "learnt" in capfd.readouterr().out
    caplog.clear()
    run = fit("quiet", quiet=True)
    run.test(quiet=True)
    run.validate(quiet=True)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""
    assert [record.getMessage() for record in caplog.records if record.levelno < logging.WARNING] == []
    assert files("runs/loud") < files("runs/quiet")  # which was tested as well
    assert "test_3way_1shot.json" in files("runs/quiet")


def test_a_block_that_fails_leaves_no_quiet_behind(capsys: pytest.CaptureFixture[str]) -> None:
    def levels() -> list[int]:
        return [logging.getLogger(name).level for name in LOGGERS]

    before = levels()
    within: list[int] = []
    with pytest.raises(OSError, match="full"):
        _fail_quietly(within, levels)
    assert min(within) >= logging.WARNING
    assert levels() == before
    say("a line")
    assert capsys.readouterr().out == "a line\n"


def _fail_quietly(within: list[int], levels: Callable[[], list[int]]) -> None:
    with quietly():
        within += levels()
        raise OSError("the disk is full")


def test_lines_of_a_quiet_run_do_not_pass_by_a_bar_of_the_user(capfd: pytest.CaptureFixture[str]) -> None:
    fit("quiet", callbacks=[TQDMProgressBar()], quiet=True)
    assert "learnt" not in "".join(capfd.readouterr())


def test_a_quiet_fit_on_a_terminal_has_no_bar(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifelong.run.progress.is_watched", lambda: True)
    fit("watched")
    assert "stream 2/2" in "".join(capfd.readouterr())
    fit("quiet", quiet=True)
    assert "".join(capfd.readouterr()) == ""


def test_warnings_of_a_quiet_fit_still_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Path:
        raise OSError("the disk is full")

    monkeypatch.setattr("lifelong.run.train.write_report", fail)
    with pytest.warns(UserWarning, match="its page was not written: the disk is full"):
        fit("quiet", quiet=True)


def test_errors_of_a_quiet_fit_still_show(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_here("fit", "--run.quiet=true", "--run.name=a/b")
    assert capsys.readouterr().err.startswith("error: --run.name 'a/b' is no single folder")


def test_quiet_commands_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    run_here("fit", "--run.name=quiet", "--run.quiet=true", *SHORT)
    assert "".join(capfd.readouterr()) == ""
    for command in ("validate", "test", "predict"):
        run_here(command, "--ckpt_path=last", "--run.quiet=true", *SHORT)
        assert "".join(capfd.readouterr()) == "", command
        run_here(command, "--ckpt_path=last", *SHORT)
        assert capfd.readouterr().out.startswith("--ckpt_path last is runs/quiet/checkpoints/last.ckpt\n"), command
    assert "quiet:" not in Path("runs/quiet/config.yaml").read_text()


def test_the_options_are_quiet_where_either_word_says_so() -> None:
    run = fit("options", quiet=True)
    assert run.matrix.shape == (2, 2)
    assert run_options(RunOptions(quiet=True)).quiet
    assert run_options(RunOptions(), quiet=True).quiet
    assert not run_options("runs/a").quiet


def test_a_notebook_shows_the_tables_of_a_run_as_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[str] = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda segments, text: pieces.append(text))
    fit("notebook")
    assert len(pieces) == 1
    assert "forgetting" in pieces[0]
    assert "run folder: " in pieces[0]
