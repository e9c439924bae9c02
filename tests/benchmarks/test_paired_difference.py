"""The difference of two methods on the same units, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.paired_difference import difference, main
from lifelong.evaluation.intervals import t_quantile
from lifelong.evaluation.results import Results
from lifelong.evaluation.setting import Setting


def results(*rows: list[list[float]]) -> Results:
    return Results(Setting(("a", "b")[: len(rows[0])], ("a", "b")), {"score": [np.array(row) for row in rows]})


def test_units_are_paired_and_domains_weigh_alike() -> None:
    first = [results([[1.0, 1, 0, 1], [1, 1, 1, 1]]), results([[1.0, 1, 1, 1], [1, 1, 1, 1]])]
    second = [results([[0.0, 1, 0, 1], [1, 1, 1, 1]]), results([[0.0, 1, 0, 1], [1, 1, 1, 1]])]
    found = difference(first, second)
    of_units = np.array([1, 0, 0.5, 0])  # over both seeds; the second domain has no difference
    assert found.value == pytest.approx(of_units.mean() / 2)
    expected = t_quantile(3) * of_units.std(ddof=1) / 2 / 2  # of four units, and halved with the mean
    assert found.half_width == pytest.approx(float(expected))


def test_only_the_last_row_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = results([[0.0, 0, 0], [0, 0, 0]], [[1.0, 1, 0], [1, 1, 1]])
    second = results([[1.0, 1, 1], [1, 1, 1]], [[1.0, 0, 0], [1, 1, 1]])
    for name, of_name in (("one", first), ("two", second)):
        (tmp_path / name).mkdir()
        of_name.save(tmp_path / name)
    main(["--first", str(tmp_path / "one"), "--second", str(tmp_path / "two")])
    assert capsys.readouterr().out.startswith("16.7 ±")


def test_what_cannot_be_paired_is_refused() -> None:
    run = results([[1.0, 0]])
    with pytest.raises(ValueError, match="found 1 runs to compare with 2"):
        difference([run], [run, run])
    with pytest.raises(ValueError, match="were not judged on the same units"):
        difference([run], [results([[1.0, 0], [1, 1]])])
