"""Conversion of links between repository files to links that work on the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

PROJECT = {
    "CONTRIBUTING.md": "project/contributing.md",
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "CODE_OF_CONDUCT.md": "project/code_of_conduct.md",
    "LICENSE": "project/license.md",
}
"""Files at the root of the repository that are pages of the site."""
METHODS = {"lifelong/learners": "methods/index.md", "strategies": "methods/index.md"}
"""Folders of the repository whose classes have a page each on the site: a link to them leads to the index of these."""
NOTEBOOKS = "examples/notebooks"
SHOWN = (".py", ".yaml", ".yml", ".toml", ".txt", ".md", ".sh", ".cff", "")
"""Endings of files that become pages; other files are copied to the site."""
_CODE = re.compile(
    r"(^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)[`~]*[ \t]*$|(?P<tick>`+)(?!`).+?(?<!`)(?P=tick)(?!`))", re.M | re.S
)
_LINK = re.compile(r"(\]\(<?|^\[[^\]\n]+\]:\s+)([^)>\s]+)", re.M)
_IS_ELSEWHERE = re.compile(r"^(?:[a-z][a-z+.-]*:|//|/|#)", re.I)


def site_place(path: str) -> str:
    """Return the path of a repository file among the sources of the site.

    Args:
        path: path from the root of the repository.

    Example:
        >>> site_place("docs/guides/cluster.md"), site_place("SECURITY.md"), site_place("configs/default.yaml")
        ('guides/cluster.md', 'project/security.md', 'files/configs/default.yaml.md')
        >>> site_place("strategies"), site_place("strategies/ewc.py")
        ('methods/index.md', 'files/strategies/ewc.py.md')
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == "README.md":
        return "index.md"
    if path in PROJECT or path in METHODS:
        return (PROJECT | METHODS)[path]
    if posixpath.dirname(path) == NOTEBOOKS:
        return f"notebooks/{posixpath.basename(path)}"
    return f"files/{path}.md" if posixpath.splitext(path)[1] in SHOWN else f"files/{path}"


def outward_links(text: str, origin: str) -> Iterator[str]:
    """List the files outside of ``docs/`` that a page links to, by their paths from the root of the repository.

    Args:
        text: text of the page.
        origin: path of the page in the repository.

    Example:
        >>> list(outward_links("[a](../../SECURITY.md#b), `[c](../../d.py)` and [e](f.md)", "docs/guides/x.md"))
        ['SECURITY.md']
    """
    for target in _targets(text):
        path = repository_path(target, origin)
        if not path.startswith(("docs/", "../")):
            yield path


def to_site(text: str, origin: str, place: str) -> str:
    """Convert the links of a page from repository paths to site paths.

    Args:
        text: text of the page.
        origin: path of the page in the repository.
        place: path of the page on the site.

    Example:
        >>> to_site("[how](../../SECURITY.md#files)", "docs/guides/cluster.md", "guides/cluster.md")
        '[how](../project/security.md#files)'
        >>> to_site("[how](docs/guides/cluster.md)", "SECURITY.md", "project/security.md")
        '[how](../guides/cluster.md)'
    """

    def rewrite(target: str) -> str:
        anchor = target.partition("#")[1] + target.partition("#")[2]
        where = site_place(repository_path(target, origin))
        return posixpath.relpath(where, posixpath.dirname(place)) + anchor

    return _rewritten(text, rewrite)


def repository_path(target: str, origin: str) -> str:
    """Return the target of a relative link as a path from the root of the repository.

    Args:
        target: target of the link, with its anchor.
        origin: path of the page in the repository.
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target.partition("#")[0]))


def _rewritten(text: str, rewrite: Callable[[str], str]) -> str:
    def replace(link: re.Match[str]) -> str:
        return link[0] if _IS_ELSEWHERE.match(link[2]) else link[1] + rewrite(link[2])

    parts, end = [], 0
    for block in _CODE.finditer(text):
        parts += [_LINK.sub(replace, text[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, _LINK.sub(replace, text[end:])])


def _targets(text: str) -> list[str]:
    found: list[str] = []

    def keep(target: str) -> str:
        found.append(target)
        return target

    _rewritten(text, keep)
    return found
