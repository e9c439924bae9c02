"""A search looks at the first experiences and at validation data alone, in exactly so many trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lifelong.sweep.executors import make_executor
from lifelong.sweep.journal import Journal
from lifelong.sweep.search import Search, check, run_search
from lifelong.sweep.searcher import row_averages
from lifelong.sweep.sweep import read_sweep, run_sweep
from tests.sweep import fake_fit

pytest.importorskip("optuna")
SPACE = {"optimizer.lr": {"log": [1e-4, 1.0]}}
SEARCH: dict[str, Any] = {"config": "a.yaml", "seeds": [1, 2], "search": {"space": SPACE, "trials": 4}}


def search(**changes: Any) -> dict[str, Any]:
    return SEARCH | {"search": SEARCH["search"] | changes}


def run(sweep: dict[str, Any], root: str = "runs", journal: Journal | None = None, jobs: int = 1) -> list[str]:
    check(sweep)
    return run_search(sweep, Path(root), journal, jobs, lambda: make_executor("local", Path(root), jobs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flag": ""}, r"the sweep has no key flag: did you mean flags\?"),
        ({"flags": "--data.evaluate_on test"}, "--data.evaluate_on, and trials are compared by validation data alone"),
        ({"flags": "--data.init_args.evaluate_on=test"}, "trials are compared by validation data alone: leave it out"),
        ({"flags": "--trainer.max_epochs 3"}, "the search's experiences say how many are learnt"),
        ({"flags": "--data.joint true"}, "joint learning has no first experiences to search by"),
        ({"search": {"space": SPACE}}, "the search has no trials: give it space, trials"),
        (search(trial=3), r"the search has no key trial: did you mean trials\?"),
        (search(trials=0), "the search's trials"),
        (search(trials=None), "the search's trials are null: give a number"),
        (search(experiences=0), "the search's experiences .*, or null for all"),
        (search(metric="accuracy"), "the sweep has no metric accuracy, only average_score"),
        (search(sampler="TPE"), "Optuna has no sampler TPE"),
        (search(pruner="Median"), r"Optuna has no pruner Median: did you mean MedianPruner\?"),
        (search(space={"optimizer.lr": {"log": [1]}}), "give two numbers, the lower one first"),
        (search(seed=-1), r"the sweep's seeds are \[-1\]"),
        ({"config": "b.yaml"}, r"there is no config b\.yaml"),
    ],
)
def test_what_stands_for_nothing_is_refused(change: dict[str, Any], message: str, starts: Path) -> None:
    check(SEARCH)
    with pytest.raises(ValueError, match=message):
        check(SEARCH | change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{seeds: [0], tables: [], search: {}}", "has both tables and a search: give it one of them"),
        ("{seeds: [0]}", "a sweep has tables or a search, and s.yaml has neither"),
        ("just text", "s.yaml has neither"),
    ],
)
def test_a_sweep_is_a_table_or_a_search(text: str, message: str, starts: Path) -> None:
    Path("s.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_sweep(Path("s.yaml"))


def test_a_trial_learns_the_first_experiences_on_validation_data(tmp_path: Path) -> None:
    sweep = SEARCH | {"flags": "--data.x {seed}", "search": SEARCH["search"] | {"report_flags": "--data.split [0,0]"}}
    made = Search(sweep, tmp_path)
    trial = made.training({"optimizer.lr": 0.5})
    words = "--config a.yaml --data.x 1 --optimizer.lr=0.5 --data.evaluate_on val --seed 1 --trainer.max_epochs 2"
    assert " ".join(trial.options) == words
    best = made.best_runs({"optimizer.lr": 0.5}, None)
    words = "--config a.yaml --data.x 2 --optimizer.lr=0.5 --data.evaluate_on val --seed 2 --data.split [0,0]"
    assert " ".join(best[1].training.options) == words
    whole = Search(sweep | {"search": sweep["search"] | {"experiences": None}}, tmp_path)
    assert "--trainer.max_epochs" not in whole.training({}).options
    assert whole.name != made.name


def test_the_best_setting_is_run_on_the_whole_stream(starts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = search(trials=6, experiences=1, sampler="RandomSampler")
    assert run(sweep) == []
    assert len(starts.read_text().split()) == 6 + 2
    text = capsys.readouterr().out
    assert Path("runs/tables.md").read_text() in text
    trials = [line.split("|") for line in text.splitlines() if line.endswith(("|  |", "| best |"))][1:]
    (best,) = [trial for trial in trials if trial[-2] == " best "]
    assert len(trials) == 6
    assert float(best[3]) == max(float(trial[3]) for trial in trials)
    assert "| run | average | forgetting | experiences 1 | experiences 2 (never searched) | seeds |" in text
    assert "| 50.0 ± 0.0 | 70.0 ± 0.0 | 2 of 2 |" in text
    capsys.readouterr()
    assert run(sweep) == []
    assert len(starts.read_text().split()) == 8  # nothing is run again
    assert capsys.readouterr().out == text[text.index("## trials") :]  # and no bar is shown


def test_a_journal_spares_trials_elsewhere(starts: Path) -> None:
    sweep = search(sampler="RandomSampler")
    for root in ("here", "there"):
        run(sweep, root, Journal(Path("j.jsonl")))
    assert len(starts.read_text().split()) == 4 + 2


def test_the_pruner_stops_what_is_hopeless(starts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pruner = {"class_path": "ThresholdPruner", "init_args": {"lower": 0.9}}
    rates = [0.01, 1.0]  # scores of 1.0 and 0.8
    sweep = search(space={"optimizer.lr": rates}, trials=2, sampler="GridSampler", pruner=pruner)
    sweep = sweep | {"flags": "--seconds 1.5", "seeds": [0]}
    assert run(sweep, jobs=2) == []
    (pruned,) = [line for line in Path("runs/tables.md").read_text().splitlines() if line.endswith("| pruned |")]
    assert " | 1 | " in pruned


def test_failures_are_told_and_tried_again(starts: Path) -> None:
    sweep = search(trials=9) | {"flags": "--fails 1"}
    failures = run(sweep)
    assert len(failures) == 3  # where nothing else has come of any, the search ends
    assert failures[0].startswith("trial 0 (optimizer.lr ")
    assert "): no such thing (" in failures[0]
    assert Path("runs/tables.md").read_text().count("| failed: no such thing |") == 3
    run(sweep)
    names = starts.read_text().split()
    assert names[3:] == names[:3]


def test_a_trial_without_a_number_has_failed(starts: Path) -> None:
    failures = run(search(trials=3) | {"flags": "--diverges 1"})
    assert [failure.split(": ")[1][:29] for failure in failures] == ["average_score is no number, t"] * 3
    assert "| failed: average_score is no number, the learner diverged |" in Path("runs/tables.md").read_text()


def test_two_searchers_on_one_root_share_the_trials(starts: Path) -> None:
    sweep = search(trials=8, sampler="RandomSampler") | {"flags": "--seconds 0.2", "seeds": [0]}
    Path("s.json").write_text(json.dumps(sweep))
    code = (
        "import json, sys; from pathlib import Path; from lifelong.sweep import training;"
        f"training.PROGRAM = {[sys.executable, str(Path(__file__).with_name('fake_fit.py'))]!r};"
        "from tests.sweep.test_search import run; run(json.loads(Path('s.json').read_text()), jobs=2)"
    )
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    searchers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, env=here) for _ in range(2)]
    assert [searcher.wait(120) for searcher in searchers] == [0, 0]
    names = starts.read_text().split()
    assert len(names) == len(set(names)) == 8 + 1


def test_the_averages_of_a_run_so_far_are_read(tmp_path: Path) -> None:
    assert row_averages(tmp_path) == []
    (tmp_path / "metrics.csv").write_text("step,val/average_score\n1,\n2,0.5\n3,\n4,0.25\n")
    assert row_averages(tmp_path) == [0.5, 0.25]


def test_options_of_the_space_are_checked_before_a_trial(starts: Path) -> None:
    checked: list[dict[str, str]] = []

    def refuse(options: Sequence[str]) -> None:
        checked.append(fake_fit.options_of([*options]))
        fake_fit.check(options)

    sweep = search(space={"optimizer.lr": {"log": [0.1, 1]}, "n": [1, 2]}, report_flags="--data.x 1")
    assert run_sweep(sweep, Path("good"), jobs=1, check_options=refuse) == []
    rates = [float(options["optimizer.lr"]) for options in checked]
    assert rates == [0.1, 0.1, pytest.approx(0.4339), 1.0, 0.1]
    assert [options["n"] for options in checked] == ["1", "1", "1", "1", "2"]
    assert ["data.x" in options for options in checked] == [False, True, False, False, False]  # the whole stream
    n_runs = len(starts.read_text().split())
    sweep = search(space={"optimizer.lr": [0.1, "high"]})
    with pytest.raises(ValueError, match=r"a trial with optimizer\.lr high cannot be run: --optimizer\.lr is high: it"):
        run_sweep(sweep, Path("bad"), jobs=1, check_options=refuse)
    assert len(starts.read_text().split()) == n_runs


def test_a_search_on_a_cluster_says_how_many_at_a_time(starts: Path) -> None:
    own = {"class_path": "concurrent.futures.ThreadPoolExecutor"}
    with pytest.raises(
        ValueError, match=r"search on the executor concurrent\S+ needs --jobs, the number of trials at a time"
    ):
        run_sweep(SEARCH | {"executor": own}, Path("runs"))
    run_sweep(SEARCH | {"executor": own}, Path("runs"), table_only=True)
    assert run_sweep(SEARCH | {"executor": own}, Path("runs"), jobs=2) == []


def test_a_metric_that_was_not_measured_is_refused(starts: Path) -> None:
    with pytest.raises(ValueError, match=r"metric unseen_score is not available .*: choose another"):
        run(search(metric="unseen_score"))
