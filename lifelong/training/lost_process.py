"""Reports in one sentence, in each remaining process, that another process of the run has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed as dist

SIGNS = ("third_party/gloo", "connection closed by peer", "connection reset by peer", "broken pipe")
"""Parts of torch's messages about lost connections: between CPU processes, gloo raises only a RuntimeError."""


class ProcessLostError(RuntimeError):
    """Report that another process of this run has ended."""


@contextmanager
def with_others() -> Iterator[None]:
    """Report in one sentence that another process has ended, if this one notices a lost connection.

    Raises:
        ProcessLostError: instead of torch's errors.

    Example:
        >>> with with_others():
        ...     pass
    """
    try:
        yield
    except RuntimeError as error:
        if not tells_of_a_lost_process(error):
            raise
        raise ProcessLostError(
            "another process of this run has ended, and so does this one: the reason is what that one printed, or what "
            "the system says of it (memory, a time limit); go on from the last checkpoint by --ckpt_path last or "
            "--run.resume auto"
        ) from error


def tells_of_a_lost_process(error: RuntimeError) -> bool:
    """Return whether an error means that another process no longer responds.

    Args:
        error: an error of torch.

    Example:
        >>> tells_of_a_lost_process(RuntimeError("[gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:9"))
        True
        >>> tells_of_a_lost_process(RuntimeError("CUDA out of memory"))
        False
    """
    if dist.is_available() and isinstance(error, dist.DistError):
        return True
    return any(sign in str(error).lower() for sign in SIGNS)
