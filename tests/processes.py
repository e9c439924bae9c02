"""Training in processes of its own, one or several that train together, without the command line.

``python -m tests.processes MODULE:FUNCTION N_PROCESSES FILE`` fits what the function makes and writes what it led to.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.training.stream_module import StreamModule

ROOT = Path(__file__).parents[1]


def fit_in_processes(make: Callable[[], tuple[StreamModule, StreamDataModule]], n: int, folder: Path) -> dict[str, Any]:
    """Fit what a function of a test's module makes in ``n`` processes; return state, matrix and so on."""
    file = folder / f"{make.__name__}-{n}.pt"
    process = subprocess.run(
        [sys.executable, "-m", "tests.processes", f"{make.__module__}:{make.__name__}", str(n), str(file)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return torch.load(file, weights_only=False)  # type: ignore[no-any-return]


def main(where: str, n: int, file: Path) -> None:
    """Fit in ``n`` processes; the first one writes the file."""
    module_name, _, function = where.partition(":")
    L.seed_everything(0)
    module, data = getattr(importlib.import_module(module_name), function)()
    evaluator = Evaluator(None)
    trainer = L.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
        devices=n,
        strategy="ddp" if n > 1 else "auto",
        max_epochs=-1,
        default_root_dir=file.parent,
        callbacks=[evaluator],
    )
    trainer.fit(module, datamodule=data)
    if trainer.is_global_zero:
        results = {"matrix": torch.from_numpy(evaluator.matrix()), "strategy_bytes": module.strategies.memory_bytes()}
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        torch.save({"state": module.state_dict(), "logged": logged, **results}, file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
