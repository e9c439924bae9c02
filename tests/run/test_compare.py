"""``lifelong.compare`` on run folders: what is read, and what is refused in a sentence."""

from __future__ import annotations

import doctest
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import lifelong
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.results import Results
from lifelong.run import compare as module
from lifelong.run.compare import compare, find_metrics
from tests.toy_runs import config_of, make_run, saved, two_rows


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


METHODS = (("a0", "EWC", 0, 0), ("a1", "EWC", 1, 1), ("b0", None, 0, 1), ("b1", None, 1, 1))
"""Name, strategy and seed of a run, and the score of one unit."""


def four(root: Path = Path("runs")) -> list[str]:
    """Two seeds of two methods."""
    runs = [
        make_run(*two_rows([[0, 1, 1, 1], [1, 1, score, 1]]), name=name, config=config_of(seed, strategy))
        for name, strategy, seed, score in METHODS
    ]
    return [saved(root, run) for run in runs]


def without_config(results: Results) -> Results:
    """As a run has them that was just trained, whose config is beside them."""
    return results.of_run("", {})


def test_folders_and_results_give_the_same_numbers() -> None:
    paths = four()
    found = compare(paths)
    assert [(row.label, row.names, row.seeds) for row in found.rows] == [
        ("EWC", ("a0", "a1"), (0, 1)),
        ("no strategy", ("b0", "b1"), (0, 1)),
    ]
    assert found.differences[0].value == pytest.approx(1 / 16)
    loaded = [Results.load(path) for path in paths]
    assert compare(loaded).to_csv().split(",seconds")[0] == found.to_csv().split(",seconds")[0]
    assert [row.names for row in compare(loaded).rows] == [("run 1", "run 2"), ("run 3", "run 4")]
    for config, results_of in (({}, loaded), (None, [without_config(results) for results in loaded])):
        runs = [
            SimpleNamespace(
                results=results, folder=Path(path), config=config_of(seed, strategy) if config is None else config
            )
            for results, path, (_, strategy, seed, _) in zip(results_of, paths, METHODS, strict=True)
        ]
        assert str(compare(runs)) == str(found)  # type: ignore[arg-type]
    assert lifelong.compare is compare
    assert isinstance(found, lifelong.Comparison)


def test_a_mapping_says_labels_itself() -> None:
    paths = four()
    found = compare({"ours": paths[:2], "theirs": Path(paths[2]), "self": Results.load(paths[0])}, against="theirs")
    assert [(row.label, len(row.runs)) for row in found.rows] == [("ours", 2), ("theirs", 1), ("self", 1)]
    assert found.differences[0].seeds == (0,)


def test_a_folder_of_runs_is_its_runs() -> None:
    four()
    Path("runs/other").mkdir()
    found = compare(["runs"])
    assert [row.names for row in found.rows] == [("a0", "a1"), ("b0", "b1")]
    assert "runs holds 4 runs" in found.notes


def test_a_checkpoint_and_last_are_their_run() -> None:
    paths = four()
    checkpoint = Path(paths[0], "checkpoints/last.ckpt")
    checkpoint.parent.mkdir()
    checkpoint.touch()
    later = Path(paths[2], "results.json")
    times = [Path(path, "results.json").stat().st_mtime for path in paths]
    os.utime(later, (max(times) + 5, max(times) + 5))
    found = compare([checkpoint, "last"])
    assert [row.names for row in found.rows] == [("a0",), ("b0",)]
    assert "last is runs/b0" in found.notes


def test_a_run_that_is_named_twice_counts_once() -> None:
    paths = four()
    found = compare([*paths, paths[0], f"{paths[0]}/"])
    assert found.rows[0].names == ("a0", "a1")
    assert found.notes[:2] == ("runs/a0 is named twice, and counts once",) * 2


def test_a_run_that_has_just_begun_is_left_out_and_named() -> None:
    paths = four()
    Path("runs/c0").mkdir()
    Path("runs/c0/config.yaml").write_text("seed: 0")
    found = compare([*paths, "runs/c0"])
    assert found.warnings == ("runs/c0 has no results.json, which comes after the first experience: it is left out",)


def test_a_metric_is_computed_after_the_run() -> None:
    def share_kept(results: Results) -> Estimate | float:
        scores = results.scores()
        if len(scores) < 2:
            raise ValueError("needs two experiences")
        return float((scores[-1] >= scores[0]).mean())

    row = compare(four(), metrics={"kept": share_kept}).rows[0]
    assert row.estimates["kept"].value == pytest.approx((6 / 8 + 7 / 8) / 2)


def test_old_results_take_their_config_from_its_file() -> None:
    paths = [saved(Path("runs"), make_run(name=f"a{seed}", config={}, strategies=("EWC",))) for seed in (0, 1)]
    for seed, path in enumerate(paths):
        Path(path, "config.yaml").write_text(yaml.safe_dump(config_of(seed)))
    assert compare(paths).rows[0].seeds == (0, 1)


