"""Rows on disk: what is added, repaired and cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lifelong.vision import feature_store
from lifelong.vision.feature_store import ENTRY, FeatureStore

KEYS = [bytes([letter]) * 16 for letter in b"abcdef"]


def row(number: int) -> np.ndarray:
    return np.full(3, number, np.float32)


def store_of(folder: Path, n: int) -> FeatureStore:
    store = FeatureStore(folder / "store", 3)
    with store.locked():
        store.keep(KEYS[:n], np.stack([row(i) for i in range(n)]))
    return store


def read(folder: Path, keys: list[bytes]) -> list[list[float]]:
    store = FeatureStore(folder / "store", 3)
    places = store.find(keys)
    assert (places >= 0).all()
    return store.read(places).tolist()


def expected(*numbers: int) -> list[list[float]]:
    return [row(number).tolist() for number in numbers]


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    store_of(tmp_path, 5)
    assert read(tmp_path, KEYS[1:4]) == expected(1, 2, 3)
    assert read(tmp_path, [KEYS[i] for i in (3, 0, 3, 4)]) == expected(3, 0, 3, 4)


def test_damaged_and_new_rows_are_kept_together(tmp_path: Path) -> None:
    store = store_of(tmp_path, 4)
    content = bytearray(store.rows.read_bytes())
    content[12] ^= 1  # of the second row
    store.rows.write_bytes(content)
    with store.locked():
        assert store.find(KEYS).tolist() == [0, -1, 2, 3, -1, -1]
        assert store.damaged == {KEYS[1]: 1}
        store.keep([KEYS[4], KEYS[1], KEYS[5]], np.stack([row(4), row(1), row(5)]))
    assert read(tmp_path, KEYS) == expected(0, 1, 2, 3, 4, 5)
    assert FeatureStore(store.folder, 3).find(KEYS).tolist() == [0, 1, 2, 3, 4, 5]
    assert store.rows.stat().st_size == 6 * 12


def test_rows_that_changed_places_are_damaged(tmp_path: Path) -> None:
    store = store_of(tmp_path, 3)
    rows = np.fromfile(store.rows, np.float32).reshape(3, 3)
    rows[[0, 2]] = rows[[2, 0]]
    rows.tofile(store.rows)
    entries = np.fromfile(store.keys, ENTRY)
    entries["checksum"][[0, 2]] = entries["checksum"][[2, 0]]
    entries.tofile(store.keys)
    assert store.find(KEYS[:3]).tolist() == [-1, 1, -1]


@pytest.mark.parametrize(("rows", "keys"), [(50, 0), (0, 70), (5, 3), (50, 70)])
def test_what_a_killed_process_left_is_cut_off(rows: int, keys: int, tmp_path: Path) -> None:
    store = store_of(tmp_path, 2)
    for path, n_bytes in ((store.rows, rows), (store.keys, keys)):
        path.write_bytes(path.read_bytes() + bytes(range(1, n_bytes + 1)))
    whole = min(rows // 12, keys // ENTRY.itemsize)  # as many look like rows, with checksums that do not fit
    with store.locked():
        store.keep([KEYS[2]], row(2)[None])
    assert read(tmp_path, KEYS[:3]) == expected(0, 1, 2)
    assert store.rows.stat().st_size == (3 + whole) * 12
    assert store.keys.stat().st_size == (3 + whole) * ENTRY.itemsize


def test_rows_of_another_length_are_refused(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", 3)
    with pytest.raises(ValueError, match="there are 2 features of an image, 3 were expected"):
        store.keep(KEYS[:1], np.zeros((1, 2), np.float32))
    assert not store.rows.exists()


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(tmp_path, 2)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk, store.locked():
        disk.setattr(feature_store.os, "fsync", full)
        with pytest.raises(ValueError, match=r"No space left on device\): remove it, or name a folder with room for"):
            store.keep([KEYS[2]], row(2)[None])
    assert FeatureStore(store.folder, 3).find(KEYS[:3]).tolist() == [0, 1, -1]
    with store.locked():
        store.keep([KEYS[2]], row(2)[None])
    assert read(tmp_path, KEYS[:3]) == expected(0, 1, 2)


def test_readers_take_no_lock_and_make_nothing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", 3)
    assert store.find(KEYS[:2]).tolist() == [-1, -1]
    assert store.read(store.find([])).shape == (0, 3)
    assert not store.folder.exists()
    store = store_of(tmp_path, 2)
    with store.locked():
        assert read(tmp_path, KEYS[:2]) == expected(0, 1)
