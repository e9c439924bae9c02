"""The run folder: everything that a run writes, each file whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

from lifelong.run.launch import decided_by_first
from lifelong.run.mirror import STATE, Mirror, is_remote, mirrored, url_of
from lifelong.run.options import RunOptions
from lifelong.utilities.files import write_json, write_whole
from lifelong.utilities.locks import RUN_LOCK, held

FOLDER_VARIABLE = "LIFELONG_RUN_FOLDER"
"""Tells the processes that a multi-device launch starts which folder the first one chose."""
FAILED = "failed"
"""A folder in the run folder: what failed starts have left."""


class RunFolder:
    """Keep the files of one run.

    Args:
        path: the folder; made with its parents.
        url: where it lies for others, and is copied to; None for one that is nobody's copy.

    Raises:
        ValueError: when it cannot be written to.
    """

    def __init__(self, path: str | Path, url: str | None = None) -> None:
        self.path = Path(path)
        self.mirror = None if url is None else Mirror(url)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise ValueError(
                f"the run folder {self.path} cannot be written to ({error.strerror}): choose another with --run.root"
            ) from error

    @property
    def name(self) -> str:
        """Return the run's name: that of the folder, where it lies for others."""
        return self.path.resolve().name if self.mirror is None else self.mirror.url.rpartition("/")[2]

    @property
    def checkpoints(self) -> Path:
        """Return where checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """Return where the newest checkpoint lies, once there is one."""
        return self.checkpoints / "last.ckpt"

    @property
    def config(self) -> Path:
        """Return where the configuration lies."""
        return self.path / "config.yaml"

    def at_hand(self, checkpoint: str | None) -> str | None:
        """Return the path of a checkpoint that the first process has chosen, on this machine.

        A folder that lies elsewhere has a copy on each node, and the first process works in its own.

        Args:
            checkpoint: its path in the first process.

        Raises:
            ValueError: when it cannot be fetched.
        """
        if checkpoint is None or self.mirror is None:
            return checkpoint
        return str(self.mirror.fetch_file(f"checkpoints/{Path(checkpoint).name}"))

    def clear_parts(self) -> None:
        """Remove files that a process which was killed had begun to write; only who holds the folder may."""
        for folder in (self.path, self.checkpoints):
            for part in folder.glob(".*.part"):
                part.unlink(missing_ok=True)

    def write_json(self, name: str, content: Any) -> Path:
        """Write a JSON file; NaN becomes null, so that every reader takes it."""
        return write_json(self.path / name, content)

    def write(self, name: str, writer: Callable[[Path], Any]) -> Path:
        """Let ``writer`` write to a temporary name, then rename: the file is whole or absent, never half."""
        return write_whole(self.path / name, writer)


def choose_folder(options: RunOptions, checkpoint: str | None) -> str:
    """Return the folder of a run: that of the checkpoint it goes on from, else ``root/name``, else ``root/<time>``.

    Raises:
        ValueError: when a run is to start in a folder that holds one already.
    """
    if checkpoint is not None:
        of_checkpoint = Path(checkpoint).resolve().parent.parent
        return url_of(of_checkpoint) or str(of_checkpoint)
    if (name := options.folder_name) is None:
        return _unused_below(options.root, time.strftime("%Y-%m-%d_%H-%M-%S"))
    folder = _below(options.root, name)
    # A run that failed before its first checkpoint does not hold its name.
    if options.resume == "never" and _has_checkpoints(folder):
        raise ValueError(
            f"the run folder {folder} is in use: choose another --run.name, or go on with --ckpt_path "
            f"{_below(folder, 'checkpoints/last.ckpt')}"
        )
    return folder if is_remote(folder) else url_of(Path(folder)) or folder


def check_foreign(folder: Path) -> None:
    """Refuse a folder with files of which no ``config.yaml`` and no checkpoint says that they are a run's.

    Raises:
        ValueError: naming the folder.
    """
    is_run = (folder / "config.yaml").is_file() or any((folder / "checkpoints").glob("*.ckpt"))
    if _left_in(folder) and not is_run:
        raise ValueError(f"the folder {folder} is in use by files that no run has written: choose another --run.name")


def set_aside(folder: Path) -> None:
    """Move what a run without a checkpoint has left to ``failed/<time>``, so that a new one starts with nothing there.

    Args:
        folder: of the run.
    """
    if left := _left_in(folder):
        target = _unused(folder / FAILED / time.strftime("%Y-%m-%d_%H-%M-%S"))
        target.mkdir(parents=True)
        for path in left:
            path.rename(target / path.name)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a run folder for this process alone; the system opens the lock when the process ends, however it ends.

    Args:
        folder: of the run.

    Raises:
        ValueError: when another process trains there, or its file system has no locks.
    """
    with held(folder / RUN_LOCK) as is_ours:
        if not is_ours:
            raise ValueError(
                f"another process trains in the run folder {folder}: wait until it ends, or choose another --run.name"
            )
        yield


