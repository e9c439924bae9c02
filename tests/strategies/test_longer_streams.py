"""A finished stream that goes on equals having had the longer one from the start."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.learners import Classifier, NearestClassMean, RanPAC, SimpleShot, StreamingLDA, StreamingRidge
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.training.checkpoint import StreamCheckpoint
from tests.strategies.test_contract import CASES, LOSSES, MAKERS
from tests.toys import make_classifier, make_learner, module_of, toy_data, toy_examples

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*when using `ckpt_path`.*", "ignore:.*returned `None`.*", "ignore:.*in eval mode.*"
)
PLANS_BY_LENGTH = {"PackNet"}
"""Strategies that share something out among the experiences that they know of."""


def learn(
    learner: Learner, data: StreamDataModule, strategies: list[Any], folder: Path, start: Path | None = None
) -> tuple[dict[str, Any], np.ndarray]:
    """The last checkpoint of a stream, and the accuracy matrix."""
    evaluator = Evaluator()
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(
        **quiet,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        default_root_dir=folder,
        callbacks=[evaluator, StreamCheckpoint()],
    )
    trainer.fit(module_of(learner, strategies), datamodule=data, ckpt_path=start, weights_only=True)
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True), evaluator.results.matrix


def learn_in_one_and_in_two(
    make_learner: Callable[[], Learner],
    make_data: Callable[[int], StreamDataModule],
    make_strategies: Callable[[], list[Any]],
    folder: Path,
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Three experiences, learnt from the start, and as two that go on with a third."""
    whole = learn(make_learner(), make_data(3), make_strategies(), folder / "whole")
    learn(make_learner(), make_data(2), make_strategies(), folder / "parts")
    last = folder / "parts/checkpoints/last.ckpt"
    return [whole, learn(make_learner(), make_data(3), make_strategies(), folder / "parts", last)]


