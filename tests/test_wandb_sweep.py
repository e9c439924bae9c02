"""The sweep file for Weights & Biases works as it is: the command that its agent would run is understood, and fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lifelong.cli import main as command_line
from tests.command_line import run_here

FILE = Path(__file__).parent.parent / "examples" / "wandb_sweep.yaml"


def agent_command(values: dict[str, Any]) -> list[str]:
    """The words after ``python -m lifelong``, as W&B's agent puts them together."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    sweep = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert set(values) == set(sweep["parameters"])
    given = utils.create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    given |= {"env": ["/usr/bin/env"], "interpreter": ["python"]}
    words: list[str] = []
    for part in utils.create_sweep_command(sweep["command"]):
        words += given[part[2:-1]] if part.startswith("${") else [part]
    assert words[:4] == ["/usr/bin/env", "python", "-m", "lifelong"]
    return words[4:]


@pytest.mark.filterwarnings("ignore")
def test_the_command_of_an_agent_learns_by_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    fit = command_line.fit

    def watched(*args: Any, **settings: Any) -> Any:
        run = fit(*args, **settings)
        rates.append(run.config["optimizer"]["init_args"]["lr"])
        assert [type(strategy).__name__ for strategy in settings["strategies"]] == ["EWC"]
        assert settings["strategies"][0].strength == 12.5
        assert "average_score" in run.metrics
        assert len(run.matrix) == 2
        return run

    monkeypatch.setattr(command_line, "fit", watched)
    short = ["--data.steps_per_experience=2", "--data.n_eval_tasks=2", "--trainer.logger=false"]
    words = agent_command({"strategies.strength": 12.5, "optimizer.lr": 0.003})
    run_here(*words, *short, "--run.root", str(tmp_path))
    assert rates == [0.003]
