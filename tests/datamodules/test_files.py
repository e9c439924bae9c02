"""Files that sources cache: whole or not at all, also where an open file cannot be replaced."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules._files import cached_images, data_root, in_turn, written_whole


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
    fill = in_turn(lambda i: np.full((1, 2, 2), i, np.uint8), "decoding")
    return cached_images("some", (), [], (3, 1, 2, 2), fill, **settings)


def test_images_that_another_process_has_cached_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decoded(memory_map=True)
    assert first[:, 0, 0, 0].tolist() == [0, 1, 2]
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_bytes(b"damaged")
    monkeypatch.setattr(os, "replace", no_replace)
    with (
        pytest.raises(ValueError, match="are damaged and open in another process: end it, or remove it"),
        pytest.warns(UserWarning, match="are damaged"),
    ):
        decoded()
    cached.unlink()
    with pytest.raises(ValueError, match=r"^decoded images cannot be kept in .*LIFELONG_CACHE$"):
        decoded()


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("place", [-1, -3, -5, 10])
def test_a_cached_image_that_has_changed_is_decoded_anew(tmp_path: Path, memory_map: bool, place: int) -> None:
    first = decoded(memory_map=memory_map).clone()
    (cached,) = (tmp_path / "cache").iterdir()
    whole = cached.read_bytes()
    changed = bytearray(whole)
    changed[place] ^= 1
    cached.write_bytes(changed)
    with pytest.warns(
        UserWarning, match=r"images in .*some-.*npy are damaged \(its bytes do not fit its checksum\): they"
    ):
        again = decoded(memory_map=memory_map)
    assert again.tolist() == first.tolist()
    assert cached.read_bytes() == whole
    assert decoded(memory_map=memory_map).tolist() == first.tolist()


def test_objects_in_a_cache_are_not_loaded(tmp_path: Path) -> None:
    decoded()
    (cached,) = (tmp_path / "cache").iterdir()
    file = io.BytesIO()
    np.save(file, np.array([Opens(tmp_path / "opened")], dtype=object), allow_pickle=True)
    data = file.getvalue()
    cached.write_bytes(data + zlib.crc32(data).to_bytes(4, "little"))
    with pytest.warns(UserWarning, match=r"damaged \(Object arrays cannot be loaded"):
        assert decoded()[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert not (tmp_path / "opened").exists()


class Opens:
    """Opens a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def test_the_root_is_the_argument_then_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_DATA", "elsewhere")
    assert data_root("here") == Path("here")
    assert data_root(None) == Path("elsewhere")
    monkeypatch.delenv("LIFELONG_DATA")
    assert data_root(None) == Path("data")
