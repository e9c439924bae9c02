"""Completion in the shell, asked as argcomplete asks: the line and the place in it are environment variables."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifelong import learners
from lifelong.cli.completion import complete
from lifelong.cli.parser import COMMANDS
from lifelong.cli.start import commands

pytest.importorskip("argcomplete", reason="needs the extra completion")


def completed(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name, value in {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_IFS": " ",
    }.items():
        monkeypatch.setenv(name, value)
    # It would open, and close, a channel of the test's own.
    monkeypatch.setattr("argcomplete.CompletionFinder._init_debug_stream", lambda self: None)
    answer = io.StringIO()
    complete(commands(), output=answer, exit_method=lambda _: None)
    return [word.strip() for word in answer.getvalue().split()]


def test_the_commands_are_those_of_the_page() -> None:
    assert sorted(commands()) == sorted(COMMANDS)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fi", {"fit"}),
        ("fit --model M", {"MAML", "Mahalanobis", "MatchingNet", "MetaOptNet", "MetaSGD"}),
        ("fit --model=MAM", {"MAML"}),
        ("fit --model.help MAM", {"MAML"}),
        ("fit --model MAML --model.inner_r", {"--model.inner_rate"}),
        ("fit --model MAML --model.network Con", {"Conv4"}),
        ("fit --model.network MLP --model.network.hid", {"--model.network.hidden"}),
        ("fit --strategies E", {"EASE", "ERACE", "EWC"}),
        ("fit --strategies EWC --strategies.str", {"--strategies.strength"}),
        ("fit --data Ex", {"ExampleDataModule"}),
        ("fit --data.sources Omn", {"Omniglot"}),
        ("fit --data.sources ImageFolder --data.sources.ro", {"--data.sources.root"}),
        ("fit --config split_m", {"split_mnist"}),
        ("test -c default --data.eval_n_w", {"--data.eval_n_way"}),
        ("fit --trainer.max_ep", {"--trainer.max_epochs"}),
        ("fit --trainer.callbacks EarlyS", {"EarlyStopping"}),
        ("fit --runner.plan l", {"loop"}),
        ("fit --optimizer Adam", {"Adam", "AdamW", "Adamax"}),
        ("fit --help.", {"--help.all"}),
        ("fit --dry", {"--dry_run"}),
        ("list str", {"strategies"}),
        ("adapt last --supp", {"--support"}),
        ("predict --query x --text_c", {"--text_column"}),
    ],
)  # fmt: skip
def test_a_line_goes_on(line: str, words: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = completed(f"lifelong {line}", monkeypatch)
    assert {word.rpartition("=")[2] for word in found} == words


def test_every_learner_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(completed("lifelong fit --model ", monkeypatch)) == set(learners.__all__)


def test_runs_are_offered_where_a_run_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "birds").mkdir(parents=True)
    (tmp_path / "runs" / "birds" / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert set(completed("lifelong extend ", monkeypatch)) >= {"last", "runs/birds"}


@pytest.mark.slow
def test_the_shell_is_answered_without_torch(tmp_path: Path) -> None:
    line = "python -m lifelong fit --model MAM"
    answer = tmp_path / "answer"
    asked = {
        "_ARGCOMPLETE": "3",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
    }
    code = (
        "import sys; from lifelong.cli.start import commands; from lifelong.cli.completion import complete;"
        "complete(commands(), exit_method=lambda _: print({'torch', 'lightning'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, check=True, capture_output=True, text=True
    )
    assert answer.read_text().strip() == "MAML"
    assert done.stdout.endswith("set()\n")


@pytest.mark.slow
def test_the_command_line_answers_the_shell(tmp_path: Path) -> None:
    line, answer = "lifelong fit --strategies EW", tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked["_ARGCOMPLETE_STDOUT_FILENAME"] = str(answer)
    subprocess.run([sys.executable, "-m", "lifelong"], env={**os.environ, **asked}, check=True)
    assert answer.read_text().strip() == "EWC"
