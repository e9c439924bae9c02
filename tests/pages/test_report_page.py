"""The page of a run says what its results say, is whole in itself, and lets no name do harm."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.results import SCORES, Results
from lifelong.pages import words
from lifelong.pages.report_page import report_html, write_report
from tests.pages.drawn import EVIL, Page, drawn, in_one_row


@pytest.mark.parametrize("n", [1, 2, 5, 50])
def test_the_table_has_the_numbers_of_the_results(n: int) -> None:
    results = drawn(n)
    rows = Page(report_html(results)).body("scores-table")
    assert len(rows) == n
    for i, row in enumerate(rows):
        means, widths = 100 * results.matrix[i], 100 * results.half_widths[i]
        estimates = [Estimate(float(mean), float(width)) for mean, width in zip(means, widths, strict=True)]
        assert row == [f"{i + 1} domain {i + 1}", *(e.text(1) for e in (*estimates, results.averages[i].scaled(100)))]


def test_the_heat_map_has_the_numbers_of_the_results() -> None:
    results = drawn(5)
    cells = Page(report_html(results)).figures["matrix"]["data"][0]
    np.testing.assert_allclose(cells["z"], 100 * results.matrix)
    score = Estimate(100 * results.matrix[3, 1], 100 * results.half_widths[3, 1])
    assert cells["text"][3][1] == (
        f"<b>domain 2</b><br>after 4 domain 4<br>accuracy (%): <b>{score}</b><br>learnt before"
    )
    assert cells["text"][3][3].endswith("just learnt")
    assert cells["text"][3][4].endswith("not learnt yet")


def test_nothing_of_the_page_lies_elsewhere() -> None:
    page = Page(report_html(drawn(3), "runs/birds"))
    links = [(tag, name) for tag, name, _ in page.attributes if name in ("src", "href", "srcset", "action", "poster")]
    assert links == []
    assert [value for tag, _, value in page.attributes if tag == "link" or "://" in value] == []
    [policy] = [value for _, name, value in page.attributes if name == "content" and "default-src" in value]
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"@import|url\(", "".join(page.texts["style"]))


def test_names_do_no_harm() -> None:
    results = drawn(2)
    names = (EVIL, "b")
    evil = Results(
        replace(results.setting, domains=names, experiences=names, learner=EVIL, config={EVIL: EVIL}),
        {"score": results.rows["score"], EVIL: results.rows["score"]},
    )
    text = report_html(evil, f"runs/{EVIL.replace('/', '')}")
    page = Page(text)
    assert text.count("</script>") == 2 + len(page.figures)
    assert page.body("scores-table")[0][0] == f"1 {EVIL}"
    assert "<b>bold" not in text
    [hover] = [page.figures["matrix"]["data"][0]["text"][0][0]]
    assert hover.startswith("<b>&lt;/script&gt;&lt;script&gt;")
    assert page.figures["measure-0"]["data"][0]["colorbar"]["title"]["text"].startswith("&lt;/script")


@pytest.mark.parametrize("folder", ["runs/birds", "runs/two words", ""], ids=lambda folder: folder or "no folder")
def test_the_same_results_give_the_same_bytes(folder: str, tmp_path: Path) -> None:
    results = drawn(3, seed=4)
    results.save(tmp_path)
    again = report_html(Results.load(tmp_path), folder)
    assert report_html(results, folder) == again == report_html(results, folder)
    (tmp_path / SCORES).unlink()
    assert report_html(Results.load(tmp_path), folder) == again  # results.json is enough


def test_the_command_can_be_copied_into_a_shell() -> None:
    assert "python -m lifelong fit --config &#39;runs/two words/config.yaml&#39;" in report_html(
        drawn(2), "runs/two words"
    )
    assert "--config" not in report_html(drawn(2))


def test_a_metric_that_is_missing_says_why() -> None:
    results = drawn(2)
    page = report_html(Results(results.setting, results.rows, None))
    assert "no score of the untrained learner" in page
    diverged = [row.copy() for row in results.rows["score"]]
    diverged[1][0, 2] = np.nan
    assert "the learner diverged" in report_html(Results(results.setting, {"score": diverged}))


def test_cells_that_were_not_evaluated_are_empty() -> None:
    results = drawn(3)
    rows = [row.copy() for row in results.rows["score"]]
    rows[1][0] = np.nan
    page = Page(report_html(Results(results.setting, {"score": rows})))
    cells = page.figures["matrix"]["data"][0]
    assert cells["z"][1][0] is None
    assert "not evaluated" in cells["text"][1][0]
    assert page.body("scores-table")[1][1] == "n/a"
    assert page.figures["average"]["data"][0]["x"] == [1, 3]
    assert any("Empty cells were not evaluated" in text for text in page.texts["figcaption"])


def test_domains_that_are_never_learnt_stand_apart() -> None:
    results = drawn(4)
    rows = results.rows["score"][:2]
    unseen = Results(
        replace(results.setting, n_unseen=2, experiences=results.domains[:2]), {"score": rows}, results.untrained
    )
    page = Page(report_html(unseen))
    cells, veil, edge, border, _ = page.figures["matrix"]["data"]
    assert cells["text"][1][3].endswith("never learnt, only evaluated")
    assert border["x"] == [1.5, 1.5]
    assert border["line"]["dash"] == "dot"
    assert (veil["fillcolor"], edge["x"]) == ("var(--veil)", [0.5, 0.5, 1.5, 1.5])
    assert "domain 3, domain 4" in page.texts["dd"]


@pytest.mark.parametrize("setting", [{"joint": True}, {"checkpoint": True}], ids=str)
def test_one_row_is_drawn_as_points(setting: dict[str, bool]) -> None:
    results = in_one_row(drawn(5), experiences=("one",), **setting)
    page = Page(report_html(results, "runs/a"))
    assert list(page.figures) == ["domains"]
    [points] = page.figures["domains"]["data"]
    np.testing.assert_allclose(points["x"], 100 * results.matrix[0])
    assert ("all domains are learnt at once" in str(page.texts)) == results.setting.joint
    assert ("--config" in str(page.texts)) == results.setting.joint


def test_returns_are_no_percent() -> None:
    results = drawn(2, percent=False, score="return")
    scaled = Results(results.setting, {"score": [1000 * row - 500 for row in results.rows["score"]]})
    page = Page(report_html(scaled))
    assert "%" not in str(page.texts["b"])
    assert page.body("scores-table")[0][1] == Estimate(scaled.matrix[0, 0], scaled.half_widths[0, 0]).text(0)
    assert page.figures["matrix"]["data"][0]["colorbar"]["title"]["text"] == "return"


def test_a_long_stream_says_what_is_not_drawn() -> None:
    page = Page(report_html(drawn(130)))
    assert np.shape(page.figures["matrix"]["data"][0]["z"]) == (60, 60)
    assert any("Drawn are 60 of 130 rows and 60 of 130 domains" in text for text in page.texts["figcaption"])
    assert page.figures["average"]["data"][0]["x"][-1] == 130
    assert len(page.body("domains-table")) == 130


def test_the_page_says_what_was_run() -> None:
    facts = dict(words.facts(drawn(2)))
    assert facts["Strategies"][0].name == "Replay"
    assert facts["Strategies"][0].does.startswith("Rehearse stored examples")
    assert "`" not in facts["Learner"][0].does
    assert facts["Evaluated on"][0].name == "the test part: 6 test tasks a domain"
    assert facts["Predictions"][0].name.startswith("inductive")
    assert dict(words.facts(drawn(2, transductive=True)))["Predictions"][0].name.startswith("transductive")
    assert dict(words.facts(drawn(2, strategies=())))["Strategies"][0].does.startswith("Plain fine-tuning")


def test_no_class_is_imported_but_installed_plugins() -> None:
    own = drawn(2, learner="Own", strategies=("Thing",), config={"strategies": [{"class_path": "antigravity.Thing"}]})
    assert dict(words.facts(own))["Strategies"][0].does == ""
    assert "antigravity" not in sys.modules


def test_only_a_page_is_replaced(tmp_path: Path) -> None:
    path = write_report(drawn(2), tmp_path)
    assert path == tmp_path / "report.html"
    before = path.read_bytes()
    assert write_report(drawn(2), tmp_path).read_bytes() == before
    path.write_text("a person's own", encoding="utf-8")
    with pytest.raises(ValueError, match="is no page that lifelong wrote"):
        write_report(drawn(2), tmp_path)
    assert path.read_text(encoding="utf-8") == "a person's own"
