"""Where a run is kept, and whether it goes on from what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lifelong.run.mirror import is_remote
from lifelong.utilities.ranges import check_number
from lifelong.utilities.slurm import job_id

Resume = Literal["never", "auto", "must"]
"""``never`` starts a run; ``auto`` goes on where there is a checkpoint to go on from, else starts; ``must`` goes on."""


@dataclass(frozen=True)
class RunOptions:
    """Name the folder of a run and say whether it goes on.

    Args:
        root: folder of all runs; one that fsspec reads, such as ``s3://bucket/runs``, has local copies.
        name: this run's folder in it; the time where None, or a SLURM job's id where ``resume`` is not ``never``.
        resume: ``never`` starts a run and refuses a folder in use; ``auto`` goes on from the last checkpoint of the
            named run, or starts it where there is none; ``must`` refuses to start.
        allow_changes: go on with a run by other settings than its own, such as another seed, model or optimizer; its
            ``config.yaml`` of before is kept as ``config-NN.yaml``, by the experience.
        report: write ``report.html`` at the end, a page of 5 MB that a person can show.
        quiet: print no bar, line or table; warnings and errors still show, and all files are written.

    Raises:
        ValueError: when a run is to go on that has no name.

    Example:
        >>> RunOptions(name="birds").root
        'runs'
    """

    root: str = "runs"
    name: str | None = None
    resume: Resume = "never"
    allow_changes: bool = False
    report: bool = True
    quiet: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not self.root.strip() or not self.root.isprintable():
            raise ValueError(f"--run.root is {self.root!r}: name a folder, such as runs, or . for the one you are in")
        if self.resume != "never" and self.folder_name is None:
            raise ValueError(f"--run.resume {self.resume} goes on with a run by its name: give --run.name as well")

    @property
    def folder_name(self) -> str | None:
        """Return the name of the run's folder: a SLURM job that is queued again goes on with its own run."""
        return job_id() if self.name is None and self.resume != "never" else self.name


LONGEST_NAME = 200
"""Bytes of a name; file systems take 255, and some of them are for the names of files beside it."""
SEED_LIMIT = 2**32
"""What numpy's seeds are below."""


def _check_name(name: str | None) -> None:
    """Refuse a name that is no single folder, or that a shell or a pattern would take for more than one."""
    if name is None:
        return
    problem = None
    if not name or name != name.strip():
        problem = "is empty, or begins or ends with a blank"
    elif not name.isprintable():
        problem = "has a sign that cannot be printed, such as a line break"
    elif name in (".", "..") or any(sign in name for sign in "/\\"):
        problem = "is no single folder: name the folder that it lies in by --run.root"
    elif any(sign in name for sign in '*?[]{}<>|":~'):
        problem = "has a sign that stands for other names in a shell"
    elif len(name.encode()) > LONGEST_NAME:
        problem = f"is longer than {LONGEST_NAME} bytes"
    if problem:
        raise ValueError(f"--run.name {name[:80]!r} {problem}; choose another, of letters, digits, - and _")


def check_seed(seed: int | None) -> None:
    """Refuse a seed that is no whole number from 0 to 2³² − 1.

    Args:
        seed: of a run; None is the data's own.

    Raises:
        ValueError: naming it.
    """
    check_number("--seed", seed, least=0, whole=True)
    if seed is not None and seed >= SEED_LIMIT:
        raise ValueError(f"--seed is {seed}: it must be below {SEED_LIMIT}")


def run_options(
    run: RunOptions | str | Path | None,
    resume: Resume = "never",
    *,
    allow_changes: bool = False,
    report: bool = True,
    quiet: bool = False,
) -> RunOptions:
    """Return the options that a folder stands for.

    Args:
        run: the options themselves, the path of the folder, or None for one named for the time.
        resume: whether the run goes on.
        allow_changes: whether it may go on by other settings than its own.
        report: whether a page is written at its end.
        quiet: whether nothing but warnings and errors is printed.

    Example:
        >>> run_options("runs/birds", "auto").name
        'birds'
    """
    if isinstance(run, RunOptions):
        return replace(run, report=run.report and report, quiet=run.quiet or quiet)
    if run is None:
        return RunOptions(resume=resume, allow_changes=allow_changes, report=report, quiet=quiet)
    root, _, name = (
        str(run).rstrip("/").rpartition("/") if is_remote(run) else (str(Path(run).parent), "", Path(run).name)
    )
    return RunOptions(root, name, resume, allow_changes, report, quiet)
