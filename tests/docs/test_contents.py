from __future__ import annotations

from typing import Any

from docs.generate.catalogue import methods
from docs.generate.contents import filled


def flat(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [place for inner in (nav.values() if isinstance(nav, dict) else nav) for place in flat(inner)]


def test_methods_are_all_in_the_contents() -> None:
    places = flat(filled([{"Methods": ["methods/*"]}], []))
    assert places == ["methods/index.md", *(method.page for method in methods())]


def test_project_has_the_pages_that_there_are() -> None:
    nav = filled([{"Project": ["project/*"]}], ["project/a.md", "project/security.md", "project/changelog.md", "b.md"])
    assert nav == [{"Project": ["project/changelog.md", "project/security.md", "project/a.md"]}]


def test_folder_begins_with_its_index() -> None:
    places = ["results/domains.md", "results/index.md", "guides/a.md", "results/robots.md"]
    nav = filled([{"Results": ["results/*"]}], places)
    assert nav == [{"Results": ["results/index.md", "results/domains.md", "results/robots.md"]}]


def test_sections_that_are_written_out_stay() -> None:
    nav = ["index.md", {"Guides": ["a.md", {"B": "b.md"}, {"More": ["more/*"]}]}, {"C": "c.md"}]
    assert filled(nav, []) == ["index.md", {"Guides": ["a.md", {"B": "b.md"}]}, {"C": "c.md"}]
