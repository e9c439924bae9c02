"""What SLURM calls a job."""

from __future__ import annotations

import os


def job_id() -> str | None:
    """Return the id of the SLURM job that this process belongs to, as ``scontrol`` takes it; None outside of one.

    A task of an array is ``ARRAY_TASK``. An interactive session is no job of its own: many runs are started in it.

    Example:
        >>> job_id()
    """
    if os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID") or None
