"""``python -m lifelong compare`` as a user types it: every format, and each mistake in one sentence."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from lifelong.cli import start
from lifelong.cli.compare import COMMAND
from tests.command_line import TINY, error_of, run_here
from tests.toy_runs import config_of, make_run, saved, two_rows


@pytest.fixture(autouse=True)
def _two_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for strategy, score in (("EWC", 0.0), (None, 1.0)):
        for seed in (0, 1):
            rows = two_rows([[score, 1, 1, 1], [1, 1, score, 1]])
            saved(Path("runs"), make_run(*rows, name=f"{strategy}-{seed}", config=config_of(seed, strategy)))


RUNS = ("runs/EWC-0", "runs/EWC-1", "runs/None-0", "runs/None-1")


def output(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    start.main(["compare", *args])
    return capsys.readouterr().out


def test_text_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, *RUNS)
    rows = [line.split() for line in text.splitlines() if line.startswith((" EWC", " no strategy"))]
    assert rows[0][:5] == ["EWC", "2", "75.0", "±", "0.0"]
    assert rows[1][:6] == ["no", "strategy", "2", "100.0", "±", "0.0"]
    assert "+25.0" in rows[1]
    assert rows[1][-1] == "0.500"  # of the four flips of two units two are as far from 0
    assert "p: two-sided sign-flip permutation test (all flips)." in text


def test_runs_may_stand_between_options(capsys: pytest.CaptureFixture[str]) -> None:
    mixed = output(capsys, "--against", "no strategy", RUNS[0], "--interval=t", *RUNS[1:], "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(mixed)))
    assert [row["against"] for row in rows] == ["no strategy", ""]
    assert float(rows[0]["difference"]) == -0.25


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("text", " "), ("markdown", "| method | runs |"), ("latex", "% needs \\usepackage"), ("csv", "method,runs,")],
)
def test_every_format_is_printed(form: str, beginning: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "runs", "--format", form).startswith(beginning)


@pytest.mark.parametrize(
    ("ending", "words"), [("txt", "± 95 %"), ("md", "|:---|"), ("tex", "\\toprule"), ("csv", "p_holm")]
)
def test_a_file_has_the_format_of_its_ending(ending: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = output(capsys, *RUNS, f"--output=tables/t.{ending}")
    assert words in Path(f"tables/t.{ending}").read_text(encoding="utf-8")
    assert told == f"written: tables/t.{ending} (2 methods, 4 runs)\n"


def test_a_format_may_be_given_for_any_file(capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys, *RUNS, "--output=t.dat", "--format=markdown")
    assert Path("t.dat").read_text(encoding="utf-8").startswith("| method |")


def test_a_file_that_is_there_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.md").write_text("mine")
    code, message = error_of(capsys, "compare", *RUNS, "--output=t.md")
    assert (code, message) == (1, "error: --output t.md is there already, and is not replaced: name another file\n")
    assert Path("t.md").read_text() == "mine"


def test_warnings_are_told_beside_formats_without_room(capsys: pytest.CaptureFixture[str]) -> None:
    saved(Path("runs"), make_run(name="other", config=config_of(0, "Replay"), split_hash="x"))
    start.main(["compare", "runs", "--format=csv"])
    told = capsys.readouterr()
    assert "! 'Replay' is not comparable with 'EWC': another split (x and abc)." in told.err
    assert "!" not in told.out
    assert "! 'Replay' is not comparable" in output(capsys, "runs", "--output=t.csv")


def test_a_metric_of_ones_own_is_a_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("metrics_on_the_line.py").write_text(
        "def worst_domain(results):\n    return 100 * results.matrix[-1].min()\n"
        "def never(results):\n    raise ValueError('needs a robot')\n"
    )
    paths = "metrics_on_the_line.worst_domain, metrics_on_the_line.never"
    text = output(capsys, *RUNS, "--metric", paths)
    assert "75.0 ± 0.0" in text
    assert "never: not available, needs a robot." in text


def test_options_that_make_a_method_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    rows = csv.DictReader(io.StringIO(output(capsys, "runs", "--by=strategies,seed", "--format=csv")))
    assert [row["method"] for row in rows] == [
        "EWC, seed=0",
        "EWC, seed=1",
        "no strategy, seed=0",
        "no strategy, seed=1",
    ]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ((), 1, "compare puts two runs or more beside each other, and there is none: python -m lifelong"),
        (("runs/EWC-0",), 1, "beside each other, and there is one only, EWC-0"),
        (("nowhere",), 1, "nowhere is not there: give run folders"),
        (("empty",), 1, "empty is no run folder and holds none: there is no results.json in it"),
        ((*RUNS, "--by=strategis"), 1, "--by strategis is no option in the configs of these runs: did you mean strat"),
        ((*RUNS, "--against=EWCC"), 1, "there is no method 'EWCC' to compare with: did you mean 'EWC'?"),
        ((*RUNS, "--format=pdf"), 1, "there is no format 'pdf': give text, markdown, latex, csv"),
        ((*RUNS, "--output=t.pdf"), 1, "--output t.pdf does not say its format: end it in .txt, .md, .tex, .csv"),
        ((*RUNS, "--interval=bayes"), 1, "there is no interval 'bayes': give percentile, bca, t"),
        ((*RUNS, "--n_resamples=0"), 1, "found 0 resamples: give 1 to 10,000,000"),
        ((*RUNS, "--n_resamples=many"), 2, "--n_resamples is many: it must be a whole number; python"),
        ((*RUNS, "--agianst=EWC"), 2, "there is no option --agianst: did you mean --against? python -m"),
        ((*RUNS, "--metric=nothing_there.f"), 1, "there is no function nothing_there.f"),
        ((*RUNS, "--metric=foo"), 1, "error: there is no metric foo: give a function by its dotted path, module.fun"),
        ((*RUNS, "--metric=foo."), 1, "error: there is no metric foo.: give a function"),
        ((*RUNS, "--metric=math.sqrt,"), 1, "error: there is no metric (an empty name): give a function"),
        ((*RUNS, "--by=nonsense"), 1, "in the configs of these runs: give some of strategies, seed\n"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_sentence(
    args: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    with pytest.raises(SystemExit) as failure:
        start.main(["compare", *args])
    told = capsys.readouterr()
    assert failure.value.code == code
    assert message in told.err
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert error_of(capsys, "compare", *args) == (code, told.err)  # by the whole command line too


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        start.main(["compare", "--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    for name in ("RUN RUN", "--by", "--against", "--metric", "--interval", "--n_resamples", "--format", "--output"):
        assert name in told


def test_both_ways_to_the_command_print_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, *RUNS)
    run_here("compare", *RUNS)
    assert capsys.readouterr().out == text


def test_options_take_one_value_each() -> None:
    assert COMMAND.split(["--by", "a", "x", "--format=csv", "y", "--seed"]) == (
        ["x", "y"],
        ["--by", "a", "--format=csv", "--seed"],
    )


@pytest.mark.filterwarnings("ignore")
def test_runs_of_fit_are_compared(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    for strategy in ("", "strategies.EWC"):
        for seed in (0, 1):
            name = f"{strategy or 'plain'}-{seed}"
            run_here(
                "fit", *TINY, f"--seed={seed}", f"--strategies=[{strategy}]", f"--run.name={name}", "--run.root=fits"
            )
    capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(output(capsys, "fits", "--against", "no strategy", "--format=csv"))))
    assert [(row["method"], row["seeds"]) for row in rows] == [("no strategy", "0, 1"), ("EWC", "0, 1")]
    assert rows[1]["n_units"] == "15"
    assert rows[1]["no_difference_because"] == ""
    averages = [float(row["average_score"]) for row in rows]
    assert float(rows[1]["difference"]) == pytest.approx(averages[1] - averages[0], abs=1e-6)
