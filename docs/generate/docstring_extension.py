"""An extension of griffe: docstrings of the tree as mkdocstrings reads them."""

from __future__ import annotations

import functools
import re
from typing import Any

import griffe

from docs.generate.docstring import to_markdown
from docs.generate.reference import documented_paths


class TreeDocstrings(griffe.Extension):
    """Turn roles into links, and the section of an example into one that griffe knows."""

    def on_object(self, *, obj: griffe.Object, loader: Any, **kwargs: Any) -> None:
        """Rewrite the docstring of a class, function or attribute."""
        if obj.docstring is not None:
            text = to_markdown(obj.docstring.value, _documented())
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.M)


@functools.cache
def _documented() -> dict[str, str]:
    return documented_paths()
