"""Remote run folders (``s3://…`` and everything else that fsspec supports): a run works in a local copy.

A run writes thousands of small parts and renames files, which object stores do not support. The local copy is in the
cache folder, and changed files are uploaded after each checkpoint and at the end.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import lightning as L
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.utilities.cache import cache_folder
from lifelong.utilities.files import write_json, write_whole
from lifelong.utilities.quiet import say

STATE = ".mirror.json"
"""File in the local folder with the remote address and the state of each file when both folders were equal."""
LAST = "checkpoints/last.ckpt"


def is_remote(where: str | Path) -> bool:
    """Return whether a path is an fsspec URL, such as ``s3://bucket/runs/birds``.

    Example:
        >>> is_remote("memory://runs/birds"), is_remote("runs/birds")
        (True, False)
    """
    return "://" in str(where)


def url_of(folder: Path) -> str | None:
    """Return the remote address of a local folder. None if the folder is not a copy."""
    state = folder / STATE
    return str(json.loads(state.read_text(encoding="utf-8"))["url"]) if state.is_file() else None


class Mirror:
    """Keep a local folder and a remote one in sync.

    Args:
        url: address of the remote folder.

    Raises:
        ValueError: when fsspec does not support the address, or a package for it is missing.

    Example:
        >>> Mirror("memory://runs/birds").folder.name
        'birds'
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            self.system, self.root = url_to_fs(self.url)
        except (ImportError, ValueError, OSError) as error:
            raise ValueError(f"the run folder {self.url} cannot be used: {error}") from error
        self.folder = cache_folder() / "runs" / Path(*(_quoted(part) for part in self.url.split("/") if part))

    # -- looking --------------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Return whether the remote folder contains anything."""
        with self._reached():
            return bool(self.system.exists(self.root))

    def has_checkpoints(self) -> bool:
        """Return whether the remote folder contains checkpoints of a run."""
        with self._reached():
            return any(name.endswith(".ckpt") for name in self._theirs())

    def check_writable(self) -> None:
        """Write and remove a remote file, so that missing permissions are found at the start.

        Raises:
            ValueError: when this fails.
        """
        with self._reached():
            self.system.makedirs(self.root, exist_ok=True)
            self.system.pipe_file(f"{self.root}/.writable", b"")
            self.system.rm_file(f"{self.root}/.writable")

    # -- copying --------------------------------------------------------------------------------------------------

    def fetch(self) -> None:
        """Update the local folder from the remote one; local files that were not uploaded yet are kept.

        Raises:
            ValueError: when the remote folder cannot be reached.
        """
        with self._reached():
            theirs, known, ours = self._theirs(), self._known(), self._ours()
            for name in _last_comes_last(theirs):
                self._fetch(name, theirs[name], known)
            for name in known.keys() - theirs.keys():  # removed in the remote folder
                if ours.get(name) == known.pop(name)[0]:
                    (self.folder / name).unlink()
            self._remember(known)

    def fetch_file(self, name: str) -> Path:
        """Return the local path of one file, after fetching it if the remote file differs.

        Args:
            name: path of the file, relative to the folder.

        Raises:
            ValueError: when the file does not exist, or cannot be reached.
        """
        with self._reached():
            self.system.invalidate_cache()
            if not self.system.exists(f"{self.root}/{name}"):
                raise FileNotFoundError(f"there is no {name}")
            self._fetch(name, self.system.ukey(f"{self.root}/{name}"), self._known())
            if url_of(self.folder) is None:
                self._remember({})
        return self.folder / name

    def push(self) -> None:
        """Upload changed files, the newest checkpoint last, and remove remotely what was removed locally.

        Raises:
            ValueError: when the remote folder cannot be reached.
        """
        with self._reached():
            known, ours = self._known(), self._ours()
            for name in _last_comes_last(ours):
                if known.get(name, [None])[0] != ours[name]:
                    self._put(name)
                    known[name] = [ours[name], self.system.ukey(f"{self.root}/{name}")]
            for name in known.keys() - ours.keys():
                self.system.rm_file(f"{self.root}/{name}")
                known.pop(name)
            self._remember(known)

    def push_or_warn(self) -> None:
        """Upload the changes, or warn on failure: the local folder is complete, and the next upload includes them."""
        try:
            self.push()
        except ValueError as error:
            warnings.warn(f"{error}; the run is in {self.folder}, and copied at its next checkpoint", stacklevel=2)

    # -- files ----------------------------------------------------------------------------------------------------

    def _ours(self) -> dict[str, list[int]]:
        """Return size and time of every local file, except temporary ones, whose names start with a dot."""
        files: dict[str, list[int]] = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            if path.is_file() and not any(part.startswith(".") for part in name.parts):
                status = path.stat()
                files[name.as_posix()] = [status.st_size, status.st_mtime_ns]
        return files

    def _theirs(self) -> dict[str, str]:
        """Return a key of every remote file that changes with its content, except for incomplete uploads."""
        self.system.invalidate_cache()  # listings may be cached
        start = len(self.root.rstrip("/")) + 1
        paths = self.system.find(self.root) if self.system.exists(self.root) else []
        names = {str(path)[start:]: path for path in paths}
        return {n: self.system.ukey(path) for n, path in names.items() if not PurePosixPath(n).name.startswith(".")}

    def _fetch(self, name: str, state: str, known: dict[str, Any]) -> None:
        local, ours, before = self.folder / name, self._state(name), known.get(name, [None, None])
        if ours is not None and before[1] == state:
            return  # unchanged in the remote folder, or newer here
        if ours is not None and before[0] not in (None, ours):
            warnings.warn(f"{local} has changed, and in {self.url} as well: the latter is used", stacklevel=3)
        write_whole(local, lambda part: self.system.get_file(f"{self.root}/{name}", str(part)))
        known[name] = [self._state(name), state]

    def _state(self, name: str) -> list[int] | None:
        local = self.folder / name
        return [local.stat().st_size, local.stat().st_mtime_ns] if local.is_file() else None

    def _put(self, name: str) -> None:
        source, target = self.folder / name, f"{self.root}/{name}"
        if isinstance(self.system, LocalFileSystem):  # other file systems show only complete files
            write_whole(target, lambda part: shutil.copyfile(source, part))
            return
        self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
        self.system.put_file(str(source), target)

    def _known(self) -> dict[str, Any]:
        state = self.folder / STATE
        return dict(json.loads(state.read_text(encoding="utf-8"))["files"]) if state.is_file() else {}

    def _remember(self, known: dict[str, Any]) -> None:
        write_json(self.folder / STATE, {"url": self.url, "files": known})

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # every file system raises its own errors
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"the run folder {self.url} cannot be reached ({reason})") from error


