"""Checkpoint files: written completely and flushed, checked before they are read, and unable to run code."""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

END = b"PK\x05\x06" + bytes(18)
"""The end record of an archive without a comment, as torch writes it."""
TO_ANSWER: dict[str, type] = {"lifelong": dict, "pytorch-lightning_version": str}
"""Required keys of a run's checkpoint besides the weights, with their types."""
TO_TRAIN = TO_ANSWER | {"epoch": int, "global_step": int, "loops": dict, "callbacks": dict}
TO_TRAIN |= {"optimizer_states": list, "lr_schedulers": list}
MapLocation = str | torch.device | Callable[..., Any] | None


def write_checkpoint(content: dict[str, Any], path: str | Path) -> None:
    """Save a checkpoint to a temporary file, flush it to disk, and rename it, so that it is complete or absent.

    Args:
        content: tensors and plain values.
        path: path of the file. Its folder is created.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        replace_durably(part, target)
    finally:
        part.unlink(missing_ok=True)


def replace_durably(source: Path, target: Path) -> None:
    """Rename a file over another and flush the folder, so that the new name survives a power failure."""
    os.replace(source, target)
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot flush folders
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def damage(path: str | Path) -> str | None:
    """Return what is wrong with a checkpoint file according to its checksums. None if it is complete.

    A checkpoint is a zip archive whose parts have checksums, which :func:`torch.load` does not verify.

    Args:
        path: path of the file.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "last.ckpt"
        >>> write_checkpoint({"state_dict": {}}, file)
        >>> damage(file)
        >>> _ = file.write_bytes(file.read_bytes()[:100])
        >>> damage(file)
        'it is no archive of torch, or its end is missing'
    """
    file = Path(path)
    try:
        if file.stat().st_size == 0:
            return "it is empty"
        with file.open("rb") as opened:
            opened.seek(-min(len(END), file.stat().st_size), os.SEEK_END)
            end = opened.read()
        if not (end.startswith(END[:4]) and end.endswith(END[-2:])):
            return "it is no archive of torch, or its end is missing"
        with zipfile.ZipFile(file) as archive:
            part = archive.testzip()
            if any(info.external_attr for info in archive.infolist()):
                return "its list of parts is not what torch writes"  # torch would ignore such a part
    except zipfile.BadZipFile:
        return "it is no archive of torch, or its end is missing"
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        return " ".join(str(error).split())
    return None if part is None else f"{part} does not have the bytes that were written"


def read_checkpoint(path: str | Path, map_location: MapLocation = "cpu") -> dict[str, Any]:
    """Read a checkpoint of a run, which contains only tensors and plain values, and so cannot run code.

    Args:
        path: path of the file.
        map_location: device of the tensors.

    Raises:
        ValueError: when the file is absent, damaged or of another kind, or its weights are not finite.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"the checkpoint {file} is not there: give the path of one in a run's checkpoints/")
    if problem := damage(file):
        raise ValueError(f"the checkpoint {file} is damaged or none: {problem}; {_way_out(file)}")
    try:
        content: Any = torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"the checkpoint {file} holds objects other than tensors and plain values, which could run code when they "
            "are loaded: it was not written by lifelong; give one from a run's checkpoints/"
        ) from error
    except Exception as error:  # torch may raise anything for an archive of another kind
        raise ValueError(
            f"the checkpoint {file} cannot be read ({type(error).__name__}): give one from a run's checkpoints/"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise ValueError(f"the checkpoint {file} was not written by lifelong: give one from a run's checkpoints/")
    _check_finite(content["state_dict"], file)
    return content


def read_run_checkpoint(path: str | Path, map_location: MapLocation = "cpu", *, trains: bool = True) -> dict[str, Any]:
    """Read a checkpoint in order to resume or evaluate its run.

    Args:
        path: path of the file.
        map_location: device of the tensors.
        trains: whether the run is resumed, which also requires the state of the optimizer and the loops.

    Raises:
        ValueError: as in :func:`read_checkpoint`, and when a part is missing.
    """
    content = read_checkpoint(path, map_location)
    parts = TO_TRAIN if trains else TO_ANSWER
    missing = [name for name, kind in parts.items() if not isinstance(content.get(name), kind)]
    if missing:
        other = "not written by lifelong" if "lifelong" in missing else "written without what a run goes on from"
        raise ValueError(
            f"the checkpoint {path} was {other} (it has no {missing[0]}): give --ckpt_path one from "
            "a run's checkpoints/"
        )
    return content


def newest_whole(folder: Path) -> Path | None:
    """Return the newest complete checkpoint of a folder, with a warning if newer ones are damaged."""
    files = sorted(folder.glob("*.ckpt"), key=lambda file: (file.stat().st_mtime_ns, file.name == "last.ckpt"))
    problems: list[str] = []
    for file in reversed(files):
        problem = damage(file)
        if problem is None:
            if problems:
                warnings.warn(f"{'; '.join(problems)}: {file} is used in its place", stacklevel=2)
            return file
        problems.append(f"the checkpoint {file} is damaged: {problem}")
    return None


def _check_finite(state: dict[str, Any], file: Path) -> None:
    for name, weight in state.items():
        is_weight = name.startswith("learner.") and isinstance(weight, torch.Tensor) and weight.is_floating_point()
        if is_weight and not torch.isfinite(weight).all():
            raise ValueError(f"the weights {name} in {file} are not finite numbers: {_way_out(file)}")


def _way_out(file: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        others = newest_whole(file.parent)
    if others is None or others == file:
        return "give another checkpoint of the run, or start it again"
    return f"the newest whole one there is {others}"
