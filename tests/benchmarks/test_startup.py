"""The suite of start-up times, and that the first page of help is light."""

from __future__ import annotations

import email
import subprocess
import sys

import pytest

from benchmarks.performance import startup
from benchmarks.performance.suite import ROOT, Row, Settings, spread
from benchmarks.performance.tables import TABLES

MODULES = "print(*sorted({m.partition('.')[0] for m in sys.modules}))"


def row(name: str, wall: float, **more: list[float]) -> Row:
    return {"name": name, "extras": "gem text", "wall": spread([wall]), "cpu": spread([wall])} | more


def test_the_table_says_what_is_met_and_what_is_missed() -> None:
    rows = [row("import torch", 1.0), row("--help", 0.1), row("fit", 7.0, beyond=[1.2, 1.0, 1.4])]
    lines = TABLES["startup"][0].markdown(rows).splitlines()[-3:]
    assert [line.split("|")[-2].strip() for line in lines] == ["", "2.5 s, met", "bare + 1 s, missed"]


def test_a_process_is_measured_and_its_failure_told() -> None:
    wall, cpu = startup.run_python(startup.COMMANDS["--help"])
    assert wall > 0
    assert cpu > 0
    with pytest.raises(ValueError, match=r"failed with exit code 1: (.|\n)*nothing_of_this_name"):
        startup.run_python(["-c", "import nothing_of_this_name"])


def test_fit_is_compared_with_the_bare_script_in_the_same_turn() -> None:
    rows = startup.measure(Settings(quick=True, only=("first step",)), lambda what: None)
    bare, fit = rows
    assert fit["beyond"][0] == pytest.approx(fit["wall"][0] - bare["wall"][0])


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


def test_the_bare_script_imports_what_fit_imports() -> None:
    ours = _imported("import sys, lifelong.run.fit, lifelong.cli.main; " + MODULES)
    bare = _imported("import sys, benchmarks.performance.bare_lightning; " + MODULES)
    assert ours - bare <= {"lifelong", "strategies", "datamodules", *sys.stdlib_module_names}


def _imported(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name for name in done.stdout.split() if not name.startswith("_")}
