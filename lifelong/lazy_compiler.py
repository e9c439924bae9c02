"""torch's compiler, imported when something asks for it: to import it takes as long as torch itself.

Lightning imports ``torch._dynamo`` for a class, to recognise compiled modules; every optimizer of torch, and
``torch.func.grad``, for three functions, by which they tell the compiler where not to look. As long as nothing has been
compiled these four have nothing to do, and they are all that stands in the compiler's place here; whoever asks for more
gets the compiler.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import FunctionType, ModuleType
from typing import Any

NAME = "torch._dynamo"
_one_at_a_time = threading.Lock()


def put_off() -> None:
    """Let the first ``import torch._dynamo`` bring a stand-in, where the compiler is not there already.

    Example:
        >>> put_off()
    """
    if NAME not in sys.modules:
        sys.modules[NAME] = StandIn(
            NAME,
            __path__=[],
            __spec__=ModuleSpec(NAME, None, is_package=True),
            OptimizedModule=OptimizedModule,
            disable=disable,
            graph_break=graph_break,
            compiled_autograd=StandIn(f"{NAME}.compiled_autograd", _disable=_disable),
        )
        sys.meta_path.insert(0, PartFinder())


def is_put_off() -> bool:
    """Whether the compiler has not been imported yet."""
    return isinstance(sys.modules.get(NAME), StandIn)


def compiler() -> ModuleType:
    """The compiler itself, imported now if need be."""
    with _one_at_a_time:
        if is_put_off():
            del sys.modules[NAME]
    return importlib.import_module(NAME)


class _Recognised(type):
    """Of a class that stands for the compiler's own: there are instances of that only where the compiler is there."""

    def __instancecheck__(cls, instance: object) -> bool:
        return not is_put_off() and isinstance(instance, compiler().OptimizedModule)


class OptimizedModule(metaclass=_Recognised):
    """What ``torch.compile`` makes of a module."""


def graph_break(msg: str = "") -> None:
    """Told to a compiler that is not looking, unless it is there by now."""
    if not is_put_off():
        compiler().graph_break(msg)


def disable(function: Callable[..., Any] | None = None, recursive: bool = True, **more: Any) -> Any:
    """The function, which the compiler, once it is there, leaves alone; of a module or a class it must know itself."""
    if not isinstance(function, FunctionType) or not is_put_off():
        return compiler().disable(function, recursive, **more)
    left_alone: list[Callable[..., Any]] = []

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not left_alone:
            if is_put_off():
                return function(*args, **kwargs)
            left_alone.append(compiler().disable(function, recursive, **more))
        return left_alone[0](*args, **kwargs)

    return call


def _disable() -> AbstractContextManager[Any]:
    """Nothing compiles gradients in here."""
    return nullcontext() if is_put_off() else compiler().compiled_autograd._disable()


class StandIn(ModuleType):
    """Stands for a module of the compiler until more is asked of it than it has.

    Args:
        name: of the module.
        has: by name.
    """

    def __init__(self, name: str, **has: Any) -> None:
        super().__init__(name)
        self.__dict__.update(has)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # by somebody who looks through all modules
            raise AttributeError(name)
        compiler()
        return getattr(importlib.import_module(self.__name__), name)


class PartFinder(MetaPathFinder, Loader):
    """Finds ``torch._dynamo.utils`` and other parts where the stand-in is asked for them: in the compiler."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """The compiler is imported, which imports most of its parts by itself."""
        if not (name.startswith(f"{NAME}.") and is_put_off()):
            return None
        path = compiler().__path__
        if (part := sys.modules.get(name)) is None:
            return PathFinder.find_spec(name, path)
        spec = spec_from_loader(name, self, origin=part.__file__)
        assert spec is not None
        # Python would go by the part's own spec, which executes it once more. Some parts refuse to have attributes set.
        spec.loader_state, vars(part)["__spec__"] = part.__spec__, spec
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The part as it is."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has been executed, and gets its own spec back."""
        vars(module)["__spec__"] = vars(module)["__spec__"].loader_state
