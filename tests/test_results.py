"""Tables and figures of the documents are what the records say, and what is stale or misspelt is named."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from benchmarks.figures import checklist, figure, pages, records, spec
from benchmarks.figures.__main__ import main
from benchmarks.figures.pages import refresh
from benchmarks.figures.spec import figure_text, table_text
from benchmarks.figures.sweeps import SweepTable, read_sweep_tables
from benchmarks.performance import layout
from benchmarks.performance import tables as performance
from benchmarks.reliability import tables as reliability
from lifelong.sweep.table import plan

ROOT = Path(__file__).parent.parent
PAGE = Path("page.md")
RECORD = """
about: a test
tables:
  scores:
    columns: [average, kept]
    rows:
      none: [80.9 ± 3.0, 0.20]
      Replay, all: [91.0 ± 1.7, 1.54 MB]
      a|b: ["-0.40", ""]
  more:
    columns: [average]
    rows: {joint: [95.5]}
"""
SWEEP: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "tables": [
        {"name": "plain", "config": "stream.yaml", "rows": {"none": "", "EWC": "--strategies+=EWC"}},
        {
            "name": "crossed",
            "config": "stream.yaml",
            "spread": "sem",
            "columns": {"task": "--data.scenario task", "class": "--data.scenario class"},
            "rows": {"none": "", "iCaRL": {"class": "--strategies+=ICaRL"}},
            "published": {"none": {"task": "84.32 ± .99"}},
        },
        {"name": "driven", "config": "stream.yaml", "judged_by": "closed loop", "rows": {"MAML": ""}},
    ],
}


@pytest.fixture
def _record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "measured"
    folder.mkdir()
    (folder / "test.yaml").write_text(RECORD)
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    records.read_record.cache_clear()


@pytest.fixture(autouse=True)
def _in_the_repository_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(records.ROOT)  # configs are found from there
    yield
    records.read_record.cache_clear()
    checklist.read_parts.cache_clear()


def results(value: float, seed: int = 0) -> dict[str, Any]:
    metric = {"value": value, "half_width": 0.01}
    return {
        "domains": ["a", "b"],
        "experiences": ["a", "b"],
        "matrix": [[0.9, None], [value, value]],
        "half_width": [[0.01, None], [0.01, 0.01]],
        "metrics": {"average_score": metric, "learning_score": metric, "forgetting": None},
        "measures": {"AdapterBank/routing_accuracy": [[1.0, None], [0.5, 0.7]]},
        "strategy_bytes": {"EWC": 3_830_000},
        "wall_seconds": 60.0 * (seed + 1),
    }


def sweep_tables(folder: Path, setting: int = 1) -> dict[str, SweepTable]:
    """Write a sweep and a journal of its runs, all but those of EWC with seeds 1 and 2, and read its tables."""
    lines = []
    Path("stream.yaml").write_text("setting: 1\n")
    for run in plan(SWEEP, folder):
        found = results(0.5 + 0.1 * run.seed, run.seed)
        if run.table == "driven":
            found["closed_loop"] = drives()
        if run.label != "EWC" or run.seed == 0:
            lines.append(json.dumps({"run": run.training.identity, "results": found}))
    Path("stream.yaml").write_text(f"setting: {setting}\n")
    (folder / "sweep.yaml").write_text(yaml.safe_dump(SWEEP, sort_keys=False))
    (folder / "sweep.jsonl").write_text("\n".join(lines) + "\n")
    return read_sweep_tables(folder / "sweep.yaml", folder / "sweep.jsonl")


def drives() -> dict[str, Any]:
    scores = {"mean": [0.25, 0.75], "half_width": [0.03, 0.04]}
    return {
        "score": "success",
        "matrix": [[None, None], [0.25, 0.75]],
        "matrix_half_width": [[None, None], [0.03, 0.04]],
        "metrics": {"average_score": {"value": 0.5, "half_width": 0.025}},
        "measures": {"success": scores, "goals_per_10_s": {"mean": [1.0, 2.0], "half_width": [0.3, 0.4]}},
        "support_curve": {"mean": [[0.4, 0.05], [0.4, 0.15]], "half_width": [[0, 0], [0, 0]]},
    }


def test_documents_say_what_the_records_say_without_torch() -> None:
    program = (
        "import sys; from benchmarks.figures.__main__ import main; main(['--check']); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_documents_have_regions_of_every_record() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))
    assert [name for name in records.record_names() if name not in text] == []


def test_a_changed_digit_is_named_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    fresh = refresh("Here\nER has <!--= split_mnist ER class average --><!-- / --> %.\n", page)[0]
    page.write_text(fresh)
    main(["--check", str(page)])
    stale = fresh.replace("89.19", "89.29")
    page.write_text(stale)
    with pytest.raises(SystemExit) as error:
        main(["--check", str(page)])
    assert str(error.value) == (
        f"{page}, line 2: split_mnist ER class average says '89.29 ± 0.53', and the records say '89.19 ± 0.53': "
        "run python -m benchmarks.figures"
    )
    assert page.read_text() == stale
    main([str(page)])
    assert page.read_text() == fresh
    assert "'89.29 ± 0.53' is '89.19 ± 0.53' now" in capsys.readouterr().out


@pytest.mark.usefixtures("_record")
def test_a_stale_line_of_a_table_is_named() -> None:
    fresh, stale = refresh("<!-- results: measured/test/more -->\n\n<!-- /results -->", PAGE)
    assert fresh.split("\n\n")[1] == "|  | average |\n|:---|---:|\n| joint | 95.5 |"
    assert len(stale) == 3
    again, stale = refresh(fresh.replace("95.5", "95.6"), PAGE)
    assert again == fresh
    assert [(each.line, each.found, each.expected) for each in stale] == [(1, "| joint | 95.6 |", "| joint | 95.5 |")]


@pytest.mark.usefixtures("_record")
def test_a_table_has_rows_and_columns_of_its_own() -> None:
    described = """