def differences(a: Any, b: Any, name: str = "") -> list[str]:
    """The names of what is not the same, to the last bit, in two nested states."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return [] if a.dtype == b.dtype and torch.equal(a.nan_to_num(7e7), b.nan_to_num(7e7)) else [name]
    if isinstance(a, dict) and isinstance(b, dict):
        here = [] if a.keys() == b.keys() else [f"{name}: {a.keys() ^ b.keys()}"]
        return here + [d for key in a.keys() & b.keys() for d in differences(a[key], b[key], f"{name}/{key}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [d for place, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{name}/{place}")]
    return [] if a == b else [name]


def check_equal(whole: tuple[dict[str, Any], np.ndarray], parts: tuple[dict[str, Any], np.ndarray]) -> None:
    """Weights, optimizer and what strategies keep, and all cells but the earlier ones of the new domain."""
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "lifelong", "epoch", "global_step"):
        assert not differences(whole[0][key], parts[0][key])
    assert np.array_equal(whole[1][:, :2], parts[1][:, :2])
    assert np.array_equal(whole[1][2], parts[1][2])
    assert np.isnan(parts[1][:2, 2]).all()


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if case[0] not in PLANS_BY_LENGTH])
def test_it_equals_the_longer_stream_from_the_start(name: str, kind: str, tmp_path: Path) -> None:
    def learner() -> Learner:
        return make_learner("MAML") if kind == "few-shot" else make_classifier(loss=LOSSES.get(name, "softmax"))

    def data(n: int) -> StreamDataModule:
        return toy_data(n) if kind == "few-shot" else toy_examples(kind, n)

    check_equal(*learn_in_one_and_in_two(learner, data, lambda: [MAKERS[name]()], tmp_path))


@pytest.mark.parametrize("name", ["ProtoNet", "MetaSGD", "CAVIA"])
def test_few_shot_learners_equal_it_too(name: str, tmp_path: Path) -> None:
    strategies = [MAKERS["Replay"]]
    check_equal(
        *learn_in_one_and_in_two(
            lambda: make_learner(name), toy_data, lambda: [make() for make in strategies], tmp_path
        )
    )


@pytest.mark.parametrize("make", [NearestClassMean, StreamingLDA, StreamingRidge, partial(RanPAC, n_projections=9)])
def test_class_statistics_equal_it_too(make: Any, tmp_path: Path) -> None:
    def learner() -> Learner:
        torch.manual_seed(0)
        return make(MLP(n_inputs=4, hidden=[8], n_outputs=8))  # type: ignore[no-any-return]

    check_equal(*learn_in_one_and_in_two(learner, lambda n: toy_examples("class", n), lambda: [], tmp_path))


@pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "class"])
def test_every_strategy_goes_on_where_the_head_grows(name: str, tmp_path: Path) -> None:
    def small() -> Classifier:
        return make_classifier(n_outputs=8, loss=LOSSES.get(name, "softmax"))

    learn(small(), toy_examples("class", 2, steps_per_experience=40), [MAKERS[name]()], tmp_path)
    before = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    start = tmp_path / "checkpoints/last.ckpt"
    data = toy_examples("class", 3, steps_per_experience=40)
    after, matrix = learn(small(), data, [MAKERS[name]()], tmp_path, start)
    assert before["learner.network.head.weight"].shape == (8, 8)
    assert after["state_dict"]["learner.network.head.weight"].shape == (12, 8)
    assert matrix[2, 2] > 1 / 12  # chance is a twelfth


def test_rows_of_a_head_do_not_depend_on_how_many_come(tmp_path: Path) -> None:
    def rows_after(n: int) -> Tensor:
        module = module_of(make_classifier(n_outputs=8), [])
        data = toy_examples("class", n)
        trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path)
        trainer.test(module, datamodule=data, ckpt_path=start, verbose=False, weights_only=True)
        return module.learner.network.head.weight.detach()  # type: ignore[no-any-return, union-attr]

    before, _ = learn(make_classifier(n_outputs=8), toy_examples("class", 2), [], tmp_path)
    start = tmp_path / "checkpoints/last.ckpt"
    three, four = rows_after(3), rows_after(4)
    assert (len(three), len(four)) == (12, 16)
    assert torch.equal(three[:8], before["state_dict"]["learner.network.head.weight"])
    assert torch.equal(three, four[:12])
    new = three[8:]
    assert new.unique().numel() == new.numel()
    assert new.abs().max() <= 8**-0.5


def test_the_optimizer_knows_nothing_of_new_rows(tmp_path: Path) -> None:
    seen: dict[str, Tensor] = {}

    class Look(L.Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            optimizer = trainer.optimizers[0]
            state = optimizer.state[pl_module.learner.network.head.weight]  # type: ignore[union-attr, index]
            seen.update({name: value.clone() for name, value in state.items()})

    before, _ = learn(make_classifier(n_outputs=8), toy_examples("class", 2), [], tmp_path)
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        max_epochs=-1,
        default_root_dir=tmp_path,
        callbacks=[Look()],
    )
    module = module_of(make_classifier(n_outputs=8), [])
    start = tmp_path / "checkpoints/last.ckpt"
    trainer.fit(module, datamodule=toy_examples("class", 3), ckpt_path=start, weights_only=True)
    old = before["optimizer_states"][0]["state"][2]["exp_avg"]
    assert old.shape == (8, 8)
    assert torch.equal(seen["exp_avg"][:8], old)
    assert not seen["exp_avg"][8:].any()


def test_a_pretraining_classifier_grows_with_the_stream(tmp_path: Path) -> None:
    def learner() -> SimpleShot:
        torch.manual_seed(0)
        return SimpleShot(MLP(n_inputs=4, hidden=[8], n_outputs=8), n_centre_tasks=4)

    before, _ = learn(learner(), toy_data(2), [], tmp_path)
    after, matrix = learn(learner(), toy_data(3), [], tmp_path, tmp_path / "checkpoints/last.ckpt")
    n_before, n_after = (len(c["state_dict"]["learner.classifier.weight"]) for c in (before, after))
    assert (n_before, n_after) == (12, 18)
    assert matrix.shape == (3, 3)


def test_packnet_says_that_nothing_is_free(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learn(make_classifier(), toy_examples("task", 2), [MAKERS["PackNet"]()], tmp_path)
    assert "PackNet has shared out all weights" not in caplog.text
    start = tmp_path / "checkpoints/last.ckpt"
    _, matrix = learn(make_classifier(), toy_examples("task", 3), [MAKERS["PackNet"]()], tmp_path, start)
    assert "PackNet has shared out all weights, and domain 2 is learnt by its rows of the head alone" in caplog.text
    assert np.array_equal(matrix[1, :2], matrix[2, :2])  # nothing of the past moves


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split_seed": 1}, "the domain 'domain 0' has another split"),
        ({"n": 1}, "has the domain 'domain 1', and the stream here has not"),
    ],
)
def test_a_stream_that_begins_otherwise_is_refused(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    learn(make_learner("ProtoNet"), toy_data(2), [], tmp_path)
    start, data = tmp_path / "checkpoints/last.ckpt", toy_data(settings.pop("n", 3), **settings)
    with pytest.raises(ValueError, match=words):
        learn(make_learner("ProtoNet"), data, [], tmp_path, start)
