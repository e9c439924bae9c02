"""What all pages share: their frame, plotly's script inside, and files that replace nobody else's."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelong.utilities.files import as_json, write_whole
from lifelong.utilities.versions import installed_version

GENERATOR = '<meta name="generator" content="lifelong '
"""By what a page of ours is known again."""
HEAD = 4096
"""So many characters of a page hold that line."""


def render(template: str, **content: Any) -> str:
    """Fill in a template; text is escaped, and figures become data that no text in them can break out of.

    Args:
        template: its name in ``templates``.
        content: what it takes.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # `compare` prints most of its tables without it

    environment = Environment(
        loader=PackageLoader("lifelong.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = as_json  # JSON has no word for NaN
    version = installed_version("lifelong")
    return environment.get_template(template).render(**content, version=version, plotly=plotly_script())


@functools.cache
def plotly_script() -> str:
    """Return plotly.js, as the Python package has it; it has no ``</script>`` in it."""
    file = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return file.read_text(encoding="utf-8")


def write_page(path: str | Path, text: str) -> Path:
    """Write a page whole; one that was written before is replaced, and no other file.

    Args:
        path: of the file.
        text: of the page.

    Returns:
        ``path``.

    Raises:
        ValueError: when a file is there that is no page of ours.
    """
    path = Path(path)
    if path.exists() and not is_page(path):
        raise ValueError(f"{path} is there already and is no page that lifelong wrote, so it stays: name another file")
    return write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def is_page(path: Path) -> bool:
    """Return whether a file is a page that was written here."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return GENERATOR in file.read(HEAD)


def figure(name: str, title: str, drawing: Mapping[str, Any], caption: str, key: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the template takes for a figure.

    Args:
        name: its id on the page, which is the same each time.
        title: what it shows, in a few words, also for those who do not see it.
        drawing: ``data`` and ``layout`` of plotly.js; ``meta`` of the layout says how the page treats it.
        caption: a sentence on how it is read.
        key: what the numbers stand for that a figure has where there is no room for names.
    """
    return {"name": name, "title": title, "drawing": drawing, "caption": caption, "key": key}
