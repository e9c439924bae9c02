"""What all pages share: their template, the embedded plotly script, and writing without replacing other files."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelong.utilities.files import as_json, write_whole
from lifelong.utilities.versions import installed_version

GENERATOR = '<meta name="generator" content="lifelong '
"""Tag by which lifelong's pages are recognised."""
HEAD = 4096
"""Number of characters at the start of a page that contain this tag."""


def render(template: str, **content: Any) -> str:
    """Render a template; text is escaped, and figures are embedded as data that their texts cannot break out of.

    Args:
        template: file name of the template in ``templates``.
        content: variables of the template.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # most tables of `compare` do not need it

    environment = Environment(
        loader=PackageLoader("lifelong.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = as_json  # JSON does not support NaN
    version = installed_version("lifelong")
    return environment.get_template(template).render(**content, version=version, plotly=plotly_script())


@functools.cache
def plotly_script() -> str:
    """Return plotly.js from the Python package; it does not contain ``</script>``."""
    file = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return file.read_text(encoding="utf-8")


def write_page(path: str | Path, text: str) -> Path:
    """Write a page atomically; it replaces an earlier page, but no other file.

    Args:
        path: path of the file.
        text: text of the page.

    Returns:
        ``path``.

    Raises:
        ValueError: when there is another file at this path.
    """
    path = Path(path)
    if path.exists() and not is_page(path):
        raise ValueError(f"{path} is there already and is no page that lifelong wrote, so it stays: name another file")
    return write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def is_page(path: Path) -> bool:
    """Return whether a file is one of lifelong's pages."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return GENERATOR in file.read(HEAD)


def figure(name: str, title: str, drawing: Mapping[str, Any], caption: str, key: Sequence[str] = ()) -> dict[str, Any]:
    """Return a figure for the template.

    Args:
        name: id of the figure on the page, which is always the same.
        title: short title, also for screen readers.
        drawing: ``data`` and ``layout`` of plotly.js. ``meta`` of the layout controls how the page treats the figure.
        caption: a sentence that explains the figure.
        key: explanation of the numbers that replace names where there is no room for names.
    """
    return {"name": name, "title": title, "drawing": drawing, "caption": caption, "key": key}
