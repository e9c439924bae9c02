"""The Trainer of a run writes checkpoints as this project does, unless a person brings a way of their own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from lifelong.run.trainer import make_trainer
from lifelong.training.checkpoint_io import WholeCheckpointIO
from lifelong.utilities.checkpoint_file import damage

QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}


def test_checkpoints_are_written_whole(tmp_path: Path) -> None:
    trainer = make_trainer(QUIET, [], str(tmp_path))
    file = tmp_path / "a.ckpt"
    trainer.strategy.checkpoint_io.save_checkpoint({"state_dict": {}}, file)
    assert damage(file) is None
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"a.ckpt is damaged or none"):
        trainer.strategy.checkpoint_io.load_checkpoint(file)


@pytest.mark.parametrize("as_list", [True, False])
def test_a_way_of_ones_own_is_kept(as_list: bool, tmp_path: Path) -> None:
    own = TorchCheckpointIO()
    trainer = make_trainer(QUIET | {"plugins": [own] if as_list else own}, [], str(tmp_path))
    assert trainer.strategy.checkpoint_io is own
    assert not isinstance(trainer.strategy.checkpoint_io, WholeCheckpointIO)


def test_devices_that_are_not_there_are_not_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = "lightning.pytorch.utilities.rank_zero"
    with caplog.at_level(logging.INFO, logger=name):
        make_trainer(QUIET, [], str(tmp_path))
        for message in ("GPU available: False, used: False", "GPU available: True (cuda), used: True"):
            logging.getLogger(name).info(message)
    assert [message for message in caplog.messages if "available" in message] == [
        "GPU available: True (cuda), used: True"
    ]
