"""The numbers of the pages on the accuracy matrix are computed, and the diagrams are those that the script draws."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from lifelong.evaluation import metrics
from lifelong.evaluation.results import Results
from lifelong.evaluation.tables import row_line
from tests.docs.blocks import DOCS, PAGES

DIAGRAMS = runpy.run_path(str(DOCS / "pictures" / "diagrams.py"))
DEFAULT = DOCS.parent / "benchmarks" / "results" / "default"
"""Recorded runs of the default experiment: ``none`` and ``replay``."""
SESSIONS = [page for page in PAGES if "```pycon" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: page.stem)
def test_sessions_print_what_is_shown(page: Path) -> None:
    session = "\n".join(re.findall(r"^```pycon\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S))
    test = doctest.DocTestParser().get_doctest(session, {}, page.name, str(page), 0)
    assert len(test.examples) > 0
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_table_of_metrics_has_the_numbers_of_the_picture() -> None:
    scores = np.array(DIAGRAMS["MATRIX"], dtype=float)[:, :, None]
    found = metrics.summary(scores, np.full((3, 1), 20.0))
    text = (DOCS / "concepts.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `(\w+)` \| .* \| (-?\d+\.\d) \| (?:higher|lower) \|$", text, flags=re.M))
    assert shown == {name: f"{estimate.value:.1f}" for name, estimate in found.items() if estimate is not None}
    assert set(shown) == set(metrics.METRICS)


@pytest.mark.parametrize("name", DIAGRAMS["PICTURES"])
def test_diagrams_are_as_the_script_draws_them(name: str) -> None:
    assert (DOCS / "pictures" / name).read_text(encoding="utf-8") == DIAGRAMS["PICTURES"][name]()


def matrices(text: str) -> list[np.ndarray]:
    """The accuracy matrices of a page, as arrays of one unit."""
    tables = re.findall(r"^\| after .*\n\|[-|]+\n((?:\|.*\n)+)", text, flags=re.M)
    rows = [[row.split("|")[2:-1] for row in table.splitlines()] for table in tables]
    numbers = [[[float(cell.strip(" *")) for cell in row] for row in matrix] for matrix in rows]
    return [np.array(matrix)[:, :, None] for matrix in numbers]


def test_matrices_of_the_default_run_are_the_recorded_ones() -> None:
    text = (DOCS / "start" / "accuracy-matrix.md").read_text(encoding="utf-8")
    for shown, name in zip(matrices(text), ("none", "replay"), strict=True):
        recorded = Results.load(DEFAULT / name)
        assert shown[:, :, 0] == pytest.approx(100 * recorded.matrix, abs=0.0501)


def test_the_line_of_the_first_run_is_the_recorded_one() -> None:
    run = Results.load(DEFAULT / "replay")
    line = row_line(1, 5, run.experiences[1], run.matrix[1], run.averages[1], list(run.domains), percent=True)
    assert line in (DOCS / "start" / "first-run.md").read_text(encoding="utf-8").splitlines()


def test_prose_on_the_default_run_has_what_the_runs_print() -> None:
    text = (DOCS / "start" / "accuracy-matrix.md").read_text(encoding="utf-8")
    plain, replay = (Results.load(DEFAULT / name) for name in ("none", "replay"))

    def value(results: Results, name: str) -> str:
        return f"{results.metrics[name].scaled(100).value:.1f}".replace("-", "−")

    flat = re.sub(r"[\s`*]+", " ", text)
    of = lambda name: (value(plain, name), value(replay, name))  # noqa: E731
    for sentence in (
        "Without a strategy it is {}, with Replay {}.".format(*of("learning_score")),
        "/ 4, which is {} if computed before rounding, with Replay {}.".format(*of("forgetting")),
        "minus the bold one: {} and +{}.".format(*of("backward_transfer")),
        "Its mean is the average accuracy : {} without a strategy, {} with Replay .".format(*of("average_score")),
    ):
        assert sentence.replace(" :", ":").replace(" .", ".") in flat.replace(" :", ":").replace(" .", ".")


def test_the_glossary_is_in_alphabetical_order() -> None:
    terms = re.findall(r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text(encoding="utf-8"), flags=re.M)
    assert len(terms) >= 60
    assert terms == sorted(set(terms), key=str.lower)
