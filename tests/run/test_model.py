"""A model answers by name: about files, texts and tensors, as the stream's own evaluation does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lifelong
from datamodules import EpisodicDataModule, ExampleDataModule, ImageFolder, Sinusoids
from lifelong.learners import MAML, Classifier, ProtoNet
from lifelong.networks import MLP, Conv4
from lifelong.run.answers import Answers
from lifelong.run.fitted import AT_ONCE
from lifelong.run.run import Run
from lifelong.text import HashedWords
from strategies import EWC, AdapterBank, ICaRL, Replay, WeightAveraging
from tests.drawn_photos import FRUIT, write_photos
from tests.text.words import Words

pytestmark = pytest.mark.filterwarnings("ignore")
QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with photos, and a run of a prototypical network with a bank on them."""
    where = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        patch.delenv("LIFELONG_RUN_FOLDER", raising=False)
        patch.setenv("LIFELONG_CACHE", str(where / "cache"))
        write_photos(where / "photos" / "fruit", list(FRUIT), range(12))
        lifelong.seed_everything(0, verbose=False)  # before the network is made
        fitted(
            ProtoNet(Conv4(n_filters=8, norm="group", in_channels=3, image_size=16)),
            photos(),
            "runs/few",
            AdapterBank(),
        )
        write_photos(where / "stones" / "fruit", list(FRUIT)[:4], range(8))
        write_photos(where / "stones" / "stones", list(FRUIT)[5:9], range(8))
    return where


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setenv("LIFELONG_CACHE", str(folder / "cache"))


def photos(root: str = "photos") -> EpisodicDataModule:
    source = ImageFolder(root=root, image_size=16, holdout="classes")
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 5, "n_query": 4, "split": (3, 3)}
    return EpisodicDataModule([source], **shape, steps_per_experience=20, n_eval_tasks=4)


def fitted(learner: Any, data: Any, name: str, *strategies: Any) -> Run:
    lifelong.seed_everything(0, verbose=False)
    return lifelong.fit(learner, data, strategies=strategies, run=name, **QUIET)


