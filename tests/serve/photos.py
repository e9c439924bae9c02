"""Photos as a browser sends them."""

from __future__ import annotations

import io

from tests.drawn_photos import draw


def photo(kind: str, number: int, form: str = "PNG") -> bytes:
    """The file of a photo."""
    target = io.BytesIO()
    draw(kind, number).save(target, form)
    return target.getvalue()
