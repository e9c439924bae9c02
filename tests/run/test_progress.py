"""The bar names what is learnt and what is evaluated."""

from __future__ import annotations

import lightning as L
import pytest

from lifelong.run.progress import StreamProgress
from tests.toys import make_learner, toy_data


class Watched:
    """A bar that keeps its descriptions."""

    def __init__(self, told: list[str]) -> None:
        self.told, self.total, self.n, self.initial, self.disable = told, 0, 0, 0, False

    def set_description(self, text: str) -> None:
        self.told.append(text)

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: None


@pytest.mark.filterwarnings("ignore")
def test_experiences_and_domains_are_named() -> None:
    told: list[str] = []
    bar = StreamProgress()
    for kind in ("sanity", "train", "validation", "test"):
        setattr(bar, f"init_{kind}_tqdm", lambda: Watched(told))
    settings: dict[str, object] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    trainer = L.Trainer(**settings, callbacks=[bar], max_epochs=-1, num_sanity_val_steps=-1)  # type: ignore[arg-type]
    data, learner = toy_data(2, steps_per_experience=1), make_learner("ProtoNet")
    trainer.fit(learner, data)
    trainer.test(learner, data, verbose=False)
    named = [text for text in dict.fromkeys(told) if "DataLoader" not in text and "Epoch" not in text]
    assert named == [
        "Before learning: domain 0 (1/2)",
        "Before learning: domain 1 (2/2)",
        "Experience 1/2 domain 0",
        "Evaluating: domain 0 (1/2)",
        "Evaluating: domain 1 (2/2)",
        "Experience 2/2 domain 1",
        "Testing: domain 0 (1/2)",
        "Testing: domain 1 (2/2)",
    ]
