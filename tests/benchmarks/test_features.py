"""The suite of frozen features: both loops compute the same, and a table says whether the aims are met."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.performance import features
from benchmarks.performance.suite import Row, Settings
from benchmarks.performance.tables import TABLES
from tests.vision.stand_ins import EfficientNetLite

CPU = torch.device("cpu")


def test_the_bare_loop_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))
    network, x = EfficientNetLite(16), torch.randint(0, 256, (70, 3, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(features.bare(network, x, CPU), features._encode(network, x, CPU))


def test_a_row_has_both_speeds_and_both_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "NETWORKS", {"small": lambda: EfficientNetLite(16), "other": lambda: 1 / 0})
    [row] = features.measure(Settings(quick=True, only=("small",)), lambda what: None)
    assert (row["setup"], row["images"]) == ("small", 130)
    assert min(row["first"] + row["bare"] + row["share"] + row["seconds"]) > 0
    torch.testing.assert_close(row["share"][0], row["first"][0] / row["bare"][0])


@pytest.mark.parametrize(
    ("share", "second", "verdict"), [(0.9, 0.1, "met"), (0.9, 0.2, "missed"), (0.7, 0.1, "missed")]
)
def test_the_table_tells_whether_the_aims_are_met(share: float, second: float, verdict: str) -> None:
    row: Row = {"setup": "a", "images": 10, "first": [1.0] * 3, "bare": [1.0] * 3, "share": [share] * 3}
    (table,) = TABLES["features"]
    assert table.markdown([row | {"seconds": [12.0, second]}]).endswith(f"0.8 and 100 times, {verdict} |")
