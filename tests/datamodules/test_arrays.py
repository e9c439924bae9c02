"""Arrays that are kept in the cache folder, and what becomes of damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules._arrays import load_arrays, save_arrays

ARRAYS = {"x": np.arange(1000.0), "y": np.arange(3)}


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_come_back_and_damaged_ones_do_not(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "a.npz"
    assert load_arrays(path, ARRAYS) is None
    save_arrays(path, ARRAYS, "numbers", compress=compress)
    found = load_arrays(path, ARRAYS)
    assert found is not None
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:500], b"", changed(whole, 600), changed(whole, 1000)):
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"the arrays in .*a\.npz are damaged \(.*\): they are collected anew"):
            assert load_arrays(path, ARRAYS) is None
    path.write_bytes(whole)
    with pytest.warns(UserWarning, match="are damaged"):
        assert load_arrays(path, ["z"]) is None


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
