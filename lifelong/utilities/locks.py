"""File locks between processes, also across machines on a shared file system; a process that ends releases its own."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

RUN_LOCK = ".lock"
"""File in a run folder that is locked while the run trains."""

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""Errors of a file system without locks, such as NFS without its lock service."""


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Take a lock if it is free, and return whether it was; never wait.

    Args:
        path: path of the lock file.

    Raises:
        ValueError: when the file system does not support locks.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "a.lock")
        >>> with held(path) as first, held(path) as second:
        ...     print(first, second)
        True False
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        raise ValueError(
            f"the file system of {path.parent} has no locks ({error}), and a run folder is one process's alone: "
            "give a root on another file system"
        ) from error
    try:
        yield True
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Return whether a lock is taken.

    Args:
        path: path of the lock file.

    Example:
        >>> is_held(Path("absent.lock"))
        False
    """
    if not path.is_file():
        return False
    with held(path) as is_ours:
        return not is_ours
