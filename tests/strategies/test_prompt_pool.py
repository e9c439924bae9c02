"""PromptPool: which prompts move in which experience, what is added to the loss, and a killed run."""

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

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.networks import L2P, CODAPrompt, DualPrompt, PromptedTransformer
from lifelong.networks.prompts import Prompts
from lifelong.strategy import Step
from lifelong.training.checkpoint import StreamCheckpoint
from strategies import ERACE, PromptPool
from strategies.memory.budget import Budget
from tests.networks.test_adapters import save
from tests.networks.tiny_models import Images
from tests.strategies.test_longer_streams import check_equal, learn
from tests.text.tiny import needs_extra
from tests.toys import AtEnd, fit, make_classifier, module_of, same, weights

PROMPTS: dict[str, Callable[..., Prompts]] = {
    "L2P": partial(L2P, n_prompts=4, n_chosen=2, length=2),
    "DualPrompt": partial(DualPrompt, n_experiences=3, general_layers=[0], expert_layers=[1], expert_length=2),
    "CODAPrompt": partial(CODAPrompt, n_experiences=3, n_components=6, length=4, layers=[0, 1]),
}
every = pytest.mark.parametrize("name", PROMPTS)


def classifier(name: str, folder: Path, **settings: Any) -> Classifier:
    torch.manual_seed(0)
    model = save("vit", folder) if not (folder / "config.json").exists() else str(folder)
    torch.manual_seed(0)
    return Classifier(PromptedTransformer(model=model, prompts=PROMPTS[name](**settings), n_outputs=12))


def images(n: int = 3, **settings: Any) -> ExampleDataModule:
    defaults: dict[str, Any] = {"batch_size": 4, "steps_per_experience": 3, "split": (0.2, 0.2), "n_eval_examples": 4}
    return ExampleDataModule([Images(n)], classes="current", **(defaults | settings))


def learnt(name: str, folder: Path, strategies: list[Any], **settings: Any) -> list[dict[str, Tensor]]:
    """The weights after each experience."""
    seen: list[dict[str, Tensor]] = []
    learner = classifier(name, folder, **settings)
    fit(module_of(learner, [*strategies, AtEnd(lambda: seen.append(weights(learner)))]), images())
    return seen


@needs_extra
@every
def test_each_experience_moves_its_own_prompts_alone(name: str, tmp_path: Path) -> None:
    seen = learnt(name, tmp_path, [PromptPool()])
    start = weights(classifier(name, tmp_path))
    for number, (before, after) in enumerate(zip([start, *seen], seen, strict=False)):
        moved = {n.removeprefix("network.prompts.") for n in after if not torch.equal(before[n], after[n])}
        trained = {
            "L2P": {"pool", "keys"},
            "DualPrompt": {"general", f"experts.{number}", f"keys.{number}"},
            # A beginning turns its own to be orthogonal to those before.
            "CODAPrompt": {f"{part}.{number}" for part in ("components", "keys", "attention")},
        }[name]
        assert moved == trained | {"network.head.weight", "network.head.bias"}


@needs_extra
def test_without_pull_l2p_is_the_same_without_the_strategy(tmp_path: Path) -> None:
    plain, pooled = (learnt("L2P", tmp_path, given, pull=0.0) for given in ([], [PromptPool()]))
    assert same(plain[-1], pooled[-1])
    assert not same(plain[-1], learnt("L2P", tmp_path, [PromptPool()])[-1])


@needs_extra
@every
def test_the_penalty_is_the_weighted_mean_of_the_prompts(name: str, tmp_path: Path) -> None:
    learner, strategy, data = classifier(name, tmp_path), PromptPool(), images()
    strategy.attach(learner)
    prompts: Any = learner.network.prompts
    prompts.begin(0)
    batch = data.draw(data.stream.experiences[0], "train", range(4)).gather(torch.device("cpu"))
    batch.weight[:] = torch.tensor([1.0, 2.0, 0.0, 1.0])
    step = Step(batch, learner.meta_parameters(), None, torch.zeros(4), Position(0, n_tasks=4))
    found = strategy.penalty(learner, step, runner=TaskRunner())
    each = prompts.penalty(learner.network.query(batch.query_x[:, 0]))  # type: ignore[operator]
    assert found is not None
    torch.testing.assert_close(found, (each[0] + 2 * each[1] + each[3]) / 4)


