"""What all figures share: texts that can be read, and files that are whole."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from lifelong.evaluation.plots import accuracy_matrix_figure, forgetting_curves_figure, save_figure
from lifelong.evaluation.plots import style as module_style
from lifelong.evaluation.plots.style import title_lines
from tests.evaluation.plots.figures import (
    averaged_heat_map,
    averages_of,
    boxes_of,
    curves,
    heat_map,
    matrix_of,
    overlapping,
    visible_texts,
)


@pytest.mark.parametrize("make", [heat_map, averaged_heat_map, curves])
@pytest.mark.parametrize(
    ("n_rows", "n_domains", "joint"),
    [
        (1, 1, False),
        (1, 5, True),
        (1, 5, False),
        (4, 4, False),
        (10, 10, False),
        (16, 16, False),
        (3, 7, False),
        (30, 30, False),
        (50, 50, False),
        (1, 50, True),
        (70, 130, False),
    ],
)
def test_no_text_overlaps_or_leaves_the_figure(
    make: Callable[..., Figure], n_rows: int, n_domains: int, joint: bool
) -> None:
    figure = make(matrix_of(n_rows, n_domains), joint=joint)
    boxes = boxes_of(figure)
    assert len(boxes) >= min(n_rows, 20) + 2  # beyond, not every cell has a name
    assert overlapping(boxes) == 0
    page = figure.bbox
    assert all(b.x0 > -1 and b.y0 > -1 and b.x1 < page.x1 + 1 and b.y1 < page.y1 + 1 for b in boxes)


def test_the_overlap_check_can_fail() -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "Latin")
    figure.text(0.51, 0.5, "Greek")
    assert overlapping(boxes_of(figure)) == 1


@pytest.mark.parametrize("is_heat_map", [True, False])
def test_names_are_never_formulas_or_hidden(is_heat_map: bool) -> None:
    names = ["$a$b", r"$\frac$", "_hidden", "100%"]
    matrix, style = matrix_of(4, 4), {"title": "$x_$y", "score_name": "score"}
    if is_heat_map:
        figure = accuracy_matrix_figure(matrix, None, names, names, **style, percent=False)
    else:
        averages = averages_of(matrix, None)
        figure = forgetting_curves_figure(matrix, None, names, names, averages, **style, percent=False)
    boxes = boxes_of(figure)  # a formula that cannot be parsed would raise here
    legend = figure.axes[0].get_legend()
    if legend is not None:
        assert [text.get_text().replace(r"\$", "$") for text in legend.get_texts()][1:] == names
    assert overlapping(boxes) == 0


@pytest.mark.parametrize("n_domains", [5, 16, 50])
def test_texts_can_be_read_at_the_width_of_a_page(n_domains: int) -> None:
    # A page of 830 pixels: capitals of 5 pixels are the least that can be told apart.
    for make in (averaged_heat_map, curves):
        figure = make(matrix_of(n_domains, n_domains))
        pixels_per_point = 830 / figure.get_figwidth() / 72
        smallest = min(text.get_fontsize() for text in visible_texts(figure))
        assert smallest * pixels_per_point * 0.73 > 4.2, (make, figure.get_size_inches())


def test_lines_of_a_title_stay_apart() -> None:
    assert title_lines("birds: ProtoNet, Replay\nGlyphs, 5-way", 8) == ["birds: ProtoNet, Replay", "Glyphs, 5-way"]
    assert title_lines("birds: ProtoNet, Replay\nGlyphs", 1.8) == ["birds: ProtoNet,", "Replay", "Glyphs"]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_figures_are_saved_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "missing" / f"matrix{suffix}"
    figure = heat_map(matrix_of(2, 2))
    save_figure(figure, path)
    assert path.read_bytes().lstrip()[:5].startswith((b"\x89PNG", b"%PDF", b"<?xml"))
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert figure.axes == []


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "matrix.png"
    path.write_text("old")
    with path.open() as reader:
        save_figure(heat_map(matrix_of(2, 2)), path)
        assert reader.read() == "old"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "matrix.png"
    path.write_text("old")

    def fail_halfway(figure: Figure, target: Path, **_: object) -> None:
        assert target.parent == path.parent, "a rename is atomic within a folder only"
        assert target != path
        target.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail_halfway)
    with pytest.raises(OSError, match="disk full"):
        save_figure(heat_map(matrix_of(2, 2)), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="docx"):
        save_figure(heat_map(matrix_of(2, 2)), tmp_path / "matrix.docx")
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_waits_until_it_is_needed() -> None:
    code = "import sys, lifelong.evaluation.plots, lifelong.evaluation.results; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pyplot_is_never_used() -> None:
    code = (
        "import sys; from lifelong.evaluation.results import Results; from lifelong.evaluation.setting import Setting;"
        "import numpy as np; results = Results(Setting(('a', 'b'), ('a', 'b')), {'score': [np.eye(2)] * 2});"
        "figures = [results.plot(), results.plot_matrix(), results.plot_curves()];"
        "sys.exit('matplotlib.pyplot' in sys.modules or len(figures) != 3)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_notebooks_show_figures() -> None:
    picture = heat_map(matrix_of(2, 2))._repr_png_()  # type: ignore[attr-defined]
    assert picture.startswith(b"\x89PNG")


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_style)
    assert result.attempted >= 1
    assert result.failed == 0
