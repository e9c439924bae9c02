"""What was learnt from a support set travels in a file of its own, and answers as before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.learners import MAML, ProtoNet
from lifelong.networks import MLP
from lifelong.run.adapted import Adapted, check_plain
from strategies import AdapterBank, Replay, WeightAveraging
from tests.toys import LEARNERS, make_learner, module_of, random_episode

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("folder_of_its_own")]
QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}


def trained(learner: Any, *strategies: Any, run: str = "runs/a") -> lifelong.Run:
    source = Glyphs(styles=["strokes", "textures"], n_classes=24, n_examples=10, image_size=8)
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 2, "n_query": 3, "split": (0.25, 0.25), "n_eval_tasks": 5}
    data = EpisodicDataModule([source], **shape, steps_per_experience=3)
    return lifelong.fit(learner, data, strategies=strategies, run=run, **QUIET)


def protonet() -> ProtoNet:
    lifelong.seed_everything(0, verbose=False)
    return ProtoNet(MLP(n_inputs=64, hidden=[16], n_outputs=8))


def some(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


SUPPORT = {"ash": some(2, 1), "elm": some(3, 2), "oak": some(1, 3)}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_kept_state_answers_as_the_support_set_does(name: str) -> None:
    module = module_of(make_learner(name))
    episode = random_episode(n_tasks=1)
    kept = Adapted.of(module, episode, ())
    outputs = module.learner.objective.prediction(kept.answer(module, episode.query_x[0])[0])
    assert torch.allclose(outputs, module.eval().predict_step(episode, 0)[0], atol=1e-5)
    check_plain(kept.state)


@pytest.mark.parametrize("strategy", [Replay, AdapterBank])
def test_a_file_answers_alone_without_what_was_remembered(strategy: Any) -> None:
    run = trained(protonet(), strategy())
    fitted = run.model.adapt(SUPPORT)
    before = fitted.predict(some(4, 4))
    target = Path("elsewhere", "trees.model").absolute()
    fitted.save(target)
    assert target.stat().st_size < (run.folder / "checkpoints/last.ckpt").stat().st_size / 2
    shutil.rmtree("runs")
    model = lifelong.load(target).model
    after = model.predict(some(4, 4))
    assert torch.equal(after.probabilities, before.probabilities)
    assert (after.classes, after.entries) == (before.classes, before.entries) == (("ash", "elm", "oak"), after.entries)
    assert (after.entries is None) == (strategy is Replay)
    assert not model.needs_support
    assert "adapted to 3 classes: ash, elm, oak" in repr(model)
    content = torch.load(target, weights_only=True)
    assert "optimizer_states" not in content
    assert content["lifelong"]["strategies"] == []
    assert not [name for name in content["state_dict"] if not name.startswith("learner.")]


def test_adapted_weights_are_in_the_file() -> None:
    model = trained(MAML(MLP(n_inputs=64, hidden=[8], n_outputs=3), n_inner_steps=2)).model
    fitted = model.adapt(SUPPORT)
    again = lifelong.load(fitted.save("trees.model")).model
    again.save_pretrained("folder")  # a model like any other
    for other in (again, lifelong.Model.from_pretrained("folder")):
        assert torch.equal(other.predict(some(4, 4)).probabilities, fitted.predict(some(4, 4)).probabilities)


def test_what_cannot_be_kept_is_refused_in_one_sentence() -> None:
    run = trained(protonet(), WeightAveraging())
    fitted = run.model.adapt(SUPPORT)
    with pytest.raises(ValueError, match="WeightAveraging replaces the learner's outputs"):
        fitted.save("trees.model")
    assert not Path("trees.model").exists()
    with pytest.raises(ValueError, match="returns a Tree, which no file"):
        check_plain({"a": [type("Tree", (), {})()]})
    Path("there.model").write_text("mine")
    with pytest.raises(ValueError, match="is there already"):
        fitted.save("there.model")
    assert Path("there.model").read_text() == "mine"


def test_an_adapted_model_learns_no_other_classes() -> None:
    fitted = trained(protonet()).model.adapt(SUPPORT)
    path = fitted.save("trees.model")
    with pytest.raises(ValueError, match="has learnt its classes"):
        lifelong.load(path).model.adapt(SUPPORT)
    content = torch.load(path, weights_only=True)
    content["lifelong"]["adapted"]["classes"] = "ash"
    torch.save(content, "changed.model")
    with pytest.raises(ValueError, match="changed after it was written"):
        lifelong.load("changed.model").model  # noqa: B018
