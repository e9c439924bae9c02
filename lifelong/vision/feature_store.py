"""Features stored on disk: an append-only array of rows, indexed by the content of their inputs.

Shapes: ``M`` requested rows, ``N`` stored rows, ``D`` features of a row.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from lifelong.utilities.locks import acquire, is_held

log = logging.getLogger(__name__)

ENTRY = np.dtype([("key", "V16"), ("checksum", "<u4")])
"""Index entry of a row: its key, and the CRC-32 of key and row."""


class FeatureStore:
    """Store rows in single precision by 16-byte keys, in a folder with two append-only files.

    ``rows.f32`` contains the rows sequentially, ``keys`` one entry per row. Rows are flushed to disk before their
    entries are written. If a process is killed, the next one truncates incomplete data after the last complete entry.
    Readers need no lock, and receive a memory map if the requested rows are contiguous.

    Alternatives: SQLite (used for embeddings of texts) provides no memory map of rows; safetensors and npy files have a
    fixed size; zarr and Lance would be another dependency for one append-only array.

    Args:
        folder: folder for these rows only; it is created.
        n_features: ``D``.

    Example:
        >>> import tempfile
        >>> store = FeatureStore(Path(tempfile.mkdtemp()), 2)
        >>> with store.locked():
        ...     store.keep([b"a" * 16, b"b" * 16], np.eye(2, dtype=np.float32))
        >>> store.read(store.find([b"b" * 16])).tolist(), store.find([b"c" * 16]).tolist()
        ([[0.0, 1.0]], [-1])
    """

    def __init__(self, folder: Path, n_features: int) -> None:
        self.folder, self.n_features = folder, n_features
        self.rows, self.keys = folder / "rows.f32", folder / "keys"
        self.damaged: dict[bytes, int] = {}

    def find(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return the row indices ``(M,)`` of some keys, or -1 if a row is missing or damaged.

        Afterwards, ``damaged`` contains the damaged rows.
        """
        with self._names_the_folder():
            entries, rows = self._open()
            kept: list[bytes] = entries["key"].tolist()
            at = {key: place for place, key in enumerate(kept)}
            places = {key: at[key] for key in keys if key in at}
            checksums = entries["checksum"]
            self.damaged = {key: p for key, p in places.items() if _checksum(key, rows[p]) != checksums[p]}
        return np.array([-1 if key in self.damaged else places.get(key, -1) for key in keys], dtype=np.int64)

    def read(self, places: np.ndarray) -> Tensor:
        """Return the rows ``(M, D)`` at some indices: a memory map if they are contiguous, otherwise a copy."""
        with self._names_the_folder():
            _, rows = self._open()
            if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
                return torch.from_numpy(rows[places[0] : places[0] + len(places)])
            return torch.from_numpy(np.ascontiguousarray(rows[places]))

    def keep(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Store rows ``(M, D)`` under new keys, or overwrite damaged ones; only within :meth:`locked`.

        Raises:
            ValueError: when the rows do not have ``D`` features, or cannot be written.
        """
        if rows.shape[1:] != (self.n_features,):
            raise ValueError(f"there are {rows.shape[1]} features of an image, {self.n_features} were expected")
        rows = np.ascontiguousarray(rows, dtype="<f4")
        entries = np.array([(np.void(k), _checksum(k, r)) for k, r in zip(keys, rows, strict=True)], dtype=ENTRY)
        is_new = np.array([key not in self.damaged for key in keys], dtype=bool)
        with self._names_the_folder(rows.nbytes):
            n_kept = self._count()
            _write(self.rows, n_kept * self._row_bytes, rows[is_new], is_end=True)
            _write(self.keys, n_kept * ENTRY.itemsize, entries[is_new], is_end=True)
            for number in np.flatnonzero(~is_new).tolist():
                place = self.damaged[keys[number]]
                _write(self.rows, place * self._row_bytes, rows[number])
                _write(self.keys, place * ENTRY.itemsize, entries[number])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Acquire the write lock within the block, after waiting for other writers."""
        with self._names_the_folder():
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        with self._names_the_folder():
            if is_held(Path(lock.lock_file)):
                log.warning("another process computes features into %s: this one waits for it", self.folder)
            acquire(lock)
        try:
            yield
        finally:
            lock.release()

    @property
    def _row_bytes(self) -> int:
        return 4 * self.n_features

    def _count(self) -> int:
        """Return ``N``, the number of rows that are complete and have a complete entry."""
        sizes = [(path.stat().st_size if path.is_file() else 0) for path in (self.rows, self.keys)]
        return min(sizes[0] // self._row_bytes, sizes[1] // ENTRY.itemsize)

    def _open(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all entries ``(N,)``, and the rows ``(N, D)`` as a memory map."""
        if (n_kept := self._count()) == 0:
            return np.zeros(0, ENTRY), np.zeros((0, self.n_features), np.float32)
        # Mode "c" is copy-on-write: torch receives writable memory, and the file does not change.
        rows = np.memmap(self.rows, "<f4", mode="c", shape=(n_kept, self.n_features))
        return np.fromfile(self.keys, ENTRY, n_kept), np.asarray(rows)

    @contextmanager
    def _names_the_folder(self, n_bytes: int = 0) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            room = f"room for {n_bytes / 2**20:.0f} MiB more" if n_bytes else "room for them"
            raise ValueError(
                f"features cannot be kept in {self.folder} ({error}): remove it, or name a folder with {room} with "
                "LIFELONG_CACHE"
            ) from error


def _checksum(key: bytes, row: np.ndarray) -> int:
    return zlib.crc32(row.data, zlib.crc32(key))


def _write(path: Path, place: int, what: np.ndarray, *, is_end: bool = False) -> None:
    """Write at an offset of a file, created if missing, and flush it; ``is_end`` truncates the file afterwards."""
    with path.open("r+b" if path.is_file() else "w+b") as file:
        file.seek(place)
        file.write(what.tobytes())
        if is_end and file.seek(0, os.SEEK_END) > (end := place + what.nbytes):
            file.truncate(end)
        file.flush()
        os.fsync(file.fileno())
