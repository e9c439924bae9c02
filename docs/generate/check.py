"""Check a built site for dead links and external resources: ``python -m docs.generate.check site``."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "source": ("src", "srcset"),
    "embed": ("src",),
    "object": ("data",),
    "use": ("href",),
}
"""Tags and attributes whose targets a browser fetches automatically."""
FETCHED = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
"""Relations of links that a browser fetches automatically."""
FETCHING = {"mermaid": "its diagrams are drawn by a script from unpkg.com: take a picture"}
"""Classes of elements for which the theme's script fetches a resource."""
_ELSEWHERE = re.compile(r"(?:https?:)?//[\w.-]+\.\w+", re.I)
_NAMESPACE = re.compile(r"https?://www\.w3\.org\b", re.I)
"""Namespaces in scripts, such as that of SVG, from which nothing is fetched."""
_IN_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?\s*(?:https?:)?//[^)'\"\s]+", re.I)


@dataclass
class Document(HTMLParser):
    """Collect the links, resources and anchors of a page."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    scripts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Process a start tag."""
        self._tag = tag
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and FETCHED & set(values.get("rel", "").split()):
            self.loads.append(values.get("href", ""))
        self.loads += [values[name] for name in LOADED.get(tag, ()) if values.get(name)]
        self.scripts += [values["style"]] if _IN_STYLE.search(values.get("style", "")) else []
        for name, why in FETCHING.items():
            if name in values.get("class", "").split():
                self.problems.append(f"has an element of the class {name}, and {why}")
        if values.get("data-md-component") == "source":
            self.problems.append("shows facts of a repository, which are fetched: leave repo_url out of mkdocs.yml")

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        """Process an inline script or style."""
        if self._tag in ("script", "style"):
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Process an end tag."""
        self._tag = ""


def problems(site: Path) -> list[str]:
    """List dead links and external resources, each with its file.

    Args:
        site: folder of the built site.

    Raises:
        ValueError: when there is no site.
    """
    documents = {file.relative_to(site).as_posix(): _read(file) for file in sorted(site.rglob("*.html"))}
    if not documents:
        raise ValueError(f"there is no page in {site}: build the site first (make docs)")
    found = []
    for place, document in documents.items():
        texts = [*document.problems, *_loads(document), *_dead(site, place, document, documents)]
        found += [f"{place} {text}" for text in dict.fromkeys(texts)]
    for file in sorted(site.rglob("*.css")):
        place, text = file.relative_to(site).as_posix(), file.read_text(encoding="utf-8")
        found += [f"{place} loads {match[0]}" for match in _IN_STYLE.finditer(text)]
    return found


def _read(file: Path) -> Document:
    document = Document()
    document.feed(file.read_text(encoding="utf-8"))
    return document


def _loads(document: Document) -> Iterator[str]:
    """Return the external resources of a page, from its tags, styles and scripts."""
    yield from (f"loads {target}" for target in document.loads if _ELSEWHERE.match(target.strip()))
    for text in document.scripts:
        yield from (
            f"names {found[0]} in a script or style"
            for found in _ELSEWHERE.finditer(_NAMESPACE.sub("", text))
            if ":" in found[0]
        )


def _dead(site: Path, place: str, document: Document, documents: dict[str, Document]) -> Iterator[str]:
    for target in [*document.links, *document.loads]:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        path = _resolved(place, unquote(parts.path))
        if not (site / path).is_file():
            yield f"links to {target}, which is not there"
        elif parts.fragment and path in documents and unquote(parts.fragment) not in documents[path].anchors:
            yield f"links to {target}, and there is no such anchor"


def _resolved(place: str, path: str) -> str:
    """Return the target file of a link; links that start with a slash are relative to the root."""
    if not path:
        return place
    joined = path.lstrip("/") if path.startswith("/") else posixpath.join(posixpath.dirname(place), path)
    whole = posixpath.normpath(joined)
    return (
        posixpath.join(whole, "index.html").removeprefix("./") if path.endswith(("/", ".")) or whole == "." else whole
    )


def main(arguments: list[str]) -> None:
    """Print the problems of a site, and exit with code 1 if there are any."""
    found = problems(Path(arguments[0] if arguments else "site"))
    print("\n".join(found) or "every link leads somewhere, and nothing is loaded from elsewhere")
    sys.exit(bool(found))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"error: {error}")
