"""The speed comparison of benchmarks/: what is counted, and what its tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks import speed_contenders, split_mnist_speed
from benchmarks.split_mnist_speed import Contender
from lifelong.data.domain import Domain
from lifelong.data.source import Source

STEPS = 3


class Digits(Source):
    """Noise with the shape of MNIST: 20 training and 10 test images of each class."""

    def domains(self) -> list[Domain]:
        x = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8)
        in_test = np.arange(300) >= 200
        return [Domain("digits", x, np.arange(300) % 10, list("0123456789"), holdout="examples", in_test=in_test)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source: Any = Digits()
    split_mnist_speed.write_idx(tmp_path, source)
    return tmp_path


def test_contenders_read_the_digits_in_pairs(root: Path) -> None:
    pairs = speed_contenders.experiences(root)
    assert [y.unique().tolist() for _, y in pairs] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert all(x.shape == (40, 1, 28, 28) and x.max() <= 1 for x, _ in pairs)


@pytest.mark.parametrize("name", ["plain", "plain-fused"])
def test_the_plain_loop_counts_all_experiences_but_the_first(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.optim.Optimizer] = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: made.append(self) or step(self))
    examples, seconds = speed_contenders.CONTENDERS[name](root, STEPS)
    assert {optimizer.defaults["fused"] for optimizer in made} == {True if name == "plain-fused" else None}
    assert examples == 4 * STEPS * 40  # a pass is one batch here
    assert seconds > 0


def test_every_contender_of_ours_is_measured(root: Path) -> None:
    rows = list(split_mnist_speed.contenders(root, STEPS, None))
    assert [row.name for row in rows] == ["plain loop", "plain loop, fused Adam", *split_mnist_speed.LIFELONG]
    for row in rows:
        assert split_mnist_speed.measure(row, root) > 0


def test_a_contender_that_fails_is_told(root: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)^broken failed with exit code 1: .*no such thing"):
        split_mnist_speed.measure(Contender("broken", ["python", "-c", "raise SystemExit('no such thing')"]), root)


def test_ratios_are_taken_within_a_repetition() -> None:
    speeds = {
        "plain loop": [100.0, 200.0, 50.0],
        "Lifelong fine-tuning": [90.0, 120.0, 45.0],
        "Lifelong EWC": [70.0] * 3,
    }
    console = Console(record=True, width=140)
    console.print(split_mnist_speed.speed_table(speeds), split_mnist_speed.ratio_table(speeds))
    text = console.export_text()
    assert "0.90 (0.60 – 0.90)" in text
    assert "0.78 (0.58 – 1.56)" in text
    assert text.count("met") == text.count("missed") == 1
    assert "100 (50 – 200)" in text


def test_avalanche_is_measured_twice_where_it_is_there(tmp_path: Path) -> None:
    names = [row.name for row in split_mnist_speed.contenders(tmp_path, STEPS, "python")]
    told = {name for ratio in split_mnist_speed.RATIOS for name in (ratio.name, ratio.than)}
    assert told == set(names)
