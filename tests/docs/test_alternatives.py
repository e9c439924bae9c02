"""What the page on alternatives says of this project is so."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.blocks import DOCS

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
PAGE = (DOCS / "alternatives.md").read_text(encoding="utf-8")


def n_entry_points(group: str) -> int:
    section = PYPROJECT.read_text(encoding="utf-8").partition(f'[project.entry-points."{group}"]\n')[2]
    return len(re.findall(r"^\w+ = ", section.partition("\n\n")[0], flags=re.M))


def test_learners_and_strategies_are_counted() -> None:
    (counts,) = re.findall(r"(\d+) learners × (\d+) strategies", PAGE)
    assert tuple(map(int, counts)) == (n_entry_points("lifelong.learners"), n_entry_points("lifelong.strategies"))


def test_every_project_has_a_section_with_what_it_does_better() -> None:
    sections = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, flags=re.M | re.S))
    assert set(sections) == set(re.findall(r"^\| \[(.+?)\]\(#", PAGE, flags=re.M))
    for text in sections.values():
        assert "**Better than Lifelong:**" in text
        assert "**Take it**" in text
        assert re.search(r"https://github.com/[\w-]+/[\w-]+", text)
