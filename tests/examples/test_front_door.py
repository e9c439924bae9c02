"""The script of the front door runs, here with fewer steps and tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import front_door


@pytest.mark.filterwarnings("ignore")
def test_the_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    text = Path(front_door.__file__).read_text(encoding="utf-8")
    small = text.replace("[Glyphs()]", "[Glyphs()], steps_per_experience=2, n_eval_tasks=3")
    assert small.count("n_eval_tasks=3") == 2
    exec(compile(small, "front_door.py", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    for expected in ("silhouettes", "one shot:", "test:"):
        assert expected in printed
    [folder] = Path("runs").iterdir()
    assert {"my_matrix.png", "results.json", "config.yaml"} <= {path.name for path in folder.iterdir()}