def test_what_a_config_names_is_never_imported() -> None:
    paths = four()
    Path("evil.py").write_text("raise SystemExit('imported')")
    for path in paths:
        file = Path(path, "results.json")
        content = json.loads(file.read_text())
        content["config"]["model"] = {"class_path": "evil.Evil", "init_args": {}}
        file.write_text(json.dumps(content))
    assert "evil" not in sys.modules
    compare(paths)
    assert "evil" not in sys.modules


def change(path: str, name: str, write: Callable[[Path], object]) -> None:
    write(Path(path, name))


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("results.json", lambda file: file.write_text("["), "is no results.json of a run"),
        ("results.json", lambda file: file.write_text("{}"), "runs/a0: the results have no entry 'domains'"),
        ("results.json", lambda file: file.write_text("[]"), "runs/a0: the results are a list and no mapping"),
        ("results.json", lambda file: file.write_text("[" * 5000), "is no results.json of a run"),
        ("scores.npz", lambda file: file.write_bytes(b"PK\x03\x04 no archive"), "runs/a0"),
        ("scores.npz", lambda file: file.write_bytes(b""), "runs/a0"),
        ("scores.npz", lambda file: np.savez(file, **{"score/a": np.ones(2)}), "the results in runs/a0 cannot be read"),
        ("scores.npz", lambda file: np.savez(file, score=np.array([{}], dtype=object)), "runs/a0"),
    ],
)
def test_damaged_results_are_refused_in_a_sentence(name: str, write: Callable[[Path], object], message: str) -> None:
    paths = four()
    change(paths[0], name, write)
    with pytest.raises(ValueError, match=message):
        compare(paths)


def test_a_config_that_is_no_mapping_is_refused() -> None:
    paths = four()
    file = Path(paths[0], "results.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"config": ["a"]}))
    with pytest.raises(ValueError, match=r"the config in .* is no mapping"):
        compare(paths)


def test_what_is_asked_wrongly_is_refused_in_a_sentence() -> None:
    paths = four()
    Path("empty").mkdir()
    shutil.copytree(paths[0], "outer/table/EWC-0")
    for runs, settings, message in (
        ([], {}, "puts two runs or more beside each other, and there is none"),
        (paths[:1], {}, "beside each other, and there is one only, a0"),
        (["nowhere"], {}, "nowhere is not there: give run folders"),
        (["empty"], {}, "empty is no run folder and holds none"),
        (["outer"], {}, "outer holds no run itself; runs lie in outer/table: give one of these"),
        ([3], {}, "found a int among the runs"),
        ({"a": paths, "b": []}, {}, "the method 'b' has no run"),
        ({"a": paths}, {"by": "seed"}, "runs have labels and by is given too"),
        (paths, {"by": "strategis"}, r"did you mean strategies\?"),
        (paths, {"against": "EWCC"}, "did you mean 'EWC'"),
        (paths, {"interval": "bayes"}, "there is no interval 'bayes': give percentile, bca, t"),
        (paths, {"n_resamples": 0}, "found 0 resamples"),
        (paths, {"n_resamples": 10**10}, "found 10000000000 resamples: give 1 to 10,000,000"),
    ):
        with pytest.raises(ValueError, match=message):
            compare(runs, **settings)  # type: ignore[arg-type]
    for path in paths:
        Path(path, "results.json").unlink()
    with pytest.raises(ValueError, match="last found no runs/"):
        compare(["last"])


def test_metrics_are_found_by_their_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("metrics_of_mine.py").write_text("def best(results):\n    return 1.0\nNUMBER = 3\n")
    Path("broken_of_mine.py").write_text("1 +")
    assert list(find_metrics(["metrics_of_mine.best"])) == ["best"]
    for path, message in (
        ("metrics_of_mine.worst", "no function metrics_of_mine.worst"),
        ("nothing_there.worst", "No module named 'nothing_there'"),
        ("worst", "there is no metric worst: give a function by its dotted path"),
        ("metrics_of_mine.NUMBER", "metrics_of_mine.NUMBER is no function"),
        ("broken_of_mine.worst", "no function broken_of_mine.worst .*invalid syntax"),
    ):
        with pytest.raises(ValueError, match=message):
            find_metrics([path])


def test_a_comparison_needs_neither_torch_nor_lightning() -> None:
    code = (
        "import sys, lifelong; print(lifelong.compare(['runs/a0', 'runs/b0']).rows[0].label);"
        "print({'torch', 'lightning', 'matplotlib'} & {*sys.modules})"
    )
    four()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "EWC\nset()\n"


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(module).failed == 0
