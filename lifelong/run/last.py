"""``last``, which stands in every command for the run below ``runs`` that was written to last.

A run is a folder with a ``checkpoints/last.ckpt`` or a ``results.json``. The newer of the two files gives its time.
"""

from __future__ import annotations

from pathlib import Path

MARKS = ("checkpoints/last.ckpt", "results.json")
"""Files that mark a folder as a run folder."""


def last_run(root: str = "runs", name: str | None = None) -> Path:
    """Return the folder of the newest run below ``root``, or of the run ``name`` there.

    Args:
        root: local folder of all runs.
        name: name of a run, as set by ``--run.name``.

    Raises:
        ValueError: when there is no such run.
    """
    if "://" in root:
        raise ValueError(f"last looks among local runs, and {root} is elsewhere: give the path of the run, {root}/NAME")
    marks = [path for mark in MARKS for path in Path(root).glob(f"{name or '*'}/{mark}")]
    if not marks:
        raise ValueError(
            f"last found no {Path(root) / (name or '*')} with a checkpoint or results: name the path of a run"
        )
    newest = max(marks, key=lambda path: (path.stat().st_mtime_ns, path.parts))
    return newest.parent.parent if newest.parent.name == "checkpoints" else newest.parent


def last_checkpoint(root: str = "runs", name: str | None = None) -> str:
    """Return the newest complete checkpoint of the newest run.

    Args:
        root: local folder of all runs.
        name: name of a run, as set by ``--run.name``.

    Raises:
        ValueError: when there is no run, or it has no complete checkpoint.
    """
    from lifelong.utilities.checkpoint_file import newest_whole  # imports torch, which takes seconds

    if "://" in root:
        raise ValueError(
            f"last looks among local runs, and {root} is elsewhere: give --ckpt_path {root}/NAME/checkpoints/last.ckpt"
        )
    folder = last_run(root, name)
    newest = newest_whole(folder / "checkpoints")
    if newest is None:
        raise ValueError(f"last is {folder}, which has no whole checkpoint: name the path of another run")
    return str(newest)
