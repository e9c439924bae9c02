"""A run that stops in the middle of an experience and goes on from its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from tests.toys import module_of


class SaveAt(L.Callback):
    """Saves a checkpoint after one optimizer step."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Before the next step begins."""
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def fit_twice(
    make_learner: Callable[[], Learner],
    make_data: Callable[[], StreamDataModule],
    make_strategies: Callable[[], Sequence[Strategy]],
    folder: Path,
    step: int,
    **settings_of_module: Any,
) -> list[tuple[Learner, Evaluator]]:
    """A whole run, and one that goes on from the whole one's checkpoint of a step in the middle of an experience.

    The module takes further settings, such as an ``optimizer``, by keyword.
    """
    runs: list[tuple[Learner, Evaluator]] = []
    path = folder / "middle.ckpt"
    for resumed in (False, True):
        learner, evaluator = make_learner(), Evaluator(None)
        module = module_of(learner, make_strategies(), **settings_of_module)
        settings: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = L.Trainer(
            **settings,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            default_root_dir=folder,
            callbacks=[evaluator] if resumed else [evaluator, SaveAt(step, path)],
        )
        trainer.fit(module, datamodule=make_data(), ckpt_path=path if resumed else None)
        runs.append((learner, evaluator))
    return runs
