"""``llms.txt``: the contents of the site for language models, in the form of llmstxt.org."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """Describe a page.

    Args:
        title: title of the page.
        url: URL relative to the root of the site.
        says: its content in one sentence.
    """

    title: str
    url: str
    says: str


def llms_text(name: str, summary: str, sections: Iterable[tuple[str, Sequence[Link]]]) -> str:
    """Write ``llms.txt``: a title, a summary, and a list of links for each section.

    Args:
        name: name of the project.
        summary: description of the project.
        sections: titles of the sections, with their pages.

    Example:
        >>> photos = Link("Photos", "guides/photos.html", "Own photos.")
        >>> print(llms_text("Lifelong", "It learns.", [("Guides", [photos])]))
        # Lifelong
        <BLANKLINE>
        > It learns.
        <BLANKLINE>
        ## Guides
        <BLANKLINE>
        - [Photos](guides/photos.html): Own photos.
        <BLANKLINE>
    """
    parts = [f"# {name}", f"> {summary}"]
    for title, links in sections:
        lines = [f"- [{link.title}]({link.url})" + (f": {link.says}" if link.says else "") for link in links]
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def first_sentence(markdown: str) -> str:
    """Return the first sentence of a page's text, without markup.

    Args:
        markdown: Markdown of the page.

    Example:
        >>> first_sentence("# Title\\n\\n![](a.png)\\n\\nRun *it* with [`fit`](x.md), e.g. now. Then look.")
        'Run it with fit, e.g. now.'
    """
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1[ \t]*$", "", markdown, flags=re.M | re.S)
    for paragraph in re.split(r"\n\s*\n", text):
        line = plain(" ".join(paragraph.split()))
        if line and not re.match(r"\s*(?:#|!\[|\||<|:::|---|===|[-*] |\d+\. )", paragraph):
            return re.split(r"(?<!e\.g\.)(?<!i\.e\.)(?<!et al\.)(?<!vs\.)(?<=[.!?:])\s+(?=[A-Z`(])", line)[0]
    return ""


def plain(markdown: str) -> str:
    """Remove the markup of links, code and emphasis.

    Args:
        markdown: one line of Markdown.

    Example:
        >>> plain("**a** [`b`][c.d] [e](f) `g_h`")
        'a b e g_h'
    """
    text = re.sub(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])", "", markdown)
    text = re.sub(r"\[((?:[^\[\]]|\[[^\]]*\])*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"`+", "", text)
    return re.sub(r"(?<!\w)[*_]{1,2}([^*_]+)[*_]{1,2}(?!\w)", r"\1", text).strip()
