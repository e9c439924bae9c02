import doctest
import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType
from rich.table import Table

from lifelong.evaluation import metrics, tables
from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.tables import MEANINGS, matrix_table, metrics_table, row_line, shorten

NAMES = ["Latin", "Greek", "Tagalog"]
R = np.array([[0.80, 0.40, 0.30], [0.60, 0.70, 0.20], [0.50, 0.75, 0.90]])


def rendered(table: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def averages_of(matrix: Array, half_widths: Array | None, joint: bool = False) -> list[Estimate]:
    """Averages over the domains learnt so far, which are independent."""
    widths = np.full_like(matrix, np.nan) if half_widths is None else half_widths
    n_learnt = [matrix.shape[1] if joint else i + 1 for i in range(len(matrix))]
    return [
        Estimate(float(row[:n].mean()), float(np.sqrt((width[:n] ** 2).sum()) / n))
        for row, width, n in zip(matrix, widths, n_learnt, strict=True)
    ]


def table_of(
    matrix: Array, half_widths: Array | None, rows: list[str], columns: list[str], joint: bool = False, **more: Any
) -> Table:
    averages = averages_of(matrix, half_widths, joint)
    return matrix_table(matrix, half_widths, rows, columns, averages, percent=True, joint=joint, **more)


def headings(matrix: Array, half_widths: Array | None, names: list[str], width: int) -> list[str]:
    table = table_of(matrix, half_widths, names, names, width=width)
    return [str(column.header) for column in table.columns]


def test_a_line_shows_every_experience_so_far() -> None:
    line = row_line(1, 3, "Greek", R[1], Estimate(0.65, np.nan), NAMES, percent=True)
    assert line == "experience 2/3 'Greek' learnt │ Latin 60.0  Greek 70.0 │ average 65.0"


def test_a_line_has_the_interval_of_the_average() -> None:
    line = row_line(2, 3, "Tagalog", R[2], Estimate(0.7167, 0.01), NAMES, percent=True)
    assert line == "experience 3/3 'Tagalog' learnt │ Latin 50.0  Greek 75.0  Tagalog 90.0 │ average 71.7 ± 1.0"


def test_the_line_of_a_joint_run_shows_all_domains() -> None:
    line = row_line(0, 1, "all domains", R[2], Estimate(0.7167, np.nan), NAMES, percent=False, joint=True)
    expected = "Latin 0.500  Greek 0.750  Tagalog 0.900 │ average 0.717"
    assert line == f"experience 1/1 'all domains' learnt │ {expected}"


def test_the_line_of_a_stream_of_one_experience_is_no_joint_one() -> None:
    line = row_line(0, 1, "Latin", R[0], Estimate(0.8, np.nan), NAMES, percent=True)
    assert line == "experience 1/1 'Latin' learnt │ Latin 80.0 │ average 80.0"


@pytest.mark.parametrize(
    ("score", "text"), [(0.8731, "a 0.873"), (1.0, "a 1.000"), (-213.456, "a -213"), (0.001234, "a 0.00123")]
)
def test_plain_scores_show_three_significant_digits(score: float, text: str) -> None:
    line = row_line(0, 2, "a", np.array([score, 9.0]), Estimate(score, np.nan), ["a", "b"], percent=False)
    assert f"│ {text} │" in line


def test_a_line_shows_what_was_evaluated_and_nothing_else() -> None:
    scores, nothing = np.array([np.nan, 0.5, 0.25]), Estimate(np.nan, np.nan)
    line = row_line(1, 3, "b", scores, nothing, ["a", "b", "c"], percent=True)
    assert line == "experience 2/3 'b' learnt │ b 50.0 │ 1 of 2 domains evaluated"
    assert "n/a" not in line


def test_a_line_of_a_learner_without_a_score_says_so() -> None:
    line = row_line(1, 3, "b", np.full(3, np.nan), Estimate(np.nan, np.nan), ["a", "b", "c"], percent=True)
    assert line.endswith("│ a n/a  b n/a │ average n/a")


def test_a_line_names_unseen_domains_that_were_evaluated() -> None:
    average = Estimate(0.5, np.nan)
    line = row_line(0, 1, "a", np.array([0.5, 0.25]), average, ["a", "b"], percent=True, n_unseen=1)
    assert line.endswith("│ average 50.0 │ unseen: b 25.0")
    line = row_line(0, 1, "a", np.array([0.5, np.nan]), average, ["a", "b"], percent=True, n_unseen=1)
    assert line.endswith("│ average 50.0")


def test_a_line_names_the_newest_of_many_domains() -> None:
    scores, names = np.full(1000, np.nan), [f"d{i}" for i in range(1000)]
    scores[[700, 701]] = 0.5, 0.25
    nothing = Estimate(np.nan, np.nan)
    line = row_line(700, 1000, "x", scores, nothing, names, percent=True)
    assert line.endswith("│ d700 50.0 │ 1 of 701 domains evaluated")
    line = row_line(700, 1000, "x", np.full(1000, 0.5), Estimate(0.5, np.nan), names, percent=True)
    assert line.count(" 50.0") == 12 + 1
    assert "│ …  d689 50.0" in line


def test_long_matrices_show_both_ends() -> None:
    n, names = 300, [f"d{i}" for i in range(300)]
    matrix = np.tile(np.linspace(0, 1, n), (n, 1))
    lines = rendered(table_of(matrix, None, names, names, width=100), 100).splitlines()
    numbers = [line.split()[0] for line in lines if line.split() and line.split()[0].isdigit()]
    assert numbers == [str(i + 1) for i in (*range(20), *range(280, 300))]
    last = next(line for line in lines if line.startswith("300 "))
    assert last.split()[2] == "0.0"
    assert last.split()[-2:] == ["100.0", "50.0"]


def test_matrix_table_has_all_names_and_scores() -> None:
    text = rendered(table_of(R, R / 10, NAMES, NAMES, width=100), 100)
    assert "1 Latin    80.0 ± 8.0  40.0 ± 4.0  30.0 ± 3.0  80.0 ± 8.0" in text
    assert all(f"{100 * score:.1f} ± {10 * score:.1f}" in text for score in R.flat)
    assert headings(R, R / 10, NAMES, 100) == ["after", *NAMES, "average"]
    # 65.0 ± sqrt(6² + 7²) / 2 after two experiences
    assert "65.0 ± 4.6" in text


def test_matrix_table_of_a_joint_run_averages_over_all_domains() -> None:
    table = table_of(R[2:], None, ["all domains"], NAMES, joint=True, width=80)
    assert list(table.columns[-1].cells) == ["71.7"]
    stream = table_of(R[2:], None, ["Latin"], NAMES, width=80)
    assert list(stream.columns[-1].cells) == ["50.0"]


def test_intervals_go_first_and_names_next_when_it_gets_tight() -> None:
    long = ["Old Church Slavonic", "Mkhedruli (Georgian)", "Japanese (katakana)"]
    assert "±" in rendered(table_of(R, R / 10, long, long, width=120), 120)
    tight = table_of(R, R / 10, NAMES, NAMES, width=50)
    assert "±" not in rendered(tight, 50)
    assert headings(R, R / 10, NAMES, 50) == ["after", *NAMES, "average"]
    assert headings(R, R / 10, long, 60) == ["after", "1", "2", "3", "average"]


def test_more_than_twelve_columns_are_numbered() -> None:
    names = ["x" * (i + 1) for i in range(13)]
    assert headings(np.eye(13), None, names, 400)[1:-1] == [str(i + 1) for i in range(13)]
    assert headings(np.eye(12), None, names[:12], 400)[1:-1] == names[:12]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("n_domains", [1, 4, 12, 13, 30])
def test_lines_fit_the_terminal(n_domains: int, width: int) -> None:
    names = [f"Old Church Slavonic (Cyrillic) {i + 1}" for i in range(n_domains)]
    matrix = np.linspace(0.1, 1.0, n_domains**2).reshape(n_domains, n_domains)
    table = table_of(matrix, matrix / 10, names, names, width=width)
    lines = rendered(table, 1000).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    # Nothing was squeezed: the last row begins with its name and ends with its last score and its average.
    last = [cell for cell in lines[-1].split() if cell != "±"]
    assert last[0] == str(n_domains)
    assert f"{100 * matrix.flat[-1]:.1f}" in last
    assert ("…" in headings(matrix, None, names, width)) == (n_domains == 30 or (n_domains > 4 and width < 120))


def test_left_out_columns_are_in_the_middle() -> None:
    names = [f"domain {i + 1}" for i in range(30)]
    heads = headings(np.eye(30), None, names, 80)
    gap = heads.index("…")
    assert heads[1:gap] == [str(i + 1) for i in range(gap - 1)]
    assert heads[gap + 1 : -1] == [str(i + 1) for i in range(30)][-(len(heads) - gap - 2) :]


def test_names_are_not_markup() -> None:
    names = ["[bold]Latin", "[/red]", "[1]"]
    text = rendered(table_of(R, None, names, names, width=80, title="[test]"), 80)
    assert all(text.count(name) == 2 for name in names)
    assert "[test]" in text


def test_learnt_and_other_cells_are_told_apart() -> None:
    table = table_of(R, None, NAMES, NAMES, width=80)
    assert [cell.style for cell in table.columns[2].cells] == ["dim", "bold", ""]  # type: ignore[union-attr]


def test_metrics_table_shows_values_meanings_and_reasons() -> None:
    scores = np.repeat(R[..., None], 4, -1)
    table = metrics_table(metrics.summary(scores), metrics.reasons(scores), percent=True, score_name="accuracy")
    text = rendered(table, 100)
    lines = {name: next(line for line in text.splitlines() if name in line) for name in ("average", "forg", "forward")}
    assert " ".join(lines["average"].split()) == "average accuracy ↑ 71.7 ± 0.0 after the last experience"
    assert " ".join(lines["forg"].split()) == "forgetting ↓ 12.5 ± 0.0 best earlier accuracy minus the last"
    assert " ".join(lines["forward"].split()) == "forward transfer ↑ n/a no score of the untrained learner"


def test_an_estimate_with_a_reason_is_not_available() -> None:
    estimates = {"average_score": Estimate(0.5, 0.1), "forgetting": Estimate(np.nan, np.nan, "needs two experiences")}
    table = metrics_table(estimates, percent=True)
    assert [str(cell) for cell in table.columns[1].cells] == ["50.0 ± 10.0", "n/a"]
    assert str(list(table.columns[2].cells)[1]) == "needs two experiences"


def test_metrics_table_without_percent_shares_its_decimals() -> None:
    table = metrics_table({"average_score": Estimate(0.9, 0.01), "forgetting": Estimate(0.02, 0.003)}, percent=False)
    assert list(table.columns[1].cells) == ["0.900 ± 0.010", "0.020 ± 0.003"]


def test_every_metric_has_a_meaning() -> None:
    assert tuple(MEANINGS) == (*metrics.METRICS, "unseen_score")


def test_metrics_fit_a_line_each_in_eighty_columns() -> None:
    scores = np.repeat(R[..., None], 4, -1)
    untrained = np.zeros((3, 4))
    text = rendered(metrics_table(metrics.summary(scores, untrained), percent=True, score_name="accuracy"), 80)
    assert len([line for line in text.splitlines() if line.strip()]) == 2 + len(metrics.METRICS)


@pytest.mark.parametrize("length", [8, 15, 22])
def test_short_names_keep_their_ends(length: int) -> None:
    first, second = (shorten(f"Old Church Slavonic (Cyrillic) {i}", length) for i in (1, 2))
    assert len(first) == len(second) == length
    assert first != second
    assert shorten("x" * length, length) == "x" * length


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(tables)
    assert result.attempted > 5
    assert result.failed == 0


def test_a_table_says_what_a_missing_cell_is() -> None:
    missing = R.copy()
    missing[2, 0] = np.nan
    for matrix, is_said in ((R, False), (missing, True)):
        assert ("n/a: not evaluated" in rendered(table_of(matrix, None, NAMES, NAMES), 80)) == is_said
