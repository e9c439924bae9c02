"""Clustering of held-out examples by the learnt metric."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lifelong.data.pool import Pool
from lifelong.data.sampling import generator
from lifelong.evaluation import Clustering
from lifelong.evaluation.clustering import agreement, draw_examples, group, route_to
from lifelong.learners import ProtoNet, SimpleShot
from strategies import AdapterBank
from tests.command_line import TINY, error_of, run_here
from tests.toys import fit, make_learner, same, toy_data, weights

quiet = pytest.mark.filterwarnings("ignore")


def blobs(n_classes: int = 4, n: int = 25, spread: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(n_classes), n)
    return 10.0 * np.eye(n_classes)[classes] + spread * rng.normal(size=(len(classes), n_classes)), classes


def pool_of(sizes: list[int], n_variants: int = 1) -> Pool:
    members = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return Pool(torch.zeros(sum(sizes), 1), members, [f"c{i}" for i in range(len(sizes))], n_variants=n_variants)


def measured(learner: Any, data: Any, callback: Clustering, **trainer: Any) -> dict[str, Any]:
    import lightning as L

    quiet_trainer = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    L.Trainer(**quiet_trainer, accelerator="cpu", callbacks=[callback]).test(learner, data, verbose=False)
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


def test_examples_are_drawn_by_class_without_repeats_and_out_of_order() -> None:
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
def test_an_embedding_that_separates_the_classes_scores_one_and_a_constant_one_zero() -> None:
    data = toy_data(2, shift=30.0)  # the toys' classes lie far apart, and the domains farther
    right = measured(ProtoNet(nn.Identity()), data, Clustering(n_draws=2))
    assert right["part"] == "test"
    assert right["n_classes"] == [3, 3]
    assert right["domains"] == ["domain 0", "domain 1"]
    assert min(right["adjusted_rand_index"]["mean"]) > 0.95
    learner = ProtoNet(nn.Linear(4, 2))
    for parameter in learner.parameters():
        nn.init.zeros_(parameter)
    constant = measured(learner, data, Clustering(n_draws=2))
    assert constant["adjusted_rand_index"]["mean"] == [0.0, 0.0]


@quiet
def test_measuring_is_repeatable_changes_nothing_and_knows_the_part() -> None:
    learner, data = make_learner("SimpleShot"), toy_data(2)
    fit(learner, data)
    before, state = weights(learner), torch.get_rng_state()
    one = measured(learner, data, Clustering(n_draws=3))
    assert torch.equal(state, torch.get_rng_state())
    assert same(before, weights(learner))
    assert measured(learner, data, Clustering(n_draws=3)) == one


@quiet
def test_examples_are_embedded_with_the_parameters_that_the_bank_routes_to() -> None:
    learner, data, bank = make_learner("ProtoNet"), toy_data(2, shift=9.0, steps_per_experience=40), AdapterBank()
    fit(learner, data, [bank])
    routed = measured(learner.eval(), data, Clustering(n_draws=2))
    own, name = learner.meta_parameters(), "network.head.bias"
    for domain, pool in enumerate(data.stream.test):
        params = route_to(learner, data, "test", domain, pool)
        torch.testing.assert_close(params[name], own[name] + bank.entries[domain]["head-bias-full"])
    assert not torch.equal(params[name], own[name])
    bank.entries = [{key: 10 * torch.randn_like(p) for key, p in entry.items()} for entry in bank.entries]
    bank._stacked = None
    moved = measured(learner, data, Clustering(n_draws=2))
    assert moved["adjusted_rand_index"]["mean"] != routed["adjusted_rand_index"]["mean"]


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


def test_what_cannot_be_clustered_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Trainer:
        datamodule = toy_data(1, kind="regression")

    with pytest.raises(ValueError, match=r"domain 0 .*is regression"):
        Clustering().setup(Trainer(), make_learner(), "fit")  # type: ignore[arg-type]
    Trainer.datamodule = toy_data(1, n_way=1, split=(1, 3))
    with pytest.raises(ValueError, match=r"domain 0 \(val\) has 1 class"):
        Clustering().setup(Trainer(), make_learner(), "fit")  # type: ignore[arg-type]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install .*'\.\[clustering\]'"):
        Clustering().setup(Trainer(), make_learner(), "fit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_classes 1"):
        Clustering(n_classes=1)


@quiet
def test_the_command_line_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    callback = ["--trainer.callbacks+=lifelong.evaluation.Clustering", "--trainer.callbacks.n_classes=4"]
    run_here("fit", *TINY, "--run.name=c", *callback)
    file = Path("runs/c/clustering_val.json")
    fitted = json.loads(file.read_text())
    assert (fitted["part"], fitted["after"], fitted["n_classes"]) == ("val", "silhouettes", [4, 4, 4])
    printed = capsys.readouterr().out
    assert printed.count("adjusted Rand index") == 1
    assert "written: runs/c/clustering_val.json" in printed
    header = Path("runs/c/metrics.csv").read_text().splitlines()[0]
    assert "val/adjusted_rand_index/strokes" in header
    last = "--ckpt_path=runs/c/checkpoints/last.ckpt"
    run_here("validate", last, "--trainer.logger=false")  # the callback is in the saved config
    validated = json.loads(file.read_text())
    assert validated["adjusted_rand_index"] == fitted["adjusted_rand_index"]
    run_here("test", last, "--trainer.logger=false")
    tested = json.loads(Path("runs/c/clustering_test.json").read_text())
    assert json.loads(file.read_text()) == validated
    assert tested["part"] == "test"
    assert tested["adjusted_rand_index"] != fitted["adjusted_rand_index"]
    run_here("fit", *TINY, "--run.name=plain")
    run_here("test", "--ckpt_path=runs/plain/checkpoints/last.ckpt", "--trainer.logger=false", *callback)
    assert json.loads(Path("runs/plain/clustering_test.json").read_text())["part"] == "test"
    code, message = error_of(capsys, "fit", *TINY, *callback[:1], "--trainer.callbacks.n_classes=1")
    assert code in (1, 2)
    assert "n_classes" in message
