"""The suite of start-up times, and that the first page of help is light and true."""

from __future__ import annotations

import email
import subprocess
import sys

import pytest

from benchmarks.performance import startup
from benchmarks.performance.suite import Rows, Settings, spread
from lifelong.cli import main as cli
from lifelong.cli import start

ROWS: Rows = [
    {"name": name, "extras": "gem text", "wall": spread([m]), "cpu": spread([m])}
    for name, m in [("import torch", 1.0), ("--help", 0.1), ("fit to its first step", 7.0)]
]


def test_the_table_tells_what_is_met_and_what_is_missed() -> None:
    (table,) = startup.tables(ROWS)
    assert list(table.columns[-1].cells) == ["", "met", "missed"]


def test_every_row_is_a_bar() -> None:
    figure = startup.plot(ROWS)
    assert figure is not None
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == [f"{row['name']}\nextras: gem text" for row in reversed(ROWS)]
    assert startup.plot([]) is None


def test_a_process_is_measured_and_its_failure_told() -> None:
    wall, cpu = startup.started(startup.COMMANDS["--help"], Settings())
    assert wall > 0
    assert cpu > 0
    with pytest.raises(ValueError, match=r"failed with exit code 1: (.|\n)*nothing_of_this_name"):
        startup.started(["-c", "import nothing_of_this_name"], Settings())


def test_an_extra_is_installed_where_all_that_it_needs_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        startup.importlib.metadata, "requires", lambda _: ['torch>=2.4; extra == "new"', 'torch<1; extra == "old"']
    )
    monkeypatch.setattr(
        startup.importlib.metadata,
        "metadata",
        lambda _: email.message_from_string("Provides-Extra: new\nProvides-Extra: old\n"),
    )
    assert startup.installed_extras() == ["new"]


@pytest.mark.slow
def test_the_command_line_is_imported_without_looking_for_garbage() -> None:
    code = (
        "import gc; seen = []; gc.callbacks.append(lambda phase, info: seen.append(info['generation']));"
        "from lifelong.cli.start import command_line; gc.collect(0); before = len(seen); command_line();"
        "print(len(seen) - before, gc.isenabled(), gc.get_freeze_count() > 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "True"]


def test_the_first_page_imports_neither_torch_nor_lightning() -> None:
    code = "import sys; from lifelong.cli.start import main; main(['--help']); print({'torch', 'lightning'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m lifelong")
    assert done.stdout.endswith("set()\n")


def test_the_first_page_names_every_subcommand() -> None:
    assert f"{{{','.join(cli.SUBCOMMANDS)}}}" in start.page()
    assert all(f"\n  {name} " in start.page() for name in cli.SUBCOMMANDS)


def test_everything_else_is_the_command_line_proper(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(cli, "main", given.append)
    for args in (["fit", "--help"], ["--config", "a.yaml", "fit"], []):
        start.main(args)
    assert given == [["fit", "--help"], ["--config", "a.yaml", "fit"], []]
