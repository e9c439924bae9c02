"""Files are whole or absent."""

import doctest
import json
from pathlib import Path

import numpy as np
import pytest

from lifelong.utilities import files
from lifelong.utilities.files import write_json, write_whole


def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a" / "b" / "c.txt", lambda part: part.write_text("all"))
    assert path.read_text() == "all"


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail_halfway(part: Path) -> None:
        assert part.parent == path.parent, "a rename is atomic within one file system only"
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail_halfway)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_read_by_every_reader(tmp_path: Path) -> None:
    content = {1: np.float32(0.5), "b": [np.nan, np.inf], "c": (Path("x"), None, True), "d": np.arange(2)}
    path = write_json(tmp_path / "a.json", content)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads(path.read_text(), parse_constant=refuse)
    assert read == {"1": 0.5, "b": [None, "inf"], "c": ["x", None, True], "d": [0, 1]}
    assert float(read["b"][1]) == np.inf


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(files)
    assert result.attempted >= 3
    assert result.failed == 0
