"""A hash of the function of a network: equal for equal weights and settings, wherever they come from."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, str, type(None), torch.Size, torch.dtype)
NO_SETTINGS = {*vars(nn.Module()), "name_or_path", "_name_or_path", "_given", "_made_by", "_without_state"}
"""Attributes that do not affect outputs in evaluation mode: those of all modules, and the origin of the weights."""
KNOWN_BY_VERSION = ("lifelong", "torch", "timm", "transformers", "efficientnet_lite_pytorch")
"""Packages whose code is assumed to compute the same in every version; any other code is part of the hash."""


def network_digest(network: nn.Module) -> str:
    """Compute the SHA-256 of everything that affects a network's output, as hexadecimal digits.

    This includes its parameters and buffers, the attributes of its modules (strides, sizes, names of modes, and objects
    that contain such attributes), and the source code of user-defined classes, so that editing their ``forward``
    changes the hash. The ``head`` of a network that has ``features`` is excluded.

    Args:
        network: any module.

    Example:
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> _ = b.load_state_dict(a.state_dict())
        >>> network_digest(a) == network_digest(b), network_digest(a) == network_digest(nn.Linear(2, 2))
        (True, False)
    """
    digest = hashlib.sha256()
    describe = _Description(network)
    has_features = hasattr(network, "features")
    for name, module in network.named_modules():
        if f"{name}.".startswith("head.") and has_features:
            continue
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        digest.update(f"{name}:{kind}:{describe.settings(module)}\n".encode())
    for own in sorted({type(module) for module in network.modules()}, key=lambda kind: kind.__qualname__):
        digest.update(_source(own))
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.startswith("head.") and has_features:
            continue
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


class _Description:
    """Describe values as text that is the same in every process: without addresses, each object once.

    Args:
        network: its modules are excluded, because they are described separately.
    """

    def __init__(self, network: nn.Module) -> None:
        # Objects are kept alive, so that no other object reuses the id of one that was described.
        self.known: dict[int, Any] = {id(module): module for module in network.modules()}

    def settings(self, owner: Any) -> list[tuple[str, str]]:
        """Return the attributes of an object that contain settings."""
        named = ((name, self(value)) for name, value in _attributes(owner).items() if name not in NO_SETTINGS)
        return sorted((name, text) for name, text in named if text)

    def __call__(self, value: Any) -> str:
        """Return a value as text, or the empty string if its content cannot be compared."""
        if isinstance(value, PLAIN):
            return repr(value)
        if isinstance(value, (tuple, list)):
            return f"({', '.join(map(self, value))})"
        if inspect.isroutine(value) or isinstance(value, type):
            return str(value.__qualname__)
        if isinstance(value, (Tensor, np.ndarray)):
            content = torch.as_tensor(value)
            return f"{content.dtype}{tuple(content.shape)}{hashlib.sha256(_bytes(content)).hexdigest()}"
        if id(value) in self.known:
            return ""
        self.known[id(value)] = value
        if isinstance(value, nn.Module):  # in a list or inside another object, so it is not a submodule
            return network_digest(value)
        if isinstance(value, functools.partial):
            return self((value.func, value.args, value.keywords))
        if isinstance(value, Mapping):
            return str(sorted((str(key), self(part)) for key, part in value.items()))
        if isinstance(value, (set, frozenset)):
            return str(sorted(map(self, value)))
        return f"{type(value).__qualname__}{self.settings(value)}" if _attributes(value) else ""


def _attributes(owner: Any) -> dict[str, Any]:
    slots = getattr(type(owner), "__slots__", ())
    return {name: getattr(owner, name) for name in slots if hasattr(owner, name)} | getattr(owner, "__dict__", {})


def _source(kind: type[nn.Module]) -> bytes:
    if kind.__module__.partition(".")[0] in KNOWN_BY_VERSION:
        return b""
    try:
        return inspect.getsource(kind).encode()
    except (OSError, TypeError):  # defined in an interactive session
        return b""


def _bytes(tensor: Tensor) -> memoryview:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().data
