"""Clustering of held-out examples by the learnt metric."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from lifelong.data.pool import Pool
from lifelong.data.sampling import generator
from lifelong.evaluation import Clustering
from lifelong.evaluation.clustering import agreement, draw_examples, group, route_to
from lifelong.learners import ProtoNet, SimpleShot
from lifelong.training.stream_module import StreamModule
from strategies import AdapterBank
from tests.toys import fit, make_classifier, make_learner, module_of, same, toy_data, toy_examples, weights

quiet = pytest.mark.filterwarnings("ignore")


def blobs(n_classes: int = 4, n: int = 25, spread: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(n_classes), n)
    return 10.0 * np.eye(n_classes)[classes] + spread * rng.normal(size=(len(classes), n_classes)), classes


def pool_of(sizes: list[int], n_variants: int = 1) -> Pool:
    members = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return Pool(torch.zeros(sum(sizes), 1), members, [f"c{i}" for i in range(len(sizes))], n_variants=n_variants)


def measured(module: StreamModule, data: Any, callback: Clustering, folder: Path) -> dict[str, Any]:
    quiet_trainer: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(**quiet_trainer, accelerator="cpu", callbacks=[callback], default_root_dir=folder)
    trainer.test(module, data, verbose=False)
    assert callback.result is not None
    return callback.result


def test_separated_blobs_are_found_and_shuffled_classes_are_not() -> None:
    features, classes = blobs()
    groups = group(features, 4)
    assert agreement(groups, classes) == (1.0, 1.0)
    shuffled = np.random.default_rng(1).permutation(classes)
    rand, information = agreement(groups, shuffled)
    assert abs(rand) < 0.05
    assert information < 0.1
    assert group(features, 4).tolist() == groups.tolist()


def test_indices_by_hand() -> None:
    # Of 10 pairs 2 stand together in the groups, 2 in the classes, 1 in both; by chance 2 · 2 / 10 would in both.
    groups, classes = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 2])
    expected = 2 * 2 / 10
    assert agreement(groups, classes)[0] == pytest.approx((1 - expected) / (2 - expected))


def test_examples_are_drawn_by_class_without_repeats() -> None:
    pool = pool_of([8, 3, 9, 8])
    indices, classes = draw_examples(pool, 3, 5, generator(0, "clustering", 0))
    assert len(set(indices.tolist())) == len(indices)
    home = np.searchsorted(np.cumsum([8, 3, 9, 8]), indices, side="right")
    pairs = set(zip(home.tolist(), classes.tolist(), strict=True))
    assert len(pairs) == len({h for h, _ in pairs}) == len({c for _, c in pairs}) == 3
    assert all(count == min(5, [8, 3, 9, 8][h]) for h, count in zip(*np.unique(home, return_counts=True), strict=True))
    assert not (np.diff(classes) >= 0).all()
    again = draw_examples(pool, 3, 5, generator(0, "clustering", 0))
    assert again[0].tolist() == indices.tolist()
    assert draw_examples(pool, 3, 5, generator(0, "clustering", 0, 1))[0].tolist() != indices.tolist()


def test_of_the_variants_of_a_class_one_is_drawn() -> None:
    pool = pool_of([4] * 6, n_variants=2)
    for index in range(5):
        indices, classes = draw_examples(pool, 9, 9, generator(0, "clustering", 0, index))
        assert sorted(set(indices // 8)) == [0, 1, 2]
        assert len(set(indices // 4)) == len(set(classes)) == 3


@quiet
def test_an_embedding_that_separates_the_classes_scores_one(tmp_path: Path) -> None:
    data = toy_data(2, shift=30.0)  # the toys' classes lie far apart, and the domains farther
    right = measured(StreamModule(ProtoNet(nn.Identity())), data, Clustering(n_draws=2), tmp_path)
    assert right["part"] == "test"
    assert right["n_classes"] == [3, 3]
    assert right["domains"] == ["domain 0", "domain 1"]
    assert min(right["adjusted_rand_index"]["mean"]) > 0.95


@quiet
def test_a_constant_embedding_scores_zero(tmp_path: Path) -> None:
    learner = ProtoNet(nn.Linear(4, 2))
    for parameter in learner.parameters():
        nn.init.zeros_(parameter)
    constant = measured(StreamModule(learner), toy_data(2, shift=30.0), Clustering(n_draws=2), tmp_path)
    assert constant["adjusted_rand_index"]["mean"] == [0.0, 0.0]


@quiet
def test_measuring_is_repeatable_and_changes_nothing(tmp_path: Path) -> None:
    module, data = module_of(make_learner("SimpleShot")), toy_data(2)
    fit(module, data)
    before, state = weights(module), torch.get_rng_state()
    first = measured(module, data, Clustering(n_draws=3), tmp_path)
    assert torch.equal(state, torch.get_rng_state())
    assert same(before, weights(module))
    assert measured(module, data, Clustering(n_draws=3), tmp_path) == first


@quiet
def test_examples_are_embedded_with_routed_parameters(tmp_path: Path) -> None:
    learner, data, bank = make_learner("ProtoNet"), toy_data(2, shift=9.0, steps_per_experience=40), AdapterBank()
    module = module_of(learner, [bank])
    fit(module, data)
    routed = measured(module.eval(), data, Clustering(n_draws=2), tmp_path)
    own, name = learner.meta_parameters(), "network.head.bias"
    for domain in range(len(data.stream.test)):
        params = route_to(module, data, "test", domain)
        torch.testing.assert_close(params[name], own[name] + bank.entries[domain]["head-bias-full"])
    assert not torch.equal(params[name], own[name])
    bank.entries = [{key: 10 * torch.randn_like(p) for key, p in entry.items()} for entry in bank.entries]
    bank._stacked = None
    moved = measured(module, data, Clustering(n_draws=2), tmp_path)
    assert moved["adjusted_rand_index"]["mean"] != routed["adjusted_rand_index"]["mean"]


@quiet
def test_labelled_examples_are_clustered_too(tmp_path: Path) -> None:
    module, data = module_of(make_classifier()), toy_examples("class", 2)
    fit(module, data)
    assert measured(module, data, Clustering(n_draws=2), tmp_path)["n_classes"] == [4, 4]


def test_embeddings_are_what_the_learners_compare() -> None:
    x = torch.tensor([[3.0, 4.0]])
    assert ProtoNet(nn.Identity()).embed({}, x).tolist() == [[3.0, 4.0]]
    torch.testing.assert_close(ProtoNet(nn.Identity(), distance="cosine").embed({}, x), torch.tensor([[0.6, 0.8]]))
    torch.testing.assert_close(SimpleShot(nn.Identity(), transform="l2").embed({}, x), torch.tensor([[0.6, 0.8]]))
    maml = make_learner("MAML")
    embedding = maml.embed({n: 2 * p for n, p in maml.meta_parameters().items()}, torch.ones(1, 4))
    with torch.no_grad():
        first = maml.network.body[0]  # type: ignore[index, union-attr]
        torch.testing.assert_close(embedding, 2 * torch.relu(first(torch.ones(1, 4))))


@quiet
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "regression", "n_way": 1}, r"domain 0 .*is regression"),
        ({"n_way": 1, "split": (1, 3)}, r"domain 0 \(val\) has 1 class"),
    ],
)
def test_what_cannot_be_clustered_is_one_sentence(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    learner = make_learner("ProtoNet") if "kind" not in settings else make_learner("MAML", "regression")
    with pytest.raises(ValueError, match=message):
        measured(module_of(learner), toy_data(1, **settings), Clustering(), tmp_path)


@quiet
def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "sklearn" else find(name, *a))
    with pytest.raises(ValueError, match=r"pip install .*'\.\[clustering\]'"):
        measured(module_of(make_learner("ProtoNet")), toy_data(1), Clustering(), tmp_path)


def test_a_setting_out_of_range_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="n_classes is 1"):
        Clustering(n_classes=1)


@quiet
def test_every_evaluation_writes_the_file_of_its_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, data, logger = module_of(make_learner("ProtoNet")), toy_data(2), CSVLogger(tmp_path, name="", version="log")
    settings: dict[str, Any] = {"enable_checkpointing": False, "enable_progress_bar": False, "max_epochs": -1}
    settings |= {"logger": logger, "accelerator": "cpu", "default_root_dir": tmp_path, "log_every_n_steps": 1}
    trainer = L.Trainer(**settings, callbacks=[Clustering(n_classes=2)])
    trainer.fit(module, data)
    file = tmp_path / "clustering_val.json"
    fitted = json.loads(file.read_text())
    assert (fitted["part"], fitted["after"], fitted["n_classes"]) == ("val", "domain 1", [2, 2])
    printed = capsys.readouterr().out
    assert printed.count("adjusted Rand index") == 1
    assert f"written: {file}" in printed
    assert "val/adjusted_rand_index/domain 0" in (tmp_path / "log" / "metrics.csv").read_text().splitlines()[0]
    trainer.validate(module, data, verbose=False)
    validated = json.loads(file.read_text())
    assert validated["adjusted_rand_index"] == fitted["adjusted_rand_index"]
    trainer.test(module, data, verbose=False)
    tested = json.loads((tmp_path / "clustering_test.json").read_text())
    assert json.loads(file.read_text()) == validated
    assert tested["part"] == "test"
