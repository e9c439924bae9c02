"""What held-out examples are answered with decides whether a query is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import lifelong
from datamodules import ExampleDataModule, Glyphs
from lifelong.compute.runner import TaskRunner
from lifelong.learners import Classifier, StreamingRidge
from lifelong.networks import MLP
from lifelong.training.confidences import Confidences
from lifelong.utilities.checkpoint_file import read_checkpoint
from strategies import Replay

QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
STYLES = ["strokes", "textures"]


def test_the_threshold_lets_95_percent_of_the_answers_through() -> None:
    confidences, largest = Confidences(), torch.rand(401, generator=torch.Generator().manual_seed(0)) / 2 + 0.5
    for part in torch.stack([largest, 1 - largest], 1).split(100):
        confidences.add(0, part)
    confidences.add(1, torch.tensor([[0.5, 0.5]]))
    threshold = confidences.threshold({0: 401}, TaskRunner())
    assert threshold == pytest.approx(largest.quantile(0.05).item())
    assert confidences.threshold({0: 400, 1: 1}, TaskRunner()) < threshold
    assert confidences.threshold({0: 401, 2: 5}, TaskRunner()) is None
    confidences.clear()
    assert confidences.threshold({0: 401}, TaskRunner()) is None


def data(styles: list[str] = STYLES, **options: Any) -> ExampleDataModule:
    source = Glyphs(styles=styles, n_classes=4, n_examples=30, image_size=8)
    return ExampleDataModule([source], steps_per_experience=40, **options)


def inputs(stream: ExampleDataModule, domain: int) -> torch.Tensor:
    drawn = stream.draw_for_evaluation("val", domain, range(stream.n_eval_units("val", domain)))
    return drawn.gather(torch.device("cpu")).query_x[:, 0]


@pytest.mark.parametrize("learner", ["Classifier", "StreamingRidge"])
def test_a_checkpoint_knows_what_it_is_sure_of(learner: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    network = MLP(n_inputs=64, hidden=[32], n_outputs=8)
    stream, made = data(), Classifier(network) if learner == "Classifier" else StreamingRidge(network)
    strategies = [Replay()] if learner == "Classifier" else []
    run = lifelong.fit(made, stream, strategies=strategies, run="runs/a", **QUIET)
    model = lifelong.load("runs/a/checkpoints/last.ckpt").model
    held_out = torch.cat([inputs(stream, domain) for domain in range(2)])
    answers = model.predict(held_out)
    # The quantile of the very examples: 95 % of them are known.
    assert sum(answers.known or []) == len(answers) - math.ceil(0.05 * (len(answers) - 1))
    sure = answers.probabilities.amax(1)
    assert answers.far.argsort(stable=True).tolist() == (-sure).argsort(stable=True).tolist()
    assert run.model.predict(held_out[:9]).known == answers.known[:9]


def test_no_checkpoint_has_the_threshold_of_fewer_classes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    learner = Classifier(MLP(n_inputs=64, hidden=[8], n_outputs=12))
    # After the second experience the first domain is not evaluated.
    lifelong.fit(learner, data(styles=[*STYLES, "silhouettes"], evaluate_every=3), run="runs/a", **QUIET)
    kept = {file.name: read_checkpoint(file)["lifelong"] for file in Path("runs/a/checkpoints").glob("*.ckpt")}
    assert {name: "confidence" in told for name, told in kept.items()} == {
        "experience-01.ckpt": False,
        "experience-02.ckpt": True,
        "last.ckpt": True,
    }


def test_nothing_is_calibrated_on_test_examples(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    run = lifelong.fit(
        Classifier(MLP(n_inputs=64, hidden=[8], n_outputs=8)), data(evaluate_on="test"), run="runs/a", **QUIET
    )
    assert run.model.predict(torch.zeros(2, 1, 8, 8)).known is None
