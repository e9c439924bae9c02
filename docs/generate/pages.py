"""All generated pages of the site, by their paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from docs.generate.catalogue import methods
from docs.generate.files import file_page
from docs.generate.links import NOTEBOOKS, PROJECT, SHOWN, outward_links, site_place
from docs.generate.method_page import method_page
from docs.generate.methods_index import methods_index
from docs.generate.records import of_method, read_records
from docs.generate.reference import documented_paths, reference_index, reference_page, reference_pages


@dataclass(frozen=True)
class Page:
    """Store a page, or a file, of the site.

    Args:
        place: path among the sources of the site.
        origin: repository path to which its links are relative.
        text: text of the page; None for a file that is copied unchanged.
    """

    place: str
    origin: str
    text: str | None = None


def generated_pages(root: Path, written: Mapping[str, str]) -> list[Page]:
    """Generate the pages of a build: methods, reference, and repository files that pages link to.

    Args:
        root: root of the repository.
        written: texts of the pages in ``docs/``, by path.

    Raises:
        ValueError: when a page links to a file that does not exist.
    """
    made = [*_methods(root), *_reference(), *_project(root), *_notebooks(root)]
    return [*made, *_linked(root, [*made, *(Page(place, f"docs/{place}", text) for place, text in written.items())])]


def _methods(root: Path) -> list[Page]:
    documented, records, every = documented_paths(), read_records(root), methods()
    by_name = {m.name: of_method(records, m.name, is_learner=m.role == "learner") for m in every}
    n_rows = {name: len(rows) for name, rows in by_name.items()}
    index = _made("methods/index.md", methods_index(every, n_rows, documented))
    return [index, *(_made(m.page, method_page(m, by_name[m.name], documented)) for m in every)]


def _reference() -> list[Page]:
    pages = [_made(page.page, reference_page(page)) for page in reference_pages()]
    return [_made("reference/index.md", reference_index()), *pages]


def _project(root: Path) -> list[Page]:
    """Return the existing files at the root that become pages."""
    files = [(name, place, root / name) for name, place in PROJECT.items() if (root / name).is_file()]
    return [
        Page(place, name, file.read_text(encoding="utf-8") if file.suffix == ".md" else file_page(root, name))
        for name, place, file in files
    ]


def _notebooks(root: Path) -> list[Page]:
    files = [f"{NOTEBOOKS}/{file.name}" for file in sorted((root / NOTEBOOKS).glob("*.ipynb"))]
    return [Page(site_place(file), file) for file in files]


def _linked(root: Path, pages: list[Page]) -> list[Page]:
    """Return a page for each linked file that has none yet, and for the files linked from it."""
    there = {page.place for page in pages}
    links = {path for page in pages if page.text is not None for path in outward_links(page.text, page.origin)}
    found = []
    for path in sorted(links):
        if (place := site_place(path)) not in there:
            is_shown = (root / path).is_dir() or Path(path).suffix in SHOWN
            text = file_page(root, path) if is_shown else None
            found.append(Page(place, path, text))
    return found


def _made(place: str, text: str) -> Page:
    return Page(place, f"docs/{place}", text)
