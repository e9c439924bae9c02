"""How well photos of other classes are told, on drawn photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lifelong
from benchmarks.far_queries import MEASURES, main, photos, trial
from datamodules import EpisodicDataModule, ExampleDataModule, ImageFolder
from lifelong.learners import Classifier, ProtoNet
from lifelong.networks import Conv4
from tests.drawn_photos import FRUIT, write_photos

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_run_is_measured_on_a_folder(tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    write_photos(Path("photos/fruit"), list(FRUIT), range(8))
    (tmp_path / "photos" / "fruit" / "apple" / "notes.txt").write_text("of the garden")
    source = ImageFolder(root="photos", image_size=16, holdout="classes")
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 3, "n_query": 2, "split": (3, 3)}
    data = EpisodicDataModule([source], **shape, steps_per_experience=10, n_eval_tasks=2)
    learner = ProtoNet(Conv4(n_filters=8, norm="group", in_channels=3, image_size=16))
    run = lifelong.fit(learner, data, run="runs/few", logger=False, enable_progress_bar=False)
    classes = photos(Path("photos/fruit"))
    assert [len(files) for files in classes.values()] == [8] * len(FRUIT)
    area, known, far = trial(run.model, classes, 3, 4, 0)
    assert 0.5 < area <= 1
    assert 0 <= known <= 1
    assert 0 <= far <= 1
    assert trial(run.model, classes, 3, 4, 0) == [area, known, far]
    main(["runs/few", "photos/fruit", "--n_way", "3", "--n_shot", "4", "--n_trials", "2"])
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[-3:]] == list(MEASURES)
    with pytest.raises(ValueError, match="cannot tell what is far"):
        trial(run.model, classes, 3, 1, 0)


def test_labelled_examples_are_measured_on_two_folders(
    tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos/fruit"), list(FRUIT)[:3], range(12))
    write_photos(Path("known"), list(FRUIT)[:3], range(20, 23))
    write_photos(Path("far"), list(FRUIT)[4:7], range(4))
    data = ExampleDataModule([ImageFolder(root="photos", image_size=16)], steps_per_experience=60, batch_size=8)
    learner = Classifier(Conv4(n_filters=8, norm="group", in_channels=3, image_size=16, n_outputs=3))
    run = lifelong.fit(learner, data, run="runs/flat", logger=False, enable_progress_bar=False)
    main(["runs/flat", "far", "--known", "known"])
    area, known, far = (float(line.split()[-2]) for line in capsys.readouterr().out.splitlines()[-3:])
    files = [file for folder in ("known", "far") for some in photos(Path(folder)).values() for file in some]
    answers = run.model.predict(files)
    assert known == pytest.approx(100 * sum((answers.known or [])[:9]) / 9, abs=0.06)
    assert far == pytest.approx(100 - 100 * sum((answers.known or [])[9:]) / 12, abs=0.06)
    wins = (answers.far[9:, None] > answers.far[None, :9]).double() + (answers.far[9:, None] == answers.far[:9]) / 2
    assert area == pytest.approx(100 * wins.mean().item(), abs=0.06)
