"""A run goes on by its own settings, or says which are others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from lifelong.run.changes import changed_settings, check_unchanged
from tests.command_line import TINY, error_of, run_here

ADAM = {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1, "betas": [0.9, 0.999]}}
CONFIG: dict[str, Any] = {
    "seed": 0,
    "data": {"class_path": "Data", "init_args": {"n_shot": 1, "sources": [{"class_path": "A", "init_args": {}}]}},
    "strategies": [{"class_path": "EWC", "init_args": {"strength": 1.0}}],
    "optimizer": ADAM,
    "reset_optimizer": False,
    "runner": {"plan": "auto"},
    "trainer": {"devices": 1, "precision": None},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, ["seed is 0 there and 1 here"]),
        ({"optimizer": {**ADAM, "init_args": {**ADAM["init_args"], "lr": 0.2}}}, ["optimizer.lr is 0.1 there and 0.2"]),
        ({"optimizer": {**ADAM, "init_args": {**ADAM["init_args"], "betas": (0.9, 0.999)}}}, []),
        ({"optimizer": {"class_path": "torch.optim.SGD"}}, ["optimizer is torch.optim.Adam there and torch.optim.SGD"]),
        ({"strategies": [{"class_path": "EWC", "init_args": {"strength": 2.0}}]}, ["strategies[0].strength is 1.0"]),
        ({"lr_scheduler": None, "data": {**CONFIG["data"], "newer": True}}, []),
        ({"strategies": []}, ["strategies is [EWC] there and [] here"]),
        ({"trainer": {"devices": 2, "precision": "bf16-mixed"}}, ["trainer.precision is None there and bf16-mixed"]),
        ({"runner": {"plan": "vmap"}, "trainer": {"devices": 2, "log_every_n_steps": 1, "precision": None}}, []),
        ({"reset_optimizer": True}, ["reset_optimizer is False there and True here"]),
    ],
)
def test_what_decides_the_results_is_named(change: dict[str, Any], named: list[str]) -> None:
    changes = changed_settings(CONFIG, CONFIG | change)
    assert len(changes) == len(named)
    assert all(change.startswith(name) for change, name in zip(changes, named, strict=True))


def test_where_data_lies_does_not_count() -> None:
    def at(root: str, size: int) -> dict[str, Any]:
        return {"data": {"class_path": "Data", "init_args": {"sources": [{"init_args": {"root": root, "size": size}}]}}}

    assert changed_settings(at("/a", 28), at("/b", 28)) == []
    assert changed_settings(at("/a", 28), at("/a", 32)) == ["data.sources[0].size is 28 there and 32 here"]


def test_many_changes_are_counted() -> None:
    before, now = ({"model": {f"a{n}": value for n in range(9)}} for value in (0, 1))
    with pytest.raises(ValueError, match=r"model.a4 is 0 there and 1 here and 4 more; give its own, start another"):
        check_unchanged(before, now, "runs/a")


def test_other_settings_are_refused_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["fit", *TINY, "--run.name=a", "--run.resume=auto"]
    run_here(*options, "--trainer.max_epochs=1")
    for way_on in (["--run.name=a", "--run.resume=auto"], ["--ckpt_path=runs/a/checkpoints/last.ckpt"]):
        code, message = error_of(capsys, "fit", *TINY, *way_on, "--seed=3", "--optimizer.lr=0.5")
        assert code == 1
        assert "the run in " in message
        assert "seed is 0 there and 3 here, optimizer.lr is 0.001 there and 0.5 here" in message
    run_here(*options, "--trainer.max_epochs=2", "--runner.plan=loop", "--checkpoint.every_n_steps=3")  # decide nothing
    assert not list(Path("runs/a").glob("config-*"))
    run_here(*options, "--seed=3", "--run.allow_changes=true")
    seeds = [yaml.safe_load((Path("runs/a") / f"{name}.yaml").read_text())["seed"] for name in CONFIGS]
    assert seeds == [0, 3]
    run_here(*options, "--seed=3")


CONFIGS = ("config-02", "config")


@pytest.mark.parametrize(
    ("options", "lr", "has_moments"),
    [(["--optimizer.lr=0.5"], 0.5, True), (["--optimizer=torch.optim.SGD", "--optimizer.lr=0.25"], 0.25, False)],
    ids=["another rate", "another optimizer"],
)
def test_an_optimizer_that_was_changed_is_used(
    options: list[str], lr: float, has_moments: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_here("fit", *TINY, "--run.name=a", "--trainer.max_epochs=1")
    go_on = ["--run.name=a", "--run.resume=must", "--run.allow_changes=true"]
    run_here("fit", *TINY, *go_on, "--trainer.max_epochs=2", *options)
    state = torch.load("runs/a/checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]
    assert state["param_groups"][0]["lr"] == lr
    steps = [int(of_parameter["step"]) for of_parameter in state["state"].values() if "step" in of_parameter]
    assert set(steps) == ({12} if has_moments else set())


def test_python_refuses_other_settings_as_well() -> None:
    def fit(n_shot: int, **settings: Any) -> lifelong.Run:
        glyphs = Glyphs(styles=["strokes", "textures"], n_classes=24, n_examples=10, image_size=8)
        sizes = {"n_way": 3, "n_shot": n_shot, "n_query": 2, "steps_per_experience": 2, "n_eval_tasks": 3}
        learner = ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8))
        quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu"}
        return lifelong.fit(
            learner, EpisodicDataModule([glyphs], **sizes), run="a/b", resume="auto", **quiet, **settings
        )

    fit(1, max_epochs=1)
    with pytest.raises(ValueError, match=r"the run in a/b was begun with other settings: data.n_shot is 1 there and 2"):
        fit(2)
    assert len(fit(2, allow_changes=True).matrix) == 2
