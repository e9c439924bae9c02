"""Whether the current gradients will be differentiated again, which determines the fastest algorithm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_second_order = ContextVar("is_second_order", default=False)


@contextmanager
def second_order(is_so: bool = True) -> Iterator[None]:
    """Declare whether gradients computed within the block will be differentiated again.

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
    """Return whether current gradients were declared to be differentiated again."""
    return _is_second_order.get()
