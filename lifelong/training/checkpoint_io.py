"""Writing and reading of checkpoints by the Trainer of a run."""

from __future__ import annotations

from typing import Any

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from lifelong.utilities.checkpoint_file import read_run_checkpoint, write_checkpoint


class WholeCheckpointIO(TorchCheckpointIO):
    """Write checkpoints to a temporary file next to the target, flushed to disk; check them before they are read.

    Lightning's own class uses the system's folder of temporary files, which may be small or on another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint."""
        write_checkpoint(checkpoint, path)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = lambda storage, loc: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, of tensors and plain values only."""
        return read_run_checkpoint(path, map_location, trains=False)
