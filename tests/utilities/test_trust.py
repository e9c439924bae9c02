"""What a config beside a checkpoint may import: below the run root everything, elsewhere installed plug-ins alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse._common import parsing_settings

import lifelong
from datamodules import Glyphs
from lifelong.utilities import trust
from lifelong.utilities.trust import only_plugins
from tests.command_line import QUIET, TINY, error_of, run_here

pytestmark = pytest.mark.filterwarnings("ignore")

STRANGER = """
import pathlib
import torch

pathlib.Path("ran").touch()

class Net(torch.nn.Module):
    def __init__(self, n_inputs: int = 64):
        super().__init__()
        self.layer = torch.nn.Linear(n_inputs, 8)

    def forward(self, x):
        return self.layer(x.flatten(1))

class Callback:
    pass
"""
NETWORK = "model.init_args.network"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a network that is no plug-in, and one of ours."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "stranger.py").write_text(STRANGER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setattr("sys.argv", ["lifelong"])
        few = ["--data.steps_per_experience=1", "--trainer.max_epochs=3"]
        run_here("fit", *TINY, *few, "--run.name=ours")
        options = [option for option in TINY if not option.startswith("--model.network")]
        run_here("fit", *options, *few, "--model.network=stranger.Net", "--run.name=theirs")
    sys.modules.pop("stranger", None)
    (folder / "ran").unlink()
    return folder


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shutil.copytree(finished / "runs", tmp_path / "given")
    (tmp_path / "stranger.py").write_text(STRANGER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    policy = {name: parsing_settings[name] for name in trust.POLICY}
    yield
    assert {name: parsing_settings[name] for name in trust.POLICY} == policy
    sys.modules.pop("stranger", None)


def change(run: str, place: str, value: Any) -> Path:
    """Put something else into the config of a run."""
    file = Path(run, "config.yaml")
    content = yaml.safe_load(file.read_text())
    node = content
    *way, last = place.split(".")
    for part in way:
        node = node[int(part)] if part.isdigit() else node[part]
    node[int(last) if last.isdigit() else last] = value
    file.write_text(yaml.safe_dump(content))
    return file


def command_line(command: str, run: str) -> list[str]:
    last = f"--ckpt_path={run}/checkpoints/last.ckpt"
    return [command, run, *QUIET] if command == "extend" else [command, last, *QUIET]


@pytest.mark.parametrize("command", ["validate", "test", "predict", "fit", "extend"])
def test_a_class_of_no_plugin_is_not_imported(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = error_of(capsys, *command_line(command, "given/theirs"))
    assert code == 1
    assert "stranger.Net in " in message
    assert "given/theirs/config.yaml is of no installed plug-in, so it is not imported" in message
    assert message.endswith("the run is not below the run root runs: give --trust if you trust its author\n")
    assert message.count("\n") == 1
    assert not Path("ran").exists()
    assert "stranger" not in sys.modules


@pytest.mark.parametrize("option", ["--trust", "--run.root=given", "--config=given/theirs/config.yaml"])
def test_what_a_person_trusts_is_imported(option: str) -> None:
    run_here(*command_line("validate", "given/theirs"), option)
    assert Path("ran").exists()
    assert "trust" not in Path("given/theirs/config.yaml").read_text()


def test_runs_below_the_run_root_are_trusted() -> None:
    Path("given").rename("runs")
    run_here(*command_line("validate", "runs/theirs"))
    assert Path("ran").exists()
    assert lifelong.load("runs/theirs").learner.network.layer.out_features == 8


@pytest.mark.parametrize("linked", ["", "config.yaml"])
def test_a_link_below_the_run_root_is_not_trusted(linked: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").mkdir()
    if linked:
        shutil.copytree("given/theirs", "runs/theirs")
        Path("runs/theirs", linked).unlink()
    Path("runs/theirs", linked).symlink_to(Path("given/theirs", linked).resolve())
    code, message = error_of(capsys, *command_line("validate", "runs/theirs"))
    assert code == 1
    assert "give --trust" in message
    with pytest.raises(ValueError, match="trust=True"):
        lifelong.load("runs/theirs")
    assert not Path("ran").exists()


def test_runs_of_plugins_need_no_trust() -> None:
    for command in ("validate", "test", "predict"):
        run_here(*command_line(command, "given/ours"))
    assert lifelong.load("given/ours").validate(**QUIETLY).matrix.shape == (1, 3)


QUIETLY: Mapping[str, Any] = {"logger": False, "accelerator": "cpu"}
LAMBDA = "torch.optim.lr_scheduler.LambdaLR"
EMBEDDED = '{"class_path": "stranger.Net"}'
STRANGE = {
    "a class": (NETWORK, {"class_path": "stranger.Net"}),
    "a text": (NETWORK, "stranger.Net"),
    "a text of YAML": (NETWORK, EMBEDDED),
    "another file": (NETWORK, "other.yaml"),
    "all of the model": ("model", "stranger.Net"),
    "a source": ("data.init_args.sources.0", {"class_path": "stranger.Net"}),
    "a source as text": ("data.init_args.sources", [EMBEDDED]),
    "an argument": ("data.init_args.sources.0.init_args.seed", {"class_path": "stranger.Net"}),
    "an optimizer": ("optimizer", "stranger.Net"),
    "a schedule": ("lr_scheduler", {"class_path": LAMBDA, "init_args": {"lr_lambda": "stranger.Net"}}),
    "a strategy": ("strategies", ["stranger.Net"]),
    "a callback": ("trainer.callbacks", [{"class_path": "stranger.Callback"}]),
    "a callback as text": ("trainer.callbacks", ["stranger.Callback"]),
    "a distribution strategy": ("trainer.strategy", "stranger.Net"),
    "a module inside ours": (NETWORK, "lifelong.utilities.plugins.importlib.import_module"),
    "Python's own": ("optimizer", {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "ran"]}}),
}  # fmt: skip


UNTOLD = ("a source as text", "a callback as text", "a distribution strategy")
"""What is never taken for a class, or not made at all."""


def outcome(act: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    """What a person is told; nothing where all went well."""
    try:
        act()
    except ValueError as error:
        return str(error)
    except SystemExit:
        return capsys.readouterr().err.removesuffix("\n")
    return ""


@pytest.mark.parametrize("name", STRANGE)
def test_no_way_of_naming_a_class_imports_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.yaml").write_text("class_path: stranger.Net\n")
    change("given/ours", *STRANGE[name])
    for act in (lambda: lifelong.load("given/ours"), lambda: run_here(*command_line("validate", "given/ours"))):
        told = outcome(act, capsys)
        assert name in UNTOLD or "config.yaml is of no installed plug-in, so it is not imported: the run is not" in told
        assert "\n" not in told
        assert not Path("ran").exists()
        assert "stranger" not in sys.modules


def test_what_a_run_makes_later_is_limited_too() -> None:
    change("given/ours", "trainer.callbacks", ["stranger.Callback"])
    run = lifelong.load("given/ours")
    new = Glyphs(styles=["constellations"], n_classes=24, n_examples=10, image_size=8)
    with pytest.raises(ValueError, match=r"^stranger\.Callback in .* is not imported"):
        run.extend([new])
    assert not Path("ran").exists()


def test_a_class_on_the_command_line_is_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    run_here(*command_line("validate", "given/theirs"), "--model.network=stranger.Net")
    assert Path("ran").exists()
    Path("ran").unlink()
    sys.modules.pop("stranger")
    Path("posts.csv").write_text("text\n")
    Path("posts.py").write_text(STRANGER)
    change("given/ours", NETWORK, {"class_path": "posts.Net"})
    code, message = error_of(capsys, "predict", "--ckpt_path=given/ours", "--query=posts.csv", "--support=posts.csv")
    assert code == 1
    assert "posts.Net in " in message
    assert not Path("ran").exists()


def test_extend_reads_the_config_of_the_run_beside_another(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = error_of(capsys, *command_line("extend", "given/theirs"), "--config=given/ours/config.yaml")
    assert code == 1
    assert "stranger.Net in given/theirs/config.yaml is of no installed plug-in" in message
    assert not Path("ran").exists()
    code, message = error_of(capsys, *command_line("extend", "given/theirs"), "--config=given/theirs/config.yaml")
    assert "no new source is given" in message
    assert Path("ran").exists()


def test_load_imports_what_is_trusted() -> None:
    with pytest.raises(
        ValueError, match=r"^stranger\.Net in .*theirs/config\.yaml is of no .*: give load\(…, trust=True"
    ):
        lifelong.load("given/theirs")
    assert not Path("ran").exists()
    assert lifelong.load("given/theirs", trust=True).learner.network.layer.out_features == 8


def test_what_load_is_given_need_not_be_trusted() -> None:
    import stranger  # type: ignore[import-not-found]

    learner = lifelong.learners.ProtoNet(stranger.Net())
    assert lifelong.load("given/theirs", learner=learner).learner is learner


def test_a_plugin_of_another_package_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        module = "stranger.parts"

    monkeypatch.setattr(trust.importlib.metadata, "entry_points", lambda group: [Entry()])
    with only_plugins(Path("config.yaml"), {"model": {"class_path": "stranger.Net"}}, "is elsewhere"):
        pass
    limits = only_plugins(Path("config.yaml"), {"model": {"class_path": "strangers.Net"}}, "is elsewhere")
    with pytest.raises(ValueError, match=r"^strangers\.Net in config\.yaml .*: the run is elsewhere$"), limits:
        pass


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(KeyError, match="mine"), only_plugins(Path("config.yaml"), {}, "is elsewhere"):
        raise KeyError("mine")


def test_the_promise_names_what_any_config_may_import() -> None:
    promise = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
    ours = [package for package in trust.OURS if not package.startswith("lightning")]
    assert all(f"`{package}`" in promise for package in ours)
    assert set(trust.OURS) - set(ours) == {"lightning.pytorch.callbacks", "lightning.pytorch.loggers"}
