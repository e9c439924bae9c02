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
        acquire(lock)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def waiting_for(lock: FileLock) -> Iterator[None]:
    """Hold a lock while the block runs, waiting while another process holds it.

    Args:
        lock: the lock, from filelock.

    Raises:
        ValueError: when its file system does not support locks.

    Example:
        >>> import tempfile
        >>> with waiting_for(FileLock(Path(tempfile.mkdtemp(), "a.lock"))):
        ...     print("alone")
        alone
    """
    acquire(lock)
    try:
        yield
    finally:
        lock.release()


def acquire(lock: FileLock) -> None:
    """Acquire a lock, waiting for at most the lock's own time-out.

    Args:
        lock: the lock, from filelock.

    Raises:
        Timeout: when another process holds it for longer.
        ValueError: when its file system does not support locks.
    """
    try:
        lock.acquire()
    except Timeout:  # which is an OSError
        raise
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        raise ValueError(
            f"the file system of {Path(lock.lock_file).parent} has no locks ({error}), which keep processes from "
            "writing over each other: choose a folder on another file system"
        ) from error


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
