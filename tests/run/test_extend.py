"""A finished run learns further experiences: from Python, from the command line, after a kill, without its old data."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
import yaml

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from lifelong.run.run import Run
from lifelong.training.checkpoint import StreamCheckpoint
from strategies import EWC, AdapterBank, Budget, Replay
from tests.command_line import error_of, run_here

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("folder_of_its_own")]
QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}


def glyphs(*styles: str) -> Glyphs:
    return Glyphs(styles=list(styles), n_classes=24, n_examples=10, image_size=8)


def option(*styles: str) -> str:
    content = {"styles": list(styles), "n_classes": 24, "n_examples": 10, "image_size": 8}
    return json.dumps({"class_path": "datamodules.Glyphs", "init_args": content})


def bank() -> list[Any]:
    return [AdapterBank(n_signature_tasks=4)]


def fit(*sources: Glyphs, name: str, **settings: Any) -> Run:
    lifelong.seed_everything(0, verbose=False)
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 2, "n_query": 3, "split": (0.25, 0.25)}
    data = EpisodicDataModule(list(sources), **shape, steps_per_experience=6, n_eval_tasks=5)
    learner = ProtoNet(MLP(n_inputs=64, hidden=[16], n_outputs=8))
    strategies = settings.pop("strategies", None)
    strategies = strategies or [EWC(strength=3.0, n_fisher_tasks=5), Replay(budget=Budget(examples=300))]
    checkpoint = StreamCheckpoint(every_n_steps=2)
    optimizer = settings.pop("optimizer", partial(torch.optim.Adam, lr=0.01))
    more: dict[str, Any] = {"strategies": strategies, "optimizer": optimizer, "checkpoint": checkpoint, "seed": 3}
    return lifelong.fit(learner, data, run=f"runs/{name}", **more, **QUIET, **settings)


def two_experiences(name: str = "a", **settings: Any) -> Run:
    return fit(glyphs("strokes", "textures"), name=name, **settings)


def state(name: str) -> dict[str, Any]:
    return dict(torch.load(f"runs/{name}/checkpoints/last.ckpt", weights_only=True))


def check_same_as_from_the_start(name: str, **settings: Any) -> None:
    """The run is what it would be, had it had the third experience from the start."""
    whole = fit(glyphs("strokes", "textures"), glyphs("silhouettes"), name="whole", **settings)
    ours, theirs = state(name), state("whole")
    for key in ("state_dict", "optimizer_states"):
        assert str(ours[key]) == str(theirs[key])
    tensors = [k for k, v in ours["state_dict"].items() if isinstance(v, torch.Tensor)]
    assert all(torch.equal(ours["state_dict"][k], theirs["state_dict"][k]) for k in tensors)
    matrix = np.array(json.loads(Path(f"runs/{name}/results.json").read_text())["matrix"], dtype=float)
    assert np.array_equal(matrix[:, :2], whole.matrix[:, :2])
    assert np.array_equal(matrix[2], whole.matrix[2])
    assert np.isnan(matrix[:2, 2]).all()


def test_run_goes_on_as_if_the_stream_had_been_longer() -> None:
    run = two_experiences()
    longer = run.extend([glyphs("silhouettes")])
    assert list(longer.domains) == ["strokes", "textures", "silhouettes"]
    assert longer.folder == run.folder
    check_same_as_from_the_start("a")


def test_loaded_run_goes_on_with_what_it_was_trained_by() -> None:
    two_experiences()
    lifelong.load("runs/a").extend([glyphs("silhouettes")])
    check_same_as_from_the_start("a")


@pytest.mark.parametrize("loads", [True, False])
def test_what_depends_on_training_mode_trains(loads: bool) -> None:
    run = two_experiences(strategies=bank())
    (lifelong.load("runs/a") if loads else run).extend([glyphs("silhouettes")])
    check_same_as_from_the_start("a", strategies=bank())


def test_command_line_goes_on_and_keeps_the_old_config() -> None:
    two_experiences()
    before = Path("runs/a/config.yaml").read_text()
    run_here("extend", "runs/a", f"--data.sources+={option('silhouettes')}")
    assert Path("runs/a/config-02.yaml").read_text() == before
    sources = yaml.safe_load(Path("runs/a/config.yaml").read_text())["data"]["init_args"]["sources"]
    assert [source["init_args"]["styles"] for source in sources] == [["strokes", "textures"], ["silhouettes"]]
    check_same_as_from_the_start("a")


class Killed(Exception):
    """What ends a run in the middle."""


class KillAt(L.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise Killed


def test_extension_killed_before_its_report_gets_it() -> None:
    run = two_experiences()

    class KillAtTheEnd(KillAt):
        def on_train_end(self, *_: Any) -> None:
            raise Killed

    with pytest.raises(Killed):
        run.extend([glyphs("silhouettes")], callbacks=[KillAtTheEnd(0)])
    config = yaml.safe_load(Path("runs/a/config.yaml").read_text())
    Path("runs/a/config.yaml").write_text(yaml.safe_dump(config | {"trainer": config["trainer"] | {"callbacks": []}}))
    results = Path("runs/a/results.json")
    results.write_text(results.read_text().replace('"finished": true', '"finished": false'))
    run_here("extend", "runs/a", f"--data.sources+={option('silhouettes')}")
    assert json.loads(results.read_text())["finished"]
    check_same_as_from_the_start("a")


@pytest.mark.parametrize("step", [13, 15, 18], ids=["before a checkpoint", "after one", "after the last step"])
@pytest.mark.parametrize("repeats", [True, False], ids=["same command", "without sources"])
def test_killed_extension_goes_on(step: int, repeats: bool) -> None:
    run = two_experiences()
    with pytest.raises(Killed):
        run.extend([glyphs("silhouettes")], callbacks=[KillAt(step)])
    # A callback that no config can tell is asked for, so the run's own go on without it.
    config = yaml.safe_load(Path("runs/a/config.yaml").read_text())
    Path("runs/a/config.yaml").write_text(yaml.safe_dump(config | {"trainer": config["trainer"] | {"callbacks": []}}))
    again = [f"--data.sources+={option('silhouettes')}"] if repeats else []
    run_here("extend", "runs/a", *again)
    check_same_as_from_the_start("a")


def test_a_killed_extension_is_not_learnt_twice_from_python() -> None:
    run = two_experiences()
    with pytest.raises(Killed):
        run.extend([glyphs("silhouettes")], callbacks=[KillAt(13)])
    again = lifelong.load("runs/a").extend([glyphs("silhouettes")], callbacks=[])
    assert list(again.domains) == ["strokes", "textures", "silhouettes"]
    check_same_as_from_the_start("a")


def test_a_run_from_before_an_extension_says_so() -> None:
    run = two_experiences()
    run.extend([glyphs("silhouettes")])
    with pytest.raises(ValueError, match=r"has gone on meanwhile: load it anew, by lifelong.load"):
        run.extend([glyphs("constellations")])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data.n_eval_tasks=7"], "data.n_eval_tasks is 5 there and 7 here"),
        (["--data.n_way=4"], "data.n_way is 3 there and 4 here"),
        (["--data.evaluate_on=test"], "data.evaluate_on is val there and test here"),
        (["--strategies=[]"], "strategies is [strategies.EWC, strategies.Replay] there and [] here"),
        (["--optimizer=torch.optim.SGD"], "optimizer is torch.optim.Adam there and torch.optim.SGD here"),
        (["--model.network.hidden=[32]"], "model.network.hidden[0] is 16 there and 32 here"),
        (["--run.name=b"], "leave --run.name out"),
        (["--ckpt_path=runs/a/checkpoints/experience-00.ckpt"], "leave --ckpt_path out"),
        (["--trainer.max_epochs=2"], "--trainer.max_epochs 2 ends the stream before its new experiences"),
    ],
)
def test_other_settings_are_refused(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    two_experiences()
    before = Path("runs/a/config.yaml").read_text()
    _, message = error_of(capsys, "extend", "runs/a", f"--data.sources+={option('silhouettes')}", *options)
    line = message.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert words in line
    assert Path("runs/a/config.yaml").read_text() == before


def test_other_strategies_are_refused_where_changes_are_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    two_experiences()
    options = [f"--data.sources+={option('silhouettes')}", "--strategies=[]", "--run.allow_changes=true"]
    _, message = error_of(capsys, "extend", "runs/a", *options)
    assert "strategies is ['EWC', 'Replay'] there and [] here" in message
    assert "Traceback" not in message


def test_a_joint_run_cannot_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    two_experiences()
    config = yaml.safe_load(Path("runs/a/config.yaml").read_text())
    config["data"]["init_args"]["joint"] = True
    Path("joint.yaml").write_text(yaml.safe_dump(config))
    run_here("fit", "--config=joint.yaml", "--run.name=joint")
    _, message = error_of(capsys, "extend", "runs/joint", f"--data.sources+={option('silhouettes')}")
    assert "has learnt all domains at once (--data.joint)" in message
    with pytest.raises(ValueError, match=r"--data.joint"):
        lifelong.load("runs/joint").extend([glyphs("silhouettes")])


def test_it_says_what_is_learnt_and_what_is_not_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    two_experiences()
    run_here("extend", "runs/a", f"--data.sources=[{option('silhouettes')}]")
    printed = capsys.readouterr().out
    assert "the stream: strokes → textures → silhouettes" in printed
    assert "not at hand, and so not evaluated: strokes; textures" in printed


def test_the_same_command_again_learns_nothing_twice() -> None:
    two_experiences()
    for _ in range(2):
        run_here("extend", "runs/a", f"--data.sources+={option('silhouettes')}")
    check_same_as_from_the_start("a")


def test_old_data_may_be_gone() -> None:
    run = two_experiences()
    run_here("extend", "runs/a", f"--data.sources=[{option('silhouettes')}]")
    longer = lifelong.load("runs/a")
    assert np.array_equal(longer.matrix[:2, :2], run.matrix)
    assert np.isnan(longer.matrix[2, :2]).all()
    assert np.isfinite(longer.matrix[2, 2])
    assert longer.metrics["average_score"].reason == "needs scores that were not evaluated"
    absent, new = yaml.safe_load(Path("runs/a/config.yaml").read_text())["data"]["init_args"]["sources"]
    assert absent["class_path"] == "lifelong.data.absent.Absent"
    assert [domain["name"] for domain in absent["init_args"]["domains"]] == ["strokes", "textures"]
    assert new["init_args"]["styles"] == ["silhouettes"]
    assert np.isnan(longer.test(**QUIET).matrix[0, :2]).all()
    # What was learnt is the same: neither strategies nor learner look at old data again.
    whole = fit(glyphs("strokes", "textures"), glyphs("silhouettes"), name="whole")
    weights = whole.learner.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in longer.learner.state_dict().items())
    assert longer.matrix[2, 2] == whole.matrix[2, 2]


def test_it_goes_on_again_and_again_with_some_data_gone() -> None:
    two_experiences().extend([glyphs("silhouettes")])
    last = lifelong.load("runs/a").extend([glyphs("constellations")], keep_old=False)
    assert last.matrix.shape == (4, 4)
    assert np.isnan(last.matrix[3, :3]).all()
    whole = fit(glyphs("strokes", "textures"), glyphs("silhouettes"), glyphs("constellations"), name="whole")
    assert last.matrix[3, 3] == whole.matrix[3, 3]


def test_older_checkpoints_of_the_run_can_still_be_tested() -> None:
    run = two_experiences()
    before = run.test().matrix
    run.extend([glyphs("silhouettes")])
    run_here("test", "--ckpt_path=runs/a/checkpoints/experience-01.ckpt")
    after = json.loads(Path("runs/a/test_3way_2shot.json").read_text())["mean"]
    assert len(after) == 3
    assert after[:2] == before[0].tolist()


def test_a_stream_that_is_not_learnt_goes_on_first() -> None:
    run = two_experiences(max_epochs=1)
    with pytest.raises(ValueError, match="is not learnt to its end: go on with it first"):
        run.extend([glyphs("silhouettes")])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "none is named"),
        (["runs/b"], "runs/b is no run folder"),
        (["runs/a"], "no new source is given"),
        (["runs/a", "--data.sources+=datamodules.Nothing"], "datamodules.Nothing"),
    ],
)
def test_what_cannot_go_on_is_said(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    two_experiences()
    before = Path("runs/a/config.yaml").read_text()
    _, message = error_of(capsys, "extend", *args)
    assert words in message
    assert len(message.strip().splitlines()) == 1
    assert Path("runs/a/config.yaml").read_text() == before


def test_a_refused_extension_leaves_the_config_alone() -> None:
    run, before = two_experiences(), Path("runs/a/config.yaml").read_text()
    with pytest.raises(ValueError, match="n_shot"):
        run.extend([Glyphs(styles=["silhouettes"], n_classes=24, n_examples=3, image_size=8)])
    assert Path("runs/a/config.yaml").read_text() == before


def test_an_optimizer_that_was_not_recorded_is_named() -> None:
    def make(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.1)

    two_experiences(optimizer=make)
    run = lifelong.load("runs/a")
    with pytest.raises(ValueError, match=r"optimizer \(make\) could not be recorded"):
        run.extend([glyphs("silhouettes")])


def test_an_extended_stream_cannot_be_learnt_without_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    two_experiences()
    run_here("extend", "runs/a", f"--data.sources=[{option('silhouettes')}]")
    code, message = error_of(capsys, "fit", "--config=runs/a/config.yaml", "--run.name=again")
    assert code == 1
    assert "experience 1 (strokes) is to be learnt, and its examples are not at hand" in message
