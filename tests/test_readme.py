"""README's examples run as written, with the commands that it gives; every command in the documents is understood."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from lifelong.cli.class_help import asked_class, class_page
from lifelong.cli.main import OF_MODELS
from lifelong.cli.parser import option_value, parse
from lifelong.cli.predict import is_asked, parse_questions
from lifelong.run.configs import find_config
from lifelong.utilities import plugins
from tests.command_line import QUIET, run_here

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "configs").rglob("*.yaml"))]
OWN = ["my_strategy.py", "my_learner.py", "my_source.py"]
SHORT = ["--data.steps_per_experience=2", "--data.n_eval_tasks=2", *QUIET]
"""Appended to a command of README that would train for minutes."""
pytestmark = pytest.mark.filterwarnings("ignore")


def examples() -> dict[str, str]:
    """Return README's blocks of Python by the file name in their first line."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    return dict(blocks)


def command_of(name: str) -> list[str]:
    """Return the words of the command that README gives below an example."""
    text = README.read_text(encoding="utf-8").split(f"# {name}\n", 1)[1]
    [command] = commands_in(text.split("```sh\n", 1)[1].split("```", 1)[0])
    return command


def commands_in(text: str) -> list[list[str]]:
    """Return the words of every ``python -m lifelong`` command that stands on a line of its own."""
    whole = re.sub(r"\\\n", " ", text)
    lines = re.findall(
        r"^(?:# |    )?python -m lifelong ((?:fit|validate|test|predict|adapt|export|serve|compare|report|sweep)\b.*)$",
        whole,
        flags=re.M,
    )
    return [shlex.split(line, comments=True) for line in lines]


def documented_commands() -> list[str]:
    found = [words for path in DOCUMENTS for words in commands_in(path.read_text(encoding="utf-8"))]
    return list(dict.fromkeys(shlex.join(words) for words in found))


def config_of_run(options: list[str]) -> Path | None:
    """Return the config that a checkpoint's run was started with, by the command that names the run."""
    checkpoint = option_value(options, "ckpt_path")
    if checkpoint is None or checkpoint == "last":
        return None
    name = Path(checkpoint).parts[1]
    fits = [words for words in map(shlex.split, documented_commands()) if option_value(words, "run.name") == name]
    configs = [config for words in fits if (config := option_value(words, "config")) is not None]
    return find_config(configs[0]) if configs else None


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])


def write_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put README's files where its commands are run, as ``python -m`` sees them."""
    for name in OWN:
        Path(name).write_text(examples()[name])
    monkeypatch.syspath_prepend(str(Path.cwd()))


@pytest.mark.parametrize("name", OWN)
def test_example_is_short(name: str) -> None:
    assert len([line for line in examples()[name].splitlines() if line.strip()]) <= 25


@pytest.mark.parametrize("name", OWN)
def test_example_runs_with_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_examples(monkeypatch)
    command, *options = command_of(name)
    run_here(command, *options, "--run.name=own", *SHORT)
    results = json.loads(Path("runs/own/results.json").read_text())
    assert any(f"{Path(name).stem}." in option for option in options)
    if name == "my_source.py":
        assert results["domains"] == ["blobs 0", "blobs 1", "blobs 2"]
    if name == "my_strategy.py":
        assert results["strategies"] == ["Decay"]
        assert results["strategy_bytes"]["Decay"] > 0


@pytest.mark.parametrize("name", ["front_door.py", "plain_lightning.py"])
def test_python_of_readme_runs(name: str) -> None:
    # The settings that are added are all that differs; quiet loggers are no part of what is shown.
    text = examples()[name].replace("[Glyphs()]", "[Glyphs()], steps_per_experience=2, n_eval_tasks=3")
    space: dict[str, object] = {}
    exec(compile(text, name, "exec"), space)
    run = space["again"] if name == "front_door.py" else space["evaluator"].results  # type: ignore[attr-defined]
    assert run.matrix.shape == (5, 5)  # type: ignore[attr-defined]
    assert set(examples()) == {*OWN, "front_door.py", "plain_lightning.py"}


@pytest.mark.parametrize("line", documented_commands())
def test_documented_command_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_examples(monkeypatch)
    plugins.load()
    command, *options = shlex.split(line)
    if asked := asked_class(options):
        assert class_page(*asked)
        return
    if "--help" in options:
        return
    if command == "predict" and is_asked(options):
        parse_questions(options)
    elif command in ("adapt", "export", "serve", "compare", "report", "sweep"):
        OF_MODELS[command][1]().parse_args(options)
    else:
        parse(command, [option for option in options if option != "--print_config"], config_of_run(options))
