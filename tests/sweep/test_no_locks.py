"""A sweep on a file system without locks ends with one sentence, and not with the error of a library."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from filelock import FileLock

from lifelong.sweep.journal import Journal
from lifelong.sweep.study import Study
from lifelong.vision.feature_store import FeatureStore

ERRORS = [
    OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)),
    NotImplementedError("FileSystem does not appear to support flock; use SoftFileLock instead"),
]
SENTENCE = r"^the file system of \S+ has no locks \(.*\), which .*: choose a folder on another file system$"


@pytest.fixture(params=ERRORS, ids=["no locks", "no flock"], autouse=True)
def _no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(lock: FileLock) -> None:
        raise request.param

    monkeypatch.setattr(FileLock, "acquire", refuse)


def test_a_journal_says_what_its_file_system_lacks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=SENTENCE):
        Journal(tmp_path / "a.jsonl").add("a", {"matrix": []})
    assert not (tmp_path / "a.jsonl").exists()


def test_a_study_says_what_its_file_system_lacks(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ValueError, match=SENTENCE):
        Study(tmp_path, "name", {"n": [1, 2]}, n_trials=1)


def test_a_store_says_what_its_file_system_lacks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=SENTENCE), FeatureStore(tmp_path, 4).locked():
        pass
