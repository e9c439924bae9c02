"""Options of a run: its folder, and whether it continues an earlier run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lifelong.run.mirror import is_remote
from lifelong.utilities.ranges import check_number
from lifelong.utilities.slurm import job_id

Resume = Literal["never", "auto", "must"]
"""``never`` starts a new run; ``auto`` continues from a checkpoint if there is one, else starts; ``must`` continues."""


@dataclass(frozen=True)
class RunOptions:
    """Name the folder of a run, and choose whether to continue a run that is there.

    Args:
        root: folder of all runs. It may be an fsspec URL, such as ``s3://bucket/runs``, which is copied locally.
        name: name of the run folder below ``root``. Default: the time or, if ``resume`` is not ``never``, the SLURM job
            id.
        resume: ``never`` starts a new run and refuses a folder in use; ``auto`` continues from the last checkpoint of
            the named run, or starts it if there is none; ``must`` refuses to start a new run.
        allow_changes: continue a run even if its settings, such as seed, model or optimizer, have changed. Its previous
            ``config.yaml`` is kept as ``config-NN.yaml``, where NN is the experience.
        report: write ``report.html`` at the end, a self-contained page of about 5 MB.
        quiet: print no progress bar, message or table. Warnings and errors are still shown, and all files are written.

    Raises:
        ValueError: when ``resume`` is not ``never`` and the run has no name, or a name is invalid.

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
        """Return the name of the run folder; by default, a requeued SLURM job continues its own run."""
        return job_id() if self.name is None and self.resume != "never" else self.name


LONGEST_NAME = 200
"""Longest name in bytes; file systems allow 255, and names of files next to the folder need some of them."""
SEED_LIMIT = 2**32
"""Upper limit of NumPy's seeds (exclusive)."""


def _check_name(name: str | None) -> None:
    """Refuse a name that is not a single folder, or that contains a shell's special characters."""
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
    """Refuse a seed that is not an integer from 0 to 2³² − 1.

    Args:
        seed: seed of the run. None stands for the seed of the data.

    Raises:
        ValueError: naming the seed.
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
    """Return the options for a run folder.

    Args:
        run: the options themselves, the path of the folder, or None for a folder named after the time.
        resume: whether the run continues an earlier one.
        allow_changes: whether the run may continue with other settings than its own.
        report: whether a report is written at the end.
        quiet: whether only warnings and errors are printed.

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
