import doctest
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lifelong.evaluation import plots
from lifelong.evaluation.metrics import Array
from lifelong.evaluation.plots import accuracy_matrix_figure, forgetting_curves_figure, save_figure
from lifelong.evaluation.tables import average_of_learnt

FIGURES = (accuracy_matrix_figure, forgetting_curves_figure)
TITLE = "prototypical network + replay: accuracy on 5-way 5-shot test tasks"
LONG_NAMES = ["Latin", "Old Church Slavonic (Cyrillic)", "Japanese_(katakana)", "Mkhedruli_(Georgian)"]


def names_of(n: int) -> list[str]:
    return [f"{LONG_NAMES[i % 4]} {i}" for i in range(n)]


def matrix_of(n_rows: int, n_domains: int) -> Array:
    return np.random.default_rng(0).uniform(0.4, 1.0, (n_rows, n_domains))


def heat_map(matrix: Array, *, joint: bool = False, widths: bool = True, percent: bool = True) -> Figure:
    rows, columns = names_of(len(matrix)), names_of(matrix.shape[1])
    half_widths = matrix / 50 if widths else None
    return accuracy_matrix_figure(
        matrix, half_widths, rows, columns, title=TITLE, score_name="accuracy", percent=percent, joint=joint
    )


def curves(matrix: Array, *, joint: bool = False, widths: bool = True) -> Figure:
    rows, columns = names_of(len(matrix)), names_of(matrix.shape[1])
    half_widths = matrix / 50 if widths else None
    return forgetting_curves_figure(
        matrix, half_widths, rows, columns, title=TITLE, score_name="accuracy", percent=True, joint=joint
    )


def draw(figure: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def tick_labels(axes: Axes) -> list[Text]:
    """Those that are drawn: an axis also keeps ticks beyond its limits."""
    labels = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        labels += [
            t for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high for t in (tick.label1, tick.label2)
        ]
    return labels


def visible_texts(figure: Figure) -> list[Text]:
    ticks = {
        id(t)
        for axes in figure.axes
        for tick in axes.xaxis.get_major_ticks() + axes.yaxis.get_major_ticks()
        for t in (tick.label1, tick.label2)
    }
    others = [t for t in figure.findobj(Text) if id(t) not in ticks]
    drawn = others + [label for axes in figure.axes for label in tick_labels(axes)]
    return [t for t in drawn if isinstance(t, Text) and t.get_visible() and t.get_text().strip()]


def overlapping(boxes: list[Bbox]) -> int:
    # Half a pixel: boxes that touch are no overlap.
    shrunk = [Bbox.from_extents(b.x0 + 0.5, b.y0 + 0.5, b.x1 - 0.5, b.y1 - 0.5) for b in boxes]
    return sum(a.overlaps(b) for a, b in combinations(shrunk, 2))


def cell_colours(axes: Axes) -> Array:
    return np.asarray(axes.images[0].get_array(), dtype=float)


def lines_of(axes: Axes, gid: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_gid() == gid]


@pytest.mark.parametrize("make", [heat_map, curves])
@pytest.mark.parametrize(
    ("n_rows", "n_domains", "joint"),
    [
        (1, 1, False),
        (1, 5, True),
        (1, 5, False),
        (4, 4, False),
        (10, 10, False),
        (16, 16, False),
        (30, 30, False),
        (70, 130, False),
    ],
)
def test_no_text_overlaps_or_leaves_the_figure(make: object, n_rows: int, n_domains: int, joint: bool) -> None:
    figure = (heat_map if make is heat_map else curves)(matrix_of(n_rows, n_domains), joint=joint)
    canvas = draw(figure)
    texts = visible_texts(figure)
    assert len(texts) >= min(n_rows, 20) + 2  # beyond, not every cell has a name
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    assert overlapping(boxes) == 0
    page = figure.bbox
    assert all(b.x0 > -1 and b.y0 > -1 and b.x1 < page.x1 + 1 and b.y1 < page.y1 + 1 for b in boxes)


def test_the_overlap_check_can_fail() -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "Latin")
    figure.text(0.51, 0.5, "Greek")
    canvas = draw(figure)
    assert overlapping([text.get_window_extent(canvas.get_renderer()) for text in visible_texts(figure)]) == 1


def test_heat_map_names_rows_columns_scale_and_title() -> None:
    figure = heat_map(matrix_of(4, 4))
    axes, scale = figure.axes
    shown = ["Latin 0", "Old Church S…rillic) 1", "Japanese_(katakana) 2", "Mkhedruli_(Georgian) 3"]
    assert [label.get_text() for label in axes.get_xticklabels()] == shown
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"after {name}" for name in shown]
    assert scale.get_ylabel() == "accuracy (%)"
    assert figure.get_suptitle().replace("\n", " ") == TITLE


