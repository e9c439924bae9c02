"""Locks that processes hold, also on other machines of a shared file system; the system opens those of the dead."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

RUN_LOCK = ".lock"
"""The file in a run folder that is held while a run trains."""

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What a file system without locks answers, such as NFS whose lock service does not run."""


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock where nobody else does, and say whether it is ours; never wait.

    Args:
        path: of the lock's file.

    Raises:
        ValueError: when its file system has no locks.

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
    """Hold a lock while the block runs, after waiting for whoever holds it.

    Args:
        lock: of filelock.

    Raises:
        ValueError: when its file system has no locks.

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
    """Take a lock, after waiting as long as it is made to wait.

    Args:
        lock: of filelock.

    Raises:
        Timeout: when another process holds it for longer.
        ValueError: when its file system has no locks.
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
    """Tell whether somebody holds a lock.

    Args:
        path: of the lock's file.

    Example:
        >>> is_held(Path("absent.lock"))
        False
    """
    if not path.is_file():
        return False
    with held(path) as is_ours:
        return not is_ours
