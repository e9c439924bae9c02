"""Recomputation: functions run again in the backward pass instead of storing their intermediate results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lifelong.compute.vmap_fixes import is_written_out, written_out

Recompute = Literal["nothing", "steps", "tasks", "both"]
_recomputes_steps = ContextVar("recomputes_steps", default=False)


@contextmanager
def recomputing_steps(is_so: bool = True) -> Iterator[None]:
    """Make inner steps within the block store only their inputs and run again in the backward pass.

    Example:
        >>> with recomputing_steps():
        ...     recomputes_steps()
        True
    """
    token = _recomputes_steps.set(is_so)
    try:
        yield
    finally:
        _recomputes_steps.reset(token)


def recomputes_steps() -> bool:
    """Return whether the current inner steps are recomputed in the backward pass."""
    return _recomputes_steps.get()


def recomputed(function: Callable[..., Any], *given: Any) -> Any:
    """Compute ``function(*given)`` with the same derivatives, but store only its inputs until the backward pass.

    The backward pass runs the function again, with the same random numbers and precision (autocast).
    ``torch.utils.checkpoint`` does the same, but does not support ``torch.func``, which an inner loop uses. This
    function works inside and around ``torch.func.grad``, ``vjp`` and ``vmap``, and also if nothing needs a gradient.

    Args:
        function: a pure function with floating-point results. Tensors that it reads but does not receive as arguments
            get no gradient.
        given: its arguments, tensors in any nesting.

    Reference:
        Chen, Xu, Zhang & Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016 (arXiv 1604.06174).

    Example:
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> torch.autograd.grad(recomputed(lambda x: torch.func.grad(lambda y: y**3)(x), x), x)
        (tensor(18.),)
    """
    leaves, nesting = pytree.tree_flatten(given)
    call = _Call(function, leaves, nesting)
    results = _Recomputed.apply(call, *(leaf for leaf in leaves if isinstance(leaf, Tensor)))  # type: ignore[no-untyped-call]
    assert call.results is not None
    return pytree.tree_unflatten(list(results), call.results)


def with_parameters(module: nn.Module, function: Callable[..., Any], parameters: dict[str, Tensor], *given: Any) -> Any:
    """Compute ``function(*given)`` while ``parameters`` replace the module's own parameters.

    Args:
        module: a module that the function uses.
        function: any function.
        parameters: replacements by name. Other parameters are unchanged.
        given: arguments of the function.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> with_parameters(layer, lambda x: x + layer.bias.item(), {"bias": torch.tensor([2.0])}, 1)
        3.0
    """
    if not parameters:
        return function(*given)
    prefixed = {f"module.{name}": p for name, p in parameters.items()}
    return torch.func.functional_call(_During(module), prefixed, (function, *given))


class _During(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *given: Any) -> Any:
        return function(*given)


class _Call:
    """Store a function and the arguments of a call, except tensors, which are passed through ``torch.func``."""

    def __init__(self, function: Callable[..., Any], leaves: list[Any], nesting: pytree.TreeSpec) -> None:
        self.function, self.nesting = function, nesting
        self.others = [None if isinstance(leaf, Tensor) else (leaf,) for leaf in leaves]
        self.results: pytree.TreeSpec | None = None
        self.devices = {leaf.device for leaf in leaves if isinstance(leaf, Tensor) and leaf.device.type == "cuda"}
        self.randomness = [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self.devices)]
        kinds = {"cpu", *(device.type for device in self.devices)}
        self.precision = [(kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)) for kind in kinds]
        self.is_written_out = is_written_out()

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        remaining = iter(tensors)
        leaves = [next(remaining) if other is None else other[0] for other in self.others]
        with ExitStack() as stack:
            for kind, dtype, enabled in self.precision:
                # Without a cache: half-precision copies cached in this pass, which has no graph, would be constants.
                stack.enter_context(torch.autocast(kind, dtype, enabled, cache_enabled=False))
            results, self.results = pytree.tree_flatten(self.function(*pytree.tree_unflatten(leaves, self.nesting)))
        return tuple(results)

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """Restore the random state and the replaced functions of the first call."""
        with torch.random.fork_rng([device.index for device in self.devices]), ExitStack() as stack:
            torch.set_rng_state(self.randomness[0])
            for device, state in zip(self.devices, self.randomness[1:], strict=True):
                torch.cuda.set_rng_state(state, device)
            if self.is_written_out:
                stack.enter_context(written_out())
            yield


class _Recomputed(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        return call(*tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.call = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        tensors: tuple[Tensor, ...] = ctx.saved_tensors
        needed = [i for i, is_needed in enumerate(ctx.needs_input_grad[1:]) if is_needed]

        def of_needed(*some: Tensor) -> tuple[Tensor, ...]:
            every = dict(enumerate(tensors)) | dict(zip(needed, some, strict=True))
            return ctx.call(*every.values())  # type: ignore[no-any-return]

        with ctx.call.as_before():
            vjp: Any = torch.func.vjp(of_needed, *(tensors[i] for i in needed))
        _, pull_back = vjp
        # A node frees its saved tensors when it is done, unless second derivatives are needed.
        gradients = pull_back(slopes, retain_graph=torch.is_grad_enabled())
        by_place = dict(zip(needed, gradients, strict=True))
        return None, *(by_place.get(i) for i in range(len(tensors)))
