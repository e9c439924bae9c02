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
from lifelong.cli.predict import is_asked
from lifelong.run.configs import find_config
from lifelong.utilities import plugins
from tests.command_line import QUIET, run_here
from tests.docs.blocks import EXAMPLES

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "configs").rglob("*.yaml"))]
SHORT = ["--data.steps_per_experience=2", "--data.n_eval_tasks=2", *QUIET]
"""Appended to a command of README that would train for minutes."""
pytestmark = pytest.mark.filterwarnings("ignore")


def examples() -> dict[str, str]:
    """Return README's blocks of Python by the file name in their first line."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    return dict(blocks)


def commands_below(name: str) -> list[list[str]]:
    """Return the words of the commands that README gives below an example."""
    text = README.read_text(encoding="utf-8").split(f"# {name}\n", 1)[1]
    return commands_in(text.split("```sh\n", 1)[1].split("```", 1)[0])


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
    """Put the files of README and of the pages where commands are run, as ``python -m`` sees them."""
    for name, text in ({example.name: example.text for example in EXAMPLES} | examples()).items():
        Path(name).write_text(text)
    monkeypatch.syspath_prepend(str(Path.cwd()))


def test_the_readme_is_short() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert set(examples()) == {"forgetting.py", "my_strategy.py"}
    assert sum(bool(line.strip()) for line in examples()["my_strategy.py"].splitlines()) <= 15


def test_links_of_the_readme_lead_into_the_repository() -> None:
    places = set(re.findall(r"\]\(([^)#:]+)[)#]", README.read_text(encoding="utf-8")))
    assert "docs/guides/python.md" in places
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []


def test_strategy_of_the_readme_runs_with_its_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_examples(monkeypatch)
    for command, *options in commands_below("my_strategy.py"):
        run_here(command, *options, *(SHORT if command == "fit" else []))
    results = json.loads(Path("runs/decay/results.json").read_text())
    assert results["strategies"] == ["Decay"]
    assert results["strategy_bytes"]["Decay"] > 0
    assert {"Decay", "Replay"} <= set(capsys.readouterr().out.split("difference", 1)[1].split())


def test_python_of_the_readme_prints_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = examples()["forgetting.py"].replace("[Glyphs()]", "[Glyphs()], steps_per_experience=2, n_eval_tasks=3")
    exec(compile(text, "forgetting.py", "exec"), {})
    below = README.read_text(encoding="utf-8").split("# forgetting.py\n", 1)[1]
    shown = set(re.findall(r"[a-zA-Z↑↓]+", below.split("```text\n", 1)[1].split("```", 1)[0]))
    # How many columns fit beside each other depends on the numbers; headings and methods do not.
    assert {"Replay", "forgetting", "average"} <= shown <= set(re.findall(r"[a-zA-Z↑↓]+", capsys.readouterr().out))


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
    if command in OF_MODELS and (command != "predict" or is_asked(options)):
        OF_MODELS[command][1].parse(options)
    else:
        parse(command, [option for option in options if option != "--print_config"], config_of_run(options))