first: strategy
columns: {mean: average alone, other: measured/test/more * average}
rows: {"Replay, all": "Replay ({kept})", a|b: bar, joint @ measured/test/more: joint}
"""
    text = table_text("measured/test/scores", described)
    assert text.splitlines()[0] == "| strategy | mean | other |"
    assert text.splitlines()[2:] == ["| Replay (1.54 MB) | 91.0 |  |", "| bar | −0.40 |  |", "| joint | 95.5 | 95.5 |"]
    assert table_text("measured/test/scores").splitlines()[-1] == "| a\\|b | -0.40 |  |"


@pytest.mark.usefixtures("_record")
@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("none average", "80.9 ± 3.0"),
        ("none average alone", "80.9"),
        ("none average 0", "81 ± 3"),
        ("none kept", "0.20"),
        ("'Replay, all' average minus none average", "10.1"),
        ("none average minus 'Replay, all' average", "−10.1"),
        ("'Replay, all' average minus none average signed", "+10.1"),
        ("'Replay, all' average over none average 2", "1.12"),
    ],
)
def test_figures_by_hand(spec: str, text: str) -> None:
    assert figure_text(f"measured/test/scores {spec}") == text


@pytest.mark.usefixtures("_record")
@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("measured/tset/scores none average", "there is no record measured/tset: did you mean measured/test?"),
        ("measured/test/socres none average", "the record measured/test has no table socres: did you mean scores?"),
        ("measured/test/scores none average x", "has no format x: there are alone, published"),
        ("measured/test/mor none average", "more has no row none: "),
        ("measured/test none average", "the record measured/test has no table without a name: there are scores, more"),
        ("measured/test/scores nune average", "test, scores has no row nune: did you mean none?"),
        ("measured/test/scores none averag", "test, scores has no column averag: did you mean average?"),
        ("measured/test/scores none", "is not whole: give it RECORD ROW QUANTITY"),
        ("measured/test/scores 'none average", "cannot be read (No closing quotation): quote names of several words"),
    ],
)
def test_what_stands_for_nothing_is_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="page") as error:
        refresh(f"Text <!--= {spec} -->1<!-- / -->", PAGE)
    assert str(error.value).startswith("page.md, line 1: ")
    assert "\n" not in str(error.value)
    assert sentence in str(error.value)


@pytest.mark.usefixtures("_record")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a <!--= measured/test/more joint average -->95.5", "page.md, line 1: <!--= belongs to no whole region"),
        ("a\n\n<!-- results: measured/test/more -->\n", "page.md, line 3: <!-- results: belongs to no whole region"),
        (
            "- <!--= measured/test/more joint average -->95.5<!-- / -->",
            "page.md, line 1: a line that begins with",
        ),
    ],
)
def test_a_mark_that_is_no_region_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="page") as error:
        refresh(text, PAGE)
    assert str(error.value).startswith(sentence)


def test_regions_in_code_are_examples() -> None:
    text = "```html\n<!--= no record -->1<!-- / -->\n```\nand `<!-- results: none -->` too\n"
    assert refresh(text, PAGE) == (text, [])


def test_figures_of_a_sweep_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tables = sweep_tables(tmp_path)
    plain, crossed = tables["plain"], tables["crossed"]
    assert plain.figure("none", "", "average").text == "60.0 ± 24.8"
    assert plain.figure("EWC", "", "average").text == "50.0 ± 1.0"  # one seed: its own interval
    assert plain.figure("none", "", "forgetting").text == ""
    assert plain.figure("none", "", "on b").text == "60.0 ± 24.8"
    assert plain.figure("none", "", "learnt a").text == "90.0 ± 0.0"
    assert plain.figure("none", "", "last row").text == "60.0 / 60.0"
    assert plain.figure("none", "", "routing accuracy").text == "60.0 ± 0.0"
    assert [plain.figure("none", "", name).text for name in ("kept", "minutes", "seeds")] == ["3.8 MB", "2.0", "3"]
    assert crossed.figure("none", "task", "average").text == "60.00 ± 5.77"
    assert crossed.figure("none", "task", "published").text == "84.32 ± .99"
    assert crossed.figure("iCaRL", "task", "average").text == "–"
    assert crossed.figure("none", "any", "seeds").text == "6"


def test_figures_of_robots_are_of_their_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    driven = sweep_tables(tmp_path)["driven"]
    one_seed = {("MAML", ""): driven.found["MAML", ""][:1]}
    driven = SweepTable(driven.name, driven.rows, driven.columns, one_seed, driven.spread, {})
    assert driven.figure("MAML", "", "average").text == "50.0 ± 2.5"
    assert driven.figure("MAML", "", "on b").text == "75.0 ± 4.0"
    assert driven.figure("MAML", "", "success").text == "50.0 ± 2.5"
    assert driven.figure("MAML", "", "goals per 10 s").text == "1.50 ± 0.25"
    assert driven.figure("MAML", "", "squared error / variance").text == "0.10 ± 0.00"
    assert driven.figure("MAML", "", "squared error / variance without adaptation").value == pytest.approx(0.4)


def test_runs_of_other_settings_are_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"the journal .*sweep.jsonl holds no run of .*sweep.yaml"):
        sweep_tables(tmp_path, setting=2)


def test_a_row_without_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = sweep_tables(tmp_path)["plain"]
    table.found["none", ""].clear()
    with pytest.raises(ValueError, match=r"journal of sweep.yaml, plain has no finished run of none: run the sweep"):
        table.figure("none", "", "average")
    with pytest.raises(ValueError, match=r"has no quantity routing acuracy: did you mean routing accuracy\?"):
        table.figure("EWC", "", "routing acuracy")
    with pytest.raises(ValueError, match="has no domain c: there are a, b"):
        table.figure("EWC", "", "on c")


@pytest.mark.usefixtures("_record")
def test_verdicts_of_what_was_reproduced_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "measured/test/scores none average"  # 80.9 ± 3.0
    rows = {
        "within both": {"published": "76.8 ± 3.0", "ours": ours},
        "outside": {"published": "76.6 ± 3.0", "ours": ours, "why": "short"},
        "within a point": {"published": "94.5", "ours": "measured/test/more joint average"},
        "below": {"published": "97.0", "ours": "measured/test/more joint average"},
    }
    file = tmp_path / "reproduced.yaml"
    file.write_text(yaml.safe_dump({"one": {"rows": rows}, "errors": {"standard_errors": "true", "rows": rows}}))
    monkeypatch.setattr(checklist, "FILE", file)
    checklist.read_parts.cache_clear()
    text = refresh("a <!--= reproduced/one agree -->2<!-- / --> of <!--= reproduced/one all -->4<!-- / -->", PAGE)
    assert text[1] == []
    verdicts = {
        line.split(" | ")[0][2:]: line.split(" | ")[3]
        for line in checklist.table_text("reproduced/one").split("\n")[2:]
    }
    assert verdicts == {"within both": "yes", "outside": "no, +4.3", "within a point": "yes", "below": "no, −1.5"}
    assert checklist.figure_text("reproduced/errors agree") == "3"  # two standard errors reach farther
    with pytest.raises(ValueError, match="has no part on: did you mean one"):
        checklist.table_text("reproduced/on")


def test_a_record_with_a_cell_too_few_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "bad.yaml").write_text("about: a\ntables: {t: {columns: [a, b], rows: {none: ['1']}}}")
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match=r"bad.yaml: none of t has 1 cells: give it 2, as columns has"):
        records.read_record("measured/bad")


@pytest.mark.parametrize("module", [figure, spec, layout, performance, reliability], ids=lambda module: module.__name__)
def test_examples_in_docstrings_run(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


ARITHMETIC = "### Long streams"
"""From here to its end the page on performance computes from stated assumptions."""
NUMBER = r"(?:\d[\d,.]*|half a|one|two|three|four|five|six|ten|twenty)(?: and a half)?"
AMOUNT = re.compile(rf"\b{NUMBER} (?:milliseconds|ms|seconds|s|minutes|hours|kB|MB|GB|times|points)\b", re.I)
NOT_MEASURED = (
    "A run of 20 seconds takes",
    "Its README measures 7 times the speed",
    "It adapts to 32 transitions (3.2 s)",
    "It is one file of 5 MB",
    "Lightning looks every 5 s",
    "Mammoth has four times as many",
    "adapts to 3.2 s of driving",
    "after one to three seconds and another opens",
    "at most 10 % for a step of 5 ms",
    "at most 20 MB and 50 million pixels",
    "paper trains 100 times as long",
    "1.5 to 3 m away, within 10 s",
    "reaching the goal within 30 s",
    "within 20 seconds, the program ends",
)
"""Settings, targets, sizes of what is sent, and what others say."""


def prose(path: Path) -> str:
    """Return the text of a page without code and regions."""
    text = path.read_text(encoding="utf-8")
    for written in (pages.CODE, pages.TABLE, pages.FIGURE):
        text = written.sub("", text)
    return " ".join(text.split(ARITHMETIC)[0].split())


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_no_interval_of_results_is_typed_by_hand(path: Path) -> None:
    assert re.findall(r".{0,60}\d ± \.?\d.{0,20}", prose(path)) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_no_time_memory_or_ratio_is_typed_by_hand(path: Path) -> None:
    text = prose(path)
    for allowed in NOT_MEASURED:
        text = text.replace(allowed, "")
    assert [text[max(0, at.start() - 60) : at.end()] for at in AMOUNT.finditer(text)] == []


def test_what_is_not_measured_is_still_written() -> None:
    text = " ".join(map(prose, DOCUMENTS))
    assert [allowed for allowed in NOT_MEASURED if allowed not in text] == []
