"""The page of a command: short, with options that exist and the values that are in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules import EpisodicDataModule, ExampleDataModule
from lifelong.cli.help_page import ABOUT, GROUPS
from lifelong.cli.main import main
from lifelong.cli.parser import make_parser
from lifelong.utilities.source_code import arguments


def page_of(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(args)
    assert ended.value.code == 0
    return capsys.readouterr().out


def line_of(page: str, option: str) -> str:
    (line,) = (line for line in page.splitlines() if line.strip().split(" ")[0] == option)
    return line


@pytest.mark.parametrize("command", ABOUT)
def test_a_page_is_short_and_in_groups(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(capsys, command, "--help")
    lines = page.splitlines()
    assert lines[0].startswith(f"usage: python -m lifelong {command} ")
    assert len(lines) <= 90
    assert max(map(len, lines)) <= 110
    assert "\nData:\n" in page
    assert "--help.all" in page
    assert ("Optimizer:" in page) == (command in ("fit", "extend"))
    assert ("--ckpt_path" in page) == (command != "extend")


def test_every_option_of_a_page_exists() -> None:
    known = {name.replace(".init_args", "") for name, _ in make_parser("fit").get_defaults().items()}
    known |= {"model", "data", "model.network", "optimizer", "optimizer.lr", "strategies.NAME", "trainer.logger"}
    for made in (EpisodicDataModule, ExampleDataModule):
        known |= {f"data.{name}" for name in arguments(f"datamodules.{made.__name__}")}
    names = [option.split()[0].removeprefix("--") for rows in GROUPS.values() for _, option, _ in rows]
    assert sorted(set(names) - known) == []
    assert len(names) == len(set(names))


def test_values_are_those_that_are_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(capsys, "fit", "-h")
    assert line_of(page, "--model").endswith("[ProtoNet]")
    assert line_of(page, "--strategies").endswith("[Replay]")
    page = page_of(capsys, "fit", "--help", "--config", "split_mnist", "--strategies", "EWC", "--optimizer.lr=0.5")
    assert line_of(page, "--strategies").endswith("[EWC]")
    assert line_of(page, "--optimizer.lr").endswith("[0.5]")
    assert line_of(page, "--data.batch_size").endswith("[128]")
    assert "--data.n_way" not in page


@pytest.mark.parametrize("word", ["--help.all", "--help_all"])
def test_everything_is_behind_a_word(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(capsys, "fit", word)
    assert "--trainer.reload_dataloaders_every_n_epochs" in page
    assert len(page.splitlines()) > 300


def test_extend_needs_no_run_to_show_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "extend RUN" in page_of(capsys, "extend", "--help")
    assert "extend RUN" in page_of(capsys, "extend", str(tmp_path), "--help")
