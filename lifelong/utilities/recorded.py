"""Objects that remember the arguments they were made with, so that a run can write down how to make them again."""

from __future__ import annotations

import inspect
from typing import Any

from typing_extensions import Self


class Recorded:
    """Remember the arguments of the constructor, of every subclass too.

    Example:
        >>> class Point(Recorded):
        ...     def __init__(self, x: float, y: float = 0.0) -> None:
        ...         self.x, self.y = x, y
        >>> init_arguments(Point(1.0))
        {'x': 1.0, 'y': 0.0}
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make the object and keep the arguments for :func:`init_arguments`."""
        made = super().__new__(cls)
        # Past nn.Module.__setattr__, which would register modules among the arguments a second time.
        object.__setattr__(made, "_given", (args, kwargs))
        return made


def init_arguments(made: Recorded) -> dict[str, Any]:
    """Return the arguments of an object's constructor by name, defaults included.

    Raises:
        TypeError: when they do not fit the constructor's signature.
    """
    args, kwargs = made.__dict__["_given"]
    bound = inspect.signature(type(made)).bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)
