"""The adaptation curves of benchmarks/: which runs have one, what is measured again, and the picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import adaptation_curves
from lifelong.sweep.table import PlannedRun
from lifelong.sweep.training import Training
from tests.command_line import TINY_DATA, run_apart

MODEL = ["--model.network=lifelong.networks.MLP", "--model.network.n_inputs=64", "--model.network.hidden=[8]"]
ROWS = {"ProtoNet": [], "MAML": ["--model.network.n_outputs=3"], "MetaSGD": ["--model.network.n_outputs=3"]}


def run(label: str, column: str, seed: int, folder: Path) -> PlannedRun:
    return PlannedRun("t", label, column, seed, Training(label, (), folder, "", folder))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of three rows, two of which are finished."""
    rows = {name: f"--model {name}" for name in ROWS}
    tables = [{"name": "tiny", "config": "a.yaml", "rows": rows}]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"seeds": [0], "tables": tables}), encoding="utf-8")
    for name in ("ProtoNet", "MAML"):
        where = [f"--run.root={tmp_path / 'runs/tiny'}", f"--run.name={name}-0", "--trainer.logger=false"]
        model = [f"--model=lifelong.learners.{name}", *MODEL, *ROWS[name]]
        run_apart("fit", *model, *TINY_DATA, *where, "--strategies=[]", cwd=tmp_path)
    return tmp_path / "tiny.yaml"


def test_adaptation_curves_are_measured_once_and_drawn(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = sweep.with_name("curves.png")
    arguments = ["x", str(sweep), "--root", str(sweep.parent / "runs"), "--picture", str(picture), "--n-steps", "2"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert adaptation_curves.main() == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["MAML", "written"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(adaptation_curves.subprocess, "run", None)  # nothing is left to run
    assert adaptation_curves.main() == 0


def test_a_measurement_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with pytest.raises(RuntimeError, match=r"(?s)MAML: .*last.ckpt"):
        adaptation_curves.measure(run("MAML", "", 0, tmp_path / "r"), 2)


def test_a_sweep_without_runs_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [{"name": "tiny", "config": "a.yaml", "rows": {"MAML": ""}}]
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"seeds": [0], "tables": tables}), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "s.yaml"), "--root", str(tmp_path)])
    assert adaptation_curves.main() == 1
    assert "no finished run of the sweep has a learner" in capsys.readouterr().out
    folder = tmp_path / "tiny" / "MAML-0"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text('{"finished": true}', encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--rows", "MAM"])
    assert adaptation_curves.main() == 1
    assert "no finished run is called MAM, only MAML" in capsys.readouterr().out


def test_lines_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    one, other = (run("MAML", "five", seed, tmp_path) for seed in (0, 1))
    assert adaptation_curves.name(one, [one]) == "MAML, five"
    assert [adaptation_curves.name(each, [one, other]) for each in (one, other)] == [
        "MAML, five, seed 0",
        "MAML, five, seed 1",
    ]


def test_the_mean_over_domains_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    figure = adaptation_curves.plots.adaptation_curve_figure

    def watch(mean: Any, widths: Any, names: Any, **settings: Any) -> Any:
        seen.update(mean=mean.tolist(), widths=widths.tolist(), names=names)
        return figure(mean, widths, names, **settings)

    monkeypatch.setattr(adaptation_curves.plots, "adaptation_curve_figure", watch)
    curve = {"mean": [[0.2, 0.4], [0.4, 0.8]], "half_width": [[0.3, 0.0], [0.4, 0.1]], "domains": ["a", "b"]}
    curve |= {"score": "accuracy"}
    adaptation_curves.draw(["MAML"], [json.loads(json.dumps(curve))], tmp_path / "p.png")
    assert seen["mean"] == [[pytest.approx(0.3), pytest.approx(0.6)]]
    assert seen["widths"] == [[pytest.approx(0.25), pytest.approx(0.05)]]
    assert (tmp_path / "p.png").is_file()