@contextmanager
def launched_folder(options: RunOptions, checkpoint: str | None, *, trains: bool = False) -> Iterator[RunFolder]:
    """Choose the run folder, and tell the other processes of a launch of several which it is.

    Args:
        options: how it is chosen.
        checkpoint: that the run goes on from, whose folder it is then.
        trains: keep the folder for this run alone, and set aside what a failed start has left.

    Raises:
        ValueError: when a named folder is in use, or cannot be written to.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    with ExitStack() as kept:

        def choose() -> str:
            where = choose_folder(options, checkpoint)
            kept.enter_context(_kept(where, trains=trains))
            return where

        where = given or decided_by_first(choose)
        assert where is not None, "the first process has chosen a folder"
        try:
            os.environ[FOLDER_VARIABLE] = where
            yield RunFolder(_local(where), where if is_remote(where) else None)
        finally:
            if not given:
                os.environ.pop(FOLDER_VARIABLE, None)  # a run that failed must not lend its folder to the next


@contextmanager
def _kept(where: str, *, trains: bool) -> Iterator[None]:
    """Prepare a folder in the first process: fetched, and a training's alone, without what one that failed has left."""
    mirror, path = Mirror(where) if is_remote(where) else None, _local(where)
    if trains and mirror is None:
        check_foreign(path)
    is_new = not path.exists()
    folder = RunFolder(path)
    try:
        with locked(path) if trains else nullcontext(), mirrored(mirror):
            if mirror is not None:
                if trains:
                    mirror.check_writable()
                mirror.fetch()
            if trains:
                check_foreign(path)
                folder.clear_parts()
                if not any(folder.checkpoints.glob("*.ckpt")):
                    set_aside(path)
            if mirror is not None:
                mirror.push()  # what a run that was killed here had not copied, for the other nodes
            yield
    finally:
        if trains and is_new and not _left_in(path) and not any(folder.checkpoints.iterdir()):
            shutil.rmtree(path)  # of a run that was refused before it began


def _local(where: str) -> Path:
    return Mirror(where).folder if is_remote(where) else Path(where)


def _below(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/{name}" if is_remote(root) else str(Path(root) / name)


def _has_checkpoints(where: str) -> bool:
    if is_remote(where):
        return Mirror(where).has_checkpoints()
    return any((Path(where) / "checkpoints").glob("*.ckpt"))


def _left_in(folder: Path) -> list[Path]:
    kept = ("checkpoints", RUN_LOCK, FAILED, STATE)
    return [path for path in folder.iterdir() if path.name not in kept] if folder.exists() else []


def _unused_below(root: str, name: str) -> str:
    if is_remote(root):
        return next(url for n in count(1) if not Mirror(url := _below(root, _numbered(name, n))).exists())
    return str(_unused(Path(root) / name))


def _unused(folder: Path) -> Path:
    return next(path for n in count(1) if not (path := folder.with_name(_numbered(folder.name, n))).exists())


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"
