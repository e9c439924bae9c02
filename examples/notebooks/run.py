"""Run the notebooks and keep their outputs, without what differs from run to run.

    python examples/notebooks/run.py            # all of them, some minutes each on one core (make notebooks)
    python examples/notebooks/run.py own_tensors

Needs the extras ``notebooks`` and, for the one with the car, ``robot``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "PYTHONWARNINGS": "ignore:IProgress not found"}


def run_notebook(path: Path, out: Path) -> None:
    """Run a notebook from its first cell on, in an empty folder, and write it with what its cells showed.

    Args:
        path: of the notebook.
        out: where it is written.

    Raises:
        nbclient.exceptions.CellExecutionError: when a cell fails; nothing is written then.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT), "LIFELONG_CACHE": f"{folder}/cache"}
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", startup_timeout=300, resources=place).execute(env=variables)
    clean(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, out)


def clean(notebook: Any) -> None:
    """Remove what differs from run to run and machine to machine, and note the code that the outputs are of.

    Args:
        notebook: as nbformat reads it; changed in place.
    """
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["outputs_of"] = digest_of_code(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output["metadata"] = {}


def digest_of_code(notebook: Any) -> str:
    """Return a digest of all code cells, by which a test tells that the outputs are theirs."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def main(names: Sequence[str]) -> None:
    """Run the notebooks of these names; all where there is none."""
    for path in [FOLDER / f"{name}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb")):
        start = time.monotonic()
        run_notebook(path, path)
        print(f"{path.stem}: {time.monotonic() - start:.0f} s, {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
