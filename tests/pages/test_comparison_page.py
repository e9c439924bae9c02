"""The page of a comparison has its table, one colour scale for what is comparable, and fronts of what is best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifelong.cli.compare import compare
from lifelong.evaluation.comparison import compare_methods
from lifelong.evaluation.comparison_sheet import sheet
from lifelong.pages.comparison_page import comparison_html, is_number, sort_value
from lifelong.pages.pareto import SECONDS, cost_axis, front
from tests.pages.compared import compared, run
from tests.pages.drawn import Page


@pytest.mark.parametrize("n", [1, 2, 5, 50])
def test_the_table_is_that_of_the_comparison(n: int) -> None:
    comparison = compared(n=n)
    page = Page(comparison_html(comparison))
    table = sheet(comparison.rows, comparison.differences, comparison.against)
    assert page.tables["methods"] == [list(table.heads), *map(list, table.rows)]
    options = page.tables["config-differences"]
    assert options[0] == ["option", *(row.label for row in comparison.rows)]
    assert [row[0] for row in options[1:]] == list(comparison.config_differences)


def test_comparable_methods_share_a_colour_scale() -> None:
    comparison = compared(apart=True)
    page = Page(comparison_html(comparison))
    scales = [(figure["data"][0]["zmin"], figure["data"][0]["zmax"]) for figure in _matrices(page)]
    beside = [np.mean([run.matrix for run in row.runs], 0) for row in comparison.rows[:4]]
    assert scales[:4] == [pytest.approx((100 * min(m.min() for m in beside), 100 * max(m.max() for m in beside)))] * 4
    assert scales[4] != scales[0]
    assert any("</script> is not drawn with the others: another part" in text for text in page.texts["p"])
    assert len(page.figures["averages"]["data"]) == 4


def test_without_comparable_methods_no_figure_shows_any_together() -> None:
    mixed = [run("none", part="val"), run("none", seed=1, part="test")]
    page = Page(comparison_html(compare_methods({"none": mixed, "EWC": [run("EWC", part="test")]})))
    assert list(page.figures) == ["matrix-0", "matrix-1"]
    assert sum("is not drawn with the others" in text for text in page.texts["p"]) == 2


def test_a_matrix_is_the_mean_over_seeds() -> None:
    comparison = compared()
    cells = _matrices(Page(comparison_html(comparison)))[1]["data"][0]
    np.testing.assert_allclose(cells["z"], 100 * np.mean([run.matrix for run in comparison.rows[1].runs], 0))
    assert "± " in cells["text"][0][0]


def test_captions_of_matrices_say_what_their_cells_show() -> None:
    page = Page(comparison_html(compared()))
    numbers = [trace for trace in _matrices(page)[1]["data"] if trace.get("mode") == "text"]
    assert not [text for trace in numbers for text in trace["text"] if "±" in text]
    captions = [text for text in page.texts["figcaption"] if text.startswith("Mean of 2 runs")]
    assert captions == ["Mean of 2 runs; point at a cell for its 95 % interval over seeds."] * 2


def test_joint_training_is_a_bound_and_no_part_of_the_front() -> None:
    page = Page(comparison_html(compared()))
    line, points = page.figures["bytes"]["data"]
    assert points["text"] == ["none", "Replay", "EWC", "joint"]
    assert points["marker"]["symbol"] == ["circle", "circle", "circle", "circle-open"]
    assert line["x"][:-1] == [points["x"][i] for i in (0, 2, 1)]  # none costs nothing, Replay is best
    assert page.figures["bytes"]["layout"]["xaxis"]["ticktext"][0] == "0"
    level = page.figures["averages"]["data"][3]
    assert level["x"] == [1, 4]
    assert level["y"][0] == level["y"][1]


def test_front_and_axis_take_every_cost() -> None:
    assert front([0, 0, 5, 5], [1.0, 2.0, 2.0, 3.0]) == [1, 3]
    assert front([], []) == []
    assert cost_axis([0.0, 0.0], str, SECONDS)[0] == [0.0, 0.0]
    assert cost_axis([103.0, 107.0], str, SECONDS)[1]["tickvals"] == [
        103.0,
        107.0,
    ]  # an axis without a tick says nothing
    places, ticks = cost_axis([0.0, 40.0, 2e6], str, SECONDS)
    assert places[0] == ticks["tickvals"][0] < min(places[1:])
    assert (np.diff(ticks["tickvals"]) > 0).all()


def test_every_figure_is_known_to_plotly() -> None:
    import plotly.graph_objects as go

    for n in (1, 5):
        figures: dict[str, Any] = Page(comparison_html(compared(n=n, apart=True))).figures
        assert {"bytes", "seconds", "differences", "matrix-4"} <= figures.keys()
        for drawing in figures.values():
            assert go.Figure(drawing).data


def test_cells_are_sorted_by_their_numbers() -> None:
    assert [sort_value(text) for text in ("42 kB", "2.7 MB", "3.2 min", "10 s")] == [42e3, 2.7e6, 192.0, 10.0]
    assert [sort_value(text) for text in ("", "n/a: another split", "-0.1 ± 0.7", "inf")] == [None, None, -0.1, np.inf]
    assert is_number(["1.0 ± 0.1", "n/a", ""])
    assert not is_number(["Replay, examples=160", "2"])
    assert not is_number(["", "n/a"])


def test_the_same_comparison_gives_the_same_bytes() -> None:
    assert comparison_html(compared()) == comparison_html(compared())


def test_compare_writes_the_page_and_replaces_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("none", "Replay"):
        (tmp_path / name).mkdir()
        run(name).results.save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    compare(["none", "Replay", "--output", "comparison.html", "--n_resamples", "99"])
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "written: comparison.html" in capsys.readouterr().out
    assert Page(page).tables["methods"][1][0] == "no strategy"
    with pytest.raises(ValueError, match="is there already"):
        compare(["none", "Replay", "--output", "comparison.html"])


def _matrices(page: Page) -> list[Any]:
    return [figure for name, figure in page.figures.items() if name.startswith("matrix-")]
