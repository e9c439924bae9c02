"""Objects that remember their constructor's arguments, so that a run can record how to create them again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from typing_extensions import Self


class _InitSignature:
    """Make ``inspect.signature`` of a class return the signature of its ``__init__``.

    For a class without its own ``__init__``, Python 3.10 returns the signature of an inherited ``__new__`` instead.
    """

    def __get__(self, made: object | None, kind: type) -> inspect.Signature | None:
        if made is not None:  # called on an instance
            return None
        signature = inspect.signature(kind.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class Recorded:
    """Remember the arguments of the constructor, also in every subclass.

    Example:
        >>> class Point(Recorded):
        ...     def __init__(self, x: float, y: float = 0.0) -> None:
        ...         self.x, self.y = x, y
        >>> init_arguments(Point(1.0))
        {'x': 1.0, 'y': 0.0}
    """

    __signature__ = _InitSignature()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Create the object and keep the arguments for :func:`init_arguments`."""
        made = super().__new__(cls)
        # Bypasses nn.Module.__setattr__, which would register modules among the arguments a second time.
        object.__setattr__(made, "_given", (args, kwargs))
        return made


def record_as(made: Any, factory: Callable[..., Any], arguments: dict[str, Any], *, without_state: Any = None) -> None:
    """Record an object as the result of a function call, instead of its own constructor.

    Args:
        made: the object.
        factory: function that returns the object.
        arguments: arguments of the function, by name.
        without_state: an object that becomes equal to ``made`` when the state of ``made`` is loaded, if there is one.

    Example:
        >>> class Point(Recorded):
        ...     x = 0
        >>> point = Point()
        >>> record_as(point, len, {"x": 2})
        >>> made_by(point), init_arguments(point)
        (<built-in function len>, {'x': 2})
    """
    object.__setattr__(made, "_made_by", (factory, arguments))
    object.__setattr__(made, "_without_state", without_state)


def is_recorded(made: Any) -> bool:
    """Return whether an object remembers how it was created."""
    return isinstance(made, Recorded) or "_made_by" in getattr(made, "__dict__", {})


def made_by(made: Any) -> Callable[..., Any]:
    """Return the class or function that created an object."""
    factory, _ = made.__dict__.get("_made_by", (type(made), None))
    return factory  # type: ignore[no-any-return]


def init_arguments(made: Any) -> dict[str, Any]:
    """Return the arguments of an object's constructor by name, including defaults.

    Raises:
        TypeError: when they do not fit the constructor's signature.
    """
    if "_made_by" in made.__dict__:
        return dict(made.__dict__["_made_by"][1])
    args, kwargs = made.__dict__["_given"]
    bound = inspect.signature(type(made)).bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def arguments_to_load(made: Any) -> dict[str, Any]:
    """Return constructor arguments for creating an object into which the state of this one is loaded.

    By default these are the constructor's own arguments. An object can replace them by a method ``arguments_to_load``:
    files of initial weights are not needed, as the state contains the weights.

    Example:
        >>> class Network(Recorded):
        ...     def __init__(self, weights: str | None = None) -> None: ...
        ...     def arguments_to_load(self):
        ...         return {"weights": None}
        >>> arguments_to_load(Network("weights.pt"))
        {'weights': None}
    """
    own: Callable[[], dict[str, Any]] | None = getattr(made, "arguments_to_load", None)
    return init_arguments(made) if own is None else own()
