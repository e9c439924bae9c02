"""The identity of a checkpoint, which prevents it from being loaded into a module that it does not belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def check_identity(theirs: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another configuration, in one sentence.

    Args:
        theirs: identity recorded in the checkpoint. None if there is none.
        ours: the required identity.

    Raises:
        ValueError: naming the first difference.

    Example:
        >>> check_identity({"learner": "MAML", "n_classes": 5}, {"learner": "MAML"})
    """
    if theirs is None:
        raise ValueError("the checkpoint was not written by lifelong: give --ckpt_path one from a run's checkpoints/")
    for key, value in ours.items():
        if key not in theirs or theirs[key] != value:
            raise ValueError(_difference(key, theirs.get(key, "absent"), value))


def describe_example(example: Tensor) -> dict[str, Any]:
    """Return shape and type of a few inputs as plain data, for :func:`make_example`.

    Example:
        >>> describe_example(torch.zeros(2, 3))
        {'shape': [2, 3], 'dtype': 'float32'}
    """
    return {"shape": list(example.shape), "dtype": str(example.dtype).removeprefix("torch.")}


def make_example(description: Mapping[str, Any]) -> Tensor:
    """Return zeros with the shape and type of a description by :func:`describe_example`.

    Example:
        >>> make_example({"shape": [1, 2], "dtype": "int64"})
        tensor([[0, 0]])
    """
    return torch.zeros(description["shape"], dtype=getattr(torch, description["dtype"]))


def misfit(error: RuntimeError) -> str:
    """Return a message about weights that do not fit although the checkpoint's identity does.

    Args:
        error: torch's error, which lists the weights.
    """
    words = str(error).split("\n", 1)[-1].replace("<class '", "").replace("'>", "").split()
    reason = " ".join(words)[:200].rstrip(".")
    return (
        f"the weights of the checkpoint do not fit ({reason}): it was changed after it was written; give another one "
        "of the run (--ckpt_path)"
    )


def _difference(key: str, theirs: Any, ours: Any) -> str:
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        names = [n for n in {**theirs, **ours} if theirs.get(n) != ours.get(n)]
        key, theirs, ours = f"the shape of {names[0]}", theirs.get(names[0], "absent"), ours.get(names[0], "absent")
    return (
        f"the checkpoint belongs to another configuration: {key} is {theirs} there and {ours} here; use the config "
        "that was saved beside it (config.yaml in its run folder)"
    )