def test_heat_map_has_a_number_and_an_interval_in_each_cell() -> None:
    matrix = np.array([[0.5, 0.25], [0.75, 1.0]])
    texts = [text.get_text() for text in heat_map(matrix).axes[0].texts]
    assert texts == ["50.0", "±1.0", "25.0", "±0.5", "75.0", "±1.5", "100.0", "±2.0"]
    plain = [text.get_text() for text in heat_map(matrix, widths=False, percent=False).axes[0].texts]
    assert plain == ["0.500", "0.250", "0.750", "1.000"]


@pytest.mark.parametrize(("n_domains", "n_texts"), [(10, 200), (11, 121), (20, 400), (21, 0)])
def test_heat_map_drops_what_could_not_be_read(n_domains: int, n_texts: int) -> None:
    assert len(heat_map(matrix_of(n_domains, n_domains)).axes[0].texts) == n_texts


def test_numbers_stand_out_against_their_cells() -> None:
    axes = heat_map(np.linspace(0, 1, 64).reshape(8, 8), widths=False).axes[0]
    colours = cell_colours(axes)
    for text in axes.texts:
        j, i = text.get_position()
        luminance = colours[int(i), int(j), :3] @ [0.2126, 0.7152, 0.0722]
        assert same_color(text.get_color(), "white" if luminance < 0.5 else "black")
    assert len({text.get_color() for text in axes.texts}) == 2


def test_domains_not_learnt_yet_are_paler_except_in_joint_training() -> None:
    matrix = np.full((3, 3), 0.7)
    colours = cell_colours(heat_map(matrix).axes[0])[..., :3]
    upper = np.triu(np.ones((3, 3), dtype=bool), k=1)
    assert colours[upper].min() > 0.7
    assert colours[~upper].min(-1).max() < 0.3  # every one of them, the diagonal included
    joint = cell_colours(heat_map(matrix[:1], joint=True).axes[0])[..., :3]
    assert np.allclose(joint, joint[0, 0])


def test_cells_that_were_not_evaluated_are_hatched_and_without_number() -> None:
    matrix = np.where(np.tri(4) > 0, matrix_of(4, 4), np.nan)
    figure = heat_map(matrix)
    axes = figure.axes[0]
    hatched = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert sorted((int(p.get_y() + 0.5), int(p.get_x() + 0.5)) for p in hatched) == list(combinations(range(4), 2))
    assert len(axes.texts) == 2 * 10
    draw(figure)


def test_heat_map_grows_with_the_matrix() -> None:
    sizes = [heat_map(matrix_of(n, n)).get_size_inches() for n in (4, 10, 16, 45)]
    assert all((small < large).all() for small, large in pairwise(sizes))


def test_large_heat_maps_stop_growing_and_leave_out_rows_that_are_not_whole() -> None:
    matrix = matrix_of(200, 200)
    matrix[np.arange(200) % 50 != 49] = np.nan
    figure = heat_map(matrix)
    assert (figure.get_size_inches() < 17).all()
    axes = figure.axes[0]
    assert cell_colours(axes).shape[:2] == (4, 200)
    assert not axes.patches
    assert [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks()] == [
        f"after {plots._label(names_of(200)[i])}" for i in (49, 99, 149, 199)
    ]


def test_of_many_domains_some_are_drawn_and_lines_join_what_was_evaluated() -> None:
    matrix = matrix_of(300, 300)
    matrix[np.arange(300) % 10 != 9] = np.nan
    axes = curves(matrix).axes[0]
    assert len(lines_of(axes, "learnt")) == plots.MAX_CURVES
    (average,) = lines_of(axes, "average")
    assert np.asarray(average.get_xdata()).tolist() == list(range(10, 301, 10))


def test_curves_have_one_line_per_domain_from_where_it_was_learnt() -> None:
    matrix = matrix_of(4, 4)
    axes = curves(matrix).axes[0]
    learnt = lines_of(axes, "learnt")
    assert len(learnt) == 4
    for j, line in enumerate(learnt):
        np.testing.assert_allclose(line.get_xdata(), np.arange(j + 1, 5))
        np.testing.assert_allclose(line.get_ydata(), 100 * matrix[j:, j])
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert [len(line.get_xdata()) for line in dotted] == [2, 3, 4]  # up to the row where it was learnt
    assert all(same_color(d.get_color(), s.get_color()) for d, s in zip(dotted, learnt[1:], strict=True))


