"""Configs of ``best/``: each has the settings of one recorded row, and its first line has that row's figure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.recorded_sweeps import recorded_sweeps
from lifelong.cli.parser import parse
from lifelong.sweep.result_tables import read_tables
from lifelong.sweep.table import cells, split_flags
from lifelong.sweep.tables import table_markdown
from lifelong.utilities import plugins

ROOT = Path(__file__).parent.parent
BEST = sorted((ROOT / "configs/best").glob("*.yaml"))
ROW = re.compile(r'Recorded by (\S+), table (\S+), row "(.+?)"(?:, column "(.+?)")?, seed 0\.')
COMMAND = re.compile(r"the settings of --config (\w+)\.")
FIGURE = re.compile(r": (?:success of )?([\d.]+ ± [\d.]+) %")
pytestmark = pytest.mark.filterwarnings("ignore")


def comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))


def recorded_row(path: Path) -> tuple[dict[str, Any], dict[str, Any], str, str] | None:
    """Return sweep, table, row and column that a config names; None where it names another config."""
    if (match := ROW.search(comment(path))) is None:
        return None
    sweep = yaml.safe_load((ROOT / match[1]).read_text(encoding="utf-8"))
    (table,) = (table for table in sweep["tables"] if table["name"] == match[2])
    return sweep, table, match[3], match[4] or ""


def recorded_options(path: Path) -> list[str]:
    """Return the command line that a config stands for."""
    if (named := recorded_row(path)) is None:
        match = COMMAND.search(comment(path))
        assert match, f"{path.name} names no record"
        return ["--config", match[1]]
    sweep, table, label, column = named
    (flags,) = (flags for row, of, flags in cells(table) if (row, of) == (label, column))
    return ["--config", table["config"], *split_flags(sweep.get("flags", ""), flags, "--seed 0", seed=0)]


@pytest.mark.parametrize("path", BEST, ids=lambda path: path.stem)
def test_a_best_config_has_the_settings_of_its_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    plugins.load()
    ours = parse("fit", ["--config", f"best/{path.stem}"]).kept_config()
    theirs = parse("fit", recorded_options(path)).kept_config()
    assert ours == theirs


@pytest.mark.parametrize("path", BEST, ids=lambda path: path.stem)
def test_a_best_config_tells_the_recorded_figure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    figure = FIGURE.search(path.read_text(encoding="utf-8").partition("\n")[0])
    assert figure, "the first line tells no figure"
    named, match = recorded_row(path), ROW.search(comment(path))
    journals = {sweep.resolve(): journal for sweep, journal in recorded_sweeps().values()}
    journal = journals.get((ROOT / match[1]).resolve()) if match else None
    if named is None or match is None or journal is None:
        # Runs from before there were journals: what they printed is all that is kept.
        printed = [file.read_text(encoding="utf-8") for file in Path("benchmarks/results/measured").glob("*.yaml")]
        assert any(figure[1] in text for text in printed)
        return
    _, table, label, _ = named
    (recorded,) = (other for other in read_tables(match[1], journal) if other.name == table["name"])
    (line,) = (line for line in table_markdown(recorded).splitlines() if line.startswith(f"| {label} |"))
    assert figure[1] in line
