"""Figures are what plotly knows, and show all there is to see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.evaluation.plots.style import COLOURS
from lifelong.pages.curves import average_curve, domain_curves
from lifelong.pages.end_labels import apart
from lifelong.pages.heat_map import colour_limits, heat_map
from lifelong.pages.view import view_of
from tests.pages.drawn import drawn, in_one_row


@pytest.mark.parametrize("n", [1, 2, 5, 7, 30])
@pytest.mark.parametrize("draw", [heat_map, domain_curves, average_curve], ids=lambda draw: draw.__name__)
def test_plotly_knows_every_property(draw: Any, n: int) -> None:
    import plotly.graph_objects as go

    drawing = draw(view_of(drawn(n)))
    assert len(go.Figure(drawing).data) == len(drawing["data"]) > 0
    go.Figure(draw(view_of(in_one_row(drawn(n), joint=True))))


def test_few_domains_have_colours_and_many_share_one() -> None:
    few, many = (domain_curves(view_of(drawn(n))) for n in (6, 7))
    assert {trace["line"]["color"] for trace in few["data"]} == set(COLOURS[:6])
    assert {trace["line"]["color"] for trace in many["data"]} == {"var(--faint)"}
    assert [few["layout"]["meta"]["highlight"], many["layout"]["meta"]["highlight"]] == [False, True]


def test_a_curve_begins_where_its_domain_is_learnt() -> None:
    results = drawn(7)
    for j, trace in enumerate(domain_curves(view_of(results))["data"]):
        assert trace["x"] == list(range(j + 1, 8))
        np.testing.assert_allclose(trace["y"], 100 * results.matrix[j:, j])
    dotted = [t for t in domain_curves(view_of(drawn(3)))["data"] if t["line"]["dash"] == "dot"]
    assert [trace["x"] for trace in dotted] == [[1, 2], [1, 2, 3]]


def test_labels_at_the_ends_do_not_cover_each_other() -> None:
    for n in (6, 20, 50):
        layout = domain_curves(view_of(drawn(n)))["layout"]
        pixels = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
        places = sorted(label["y"] * pixels for label in layout["annotations"])
        assert len(places) == min(n, 20) if n <= 20 else len(places) == 10
        assert np.diff(places).min() >= 14 - 1e-6
    assert apart([5.0, 6.0, 7.0], 10, 100) == [5.0, 15.0, 25.0]


def test_numbers_stand_out_in_their_cells() -> None:
    drawing = heat_map(view_of(drawn(5)), limits=(0.0, 100.0))
    colours = np.array(drawing["data"][-1]["textfont"]["color"]).reshape(5, 5)
    learnt = np.tril(np.ones((5, 5), bool))
    assert set(colours[learnt]) == {"#000000"}  # scores of 80 to 90
    assert set(colours[~learnt]) == {"var(--text)"}


def test_equal_scores_have_a_colour_scale() -> None:
    low, high = colour_limits([np.full((2, 2), 50.0)])
    assert low < 50 < high
    assert colour_limits([np.full((1, 1), np.nan)]) == (0.0, 1.0)
