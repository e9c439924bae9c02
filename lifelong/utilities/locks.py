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