@pytest.mark.parametrize("learner", ["ProtoNet", "batch norm", "MAML"])
def test_new_classes_are_answered_as_the_stream_does(folder: Path, learner: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LIFELONG_CACHE", str(folder / "cache"))
    run = lifelong.load("runs/few")
    if learner == "batch norm":
        run = fitted(ProtoNet(Conv4(n_filters=8, norm="batch", in_channels=3, image_size=16)), photos(), "runs/batch")
    if learner == "MAML":
        network = MLP(n_inputs=3 * 16 * 16, hidden=[8], n_outputs=3)
        run = fitted(MAML(network, n_inner_steps=2), photos(), "runs/maml")
    data = run.data
    draw = data.draw_for_evaluation("test", 0, [0])
    taught = data.stream.experiences[0].pools[0].names
    (one,) = draw.draws
    files = sorted((folder / "photos" / "fruit").rglob("*.jpg"))
    support: dict[str, list[Path]] = {}
    for place in one.support:
        support.setdefault(files[place].parent.name, []).append(files[place])
    assert [len(shots) for shots in support.values()] == [5, 5, 5]
    assert not set(support) & set(taught)
    episode = draw.gather(torch.device("cpu"))
    run.module.eval()
    expected = run.module.predict_step(episode, 0)[0]
    # From a copy elsewhere, without the data.
    shutil.copy(run.folder / "checkpoints" / "last.ckpt", folder / "alone.ckpt")
    answers = lifelong.load(folder / "alone.ckpt").model.adapt(support).predict([files[place] for place in one.query])
    assert answers.classes == tuple(support)
    assert torch.allclose(answers.probabilities, expected, atol=1e-5)
    assert answers.labels == [list(support)[way] for way in expected.argmax(1).tolist()]
    accuracy = np.mean(
        [files[place].parent.name == label for place, label in zip(one.query, answers.labels, strict=True)]
    )
    assert accuracy == pytest.approx(float((expected.argmax(1) == episode.query_y[0]).float().mean()))
    if learner == "ProtoNet":
        assert accuracy > 0.6


def test_the_bank_says_which_experience_answered(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    model = lifelong.load("runs/few").model
    support = {kind: sorted(Path("photos", "fruit", kind).glob("*.jpg"))[:2] for kind in ("apple", "tile")}
    answers = model.adapt(support).predict(Path("photos", "fruit", "apple", "05.jpg"))
    assert answers.entries == ("fruit",)
    assert answers.labels == ["apple"]
    first, second = repr(answers).splitlines()
    assert first == "1 answer among 2 classes"
    note = "" if answers.known == [True] else ", far from every class"
    assert second == f"  apple  {answers.probabilities.max():.3f}  (by fruit{note})"


def test_photos_of_other_classes_are_far(folder: Path, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(folder)
    model = lifelong.load("runs/few").model
    kinds = ("banana", "tile")
    of = {kind: sorted(Path("photos", "fruit", kind).glob("*.jpg")) for kind in (*kinds, "grape")}
    adapted = model.adapt({kind: of[kind][:5] for kind in kinds})
    answers = adapted.predict([*of["banana"][5:], *of["tile"][5:], *of["grape"]])
    assert answers.far is not None
    known, other = answers.far[:14], answers.far[14:]
    assert other.mean() > known.mean()
    assert answers.known == [bool(value <= 1) for value in answers.far]
    alone = lifelong.load(adapted.save(tmp_path / "fruit.model")).model.predict(of["grape"])
    assert alone.far is not None
    torch.testing.assert_close(alone.far, other)
    assert adapted.predict(of["tile"][5:]).far is not None
    assert model.adapt({kind: of[kind][:1] for kind in kinds}).predict(of["grape"]).known is None


def test_labelled_examples_are_answered_without_support(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LIFELONG_CACHE", str(folder / "cache"))
    source = ImageFolder(root="stones", image_size=16)
    network = Conv4(n_filters=8, norm="group", in_channels=3, image_size=16, n_outputs=8)
    data = ExampleDataModule([source], batch_size=8, passes=12)
    run = fitted(Classifier(network), data, "runs/flat", AdapterBank())
    files = sorted(Path("stones").rglob("*.jpg"))
    model = lifelong.load("runs/flat").model
    answers = model.predict(files)
    assert answers.classes == model.classes == (*list(FRUIT)[:4], *sorted(list(FRUIT)[5:9]))
    right = [file.parent.name == label for file, label in zip(files, answers.labels, strict=True)]
    assert np.mean(right) > 0.6
    assert answers.entries is not None
    assert set(answers.entries) == {"fruit", "stones"}
    assert torch.allclose(run.model.predict(files).probabilities, answers.probabilities, atol=1e-6)
    with pytest.raises(ValueError, match="learns nothing from a support set"):
        model.adapt({"apple": files[:1], "tile": files[1:2]})


def test_tensors_are_taken_as_well_as_files(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    model = lifelong.load("runs/few").model
    files = [str(file) for file in sorted(Path("photos", "fruit", "apple").glob("*.jpg"))[:3]]
    pixels = ImageFolder(root="photos", image_size=16).reader().read(files)
    support: dict[str, Any] = {"a": files[:1], "b": ["photos/fruit/tile/01.jpg"]}
    by_file = model.adapt(support).predict(files)
    fit = model.adapt({"a": pixels[0], "b": support["b"]})
    for given in (pixels, list(pixels), pixels.numpy(), pixels.float() / 255):
        assert torch.allclose(fit.predict(given).probabilities, by_file.probabilities, atol=1e-6)
    assert len(fit.predict(pixels[0])) == 1
    assert len(fit.predict(torch.rand(2, 1, 20, 20))) == 2  # grey, of another size
    for given, message in (
        ([], "the query has nothing in it"),
        (pixels[:0], "the query has nothing in it"),
        ([pixels[0], files[0]], "items of different kinds are given together"),
        (torch.rand(2, 5), r"has inputs of shape \(5,\), and the model was taught \(3, 16, 16\)"),
        (torch.full((1, 3, 16, 16), torch.nan), "the query has nan among its inputs"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.int64), "and the model was taught real numbers"),
        ("nowhere.jpg", r"the image nowhere\.jpg is not there"),
        ("photos", "the image photos is no file"),
    ):
        with pytest.raises(ValueError, match=message):
            fit.predict(given)


def test_many_queries_are_read_some_at_a_time(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    model = lifelong.load("runs/few").model
    fit = model.adapt({"a": ["photos/fruit/apple/01.jpg"], "b": ["photos/fruit/tile/01.jpg"]})
    files = ["photos/fruit/apple/02.jpg", "photos/fruit/tile/02.jpg"] * AT_ONCE
    parts = list(fit.in_batches(files))
    assert [len(part) for part in parts] == [AT_ONCE, AT_ONCE]
    assert Answers.cat(parts).labels == ["a", "b"] * AT_ONCE
    assert [len(part) for part in fit.in_batches(files[: AT_ONCE + 1])] == [AT_ONCE // 2 + 1, AT_ONCE // 2]
    assert "… and 248 more" in repr(Answers.cat(parts))


def test_support_sets_that_do_not_fit_are_refused(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LIFELONG_CACHE", str(folder / "cache"))
    few = lifelong.load("runs/few").model
    with pytest.raises(ValueError, match="the support set has 1 classes: give examples of two at least"):
        few.adapt({"apple": ["photos/fruit/apple/01.jpg"]})
    with pytest.raises(ValueError, match="the class 'b' has nothing in it"):
        few.adapt({"a": ["photos/fruit/apple/01.jpg"], "b": []})
    with pytest.raises(ValueError, match="the model learns from a support set: give it some examples"):
        few.predict(["photos/fruit/apple/01.jpg"])
    run = fitted(MAML(MLP(n_inputs=768, hidden=[8], n_outputs=3), n_inner_steps=1), photos(), "runs/three")
    two = {kind: [f"photos/fruit/{kind}/01.jpg"] for kind in ("apple", "tile")}
    with pytest.raises(ValueError, match="the support set has 2 classes, and MAML was trained on tasks of 3"):
        run.model.adapt(two)
    assert len(few.adapt(two).classes) == 2  # any number, where a distance decides


def test_texts_with_fixed_ways_have_their_classes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    source = Words(HashedWords(n_buckets=64, max_length=6))
    shape: dict[str, Any] = {
        "n_way": 2,
        "n_shot": 2,
        "n_query": 3,
        "split": (2, 2),
        "eval_n_shot": 1,
        "eval_n_query": 1,
    }
    data = EpisodicDataModule([source], fixed_ways=True, **shape, steps_per_experience=5, n_eval_tasks=4)
    body = torch.nn.EmbeddingBag(64, 8, padding_idx=0)
    model = fitted(ProtoNet(body), data, "runs/words").model
    assert model.fixed_classes == ("bad", "good")
    answers = model.adapt({"good": ["a lovely saw", "great"], "bad": ["a poor saw"]}).predict("a lovely drill")
    assert answers.classes == ("bad", "good")
    with pytest.raises(ValueError, match="has the class 'bat', and the model was taught bad, good alone"):
        model.adapt({"good": ["a"], "bat": ["b"]})
    with pytest.raises(ValueError, match="has no example of bad: add one of each class"):
        model.adapt({"good": ["a"]})
    with pytest.raises(ValueError, match="has the path a, and the model reads texts: give the texts themselves"):
        model.adapt({"good": [Path("a")], "bad": ["b"]})
    with pytest.raises(ValueError, match="is empty"):
        model.adapt({"good": ["a"], "bad": [" "]})


def test_real_targets_are_no_classes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    data = EpisodicDataModule([Sinusoids()], n_way=1, n_shot=3, n_query=3, steps_per_experience=1, n_eval_tasks=2)
    run = fitted(MAML(MLP(n_inputs=1, hidden=[4], n_outputs=1), task="regression", n_inner_steps=1), data, "runs/sines")
    with pytest.raises(ValueError, match="the model was taught real numbers and no classes"):
        run.model  # noqa: B018


def test_a_model_alone_is_saved_with_its_card(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    model = lifelong.load("runs/few").model
    model.save_pretrained(tmp_path / "mine")
    model.save_pretrained(tmp_path / "mine")  # its own, anew
    card = (tmp_path / "mine" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: lifelong\ntags:")
    assert "pipeline_tag: image-classification" in card
    assert "- **fruit**: " in card
    assert "| after | fruit |" in card
    assert "3-way 5-shot tasks" in card
    support = {kind: [f"photos/fruit/{kind}/01.jpg"] for kind in ("apple", "tile")}
    expected = model.adapt(support).predict(["photos/fruit/apple/02.jpg"]).probabilities
    for again in (lifelong.Model.from_pretrained(tmp_path / "mine"), lifelong.load(tmp_path / "mine").model):
        assert torch.equal(again.adapt(support).predict(["photos/fruit/apple/02.jpg"]).probabilities, expected)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "work.txt").write_text("hers")
    with pytest.raises(ValueError, match=r"holds other files \(work\.txt\): give an empty folder"):
        model.save_pretrained(tmp_path / "theirs")
    assert [entry.name for entry in (tmp_path / "theirs").iterdir()] == ["work.txt"]


def test_what_a_memory_keeps_is_saved_where_answers_need_it(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LIFELONG_CACHE", str(folder / "cache"))
    source = ImageFolder(root="stones", image_size=16)
    cases: list[tuple[list[Any], list[str]]] = [([Replay()], []), ([EWC(), WeightAveraging()], ["WeightAveraging"])]
    for strategies, kept in [*cases, ([ICaRL()], ["ICaRL"])]:
        name = "-".join(type(strategy).__name__ for strategy in strategies)
        network = Conv4(n_filters=8, norm="group", in_channels=3, image_size=16, n_outputs=8)
        loss: Any = "sigmoid" if name == "ICaRL" else "softmax"
        run = fitted(
            Classifier(network, loss=loss), ExampleDataModule([source], batch_size=8), f"runs/{name}", *strategies
        )
        run.model.save_pretrained(tmp_path / name)
        again = lifelong.Model.from_pretrained(tmp_path / name)
        assert again.module.strategies.names == kept
        files = sorted(Path("stones").rglob("*.jpg"))
        assert torch.allclose(again.predict(files).probabilities, run.model.predict(files).probabilities, atol=1e-6)
        content = torch.load(tmp_path / name / "model.ckpt", weights_only=True)
        assert any(key.startswith("strategies.") for key in content["state_dict"]) == bool(kept)
