"""Entries of a language model: the matrices of its LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.examples import ExampleDataModule
from lifelong.learners import Classifier
from lifelong.networks import Transformer
from lifelong.text import Tokens
from strategies import EASE, TUNA, AdapterBank
from tests.text.tiny import needs_extra, save_model
from tests.text.words import Words
from tests.toys import fit, module_of, weights


@needs_extra
@pytest.mark.parametrize("make", [AdapterBank, EASE, TUNA])
def test_every_experience_has_its_lora_and_the_model_stays(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    model = save_model(tmp_path / "model")
    torch.manual_seed(0)
    learner = Classifier(Transformer(model=model, trained="lora", lora_rank=2, n_outputs=8))
    before, strategy = weights(learner), make(frozen_from_start=True)
    data = ExampleDataModule(
        [Words(Tokens(model=model, max_length=8))], batch_size=8, steps_per_experience=4, split=(0.2, 0.2)
    )
    evaluator = fit(module_of(learner, [strategy]), data)
    n_experiences = len(data.stream.experiences)
    assert evaluator.results.matrix.shape == (n_experiences, n_experiences)
    after = weights(learner)
    assert all(torch.equal(before[name], after[name]) for name in before if ".head." not in name)
    assert all(".lora_" in key.replace("-", ".") for entry in strategy.entries for key in entry)
    assert all(any(value.any() for value in entry.values()) for entry in strategy.entries)
