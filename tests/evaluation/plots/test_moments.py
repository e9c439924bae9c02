"""The scores of old domains at many moments."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from lifelong.evaluation.plots import moments_figure
from tests.evaluation.plots.figures import boxes_of, ends_of, names_of, overlapping


def figure_of(n_domains: int) -> Figure:
    names = names_of(n_domains)
    moments = {
        name: ([10 * i, 10 * i + 5], [[0.9 - 0.01 * j for j in range(i)]] * 2) for i, name in enumerate(names) if i
    }
    return moments_figure(moments, names, title="ProtoNet: old domains", score_name="accuracy", percent=True)


@pytest.mark.parametrize("n_domains", [2, 7, 8, 20])
def test_old_domains_are_named_in_a_legend_or_at_their_ends(n_domains: int) -> None:
    figure = figure_of(n_domains)
    axes, n_old = figure.axes[0], n_domains - 1
    legend = axes.get_legend()
    assert (legend is None) == (n_old > 6)
    assert len(ends_of(axes)) == (n_old if n_old > 6 else 0)
    names = {text.get_text() for text in (ends_of(axes) if legend is None else legend.get_texts())}
    assert len(names) == n_old
    assert overlapping(boxes_of(figure)) == 0
