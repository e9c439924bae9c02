"""Locks of run folders: one process's alone, and a file system without locks is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from filelock import FileLock

from lifelong.run.folder import locked
from lifelong.utilities.locks import held, is_held, waiting_for


def test_a_lock_is_one_holders_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with held(path) as first, held(path) as second:
        assert (first, second, is_held(path)) == (True, False, True)
    assert not is_held(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_one_sentence(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: FileLock) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(ValueError, match=r"the file system of .* has no locks \(.*\), .*: choose a folder on another"):
        held(tmp_path / "a.lock").__enter__()
    with pytest.raises(ValueError, match="has no locks"), waiting_for(FileLock(tmp_path / "a.lock")):
        pass
    with pytest.raises(ValueError, match="has no locks"), locked(tmp_path):
        pass


def test_other_errors_go_on_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(lock: FileLock) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(FileLock, "acquire", fail)
    with pytest.raises(OSError, match="the disk is broken"), held(tmp_path / "a.lock"):
        pass
