"""Hooks of mkdocs: generated pages, links to repository files, and ``llms.txt``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page as SitePage

from docs.generate.contents import filled
from docs.generate.links import to_site
from docs.generate.llms import Link, first_sentence, llms_text
from docs.generate.notebooks import without_fetching
from docs.generate.pages import Page, generated_pages

ROOT = Path(__file__).parents[2]


@event_priority(100)  # before the plug-in that renders notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and complete the navigation."""
    written = {file.src_uri: file.content_string for file in files.documentation_pages()}
    origins = {place: f"docs/{place}" for place in written}
    for page in generated_pages(ROOT, written):
        files.append(_file(page, config))
        origins[page.place] = page.origin
    config.extra["origins"] = origins
    config.nav = filled(config.nav or [], origins)
    return files


def _file(page: Page, config: MkDocsConfig) -> File:
    if page.text is not None:
        return File.generated(config, page.place, content=page.text)
    if page.origin.endswith(page.place):  # the notebook plug-in needs a file in a folder
        folder = ROOT / page.origin.removesuffix(page.place)
        return File(page.place, str(folder), config.site_dir, config.use_directory_urls)
    return File.generated(config, page.place, abs_src_path=str(ROOT / page.origin))


def on_page_markdown(markdown: str, page: SitePage, config: MkDocsConfig, files: Files) -> str:
    """Convert links to repository files to links to their pages."""
    place = page.file.src_uri
    return markdown if place.endswith(".ipynb") else to_site(markdown, config.extra["origins"][place], place)


def on_page_content(html: str, page: SitePage, config: MkDocsConfig, files: Files) -> str:
    """Remove external resources from notebooks."""
    return without_fetching(html) if page.file.src_uri.endswith(".ipynb") else html


def on_env(env: Any, config: MkDocsConfig, files: Files) -> None:
    """Write ``llms.txt`` after all pages have been read."""
    sections = [(title, [_link(files, place) for place in places]) for title, places in _sections(config.nav or [])]
    text = llms_text(config.site_name, config.site_description or "", sections)
    target = Path(config.site_dir) / "llms.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def _sections(nav: list[Any]) -> Iterator[tuple[str, list[str]]]:
    """Return the sections of the navigation with the paths of their pages."""
    for entry in nav:
        if isinstance(entry, dict):
            [(title, inner)] = entry.items()
            yield title, list(_places(inner))


def _places(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from _places(inner)


def _link(files: Files, place: str) -> Link:
    file = files.get_file_from_path(place)
    assert file is not None
    assert file.page is not None
    text = file.page.markdown or ""
    if place.endswith(".ipynb"):
        cells = json.loads(file.content_string)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    says = str(file.page.meta.get("description", "")) or first_sentence(text)
    return Link(str(file.page.title), file.url, says)