def test_average_is_over_the_domains_learnt_so_far() -> None:
    matrix = matrix_of(4, 4)
    (average,) = lines_of(curves(matrix).axes[0], "average")
    np.testing.assert_allclose(average.get_ydata(), [100 * matrix[i, : i + 1].mean() for i in range(4)])
    assert average.get_linewidth() > 2
    assert same_color(average.get_color(), "black")


def test_unfinished_stream_draws_the_domains_to_come_dotted() -> None:
    axes = curves(matrix_of(2, 4)).axes[0]
    assert [len(line.get_xdata()) for line in lines_of(axes, "learnt")] == [2, 1, 0, 0]
    assert [len(line.get_xdata()) for line in axes.lines if line.get_linestyle() == ":"] == [2, 2, 2]


def test_intervals_are_bands_and_optional() -> None:
    matrix = matrix_of(4, 4)
    axes = curves(matrix).axes[0]
    assert len(axes.collections) == 1 + 3  # of the average and of each domain but the last, which is one point
    band = axes.collections[1].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.y0, band.y1], [(98 * matrix[:, 0]).min(), (102 * matrix[:, 0]).max()])
    draw(curves(matrix, widths=False))


@pytest.mark.parametrize("joint", [True, False])
def test_single_row_is_drawn_as_points_side_by_side(joint: bool) -> None:
    matrix = matrix_of(1, 5)
    axes = curves(matrix, joint=joint).axes[0]
    (average,) = lines_of(axes, "average")
    points = [p for p in axes.lines if p is not average and p.get_marker() in plots.MARKERS[:5] and len(p.get_xdata())]
    places = [float(np.asarray(point.get_xdata())[0]) for point in points]
    places.append(float(np.asarray(average.get_xdata())[0]))
    assert len(places) == 6
    assert np.diff(sorted(places)).min() > 0.1
    expected = average_of_learnt(100 * matrix, None, joint=joint)[0].value
    assert np.asarray(average.get_ydata())[0] == pytest.approx(expected)
    hollow = [p for p in points if same_color(p.get_markerfacecolor(), "white")]
    assert len(hollow) == (0 if joint else 4)


def test_legend_is_outside_and_tells_twelve_domains_apart() -> None:
    figure = curves(matrix_of(12, 12))
    axes = figure.axes[0]
    canvas = draw(figure)
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent(canvas.get_renderer()).x0 > axes.get_window_extent().x1
    assert [text.get_text() for text in legend.get_texts()][:3] == [
        "average of learnt",
        "Latin 0",
        "Old Church S…rillic) 1",
    ]
    looks = {(line.get_color(), line.get_marker()) for line in lines_of(axes, "learnt")}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 12


def test_thirteen_domains_share_a_colour_scale() -> None:
    figure = curves(matrix_of(13, 13))
    assert figure.axes[1].get_ylabel() == "domain, in the order of the stream"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["average of learnt"]
    assert len(figure.axes[0].collections) == 1  # the band of the average


@pytest.mark.parametrize("make", FIGURES)
def test_names_are_never_formulas_or_hidden(make: object) -> None:
    names = ["$a$b", r"$\frac$", "_hidden", "100%"]
    function = accuracy_matrix_figure if make is accuracy_matrix_figure else forgetting_curves_figure
    figure = function(matrix_of(4, 4), None, names, names, title="$x_$y", score_name="score", percent=False)
    canvas = draw(figure)  # a formula that cannot be parsed would raise here
    legend = figure.axes[0].get_legend()
    if legend is not None:
        assert [text.get_text().replace(r"\$", "$") for text in legend.get_texts()][1:] == names
    assert overlapping([t.get_window_extent(canvas.get_renderer()) for t in visible_texts(figure)]) == 0


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, -3.0])
def test_constant_scores_have_a_colour_scale(value: float) -> None:
    scale = heat_map(np.full((2, 2), value), percent=False).axes[1]
    low, high = scale.get_ylim()
    assert low < value < high


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
    code = "import sys, lifelong.evaluation.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pyplot_is_never_used() -> None:
    code = (
        "import sys, numpy as np; from lifelong.evaluation.plots import *; n = ['a', 'b'];"
        "f = [make(np.eye(2), None, n, n, title='t', score_name='s', percent=True)"
        " for make in (accuracy_matrix_figure, forgetting_curves_figure)];"
        "sys.exit('matplotlib.pyplot' in sys.modules or len(f) != 2)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(plots)
    assert result.attempted >= 4
    assert result.failed == 0
