"""``adapt``, ``export`` and ``serve`` on the real command line: from a run to what answers elsewhere."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import lifelong
from datamodules import EpisodicDataModule, ImageFolder
from lifelong.cli import serve as serve_command
from lifelong.learners import ProtoNet
from lifelong.networks import Conv4
from strategies import AdapterBank
from tests.command_line import error_of, run_here
from tests.drawn_photos import FRUIT, write_photos

pytestmark = pytest.mark.filterwarnings("ignore")
FRESH = ("melon", "brick", "slate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a run, and photos of new classes."""
    where = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        patch.delenv("LIFELONG_RUN_FOLDER", raising=False)
        write_photos(Path("photos/fruit"), list(FRUIT), range(6))
        write_photos(Path("new"), FRESH, range(20, 23))
        data = EpisodicDataModule(
            [ImageFolder(root="photos", image_size=16, holdout="classes")],
            n_way=3,
            n_shot=2,
            n_query=2,
            split=(3, 3),
            n_eval_tasks=2,
            steps_per_experience=10,
        )
        lifelong.seed_everything(0, verbose=False)
        learner = ProtoNet(Conv4(n_filters=8, norm="group", in_channels=3, image_size=16))
        quiet: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
        lifelong.fit(learner, data, strategies=[AdapterBank()], run="runs/few", **quiet)
    return where


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def answers(file: str) -> list[dict[str, str]]:
    with Path(file).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_an_adapted_file_answers_as_the_run_and_its_support(capsys: Any, tmp_path: Path) -> None:
    run_here("adapt", "last", "--support=new", f"--out={tmp_path}/fruit.model")
    assert "3 classes: brick, melon, slate" in capsys.readouterr().out
    run_here("predict", f"--ckpt_path={tmp_path}/fruit.model", "--query=new", f"--out={tmp_path}/alone.csv")
    run_here("predict", "--ckpt_path=runs/few", "--support=new", "--query=new", f"--out={tmp_path}/with.csv")
    alone, beside = answers(f"{tmp_path}/alone.csv"), answers(f"{tmp_path}/with.csv")
    names = ("file", "answer", "answered by", "known", "distance")
    assert [[row[name] for name in names] for row in alone] == [[row[name] for name in names] for row in beside]
    for name in FRESH:
        column = f"probability of {name}"
        values = [float(row[column]) for row in alone]
        assert values == pytest.approx([float(row[column]) for row in beside], abs=1e-4)


def test_an_adapted_file_is_in_the_run_and_never_replaced(capsys: Any) -> None:
    for _ in range(2):
        run_here("adapt", "runs/few", "--support=new")
    assert {file.name for file in Path("runs/few").glob("*.model")} == {"adapted.model", "adapted_2.model"}
    _, sentence = error_of(capsys, "adapt", "runs/few", "--support=new", "--out=runs/few/adapted.model")
    assert "is there already" in sentence


def test_a_model_is_exported_with_its_classes(tmp_path: Path) -> None:
    run_here("export", "runs/few", "--support=new", "--format=torch", f"--out={tmp_path}/fruit.pt2")
    said = json.loads((tmp_path / "fruit.pt2.json").read_text())
    assert said["classes"] == ["brick", "melon", "slate"]
    assert said["preprocessing"]["kind"] == "images"
    assert "crop it to its centred square and resample it to 16 x 16 pixels (Lanczos)" in said["preprocessing"]["steps"]
    model = lifelong.load("runs/few").model
    files = sorted(Path("new").rglob("*.jpg"))
    wanted = model.adapt({name: [f for f in files if f.parent.name == name] for name in said["classes"]}).predict(files)
    program = torch.export.load(tmp_path / "fruit.pt2").module()
    assert torch.allclose(program(model.inputs(files, "photos")), wanted.probabilities, atol=1e-4)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["adapt"], "adapt needs a run, and none is named"),
        (["adapt", "runs/few"], "adapt has no --support"),
        (["adapt", "nowhere", "--support=new"], "neither a run folder"),
        (["adapt", "runs/few", "--support=nowhere"], "is not there"),
        (["export", "runs/few", "--format=torch"], "learns from a support set"),
        (["export", "runs/few", "--support=new", "--out=fruit.pt2"], "does not end in .onnx"),
        (["export", "runs/few", "--fromat=torch"], "did you mean --format?"),
        (["serve", "nowhere"], "neither a run folder"),
        (["serve", "runs/few", "--port=99999"], "there is no port 99999"),
        (["serve", "runs/few", "--device=cuda:99"], "is not at hand"),
    ],
)
def test_mistakes_are_one_sentence(capsys: Any, args: list[str], message: str) -> None:
    if args[0] == "serve":
        pytest.importorskip("uvicorn", reason="the extra serve is not installed")
        pytest.importorskip("starlette", reason="the extra serve is not installed")
    _, sentence = error_of(capsys, *args)
    assert message in sentence
    assert "Traceback" not in sentence


def test_serve_serves_the_model_on_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(serve_command, "serve_session", lambda *given: served.append(given))
    run_here("serve", "runs/few", "--device=cpu")
    ((session, host, port),) = served
    assert (session.state()["kind"], host, port) == ("images", "127.0.0.1", 0)


@pytest.mark.parametrize("command", ["adapt", "export", "serve"])
def test_help_lists_the_options_of_the_command(capsys: Any, command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run_here(command, "--help")
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert f"python -m lifelong {command} RUN" in printed
    assert "--trust" in printed
