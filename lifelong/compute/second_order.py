"""Whether gradients that are taken at this moment will be differentiated again, which some ways to compute suit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_second_order = ContextVar("is_second_order", default=False)


@contextmanager
def second_order(is_so: bool = True) -> Iterator[None]:
    """Say that the gradients taken here will, or will not, be differentiated again.

    Example:
        >>> with second_order():
        ...     is_second_order()
        True
    """
    token = _is_second_order.set(is_so)
    try:
        yield
    finally:
        _is_second_order.reset(token)


def is_second_order() -> bool:
    """Return whether gradients that are taken at this moment will be differentiated again, as far as that was said."""
    return _is_second_order.get()