@needs_extra
@every
def test_a_finished_stream_that_goes_on_equals_the_longer_one(name: str, tmp_path: Path) -> None:
    make = partial(classifier, name, tmp_path / "model")
    whole = learn(make(), images(3), [PromptPool()], tmp_path / "whole")
    learn(make(), images(2), [PromptPool()], tmp_path / "parts")
    last = tmp_path / "parts/checkpoints/last.ckpt"
    check_equal(whole, learn(make(), images(3), [PromptPool()], tmp_path / "parts", last))


@needs_extra
@every
@pytest.mark.filterwarnings(
    "ignore:.*when using `ckpt_path`.*", "ignore:.*returned `None`.*", "ignore:.*in eval mode.*"
)
def test_a_run_killed_amid_an_experience_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    class Kill(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            if trainer.global_step == 5:  # the second of the second experience
                trainer.save_checkpoint(tmp_path / "five.ckpt")
                raise KeyboardInterrupt

    def trainer(*callbacks: Any) -> L.Trainer:
        quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        return L.Trainer(
            **quiet, num_sanity_val_steps=0, accelerator="cpu", devices=1, max_epochs=-1, default_root_dir=tmp_path,
            enable_checkpointing=False, callbacks=[StreamCheckpoint(), *callbacks],
        )  # fmt: skip

    whole = module_of(classifier(name, tmp_path / "model"), [PromptPool()])
    trainer().fit(whole, datamodule=images())
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(Kill()).fit(module_of(classifier(name, tmp_path / "model"), [PromptPool()]), datamodule=images())
    resumed = module_of(classifier(name, tmp_path / "model"), [PromptPool()])
    trainer().fit(resumed, datamodule=images(), ckpt_path=tmp_path / "five.ckpt", weights_only=True)
    assert same(weights(whole.learner), weights(resumed.learner))
    prompts: Any = resumed.learner.network.prompts
    assert prompts.experience == 2


@needs_extra
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@every
def test_a_stream_of_images_is_learnt_with_a_memory_too(name: str, precision: Any, tmp_path: Path) -> None:
    strategies = [PromptPool(), ERACE(budget=Budget(examples=12))]
    learner = classifier(name, tmp_path)
    data = images(2, steps_per_experience=20, n_eval_examples=None)
    evaluator = fit(module_of(learner, strategies), data, precision=precision)
    assert np.isfinite(evaluator.matrix()).all()
    assert evaluator.matrix()[0, 0].mean() > 0.3  # of four classes


@needs_extra
def test_a_stream_longer_than_there_are_prompts_for_is_refused(tmp_path: Path) -> None:
    learner = classifier("DualPrompt", tmp_path, n_experiences=2)
    with pytest.raises(ValueError, match=r"has prompts for 2 experiences, and another one begins"):
        fit(module_of(learner, [PromptPool()]), images(3))


@needs_extra
def test_prompts_by_experience_need_the_strategy_and_boundaries(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"add strategies.PromptPool to --strategies"):
        fit(module_of(classifier("CODAPrompt", tmp_path), []), images(2))
    faded = ExampleDataModule(
        [Images(2)], classes="all", fade=0.5, batch_size=4, steps_per_experience=2, split=(0.2, 0.2)
    )
    with pytest.raises(ValueError, match=r"PromptPool needs the boundaries"):
        fit(module_of(classifier("CODAPrompt", tmp_path), [PromptPool()]), faded)
    fit(module_of(classifier("L2P", tmp_path), [PromptPool()]), faded)


def test_a_network_without_prompts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"PromptPool trains the prompts of a network, and MLP has none"):
        PromptPool().attach(make_classifier())
