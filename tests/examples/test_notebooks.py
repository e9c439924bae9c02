"""The notebooks run on tiny data in this process, and the committed ones show what their code printed and drew."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.notebooks.run import FOLDER, digest_of_code, run_notebook
from tests.robots import needs_robot

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install -e '.[notebooks]'")
pytest.importorskip("IPython", reason="IPython is not installed: pip install -e '.[notebooks]'")

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALL: dict[str, dict[str, Any]] = {
    "own_tensors": {"n_steps": 20, "n_tasks": 6},
    "forgetting_seen_and_cured": {"n_steps": 25},
    "own_strategy_compared": {"n_steps": 15, "seeds": (0, 1)},
    "five_photos_of_a_new_class": {"n_steps": 4, "n_tasks": 3},
    "robot_loses_a_motor": {"n_robots": 20, "n_steps": 3, "n_cars": 2, "n_control_steps": 4, "powers": (1.0, -0.8)},
}
"""What takes the place of the cell that is tagged ``parameters``."""
MOST_BYTES = 600_000
MOST_CODE_CELLS = 15


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    plt.switch_backend("agg")
    yield
    plt.close("all")


def run_small(name: str) -> dict[str, Any]:
    """Run the cells of a notebook with small settings, show what each ends with, and return its variables."""
    space: dict[str, Any] = {"__name__": "notebook"}
    for cell in code_cells(FOLDER / f"{name}.ipynb"):
        show(cell.source, space)
        if "parameters" in cell.metadata.get("tags", []):
            assert SMALL[name].keys() <= space.keys()
            space |= SMALL[name]
    return space


def show(source: str, space: dict[str, Any]) -> None:
    """Run a cell; where it ends with an expression, ask for its text, table and picture as a notebook does."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), space)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), space)
        ways = [getattr(value, name) for name in ("_repr_html_", "_repr_png_", "__repr__") if hasattr(value, name)]
        assert value is None or any(way() for way in ways)


def test_every_notebook_has_small_settings() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(SMALL)


@pytest.mark.slow
def test_own_tensors_are_learnt_and_told_apart() -> None:
    space = run_small("own_tensors")
    assert space["run"].matrix.shape == (3, 3)
    assert space["run"].domains == ("pump", "fan", "mill")
    assert space["answers"].classes == ("bearing", "belt", "gear")
    assert space["right"] > 40  # of 90; by guessing it would be 30


@pytest.mark.slow
def test_forgetting_is_seen_and_replay_cures_it() -> None:
    runs = run_small("forgetting_seen_and_cured")["runs"]
    plain, ewc, replay = (run.metrics["forgetting"].value for run in runs.values())
    assert plain > 0.8
    assert ewc > 0.8
    assert replay < plain - 0.3


@pytest.mark.slow
def test_own_strategy_is_short_and_compared() -> None:
    space = run_small("own_strategy_compared")
    table, plain = space["table"], space["runs"]["none"]
    assert table.difference("none").high < 0
    assert space["low"] <= space["value"] <= space["high"]
    assert table.difference("Sketch").seeds == (0, 1)
    # Ten sketches of 64 pixels, a mean and a spread each, in single precision.
    assert space["runs"]["Sketch"][0].results.setting.strategy_bytes == {"Sketch": 10 * 2 * 64 * 4}
    sketched = [run.metrics["average_score"].value for run in space["runs"]["Sketch"]]
    assert min(sketched) > max(run.metrics["average_score"].value for run in plain)


def test_own_strategy_has_at_most_25_lines() -> None:
    [source] = [c.source for c in code_cells(FOLDER / "own_strategy_compared.ipynb") if "class Sketch" in c.source]
    assert len([line for line in source.splitlines() if line.strip()]) <= 25


@pytest.mark.slow
def test_a_new_class_is_learnt_from_five_photos() -> None:
    space = run_small("five_photos_of_a_new_class")
    assert space["run"].domains == ("1 market", "2 shed")
    assert set(map(len, space["support"].values())) == {5}
    assert len(space["answers"]) == len(space["asked"]) == 9
    assert "kiwi" not in space["run"].model.experiences["1 market"]
    assert space["fitted"].classes == ("kiwi", "apple", "lime")


@pytest.mark.slow
@needs_robot
def test_cars_drive_with_both_models() -> None:
    space = run_small("robot_loses_a_motor")
    drives = space["drives"]
    assert set(drives) == {(power, adapts) for power in (1.0, -0.8) for adapts in (False, True)}
    # A whole motor makes no difference; one that turns the wrong way round does.
    assert (drives[1.0, False].states == drives[1.0, True].states).all()
    assert (drives[-0.8, False].states[:, -1] != drives[-0.8, True].states[:, -1]).any()


# -- as committed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_the_code(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert read(path).metadata["outputs_of"] == digest_of_code(read(path))
    kinds = {kind for cell in cells for output in cell.outputs for kind in output.get("data", {})}
    assert "image/png" in kinds
    assert len(cells) <= MOST_CODE_CELLS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_show_no_error_and_no_machine(path: Path) -> None:
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    shown = [text for output in outputs for kind, text in output.get("data", {}).items() if kind != "image/png"]
    shown += [output.get("text", "") for output in outputs]
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    assert not any("execution" in cell.metadata for cell in read(path).cells)
    assert set(read(path).metadata) == {"kernelspec", "language_info", "outputs_of"}
    assert not any(re.search(r"/(tmp|home|root|work|Users)/|\bit/s\b| at 0x", text) for text in shown)
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.slow
def test_a_notebook_runs_in_a_kernel_and_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    pytest.importorskip("nbclient")
    cells = ["import lifelong\nlifelong.__name__", "import pathlib\nsorted(map(str, pathlib.Path().iterdir()))"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    run_notebook(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
    outputs = [cell.outputs[0]["data"]["text/plain"] for cell in code_cells(tmp_path / "b.ipynb")]
    assert outputs == ["'lifelong'", "[]"]
    assert read(tmp_path / "b.ipynb").metadata["outputs_of"] == digest_of_code(notebook)
    assert not any("execution" in cell.metadata for cell in read(tmp_path / "b.ipynb").cells)
