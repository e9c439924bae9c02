"""``python -m lifelong drive``: one robot of a finished run, its film and its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lifelong.control.film import film_suffix
from tests.command_line import error_of, run_here
from tests.control.test_closed_loop_commands import POINTS

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a tiny run has been made."""
    folder = tmp_path_factory.mktemp("driven")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LIFELONG_RUN_FOLDER", raising=False)
        patch.setattr("sys.argv", ["lifelong"])
        run_here("fit", *POINTS, "--run.name=c", "--data.joint=true", "--data.steps_per_experience=20")
    return folder


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_robot_is_driven_with_a_film_and_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("drive", "last", "--domain", "both reversed", "--robot=3")
    printed = capsys.readouterr().out
    stem = "runs/c/drive_both_reversed_test_3"
    assert "robot 3 of both reversed (test)" in printed
    assert f"written: {Path(stem + film_suffix()).resolve()}" in printed.replace("\n", "")
    content = json.loads(Path(f"{stem}.json").read_text())
    assert content["dynamics"]["gains"][0] < 0 > content["dynamics"]["gains"][1]
    assert content["adapted"]["measures"].keys() == {"success", "distance"}
    assert content["adapted"]["measures"] != content["without adaptation"]["measures"]
    assert Path(stem + film_suffix()).stat().st_size > 500
    run_here("drive", "runs/c", "--domain", "both reversed", "--robot=3")
    assert json.loads(Path(f"{stem}.json").read_text()) == content


def test_the_film_goes_where_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("drive", "runs/c/checkpoints/last.ckpt", "--compare=false", "--view=plan", "--film=films/one.gif")
    content = json.loads(Path("films/one.json").read_text())
    assert content["domain"] == "nominal"  # the first
    assert "without adaptation" not in content
    assert "without adaptation" not in capsys.readouterr().out
    with Image.open("films/one.gif") as film:
        assert film.n_frames == round(content["adapted"]["seconds_driven"] / 0.1) + 1
        first = film.convert("RGB").copy()
        film.seek(film.n_frames - 1)
        assert first != film.convert("RGB")


def test_another_seed_or_part_is_another_robot() -> None:
    robots = []
    for options in ([], ["--seed=1"], ["--seed=2"], ["--part=val"]):
        run_here("drive", "runs/c", "--view=plan", "--compare=false", "--film=films/two.gif", *options)
        robots.append(json.loads(Path("films/two.json").read_text())["dynamics"]["gains"][0])
    assert len(set(robots)) == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "none is named: python -m lifelong drive runs/name"),
        (["runs/none"], "runs/none is neither a run folder with a checkpoint nor a checkpoint"),
        (["runs/c", "--domain=lava"], "has no robots in lava: choose domains from nominal, x reversed"),
        (["runs/c", "--robot=0"], "--robot is 0"),
        (["runs/c", "--film=one.avi"], "one.avi has no ending of a film: give it .mp4"),
        (["runs/c", "--film=runs/c/results.gif"], "results.json is there already and is of no drive"),
        (["runs/c", "--robots=2"], "no option --robots: did you mean --robot? python -m lifelong drive --help"),
    ],
)
def test_mistakes_are_one_sentence(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = error_of(capsys, "drive", *options)
    assert code in (1, 2)
    assert sentence in message
    assert message.count("\n") == 1
