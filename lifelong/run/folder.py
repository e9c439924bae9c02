"""The run folder: everything that a run writes, each file whole or not at all."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifelong.utilities.files import write_json, write_whole


class RunFolder:
    """One run's folder.

    Args:
        path: the folder; made with its parents.

    Raises:
        ValueError: when it cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise ValueError(
                f"the run folder {self.path} cannot be written to ({error.strerror}): choose another with --run.root"
            ) from error

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.path / "checkpoints"

    def write_json(self, name: str, content: Any) -> Path:
        """Write a JSON file; NaN becomes null, so that every reader takes it."""
        return write_json(self.path / name, content)

    def write(self, name: str, writer: Callable[[Path], Any]) -> Path:
        """Let ``writer`` write to a temporary name, then rename: the file is whole or absent, never half."""
        return write_whole(self.path / name, writer)


def choose_folder(root: str, name: str | None, checkpoint: str | None) -> Path:
    """The folder of a run: that of the checkpoint it goes on from, else ``root/name``, else ``root/<time>``.

    Raises:
        ValueError: when a named folder holds a finished or interrupted run already.
    """
    if checkpoint is not None:
        return Path(checkpoint).resolve().parent.parent
    if name is None:
        return _unused(Path(root) / time.strftime("%Y-%m-%d_%H-%M-%S"))
    folder = Path(root) / name
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"the run folder {folder} is in use: choose another --run.name, or go on with --ckpt_path "
            f"{folder / 'checkpoints' / 'last.ckpt'}"
        )
    return folder


def find_last(root: str, name: str | None) -> str:
    """The newest ``last.ckpt`` below ``root`` (or of the run ``name``).

    Raises:
        ValueError: when there is none.
    """
    pattern = f"{name or '*'}/checkpoints/last.ckpt"
    found = sorted(Path(root).glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(f"--ckpt_path last found no {Path(root) / pattern}: name the checkpoint's path")
    return str(found[-1])


def _unused(folder: Path) -> Path:
    candidate, number = folder, 2
    while candidate.exists():
        candidate, number = folder.with_name(f"{folder.name}_{number}"), number + 1
    return candidate
