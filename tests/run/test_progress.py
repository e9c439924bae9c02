"""The bar names what is learnt and what is evaluated."""

from __future__ import annotations

from typing import Any

import lightning as L
import pytest

from lifelong.run.progress import StreamProgress
from tests.toys import make_learner, module_of, toy_data


class Watched:
    """A bar that keeps its descriptions."""

    def __init__(self, told: list[str]) -> None:
        self.told, self.total, self.n, self.initial, self.disable = told, 0, 0, 0, False

    def set_description(self, text: str) -> None:
        self.told.append(text)

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: None


def descriptions(n_domains: int, *, tested: bool = False, **data_settings: Any) -> list[str]:
    """What the bar says while a stream is learnt."""
    told: list[str] = []
    bar = StreamProgress()
    for kind in ("sanity", "train", "validation", "test"):
        setattr(bar, f"init_{kind}_tqdm", lambda: Watched(told))
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    trainer = L.Trainer(**settings, callbacks=[bar], max_epochs=-1, num_sanity_val_steps=-1)
    data = toy_data(n_domains, steps_per_experience=1, **data_settings)
    module = module_of(make_learner("ProtoNet"))
    trainer.fit(module, data)
    if tested:
        trainer.test(module, data, verbose=False)
    return [text for text in dict.fromkeys(told) if "DataLoader" not in text and "Epoch" not in text]


@pytest.mark.filterwarnings("ignore")
def test_sparse_evaluations_count_the_domains_that_are_due() -> None:
    evaluated = [text for text in descriptions(3, evaluate_every=5) if text.startswith("Evaluating")]
    assert evaluated == [
        "Evaluating: domain 0 (1/2)",
        "Evaluating: domain 1 (2/2)",
        "Evaluating: domain 1 (1/2)",
        "Evaluating: domain 2 (2/2)",
        "Evaluating: domain 0 (1/3)",
        "Evaluating: domain 1 (2/3)",
        "Evaluating: domain 2 (3/3)",
    ]


@pytest.mark.filterwarnings("ignore")
def test_experiences_and_domains_are_named() -> None:
    assert descriptions(2, tested=True) == [
        "Before learning: domain 0 (1/2)",
        "Before learning: domain 1 (2/2)",
        "Experience 1/2 domain 0",
        "Evaluating: domain 0 (1/2)",
        "Evaluating: domain 1 (2/2)",
        "Experience 2/2 domain 1",
        "Testing: domain 0 (1/2)",
        "Testing: domain 1 (2/2)",
    ]
