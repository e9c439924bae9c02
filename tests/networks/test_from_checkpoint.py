"""Weights of an earlier run in a network of another learner."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

import lifelong
from lifelong.learners import Classifier, ProtoNet
from lifelong.networks import MLP, Conv4, FromCheckpoint, WithHead
from lifelong.networks.heads import has_head
from tests.command_line import QUIET, error_of, run_here
from tests.toys import fit, same, toy_data, toy_examples, weights


def saved(network: nn.Module, folder: Path, **more: Tensor) -> str:
    state = {f"learner.network.{name}": tensor for name, tensor in network.state_dict().items()} | more
    torch.save({"state_dict": state}, folder / "last.ckpt")
    return str(folder / "last.ckpt")


def conv(n_outputs: int | None = None, seed: int = 0, **settings: Any) -> Conv4:
    torch.manual_seed(seed)
    return Conv4(**({"n_filters": 8, "norm": "group", "image_size": 16, "n_outputs": n_outputs} | settings))


def test_it_is_the_network_with_the_weights_of_the_checkpoint(tmp_path: Path) -> None:
    trained, fresh = conv(5), conv(5, seed=1)
    path = saved(trained, tmp_path, **{"learner.classifier.weight": torch.ones(3)})
    network = FromCheckpoint(fresh, path)
    assert network is fresh
    assert has_head(network)
    assert same(dict(network.named_parameters()), dict(trained.named_parameters()))
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize(
    ("theirs", "ours", "words"), [(5, 12, "starts anew"), (None, 12, "starts anew"), (5, None, "is left out")]
)
def test_a_head_of_another_shape_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, theirs: int | None, ours: int | None, words: str
) -> None:
    trained, fresh = conv(theirs), conv(ours, seed=1)
    before = {name: p.detach().clone() for name, p in fresh.head.named_parameters()}
    with caplog.at_level(logging.WARNING, logger="lifelong.networks.from_checkpoint"):
        network = FromCheckpoint(fresh, saved(trained, tmp_path))
    (record,) = caplog.records
    assert f"the head of Conv4 {words}: head.weight is " in record.getMessage()
    assert same(before, dict(network.head.named_parameters()))  # type: ignore[operator, union-attr]
    assert same(dict(network.blocks.named_parameters()), dict(trained.blocks.named_parameters()))  # type: ignore[operator, union-attr]


def test_a_head_that_fits_is_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained = conv(5)
    network = FromCheckpoint(conv(5, seed=1), saved(trained, tmp_path))
    assert torch.equal(network.head.weight, trained.head.weight)  # type: ignore[union-attr, arg-type]
    assert not caplog.records


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (lambda: conv(n_filters=16), r"blocks.0.0.weight is \(8, 1, 3, 3\) there and \(16, 1, 3, 3\) here"),
        (lambda: conv(norm="none"), r"blocks.0.1.weight is \(8,\) there and absent here"),
        (lambda: MLP(n_inputs=256), "body.0.weight is absent there"),
    ],
)
def test_another_network_is_one_sentence(tmp_path: Path, ours: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"does not fit the weights in .*last.ckpt: {words}"):
        FromCheckpoint(ours(), saved(conv(), tmp_path))


def test_what_is_no_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"--model.network.path: the checkpoint .*nowhere.ckpt is not there: give the path of one"
    ):
        FromCheckpoint(conv(), str(tmp_path / "nowhere.ckpt"))
    other = tmp_path / "other.ckpt"
    other.write_text("no checkpoint")
    with pytest.raises(ValueError, match=r"--model.network.path: the checkpoint .*other.ckpt is damaged or none"):
        FromCheckpoint(conv(), str(other))
    torch.save({"weights": torch.ones(1)}, other)
    with pytest.raises(ValueError, match=r"other.ckpt was not written by lifelong"):
        FromCheckpoint(conv(), str(other))
    torch.save({"state_dict": {"learner.body.weight": torch.ones(1)}}, other)
    with pytest.raises(ValueError, match=r"other.ckpt has no weights of a network"):
        FromCheckpoint(conv(), str(other))


def test_a_checkpoint_of_an_earlier_version_is_one_sentence(tmp_path: Path) -> None:
    torch.save({"state_dict": {"network.weight": torch.ones(1)}}, tmp_path / "old.ckpt")
    with pytest.raises(
        ValueError, match=r"old.ckpt was written by an earlier version, which this one cannot read: run it again"
    ):
        FromCheckpoint(conv(), str(tmp_path / "old.ckpt"))


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_starts_from_another_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    learner = ProtoNet(FromCheckpoint(conv(5), saved(conv(5, seed=1), tmp_path), frozen=True))
    data = toy_data(1, "image", steps_per_experience=1)
    run = lifelong.fit(learner, data, run="runs/a", logger=False, accelerator="cpu", enable_progress_bar=False)
    network = yaml.safe_load(Path("runs/a/config.yaml").read_text())["model"]["init_args"]["network"]
    assert network["class_path"] == "lifelong.networks.FromCheckpoint"
    assert network["init_args"]["network"]["class_path"] == "lifelong.networks.Conv4"
    assert network["init_args"]["network"]["init_args"]["n_filters"] == 8
    again = lifelong.load("runs/a", data=data)
    assert not any(p.requires_grad for p in again.learner.network.blocks.parameters())
    assert same(weights(run.learner), weights(again.learner))


def test_frozen_weights_and_statistics_stay_and_the_head_learns(tmp_path: Path) -> None:
    def network(seed: int) -> WithHead:
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        return WithHead(body, n_features=8, n_outputs=12)

    path = saved(network(0), tmp_path)
    frozen = FromCheckpoint(network(1), path, frozen=True)
    before = {name: t.clone() for name, t in frozen.state_dict().items()}
    learner = Classifier(frozen)
    fit(learner, toy_examples("class"))
    after = frozen.state_dict()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == (not name.startswith("head.")), name
    x = torch.randn(5, 4)
    learner.train()
    params = learner.meta_parameters()
    assert torch.equal(learner.embed(params, x), learner.embed(params, x))  # dropout is off


def test_a_few_shot_learner_goes_on_from_another(tmp_path: Path) -> None:
    first = ProtoNet(MLP(n_inputs=4, hidden=[8], n_outputs=8))
    fit(first, toy_data(1))
    path = saved(first.network, tmp_path)
    second = ProtoNet(FromCheckpoint(MLP(n_inputs=4, hidden=[8], n_outputs=8), path))
    assert same(weights(first), weights(second))


# -- the command line ---------------------------------------------------------------------------------------------

NETWORK = ["Conv4", "n_filters=8", "norm=group", "image_size=16"]
TASKS = [f"--model.network{'.' if '=' in o else '='}{o}" for o in NETWORK]
TASKS += ["--data.sources=[{class_path: tests.toys.Toy, init_args: {n_domains: 1, kind: image}}]", "--data.n_way=3"]
TASKS += ["--data.n_shot=2", "--data.n_query=2", "--data.steps_per_experience=4", "--data.n_eval_tasks=4", *QUIET]
TASKS += ["--data.split=[3, 3]", "--strategies=[]"]
META = {
    "ProtoNet": ["--model=ProtoNet", *TASKS],
    "MAML": ["--model=MAML", "--model.n_inner_steps=1", *TASKS, "--model.network.n_outputs=3"],
}
LOADED = ["--model.network=lifelong.networks.FromCheckpoint", "--model.network.path=runs/p/checkpoints/last.ckpt"]
LOADED += [f"--model.network.network{'.' if '=' in o else '='}{o}" for o in NETWORK]
STREAM = ["--data=datamodules.examples.ExampleDataModule", "--data.batch_size=8", *QUIET, "--strategies=[]"]
STREAM += ["--data.sources=[{class_path: tests.toys.FewClasses, init_args: {n_domains: 2, kind: image}}]"]


@pytest.fixture(params=META)
def _meta_learnt(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    run_here("fit", *META[request.param], "--run.name=p")


def kept(name: str) -> dict[str, Any]:
    return dict(torch.load(f"runs/{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"])


def body(name: str) -> dict[str, Tensor]:
    """The network of a run without its head."""
    start = ("learner.network.head.", "learner.network.")
    return {n: w for n, w in kept(name).items() if n.startswith(start[1]) and not n.startswith(start[0])}


def apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference of a weight."""
    return max(float((ours[name] - theirs[name]).abs().max()) for name in theirs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_meta_learnt")
@pytest.mark.parametrize("learner", ["NearestClassMean", "StreamingLDA"])
def test_a_meta_learnt_checkpoint_serves_learners_of_class_means(learner: str) -> None:
    run_here("fit", f"--model={learner}", *LOADED, *STREAM, "--run.name=m")
    assert same(body("m"), body("p"))
    assert kept("m")["learner.counts"].sum() > 0
    run_here("test", "--ckpt_path=runs/m/checkpoints/last.ckpt", *QUIET)
    assert json.loads(Path("runs/m/test_class.json").read_text())["mean"][0] > 0.5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_meta_learnt")
def test_a_meta_learnt_checkpoint_serves_a_classifier() -> None:
    outputs = ["--model.network.network.n_outputs=8", "--optimizer=torch.optim.SGD"]
    classifier = ["--model=Classifier", *LOADED, *outputs, "--optimizer.lr=0.001", *STREAM]
    run_here("fit", *classifier, "--model.network.frozen=true", "--run.name=frozen")
    run_here("fit", *classifier, "--run.name=free")
    theirs = body("p")
    assert same(body("frozen"), theirs)
    fresh = {f"learner.network.{name}": w for name, w in conv(8, seed=3).state_dict().items()}
    assert 0 < apart(body("free"), theirs) < 0.05 < apart(fresh, theirs)
    assert all(kept(name)["learner.network.head.weight"].shape == (8, 8) for name in ("frozen", "free"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_meta_learnt")
def test_a_wrong_network_is_one_sentence_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for option, words in (
        ("--model.network.network.n_filters=16", "does not fit the weights in runs/p/checkpoints/last.ckpt"),
        ("--model.network.path=nowhere.ckpt", "the checkpoint nowhere.ckpt is not there"),
    ):
        code, message = error_of(capsys, "fit", "--model=NearestClassMean", *LOADED, option, *STREAM)
        assert code == 1
        line = message.strip().splitlines()[-1]
        assert line.startswith("error: ")
        assert words in line
