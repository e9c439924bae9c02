"""Times and bytes of a forecast, added up by hand."""

from __future__ import annotations

import pytest

from lifelong.run.forecast import Costs, Forecast
from lifelong.run.kept_bytes import KeptBytes


def test_seconds_are_the_sum_of_all_parts() -> None:
    forecast = Forecast(
        learner="ProtoNet (MLP)", strategies=(), experiences=("a", "b", "c"), examples=("1", "2", "3"), steps=10,
        units="4 tasks", domains=("a", "b", "c"), eval_units=(5, 6, 7), rows=((0, 1, 2), (0, 1)),
        parameters=1, trained=1,
        n_bytes={"parameters": 4}, kept=(KeptBytes("EWC", (3000, 3000)),),
        budgets={}, device="cpu", plan="one after the other", folder="runs/a",
        costs=Costs(first_step=1.0, later_step=2.0, end=3.0, unit=0.5), notes=("a note",),
    )  # fmt: skip
    assert forecast.training_seconds == 10 * 1 + 2 * 10 * 2 + 3 * 3
    assert forecast.evaluation_seconds == pytest.approx(0.5 * (18 + 11))
    text = str(forecast)
    assert "estimated time: 1:14, of which 0:59 training and 0:14 evaluation" in text
    assert "EWC 3.0 kB after the first experience, 3.0 kB after the second, about 3.0 kB in the end" in text
    assert "none, plain fine-tuning" in text
    assert text.endswith("  a note")
