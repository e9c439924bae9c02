"""The whole comparison: its rows, its reference, and that every format shows the same numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from lifelong.evaluation.compared import Procedure
from lifelong.evaluation.comparison import Comparison, compare_methods
from lifelong.evaluation.grouping import grouped
from lifelong.evaluation.results import Results
from tests.toy_runs import config_of, make_run, two_rows

STRATEGIES = ("EWC", "Replay", None)


def comparison(against: str | None = None, **setting: object) -> Comparison:
    rng = np.random.default_rng(0)
    runs = [
        make_run(
            *two_rows((rng.random((2, 60)) < 0.5 + 0.2 * place).astype(float).tolist()),
            name=f"{strategy}-{seed}",
            config=config_of(seed, strategy),
            **setting,
        )
        for place, strategy in enumerate(STRATEGIES)
        for seed in (0, 1)
    ]
    return compare_methods(grouped(runs), against=against, metrics={"worst_domain": worst_domain})


def worst_domain(results: Results) -> float:
    return float(100 * results.matrix[-1].min())


def test_every_method_but_one_has_a_difference() -> None:
    found = comparison()
    assert [row.label for row in found.rows] == ["EWC", "Replay", "no strategy"]
    assert found.against == "EWC"
    assert [difference.label for difference in found.differences] == ["Replay", "no strategy"]
    assert found.difference("EWC") is None
    last = found.difference("no strategy")
    assert last is not None
    assert last.value == pytest.approx(
        found.rows[2].estimates["average_score"].value - found.rows[0].estimates["average_score"].value
    )
    least = min(found.differences, key=lambda difference: difference.p)
    assert 0 < least.adjusted_p == pytest.approx(2 * least.p)  # of two comparisons
    assert found.config_differences["strategies"] == {"EWC": "EWC", "Replay": "Replay", "no strategy": "none"}


def test_the_reference_is_chosen_by_label_or_run() -> None:
    for against in ("no strategy", "None-1", "runs/None-0"):
        found = comparison(against)
        assert found.against == "no strategy"
        assert [row.label for row in found.rows] == ["EWC", "Replay", "no strategy"]
        assert [difference.label for difference in found.differences] == ["EWC", "Replay"]
    with pytest.raises(ValueError, match="no method 'no stratgy' to compare with: did you mean 'no strategy'"):
        comparison("no stratgy")
    with pytest.raises(ValueError, match="known are 'EWC', 'Replay', 'no strategy'"):
        comparison("xyz")


def test_the_same_comparison_has_the_same_numbers() -> None:
    assert str(comparison()) == str(comparison())


def test_text_has_what_the_numbers_are() -> None:
    text = comparison().to_text(width=250)
    assert "Accuracy in % on 4 test tasks a domain, 5-way 1-shot." in text
    assert "interval by Student's t, over seeds." in text
    assert "on the same 120 evaluation units, averaged over seeds; 95 % interval by percentile bootstrap" in text
    assert "(9,999 resamples, seed 0), corrected for 2 comparisons by Holm's method." in text
    for head in ("average", "forgetting", "backward", "worst", "memory", "time", "difference from", "(Holm)"):
        assert head in text
    assert "forward" in text.splitlines()[-1]  # that there is none


def test_every_format_shows_the_same_numbers() -> None:
    found = comparison()
    average = found.rows[0].estimates["average_score"].scaled(100)
    assert average.text(1) in found.to_text(200)
    assert f"| EWC | 2 | {average.text(1)} |" in found.to_markdown()
    assert f"EWC & $2$ & ${average.text(1)}$".replace("±", r"\pm") in found.to_latex()
    assert f'<td style="text-align: right">{average.text(1)}</td>' in found._repr_html_()
    row = next(csv.DictReader(io.StringIO(found.to_csv())))
    assert float(row["average_score"]) == found.rows[0].estimates["average_score"].value
    assert float(row["average_score_half_width"]) == found.rows[0].estimates["average_score"].half_width
    assert repr(found) == "Comparison('EWC', 'Replay', 'no strategy')"


def test_csv_has_every_number_of_a_difference() -> None:
    found = comparison()
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert rows[0]["difference"] == rows[0]["against"] == ""
    difference = found.differences[0]
    assert [float(rows[1][name]) for name in ("difference", "difference_low", "difference_high", "p", "p_holm")] == [
        difference.value,
        difference.low,
        difference.high,
        difference.p,
        difference.adjusted_p,
    ]
    assert (rows[1]["n_units"], rows[1]["seeds"], rows[1]["against"]) == ("120", "0, 1", "EWC")
    assert rows[1]["forward_transfer"] == ""


def test_a_cell_without_a_difference_says_why() -> None:
    runs = [make_run(name="a"), make_run(name="b", config=config_of(strategy=None), split_hash="x")]
    found = compare_methods(grouped(runs))
    for text in (found.to_text(200), found.to_markdown(), found.to_latex(), found._repr_html_()):
        assert "n/a: another split" in text
        assert "not comparable with" in text
    assert list(csv.DictReader(io.StringIO(found.to_csv())))[1]["no_difference_because"] == "another split"


def test_scores_that_are_no_shares_are_not_in_percent() -> None:
    text = comparison(percent=False, score="return").to_text(200)
    assert "Return on 4 test tasks" in text
    assert "return ↑" in text
    assert "in %" not in text


def test_one_method_alone_is_a_table_without_differences() -> None:
    runs = [make_run(name=str(seed), config=config_of(seed)) for seed in (0, 1)]
    found = compare_methods(grouped(runs))
    assert found.differences == ()
    assert "difference" not in found.to_text(200)
    assert found.to_csv().count("\n") == 1


@pytest.mark.parametrize(("kind", "words"), [("t", "by Student's t over"), ("bca", "by BCa bootstrap over")])
def test_the_interval_is_named(kind: str, words: str) -> None:
    runs = grouped([make_run(), make_run(config=config_of(strategy=None))])
    found = compare_methods(runs, procedure=replace(Procedure(), interval=kind))  # type: ignore[arg-type]
    assert words in found.to_text(300)


def test_a_hostile_label_is_escaped_in_html() -> None:
    found = compare_methods({"<script>": [make_run()], "b": [make_run()]})
    assert "<script>" not in found._repr_html_()
