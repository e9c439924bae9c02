"""Figures of a run: the accuracy matrix as a heat map, and the score of every domain over the stream or over steps.

Figures are made without pyplot: they change no global state, open no window, and are freed when they are no longer
used.
Matplotlib is imported where it is used, so that runs without plots do not import it.
"""

from lifelong.evaluation.plots.adaptation import adaptation_curve_figure
from lifelong.evaluation.plots.curves import forgetting_curves_figure
from lifelong.evaluation.plots.heat_map import accuracy_matrix_figure
from lifelong.evaluation.plots.moments import moments_figure
from lifelong.evaluation.plots.side_by_side import results_figure
from lifelong.evaluation.plots.style import COLOURS, save_figure, title_above

__all__ = [
    "COLOURS",
    "accuracy_matrix_figure",
    "adaptation_curve_figure",
    "forgetting_curves_figure",
    "moments_figure",
    "results_figure",
    "save_figure",
    "title_above",
]
