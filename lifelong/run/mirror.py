"""Run folders that lie elsewhere (``s3://…`` and whatever fsspec reads): a local folder is worked in, and copied there.

A run writes thousands of small pieces and renames files, which object stores cannot. So the folder is local, in the
folder of caches, and changed files are copied after each checkpoint and at the end.
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
"""In the local folder: whose copy it is, and how each file was when both were the same."""
LAST = "checkpoints/last.ckpt"


def is_remote(where: str | Path) -> bool:
    """Tell whether a path is one of fsspec's, such as ``s3://bucket/runs/birds``.

    Example:
        >>> is_remote("memory://runs/birds"), is_remote("runs/birds")
        (True, False)
    """
    return "://" in str(where)


def url_of(folder: Path) -> str | None:
    """Return where a local folder is copied to; None where it is nobody's copy."""
    state = folder / STATE
    return str(json.loads(state.read_text(encoding="utf-8"))["url"]) if state.is_file() else None


class Mirror:
    """Keep a local folder and one that lies elsewhere the same.

    Args:
        url: of the folder that lies elsewhere.

    Raises:
        ValueError: when fsspec does not know it, or a package for it is missing.

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
        """Tell whether there is anything."""
        with self._reached():
            return bool(self.system.exists(self.root))

    def has_checkpoints(self) -> bool:
        """Tell whether a run has left checkpoints there."""
        with self._reached():
            return any(name.endswith(".ckpt") for name in self._theirs())

    def check_writable(self) -> None:
        """Write and remove a file, so that a run does not find out at its end.

        Raises:
            ValueError: when that fails.
        """
        with self._reached():
            self.system.makedirs(self.root, exist_ok=True)
            self.system.pipe_file(f"{self.root}/.writable", b"")
            self.system.rm_file(f"{self.root}/.writable")

    # -- copying --------------------------------------------------------------------------------------------------

    def fetch(self) -> None:
        """Make the local folder what the other one is; files that have not been copied there yet stay.

        Raises:
            ValueError: when it cannot be reached.
        """
        with self._reached():
            theirs, known, ours = self._theirs(), self._known(), self._ours()
            for name in _last_comes_last(theirs):
                self._fetch(name, theirs[name], known)
            for name in known.keys() - theirs.keys():  # removed elsewhere
                if ours.get(name) == known.pop(name)[0]:
                    (self.folder / name).unlink()
            self._remember(known)

    def fetch_file(self, name: str) -> Path:
        """Return one file of the folder, fetched where it is not here as it is there.

        Args:
            name: in the folder.

        Raises:
            ValueError: when it is not there, or cannot be reached.
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
        """Copy what has changed since the last time, the newest checkpoint last; remove there what was removed here.

        Raises:
            ValueError: when it cannot be reached.
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
        """Copy, and go on where that fails: the local folder is whole, and the next time takes this along."""
        try:
            self.push()
        except ValueError as error:
            warnings.warn(f"{error}; the run is in {self.folder}, and copied at its next checkpoint", stacklevel=2)

    # -- files ----------------------------------------------------------------------------------------------------

    def _ours(self) -> dict[str, list[int]]:
        """Size and time of every local file but those of the moment, whose names begin with a dot."""
        files: dict[str, list[int]] = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            if path.is_file() and not any(part.startswith(".") for part in name.parts):
                status = path.stat()
                files[name.as_posix()] = [status.st_size, status.st_mtime_ns]
        return files

    def _theirs(self) -> dict[str, str]:
        """What tells apart the states of every file there; parts of copies that were broken off are none."""
        self.system.invalidate_cache()  # listings may be remembered
        start = len(self.root.rstrip("/")) + 1
        paths = self.system.find(self.root) if self.system.exists(self.root) else []
        names = {str(path)[start:]: path for path in paths}
        return {n: self.system.ukey(path) for n, path in names.items() if not PurePosixPath(n).name.startswith(".")}

    def _fetch(self, name: str, state: str, known: dict[str, Any]) -> None:
        local, ours, before = self.folder / name, self._state(name), known.get(name, [None, None])
        if ours is not None and before[1] == state:
            return  # as it was, or newer here
        if ours is not None and before[0] not in (None, ours):
            warnings.warn(f"{local} has changed, and in {self.url} as well: the latter is used", stacklevel=3)
        write_whole(local, lambda part: self.system.get_file(f"{self.root}/{name}", str(part)))
        known[name] = [self._state(name), state]

    def _state(self, name: str) -> list[int] | None:
        local = self.folder / name
        return [local.stat().st_size, local.stat().st_mtime_ns] if local.is_file() else None

    def _put(self, name: str) -> None:
        source, target = self.folder / name, f"{self.root}/{name}"
        if isinstance(self.system, LocalFileSystem):  # others show a file once it is whole
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
        except Exception as error:  # every file system has errors of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"the run folder {self.url} cannot be reached ({reason})") from error


class CopyCheckpoints(L.Callback):
    """Copy the run folder after each checkpoint; it comes after the callback that saves them.

    Args:
        mirror: of the run folder.
        checkpoint: saves.
    """

    def __init__(self, mirror: Mirror, checkpoint: StreamCheckpoint) -> None:
        self.mirror, self.checkpoint = mirror, checkpoint
        self._copied: int | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Copy where a checkpoint was saved in the middle of an experience."""
        if self.checkpoint.saved_step != self._copied:
            self._copy(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the checkpoint of an experience."""
        self._copy(trainer)

    def _copy(self, trainer: L.Trainer) -> None:
        self._copied = self.checkpoint.saved_step
        if trainer.is_global_zero:
            self.mirror.push_or_warn()


@contextmanager
def mirrored(mirror: Mirror | None) -> Iterator[None]:
    """Copy a folder when what is done in it is done, or has failed.

    Args:
        mirror: of the folder; None for one that is nobody's copy.

    Raises:
        ValueError: when all went well and the copying did not.
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
    """Return the local path of a checkpoint; one that lies elsewhere is fetched, with the config beside it.

    Args:
        path: of a checkpoint in a run folder.

    Raises:
        ValueError: when it is not there, or cannot be reached.

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
    """Return a run folder, or a checkpoint in one, on this machine; one that lies elsewhere is fetched.

    Args:
        path: of either.

    Raises:
        ValueError: when it cannot be reached.

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
