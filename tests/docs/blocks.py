"""What the documents hold that can be run: examples, their commands, and the output that is shown."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@dataclass(frozen=True)
class Example:
    """A block of Python that begins with ``# name.py``, and what follows it before the next block of Python.

    Args:
        page: it stands in.
        name: of its file.
        text: of the file.
        commands: words of the commands below it, ``python -m`` left out; empty for a script.
        output: lines that the page shows of what they print.
    """

    page: Path
    name: str
    text: str
    commands: tuple[tuple[str, ...], ...]
    output: tuple[str, ...]

    @property
    def title(self) -> str:
        """Page and file, for messages of tests."""
        return f"{self.page.relative_to(DOCS).with_suffix('')}: {self.name}"


def examples_of(page: Path) -> list[Example]:
    """Return the examples of a page."""
    parts = re.split(r"^```python\n# (\w+\.py)\n", page.read_text(encoding="utf-8"), flags=re.M)
    found = []
    for name, rest in zip(parts[1::2], parts[2::2], strict=True):
        text, _, below = rest.partition("```")
        below = re.split(r"^(?:##+ |```python)", below, flags=re.M)[0]
        output = re.search(r"^```text\n(.*?)```", below, flags=re.M | re.S)
        lines = tuple(output[1].splitlines()) if output and "```sh" in below[: output.start()] else ()
        found.append(Example(page, name, text, tuple(_commands(below)), lines))
    return found


def _commands(text: str) -> list[tuple[str, ...]]:
    block = re.search(r"^```sh\n(.*?)```", text, flags=re.M | re.S)
    lines = re.findall(r"^python -m (lifelong .*)$", block[1].replace("\\\n", " "), flags=re.M) if block else []
    return [tuple(shlex.split(line, comments=True)) for line in lines]


EXAMPLES = [example for page in PAGES for example in examples_of(page)]


def plain(line: str) -> str:
    """A line without the numbers of this run and this machine."""
    return " ".join(re.sub(r"[+-]?\d+(\.\d+)?", "#", line).split())


def stands_in(line: str, printed: list[str]) -> bool:
    """Tell whether a line that a page shows was printed; of one that ends in … its beginning."""
    shown = plain(line)
    if shown.endswith("…"):
        return any(other.startswith(shown.removesuffix("…").rstrip()) for other in printed)
    return not shown or shown in printed
