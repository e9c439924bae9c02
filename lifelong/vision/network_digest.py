"""What a network computes, as a hash: the same for the same weights and settings, wherever they come from."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, str, type(None), torch.Size)
NO_SETTINGS = {*vars(nn.Module()), "name_or_path"}
"""Attributes of modules that change no output in evaluation mode: what all modules have, and where weights were."""
KNOWN_BY_VERSION = ("lifelong", "torch", "timm", "transformers", "efficientnet_lite_pytorch")
"""Packages whose code is trusted to compute the same from one version to the next; any other code is in the hash."""


def network_digest(network: nn.Module) -> str:
    """Compute the SHA-256 of all that a network's output depends on, as hexadecimal digits.

    That is its parameters and buffers, the plain attributes of its modules (strides, sizes, names of modes), and the
    source of classes that are a person's own, so that an edit of their ``forward`` makes another network. The ``head``
    of a network that has ``features`` is no part of it.

    Args:
        network: any module.

    Example:
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> _ = b.load_state_dict(a.state_dict())
        >>> network_digest(a) == network_digest(b), network_digest(a) == network_digest(nn.Linear(2, 2))
        (True, False)
    """
    digest = hashlib.sha256()
    for name, module in network.named_modules():
        if f"{name}.".startswith("head.") and hasattr(network, "features"):
            continue
        digest.update(f"{name}:{type(module).__module__}.{type(module).__qualname__}:{_settings(module)}\n".encode())
    for kind in sorted({type(module) for module in network.modules()}, key=lambda kind: kind.__qualname__):
        digest.update(_source(kind))
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.startswith("head.") and hasattr(network, "features"):
            continue
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _settings(module: nn.Module) -> list[tuple[str, Any]]:
    settings = vars(module).items()
    return sorted((name, _plain(value)) for name, value in settings if name not in NO_SETTINGS and _is_plain(value))


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(part) for part in value)
    return isinstance(value, (*PLAIN, torch.dtype)) or inspect.isfunction(value) or inspect.isbuiltin(value)


def _plain(value: Any) -> str:
    """Return a value as text that is the same in another process: a function has no address."""
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_plain, value))})"
    return value.__qualname__ if callable(value) and not isinstance(value, torch.dtype) else repr(value)


def _source(kind: type[nn.Module]) -> bytes:
    if kind.__module__.partition(".")[0] in KNOWN_BY_VERSION:
        return b""
    try:
        return inspect.getsource(kind).encode()
    except (OSError, TypeError):  # written at a prompt
        return b""


def _bytes(tensor: Tensor) -> memoryview:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().data
