"""A checkpoint stands on its own: loaded elsewhere, without its run folder and its data, it knows its classes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import yaml

import lifelong
from datamodules import EpisodicDataModule, ExampleDataModule, Glyphs, Texts
from lifelong.learners import Classifier, ProtoNet
from lifelong.networks import MLP, FromCheckpoint
from lifelong.text import HashedWords, TextReader
from lifelong.utilities.recording import record
from lifelong.vision import ImageReader
from strategies import EWC, AdapterBank, Replay
from tests.command_line import TINY, error_of, run_here

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("folder_of_its_own")]
QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
LAST = "checkpoints/last.ckpt"


def glyphs(*styles: str, **settings: Any) -> EpisodicDataModule:
    source = Glyphs(styles=styles or ("strokes", "textures"), n_classes=24, n_examples=10, image_size=8)
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 2, "n_query": 3, "split": (0.25, 0.25)}
    return EpisodicDataModule([source], **(shape | {"steps_per_experience": 3, "n_eval_tasks": 5} | settings))


def network() -> MLP:
    return MLP(n_inputs=64, hidden=[16], n_outputs=8)


def protonet() -> ProtoNet:
    lifelong.seed_everything(0, verbose=False)
    return ProtoNet(network())


def elsewhere(run: str | Path, change: Callable[[dict[str, Any]], object] = lambda content: None) -> Path:
    """The last checkpoint of a run alone in a folder, and the run gone."""
    target = Path("elsewhere", "given.ckpt").absolute()
    target.parent.mkdir(exist_ok=True)
    content = torch.load(Path(run, LAST), weights_only=True)
    change(content)
    torch.save(content, target)
    shutil.rmtree(run)
    return target


def outputs(learner: Any) -> torch.Tensor:
    x, labels = torch.linspace(0, 1, 6 * 64).reshape(6, 1, 8, 8), torch.eye(3).repeat(2, 1)
    params = learner.meta_parameters()
    return learner.predict(params, learner.adapt(params, x, labels), x)  # type: ignore[no-any-return]


def test_a_checkpoint_alone_is_loaded_with_all_it_knows() -> None:
    run = lifelong.fit(protonet(), glyphs(), strategies=[Replay(), EWC()], run="runs/a", **QUIET)
    again = lifelong.load(elsewhere("runs/a"))
    assert torch.equal(outputs(again.learner), outputs(run.learner))
    assert again.strategies.names == ["Replay", "EWC"]
    assert again.strategies.memory_bytes() == run.strategies.memory_bytes() > 0
    assert again.model.experiences == run.model.experiences
    assert list(again.model.experiences) == ["strokes", "textures"]
    assert again.model.classes == tuple(pool for e in run.data.stream.experiences for pool in e.pools[0].names)
    assert again.model.reads == "images"
    assert "no evaluation yet" in str(again)
    assert "no evaluation yet" in again._repr_html_()
    with pytest.raises(ValueError, match=r"the stream of .* is not at hand"):
        again.data  # noqa: B018


def test_lightning_loads_a_module_from_a_checkpoint_alone() -> None:
    # Trained by Lightning itself, without a run folder.
    module = lifelong.StreamModule(protonet(), strategies=[Replay()])
    trainer = L.Trainer(max_epochs=2, enable_checkpointing=False, default_root_dir=".", **QUIET)
    trainer.fit(module, glyphs())
    trainer.save_checkpoint("lone.ckpt")
    again = lifelong.StreamModule.load_from_checkpoint("lone.ckpt")
    assert again.training
    assert torch.equal(outputs(again.learner), outputs(module.learner))
    assert again.taught == module.taught
    assert lifelong.load("lone.ckpt").model.classes == lifelong.Model(module).classes
    given = protonet()
    assert lifelong.StreamModule.load_from_checkpoint("lone.ckpt", learner=given).learner is given


def test_only_what_was_learnt_so_far_is_known() -> None:
    run = lifelong.fit(protonet(), glyphs(), run="runs/a", max_epochs=1, **QUIET)
    for model in (run.model, lifelong.load("runs/a").model):
        assert list(model.experiences) == ["strokes"]
        assert all(name.startswith("strokes") for name in model.classes)


def test_files_of_weights_may_be_gone() -> None:
    trunk = lifelong.fit(protonet(), glyphs(), run="runs/trunk", **QUIET).folder / LAST
    body = FromCheckpoint(network(), str(trunk), frozen=True)
    run = lifelong.fit(ProtoNet(body), glyphs(), strategies=[AdapterBank(trunk=str(trunk))], run="runs/a", **QUIET)
    alone = elsewhere("runs/a")
    shutil.rmtree("runs/trunk")
    again = lifelong.load(alone).learner
    assert torch.equal(outputs(again), outputs(run.learner))
    trained = [name for name, parameter in again.network.named_parameters() if parameter.requires_grad]
    assert trained == ["head.weight", "head.bias"]


def test_a_class_of_ones_own_is_made_again_where_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("stranger.py").write_text(
        "import pathlib, torch\npathlib.Path('ran').touch()\n"
        "class Net(torch.nn.Module):\n    def __init__(self, width: int = 8):\n        super().__init__()\n"
        "        self.layer = torch.nn.Linear(64, width)\n"
        "    def forward(self, x):\n        return self.layer(x.flatten(1))\n"
    )
    monkeypatch.syspath_prepend(Path.cwd())
    options = [option for option in TINY if not option.startswith("--model.network")]
    run_here("fit", *options, "--model.network=stranger.Net", "--model.network.width=4", "--run.name=own")
    sys.modules.pop("stranger")
    Path("ran").unlink()
    alone = elsewhere("runs/own")
    for load in (lifelong.load, lifelong.StreamModule.load_from_checkpoint):
        with pytest.raises(ValueError, match=r"^stranger\.Net in .*given\.ckpt is of no installed plug-in"):
            load(alone)
    assert not Path("ran").exists()
    assert lifelong.load(alone, trust=True).learner.network.layer.out_features == 4
    sys.modules.pop("stranger")


@pytest.mark.parametrize("strange", ["stranger.Reader", {"class_path": "stranger.Reader"}, "reader", "config"])
def test_a_reader_of_a_stranger_is_not_imported(strange: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("stranger.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    monkeypatch.syspath_prepend(Path.cwd())
    lifelong.fit(protonet(), glyphs(), run="runs/a", max_epochs=1, **QUIET)

    def change(content: dict[str, Any]) -> None:
        theirs = content["lifelong"]
        if strange == "reader":  # inside a reader of ours
            theirs["reader"] = {
                "class_path": "lifelong.text.TextReader",
                "init_args": {"encoding": "stranger.Encoding"},
            }
        elif strange == "config":
            theirs["config"]["model"]["init_args"]["network"] = "stranger.Net"
        else:
            theirs["reader"] = strange

    alone = elsewhere("runs/a", change)
    for load in (lambda: lifelong.load(alone).model, lambda: lifelong.Model.from_pretrained(alone)):
        with pytest.raises(ValueError, match=r"^stranger\.\w+ in .* is of no installed plug-in, so it is not imported"):
            load().reads  # noqa: B018
    assert not Path("ran").exists()
    assert "stranger" not in sys.modules


def test_what_could_not_be_recorded_is_asked_for() -> None:
    own = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))
    run = lifelong.fit(ProtoNet(own), glyphs(), run="runs/own", **QUIET)
    alone = elsewhere("runs/own")
    with pytest.raises(ValueError, match=r"model\.network \(Sequential\) could not be recorded .*learner=…"):
        lifelong.load(alone)
    again = lifelong.load(alone, learner=ProtoNet(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))))
    assert torch.equal(outputs(again.learner), outputs(run.learner))


def forget_record(content: dict[str, Any]) -> None:
    for name in ("config", "stream", "reader"):
        content["lifelong"].pop(name)


def test_a_checkpoint_of_before_is_loaded_in_its_run_folder() -> None:
    run = lifelong.fit(protonet(), glyphs(), run="runs/a", **QUIET)
    shutil.copytree("runs/a", "runs/b")
    alone = elsewhere("runs/b", forget_record)
    shutil.copy(alone, Path("runs/a", LAST))
    again = lifelong.load("runs/a")
    assert torch.equal(outputs(again.learner), outputs(run.learner))
    assert again.model.classes == run.model.classes  # the data say so
    with pytest.raises(ValueError, match="does not say how its learner is made, as an earlier version"):
        lifelong.load(alone)
    given = lifelong.load(alone, learner=protonet(), strategies=[])
    with pytest.raises(ValueError, match="does not say what it was taught"):
        given.model  # noqa: B018


def test_any_config_beside_a_checkpoint_elsewhere_is_not_read() -> None:
    run = lifelong.fit(protonet(), glyphs(), run="runs/a", **QUIET)
    alone = elsewhere("runs/a")
    for folder in (alone.parent, alone.parent.parent):
        Path(folder, "config.yaml").write_text("a: [program, of, another kind]")
    assert torch.equal(outputs(lifelong.load(alone).learner), outputs(run.learner))


def test_the_reader_is_kept_where_the_data_of_before_are_gone() -> None:
    lifelong.fit(protonet(), glyphs("strokes"), run="runs/a", **QUIET)
    run = lifelong.load("runs/a")
    source = Glyphs(styles=["textures"], n_classes=24, n_examples=10, image_size=8)
    source.reader = lambda: None  # type: ignore[assignment, method-assign, return-value]
    longer = run.extend([source], keep_old=False, **QUIET)
    assert longer.model.reads == "images"
    assert list(longer.model.experiences) == ["strokes", "textures"]


def test_labelled_examples_are_known_by_experience() -> None:
    source = Glyphs(styles=["strokes", "textures"], n_classes=3, n_examples=10, image_size=8)
    learner = Classifier(MLP(n_inputs=64, hidden=[8], n_outputs=6))
    lifelong.fit(learner, ExampleDataModule([source], batch_size=8), run="runs/a", **QUIET)
    model = lifelong.load(elsewhere("runs/a")).model
    assert not model.needs_support
    assert model.experiences["textures"] == ("textures 01", "textures 02", "textures 03")


def test_readers_are_plain_data_of_the_checkpoint(tmp_path: Path) -> None:
    assert record(ImageReader(image_size=8, channels=1), "reader", []) == {
        "class_path": "lifelong.vision.ImageReader",
        "init_args": {"image_size": 8, "channels": 1, "inverted": False},
    }
    source = Texts(encoding=HashedWords(max_length=4), path="reviews")
    reader = source.reader()
    assert isinstance(reader, TextReader)
    missing: list[str] = []
    assert yaml.safe_load(yaml.safe_dump(record(reader, "reader", missing)))["class_path"] == "lifelong.text.TextReader"
    assert missing == []


def test_the_command_line_goes_on_with_a_checkpoint_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", *TINY, "--run.name=a", "--trainer.max_epochs=1")
    run_here("fit", *TINY, "--run.name=a", "--run.resume=must")
    assert lifelong.load("runs/a").results.matrix.shape == (3, 3)
    code, told = error_of(capsys, "fit", *TINY, "--ckpt_path=nowhere.ckpt")
    assert code == 1
    assert "is not there" in told
