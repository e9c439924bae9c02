"""The run folder: all files that a run writes, each complete or absent."""

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
"""Environment variable that tells the other processes of a launch which run folder the first process chose."""
FAILED = "failed"
"""Subfolder of the run folder with the files of failed starts."""


class RunFolder:
    """Manage the files of one run.

    Args:
        path: the folder. It is created with its parents.
        url: address of the remote folder of which this is the local copy. None if it is not a copy.

    Raises:
        ValueError: when the folder is not writable.
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
        """Return the name of the run: the name of its folder or, for a local copy, of the remote folder."""
        return self.path.resolve().name if self.mirror is None else self.mirror.url.rpartition("/")[2]

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """Return the path of the newest checkpoint, whether it exists yet or not."""
        return self.checkpoints / "last.ckpt"

    @property
    def config(self) -> Path:
        """Return the path of the configuration."""
        return self.path / "config.yaml"

    def at_hand(self, checkpoint: str | None) -> str | None:
        """Return this machine's path of a checkpoint that the first process has chosen.

        A remote run folder has a local copy on each node, and the first process chooses a path in its own copy.

        Args:
            checkpoint: its path in the first process.

        Raises:
            ValueError: when the checkpoint cannot be fetched.
        """
        if checkpoint is None or self.mirror is None:
            return checkpoint
        return str(self.mirror.fetch_file(f"checkpoints/{Path(checkpoint).name}"))

    def clear_parts(self) -> None:
        """Remove incomplete files of a process that was killed; only the process that locks the folder may do this."""
        for folder in (self.path, self.checkpoints):
            for part in folder.glob(".*.part"):
                part.unlink(missing_ok=True)

    def write_json(self, name: str, content: Any) -> Path:
        """Write a JSON file; NaN becomes null, which every JSON reader accepts."""
        return write_json(self.path / name, content)

    def write(self, name: str, writer: Callable[[Path], Any]) -> Path:
        """Let ``writer`` write to a temporary file, then rename it, so that the file is complete or absent."""
        return write_whole(self.path / name, writer)


def choose_folder(options: RunOptions, checkpoint: str | None) -> str:
    """Return the folder of a run: the folder of its checkpoint, or else ``root/name``, or else ``root/<time>``.

    Raises:
        ValueError: when a new run is to start in a folder that already contains one.
    """
    if checkpoint is not None:
        of_checkpoint = Path(checkpoint).resolve().parent.parent
        return url_of(of_checkpoint) or str(of_checkpoint)
    if (name := options.folder_name) is None:
        return _unused_below(options.root, time.strftime("%Y-%m-%d_%H-%M-%S"))
    folder = _below(options.root, name)
    # A run that failed before its first checkpoint does not reserve its name.
    if options.resume == "never" and _has_checkpoints(folder):
        raise ValueError(
            f"the run folder {folder} is in use: choose another --run.name, or go on with --ckpt_path "
            f"{_below(folder, 'checkpoints/last.ckpt')}"
        )
    return folder if is_remote(folder) else url_of(Path(folder)) or folder


def check_foreign(folder: Path) -> None:
    """Refuse a folder with files that are not a run's: it has neither a ``config.yaml`` nor a checkpoint.

    Raises:
        ValueError: naming the folder.
    """
    is_run = (folder / "config.yaml").is_file() or any((folder / "checkpoints").glob("*.ckpt"))
    if _left_in(folder) and not is_run:
        raise ValueError(f"the folder {folder} is in use by files that no run has written: choose another --run.name")


def set_aside(folder: Path) -> None:
    """Move the files of a run without a checkpoint to ``failed/<time>``, so that a new run starts in an empty folder.

    Args:
        folder: the run folder.
    """
    if left := _left_in(folder):
        target = _unused(folder / FAILED / time.strftime("%Y-%m-%d_%H-%M-%S"))
        target.mkdir(parents=True)
        for path in left:
            path.rename(target / path.name)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a run folder for this process; the operating system releases the lock whenever the process ends.

    Args:
        folder: the run folder.

    Raises:
        ValueError: when another process trains there, or the file system does not support locks.
    """
    with held(folder / RUN_LOCK) as is_ours:
        if not is_ours:
            raise ValueError(
                f"another process trains in the run folder {folder}: wait until it ends, or choose another --run.name"
            )
        yield


@contextmanager
def launched_folder(options: RunOptions, checkpoint: str | None, *, trains: bool = False) -> Iterator[RunFolder]:
    """Choose the run folder, and share the choice with the other processes of a distributed launch.

    Args:
        options: how the folder is chosen.
        checkpoint: checkpoint from which the run continues. Its run folder is used.
        trains: lock the folder for this run, and move the files of a failed start aside.

    Raises:
        ValueError: when a named folder is in use or not writable.
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
                os.environ.pop(FOLDER_VARIABLE, None)  # a failed run must not pass its folder on to the next run


@contextmanager
def _kept(where: str, *, trains: bool) -> Iterator[None]:
    """Prepare a folder in the first process: fetch it and, for training, lock it and move failed starts aside."""
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
                mirror.push()  # for the other nodes: what a killed run had not copied yet
            yield
    finally:
        if trains and is_new and not _left_in(path) and not any(folder.checkpoints.iterdir()):
            shutil.rmtree(path)  # the run was refused before it began


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
