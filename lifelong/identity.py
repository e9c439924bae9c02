"""What a checkpoint belongs to, so that it is never loaded into anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def checked_identity(theirs: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a checkpoint says of itself; one of another configuration is refused in one sentence.

    Args:
        theirs: what the checkpoint says of itself; None where it says nothing.
        ours: what it must say.

    Raises:
        ValueError: naming the first difference.

    Example:
        >>> checked_identity({"learner": "MAML", "plan": {}}, {"learner": "MAML"})["plan"]
        {}
    """
    if theirs is None:
        raise ValueError("the checkpoint was not written by lifelong: give --ckpt_path one from a run's checkpoints/")
    for key, value in ours.items():
        if theirs[key] != value:
            raise ValueError(_difference(key, theirs[key], value))
    return theirs


def _difference(key: str, theirs: Any, ours: Any) -> str:
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        names = [n for n in {**theirs, **ours} if theirs.get(n) != ours.get(n)]
        key, theirs, ours = f"the shape of {names[0]}", theirs.get(names[0], "absent"), ours.get(names[0], "absent")
    return (
        f"the checkpoint belongs to another configuration: {key} is {theirs} there and {ours} here; use the config "
        "that was saved beside it (config.yaml in its run folder)"
    )
