"""The README's three examples run as they stand there, by class path from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.command_line import TINY, run_here

README = Path(__file__).parent.parent / "README.md"
pytestmark = pytest.mark.filterwarnings("ignore")


def examples() -> dict[str, str]:
    """Python blocks of the README by the file name in their first line."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    return dict(blocks)


@pytest.mark.parametrize("name", ["my_strategy.py", "my_learner.py", "my_source.py"])
def test_example_is_short(name: str) -> None:
    assert len([line for line in examples()[name].splitlines() if line.strip()]) <= 25


def test_examples_run_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in examples().items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    options = [option for option in TINY if not option.startswith(("--model=", "--data.sources"))]
    run_here(
        "fit",
        "--model=my_learner.Attention",
        "--data.sources=[{class_path: my_source.Blobs, init_args: {size: 8}}]",
        "--strategies=[my_strategy.Decay]",
        "--run.name=own",
        *options,
    )
    results = json.loads(Path("runs/own/results.json").read_text())
    assert results["domains"] == ["blobs 0", "blobs 1", "blobs 2"]
    assert results["strategies"] == ["Decay"]
    assert results["strategy_bytes"]["Decay"] > 0
