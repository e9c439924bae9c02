"""``report RUN`` writes the page of a run from its results alone, here or where the run lies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.command_line import error_of, run_here
from tests.pages.drawn import Page, drawn

RUN = Path("runs/birds")


@pytest.fixture(autouse=True)
def _in_a_folder_with_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    drawn(3).save(RUN)


@pytest.mark.parametrize("run", ["runs/birds", "last", "runs/birds/checkpoints/last.ckpt"])
def test_results_are_enough(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    (RUN / "scores.npz").unlink()
    run_here("report", run)
    page = Page((RUN / "report.html").read_text(encoding="utf-8"))
    assert len(page.body("scores-table")) == 3
    assert "written: runs/birds/report.html" in capsys.readouterr().out
    assert "python -m lifelong fit --config runs/birds/config.yaml" in page.texts["code"]


def test_the_page_goes_where_it_is_asked_for() -> None:
    run_here("report", "runs/birds", "--output", "pages/birds.html")
    assert Path("pages/birds.html").is_file()
    assert not (RUN / "report.html").exists()


def test_what_cannot_be_done_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, "report", "runs/none")[1].startswith("error: there is no runs/none/results.json")
    assert "none is named" in error_of(capsys, "report")[1]
    (RUN / "report.html").write_text("a person's own", encoding="utf-8")
    code, message = error_of(capsys, "report", "runs/birds")
    assert (code, "is no page that lifelong wrote" in message) == (1, True)
    assert (RUN / "report.html").read_text(encoding="utf-8") == "a person's own"
    (RUN / "results.json").write_text("[]", encoding="utf-8")
    assert "the results are a list and no mapping" in error_of(capsys, "report", "runs/birds")[1]
    (RUN / "results.json").write_text('{"domains": 3}', encoding="utf-8")
    assert error_of(capsys, "report", "runs/birds")[0] == 1
    shutil.rmtree("runs")
    assert "last found no" in error_of(capsys, "report", "last")[1]


def test_what_is_no_name_of_a_page_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = error_of(capsys, "report", "runs/birds", "--output=r.txt")
    assert (code, message) == (1, "error: --output r.txt is no name of a page: end it in .html\n")
    assert not Path("r.txt").exists()


def test_a_report_needs_neither_torch_nor_lightning() -> None:
    code = (
        "import sys; from lifelong.cli.start import main; main(['report', 'runs/birds']);"
        "print({'torch', 'lightning', 'matplotlib'} & {*sys.modules})"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True)
    assert done.stdout.endswith("set()\n")


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a run that lies elsewhere."""
    system = MemoryFileSystem()
    for name in ("results.json", "scores.npz"):
        system.pipe_file(f"bucket/birds/{name}", (RUN / name).read_bytes())
    system.pipe_file("bucket/birds/checkpoints/last.ckpt", b"large")
    yield "memory://bucket/birds"
    MemoryFileSystem.store.clear()


@pytest.mark.parametrize("run", ["", "/checkpoints/last.ckpt"], ids=["folder", "checkpoint"])
def test_a_run_elsewhere_gets_its_page_there(elsewhere: str, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_here("report", f"{elsewhere}{run}")
    assert "written: memory://bucket/birds/report.html" in capsys.readouterr().out
    system = MemoryFileSystem()
    assert b"<title>ProtoNet" in system.cat_file("bucket/birds/report.html")
    assert system.cat_file("bucket/birds/checkpoints/last.ckpt") == b"large"
    run_here("report", elsewhere)  # its own page is replaced
