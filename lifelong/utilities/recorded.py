"""Objects that remember how they were made, so that a run can write down how to make them again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from typing_extensions import Self

T = TypeVar("T")
RECORD = "_construction"
"""The attribute of an object that holds its :class:`Construction`."""


@dataclass(frozen=True)
class Construction:
    """A call that made an object.

    Args:
        factory: the class, or a function that returns the object.
        args: what it was called with, by place.
        kwargs: what it was called with, by name.
    """

    factory: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments by name, defaults included.

        Raises:
            TypeError: when they do not fit the signature.
        """
        bound = inspect.signature(self.factory).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)


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
        _write(made, Construction(cls, args, kwargs))
        return made


def recorded_as(made: T, factory: Callable[..., T], **arguments: Any) -> T:
    """Return an object that a function changed and returns, recorded as the call of that function.

    An argument that is the object itself is recorded as it was made before. An object that does not say how it was
    made stays so.

    Args:
        made: the object.
        factory: the function.
        arguments: of the function, by name.

    Example:
        >>> class Point(Recorded):
        ...     def __init__(self, x: float) -> None:
        ...         self.x = x
        >>> def doubled(point: Point) -> Point:
        ...     point.x *= 2
        ...     return recorded_as(point, doubled, point=point)
        >>> record = construction(doubled(Point(1.0)))
        >>> record.factory.__name__, record.arguments()["point"].arguments()
        ('doubled', {'x': 1.0})
    """
    before = construction(made)
    if before is not None:
        kwargs = {name: before if value is made else value for name, value in arguments.items()}
        _write(made, Construction(factory, (), kwargs))
    return made


def construction(made: object) -> Construction | None:
    """Return the call that made an object, or None where the object does not say."""
    record = getattr(made, "__dict__", {}).get(RECORD)
    return record if isinstance(record, Construction) else None


def init_arguments(made: Recorded) -> dict[str, Any]:
    """Return the arguments that an object was made with by name, defaults included.

    Raises:
        TypeError: when they do not fit the constructor's signature.
    """
    record = construction(made)
    assert record is not None, f"{type(made).__name__} was not made by its constructor"
    return record.arguments()


def _write(made: object, record: Construction) -> None:
    # Past nn.Module.__setattr__, which would register modules among the arguments a second time.
    object.__setattr__(made, RECORD, record)
