"""What a person sees and does on the pages, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lifelong.evaluation.results import Results
from lifelong.pages.comparison_page import comparison_html
from lifelong.pages.report_page import report_html
from tests.pages.compared import compared, compared_sizes
from tests.pages.drawn import EVIL, drawn, in_one_row

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def point_at(page: Any, plot: str, x: float, y: float) -> str:
    """Point at a place of a figure, in the units of its axes, and return what is shown there."""
    page.locator(plot).scroll_into_view_if_needed()
    where = page.evaluate(
        """([plot, x, y]) => {
            const figure = document.querySelector(plot), { xaxis, yaxis } = figure._fullLayout;
            const box = figure.getBoundingClientRect();
            return [box.x + xaxis._offset + xaxis.d2p(x), box.y + yaxis._offset + yaxis.d2p(y)];
        }""",
        [plot, x, y],
    )
    page.mouse.move(where[0] - 3, where[1] - 3)
    page.mouse.move(*where)
    page.wait_for_selector(f"{plot} .hoverlayer .hovertext")
    return str(page.locator(f"{plot} .hoverlayer .hovertext").first.text_content())


def test_a_cell_says_its_score_where_one_points(show: Callable[..., Any]) -> None:
    results = drawn(5)
    page = show(report_html(results, "runs/birds"))
    text = point_at(page, "#matrix-plot", 1, 3)
    assert text.startswith("domain 2after 4 domain 4")
    assert f"accuracy (%): {100 * results.matrix[3, 1]:.1f} ± {100 * results.half_widths[3, 1]:.1f}" in text


def test_names_are_never_taken_for_html(show: Callable[..., Any]) -> None:
    results = drawn(2)
    names = (EVIL, "b")
    evil = Results(replace(results.setting, domains=names, experiences=names), results.rows)
    page = show(report_html(evil, "runs/birds"))
    assert page.title() == "ProtoNet with Replay – birds"
    assert EVIL in point_at(page, "#matrix-plot", 0, 0)
    assert page.locator("main b").filter(has_text="bold").count() == 0


def test_a_curve_among_many_stands_out(show: Callable[..., Any]) -> None:
    results = drawn(8)
    page = show(report_html(results))
    colours = "plot => plot.data.map(trace => trace.line.color)"
    before = page.eval_on_selector("#domains-plot", colours)
    assert "domain 3" in point_at(page, "#domains-plot", 4, 100 * results.matrix[3, 2])
    during = page.eval_on_selector("#domains-plot", colours)
    assert [i for i, (a, b) in enumerate(zip(before, during, strict=True)) if a != b] == [2]
    page.mouse.move(1, 1)
    page.wait_for_function(f"({colours})(document.querySelector('#domains-plot')).every((c, _, all) => c === all[0])")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("n", [5, 50])
def test_text_is_readable_on_narrow_screens(show: Callable[..., Any], n: int, scheme: str) -> None:
    page = show(report_html(drawn(n), "runs/birds"), width=400, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    text = page.evaluate("getComputedStyle(document.querySelector('#matrix-plot .ytick text')).fill")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = [sum(int(v) for v in colour.strip("rgb()").split(",")) for colour in (text, ground)]
    assert (light[0] > 600 and light[1] < 100) if scheme == "dark" else (light[0] < 100 and light[1] > 700)


def test_paper_is_white_and_shows_all(show: Callable[..., Any]) -> None:
    page = show(report_html(drawn(5), "runs/birds"), scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.querySelector('#matrix-plot .main-svg').getBoundingClientRect().width") == 690
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert page.evaluate("document.querySelector('#matrix-plot .main-svg').getBoundingClientRect().width") > 690


def test_the_command_is_copied(show: Callable[..., Any]) -> None:
    page = show(report_html(in_one_row(drawn(3), joint=True), "runs/birds"))
    page.click("button[data-copy]")
    page.wait_for_function("document.querySelector('button[data-copy]').textContent !== 'Copy'")
    assert page.evaluate("getSelection().toString()") in ("", "python -m lifelong fit --config runs/birds/config.yaml")


def test_the_table_is_sorted_and_filtered(show: Callable[..., Any]) -> None:
    page = show(comparison_html(compared(apart=True)))
    names = "rows => rows.filter(row => !row.hidden).map(row => row.cells[0].textContent)"

    def shown() -> list[str]:
        return list(page.eval_on_selector_all("#methods tbody tr", names))

    assert shown() == ["none", "Replay", "EWC", "joint", "</script>"]
    heading = page.locator("#methods thead button", has_text="average accuracy")
    heading.click()
    assert page.locator("#methods th[aria-sort=descending]").count() == 1
    best = shown()
    assert best[-1] == "</script>"
    heading.click()
    assert shown() == best[::-1]
    page.locator("#methods thead button", has_text="forgetting").click()
    assert shown()[-1] == "joint"  # what has no number comes last
    page.locator("#methods thead button", has_text="forgetting").click()
    assert shown()[-1] == "joint"
    page.fill("input[type=search]", "repl")
    assert shown() == ["Replay"]


def test_a_method_says_what_it_took(show: Callable[..., Any]) -> None:
    page = show(comparison_html(compared()), width=400, scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    x, y = page.evaluate("(({ x, y }) => [x[2], y[2]])(document.querySelector('#bytes-plot').data[1])")
    assert "40 kB" in point_at(page, "#bytes-plot", x, y)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_fits_a_phone(show: Callable[..., Any], scheme: str) -> None:
    page = show(comparison_html(compared_sizes()), width=390, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("bytes", "seconds"):  # whole, with numbers in place of names, and what they stand for
        assert (
            page.evaluate(f"(p => p.scrollWidth - p.clientWidth)(document.querySelector('#{name}-plot').parentNode)")
            <= 0
        )
        texts = page.locator(f"#{name}-plot .textpoint").all_text_contents()
        assert texts == [str(n) for n in range(1, 10)]
        assert page.locator(f"#{name} .key").is_visible()
        assert page.locator(f"#{name} .key li").nth(2).text_content() == "Replay, n_examples=300, lr=0.03"
    # The table scrolls within itself: what is said above it and the names of methods stay where they are.
    where = (
        "[...document.querySelectorAll('#methods caption span, #methods th:first-child')]"
        ".map(part => part.getBoundingClientRect()).map(box => [box.left, box.right])"
    )
    before = page.evaluate(where)
    assert all(0 <= left < right <= 390 for left, right in before)
    page.evaluate("document.querySelector('#methods').parentNode.scrollLeft = 300")
    assert page.evaluate("document.querySelector('#methods').parentNode.scrollLeft") == 300
    assert page.evaluate(where) == before


def test_names_stand_beside_points_where_there_is_room(show: Callable[..., Any]) -> None:
    page = show(comparison_html(compared_sizes(2)), width=1280)
    names = page.locator("#bytes-plot .textpoint").all_text_contents()
    assert [name[-7:] for name in names] == ["lr=0.01", "lr=0.02"]
    assert not page.locator("#bytes .key").is_visible()
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_selector("#bytes .key", state="visible")
    assert page.locator("#bytes-plot .textpoint").all_text_contents() == ["1", "2"]
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_selector("#bytes .key", state="hidden")
    assert page.locator("#bytes-plot .textpoint").all_text_contents() == names