class CopyCheckpoints(L.Callback):
    """Upload the run folder after each checkpoint; this callback must follow the one that saves checkpoints.

    Args:
        mirror: the mirror of the run folder.
        checkpoint: the callback that saves checkpoints.
    """

    def __init__(self, mirror: Mirror, checkpoint: StreamCheckpoint) -> None:
        self.mirror, self.checkpoint = mirror, checkpoint
        self._copied: int | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Upload if a checkpoint was saved within an experience."""
        if self.checkpoint.saved_step != self._copied:
            self._copy(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Upload the checkpoint of an experience."""
        self._copy(trainer)

    def _copy(self, trainer: L.Trainer) -> None:
        self._copied = self.checkpoint.saved_step
        if trainer.is_global_zero:
            self.mirror.push_or_warn()


@contextmanager
def mirrored(mirror: Mirror | None) -> Iterator[None]:
    """Upload a folder at the end of the block, also after an error.

    Args:
        mirror: the mirror of the folder. None if the folder is not a copy.

    Raises:
        ValueError: when the block succeeded but the upload failed.
    """
    if mirror is None:
        yield
        return
    try:
        yield
    except BaseException:
        mirror.push_or_warn()
        raise
    try:
        mirror.push()
    except ValueError as error:
        raise ValueError(
            f"{error}: all is done and lies in {mirror.folder}, and is copied by --run.resume auto once it can be"
        ) from error
    say(f"copied to {mirror.url}")


def local_checkpoint(path: str) -> str:
    """Return the local path of a checkpoint; a remote one is fetched, together with its config.

    Args:
        path: path of a checkpoint in a run folder.

    Raises:
        ValueError: when the checkpoint does not exist, or cannot be reached.

    Example:
        >>> local_checkpoint("runs/birds/checkpoints/last.ckpt")
        'runs/birds/checkpoints/last.ckpt'
    """
    if not is_remote(path):
        return path
    folder, _, name = path.rpartition("/checkpoints/")
    if not folder:
        raise ValueError(f"{path} is no checkpoint of a run folder: give …/checkpoints/last.ckpt")
    mirror = Mirror(folder)
    file = mirror.fetch_file(f"checkpoints/{name}")
    mirror.fetch_file("config.yaml")
    return str(file)


def local_run(path: str | Path) -> Path:
    """Return the local path of a run folder or of a checkpoint in one; a remote one is fetched.

    Args:
        path: path of the run folder or the checkpoint.

    Raises:
        ValueError: when the remote folder cannot be reached.

    Example:
        >>> local_run("runs/birds").name
        'birds'
    """
    if not is_remote(path):
        return Path(path)
    if str(path).endswith(".ckpt"):
        return Path(local_checkpoint(str(path)))
    mirror = Mirror(str(path))
    mirror.fetch()
    return mirror.folder


def _quoted(part: str) -> str:
    return quote(part) if part.strip(".") else part.replace(".", "%2E")


def _last_comes_last(names: Any) -> list[str]:
    return sorted(names, key=lambda name: (name == LAST, name))
