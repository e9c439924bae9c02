"""The suite of answers: both loops answer the same, and the table says whether the aim is met."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.performance import answers
from benchmarks.performance.suite import Row, Settings
from benchmarks.performance.tables import TABLES


def test_the_bare_loop_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    files = answers.write_photos(tmp_path / "photos", 9)
    support = {"a": files[:2], "b": files[2:4]}
    model = answers.make_model(tmp_path / "photos")
    means = answers.class_means(model, support)
    found = answers.ask(model.adapt(support), files)
    expected = answers.bare(model.module.learner.network, means, files, torch.device("cpu"))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_row_has_both_speeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))
    [row] = answers.measure(Settings(quick=True), lambda what: None)
    assert row["photos"] == 10
    assert min(row["ours"] + row["bare"] + row["share"]) > 0
    torch.testing.assert_close(row["share"][0], row["ours"][0] / row["bare"][0])


@pytest.mark.parametrize(("share", "verdict"), [(0.8, "met"), (0.7, "missed")])
def test_the_table_tells_whether_the_aim_is_met(share: float, verdict: str) -> None:
    row: Row = {"setup": "a", "photos": 10, "ours": [1.0] * 3, "bare": [1.0] * 3, "share": [share] * 3}
    (table,) = TABLES["answers"]
    assert table.markdown([row]).endswith(f"0.8, {verdict} |")
