"""Notebooks as pages, without the external resources of nbconvert's template."""

from __future__ import annotations

import re

_FETCHING = re.compile(
    r"<script\b(?=[^>]*\b(?:type=\"(?:module|text/x-mathjax-config)\"|src=\"\"))[^>]*>.*?</script>", flags=re.S | re.I
)


def without_fetching(html: str) -> str:
    """Remove the scripts for MathJax and Mermaid, which load from a CDN; formulas are plain characters.

    Args:
        html: HTML of a notebook.

    Example:
        >>> without_fetching('<p>a</p><script src=""> </script><script type="module">import("https://x")</script>')
        '<p>a</p>'
    """
    return _FETCHING.sub("", html)
