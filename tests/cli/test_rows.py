"""Rows of help: one line each, and the value is never cut away."""

from __future__ import annotations

import pytest

from lifelong.cli.rows import Row, lay_out, shown_value

TEXT = "how much of it is kept from one experience to the next; with nothing, all is forgotten at once and for ever"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_row_is_one_line_that_ends_in_its_value(width: int) -> None:
    (line,) = lay_out([Row("--kept INT", TEXT, "100")], width=width)
    assert line.endswith(" [100]")
    assert len(line) <= width


def test_a_whole_row_has_all_of_its_text() -> None:
    lines = lay_out([Row("--kept INT", TEXT, "100")], whole=True, width=60)
    assert len(lines) > 1
    assert " ".join(" ".join(lines).split()) == f"--kept INT {TEXT} [100]"


def test_a_clause_is_kept_whole_where_it_fits() -> None:
    (line,) = lay_out([Row("--kept INT", TEXT)], width=80)
    assert line.endswith("from one experience to the next")


def test_a_default_is_cut_with_what_it_is() -> None:
    (line,) = lay_out([Row("--film FILE", f"path of the film. Default: {TEXT}")], width=60)
    assert line.endswith("  path of the film")


@pytest.mark.parametrize(
    "default", ["0, 1, and the size of tasks", "1 for cosine, 10 for others", "by: year and class"]
)
def test_a_default_is_whole_or_left_out(default: str) -> None:
    text = f"sizes of the curve. Default: {default}"
    shown = {lay_out([Row("--sizes", text)], width=width)[0].split(maxsplit=1)[1] for width in range(32, 80)}
    assert shown == {"sizes of the curve", text}


def test_a_label_is_cut_with_what_it_names() -> None:
    (line,) = lay_out([Row("--scenario", f"which classes compete in the softmax. class: {TEXT}")], width=72)
    assert line.endswith("compete in the softmax")


def test_a_list_has_no_second_brackets() -> None:
    assert lay_out([Row("--split", "", shown_value([1, 2]))], width=60)[0].endswith("  [1, 2]")
