"""Files that sources cache: whole or not at all, also where an open file cannot be replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules._files import cached_images, data_root, written_whole


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))


def no_replace(source: Any, target: Any) -> None:
    """Stands for a system that does not replace an open file."""
    raise PermissionError(13, "the file is open in another process", str(target))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "in/a") as part:
        part.write_bytes(b"half" + (tmp_path / "nowhere").read_bytes())
    assert left(tmp_path / "in") == []
    with written_whole(tmp_path / "in/a") as part:
        part.write_text("whole")
        assert not (tmp_path / "in/a").exists()
    assert left(tmp_path / "in") == ["a"]


def test_what_another_process_holds_open_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", no_replace)
    with pytest.raises(PermissionError), written_whole(tmp_path / "in/a") as part:
        part.write_text("first")
    assert left(tmp_path / "in") == []
    (tmp_path / "in/a").write_text("theirs")
    with written_whole(tmp_path / "in/a") as part:
        part.write_text("ours")
    assert left(tmp_path / "in") == ["a"]
    assert (tmp_path / "in/a").read_text() == "theirs"


def decoded(**settings: Any) -> Any:
    return cached_images("some", (), [], (3, 1, 2, 2), lambda i: np.full((1, 2, 2), i, np.uint8), **settings)


def test_images_that_another_process_has_cached_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decoded(memory_map=True)
    assert first[:, 0, 0, 0].tolist() == [0, 1, 2]
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_bytes(b"damaged")
    monkeypatch.setattr(os, "replace", no_replace)
    with pytest.raises(ValueError, match="are damaged and open in another process: end it, or remove it"):
        decoded()
    cached.unlink()
    with pytest.raises(ValueError, match=r"^decoded images cannot be kept in .*LIFELONG_CACHE$"):
        decoded()


def test_the_root_is_the_argument_then_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_DATA", "elsewhere")
    assert data_root("here") == Path("here")
    assert data_root(None) == Path("elsewhere")
    monkeypatch.delenv("LIFELONG_DATA")
    assert data_root(None) == Path("data")
