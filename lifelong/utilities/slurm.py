"""The id of a SLURM job."""

from __future__ import annotations

import os


def job_id() -> str | None:
    """Return the id of this process's SLURM job, in the form that ``scontrol`` accepts. None outside a job.

    A task of an array is ``ARRAY_TASK``. Interactive sessions do not count, as many runs are started in one session.

    Example:
        >>> job_id()
    """
    if os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID") or None
