"""The navigation of the site: entries of ``nav`` that end in ``/*`` are replaced by all pages of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from docs.generate.catalogue import methods
from docs.generate.links import PROJECT
from docs.generate.reference import reference_pages


def filled(nav: list[Any], places: Iterable[str]) -> list[Any]:
    """Return the navigation with every ``FOLDER/*`` replaced by its pages; empty sections are removed.

    Args:
        nav: the entry ``nav`` of ``mkdocs.yml``.
        places: paths of all pages.

    Example:
        >>> filled(["index.md", {"Notebooks": ["notebooks/*"]}], ["notebooks/a.ipynb"])
        ['index.md', {'Notebooks': ['notebooks/a.ipynb']}]
        >>> filled(["index.md", {"Notebooks": ["notebooks/*"]}], [])
        ['index.md']
    """
    there = list(places)
    whole: list[Any] = []
    for entry in nav:
        if isinstance(entry, str) and entry.endswith("/*"):
            whole += list(_folder(entry.removesuffix("/*"), there))
        elif isinstance(entry, dict) and isinstance(next(iter(entry.values())), list):
            [(title, inner)] = entry.items()
            if kept := filled(inner, there):
                whole.append({title: kept})
        else:
            whole.append(entry)
    return whole


def _folder(folder: str, places: list[str]) -> Iterator[Any]:
    """Return the pages of a folder in reading order."""
    if folder == "methods":
        yield from _methods()
    elif folder == "reference":
        yield from ("reference/index.md", *({page.title: page.page} for page in reference_pages()))
    else:
        first = [f"{folder}/index.md", *PROJECT.values()]
        there = [place for place in places if place.startswith(f"{folder}/")]
        yield from (place for place in first if place in there)
        yield from sorted(set(there) - set(first))


def _methods() -> Iterator[Any]:
    yield "methods/index.md"
    every = methods()
    for title, role in (("Learners", "learner"), ("Strategies", "strategy")):
        yield {title: [{method.name: method.page} for method in every if method.role == role]}
