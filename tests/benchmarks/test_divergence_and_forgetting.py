"""Divergence beside forgetting, from runs of two methods."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.divergence_and_forgetting import main, measure
from lifelong.evaluation.results import Results
from lifelong.evaluation.setting import Setting


def save_run(folder: Path, kept: float, divergences: list[float]) -> Path:
    folder.mkdir(parents=True)
    rows = [[np.ones(4), np.zeros(4)], [np.full(4, kept), np.ones(4)]]
    Results(Setting(("a", "b"), ("a", "b"), score="accuracy", percent=True), {"score": rows}).save(folder)
    content = {"unit": "nats", "experiences": {name: [v, 0.1] for name, v in zip("ab", divergences, strict=True)}}
    (folder / "divergence_test.json").write_text(json.dumps(content))
    return folder


def test_methods_are_means_over_seeds_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        save_run(tmp_path / "none-0", 0.25, [9.0, 2.0]),
        save_run(tmp_path / "none-1", 0.75, [9.0, 4.0]),
        save_run(tmp_path / "EWC-strong-0", 1.0, [9.0, 0.5]),
    ]
    found = measure(runs)
    assert list(found) == ["none", "EWC-strong"]
    assert found["none"].divergence.value == pytest.approx(3.0)  # the first experience forgets nothing
    assert found["none"].forgetting.value == pytest.approx(0.5)
    assert found["none"].divergence.half_width == pytest.approx(12.706, rel=1e-3)  # of 2 ± 1, t with one degree
    assert found["EWC-strong"].forgetting.value == pytest.approx(0.0)
    assert found["EWC-strong"].divergence.half_width == pytest.approx(0.1)  # of one run, over its units
    main([*map(str, runs), "--picture", str(tmp_path / "both.png")])
    assert "none: divergence 3.000" in capsys.readouterr().out
    assert (tmp_path / "both.png").read_bytes()[1:4] == b"PNG"


def test_a_run_without_the_callback_is_named(tmp_path: Path) -> None:
    folder = save_run(tmp_path / "none-0", 0.5, [1.0, 1.0])
    (folder / "divergence_test.json").unlink()
    with pytest.raises(ValueError, match="none-0 has no divergence: train it with"):
        measure([folder])
