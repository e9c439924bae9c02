"""A process that dies takes the others along within seconds, and each says one sentence."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import lightning as L
import pytest

from lifelong.training.lost_process import ProcessLostError, with_others
from tests.command_line import TINY, start_apart
from tests.launches import TWO, outcome, start_slurm
from tests.processes import ROOT

STEP = 8


class Dies(L.Callback):
    """Ends one process of a run in the middle of its training, and notes when."""

    def __init__(self, rank: int, how: str) -> None:
        self.rank, self.how = rank, how

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_rank == self.rank and trainer.global_step == STEP:
            Path("died").write_text(str(time.time()))
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("no such row")


def start_own(*args: str, cwd: Path) -> Any:
    return [start_apart("fit", *TINY, *TWO, *args, cwd=cwd)]


@pytest.mark.slow
@pytest.mark.parametrize("start", [start_own, start_slurm])
@pytest.mark.parametrize(("rank", "how"), [(1, "killed"), (0, "refused"), (1, "refused")])
def test_a_lost_process_ends_the_others_in_one_sentence(
    start: Any, rank: int, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    callback = f"[{{class_path: {__name__}.Dies, init_args: {{rank: {rank}, how: {how}}}}}]"
    codes, printed = outcome(start(f"--trainer.callbacks={callback}", cwd=tmp_path))
    assert time.time() - float((tmp_path / "died").read_text()) < 20
    assert 0 not in codes
    assert "Traceback" not in printed
    assert printed.count("error: another process of this run has ended") == 1
    assert printed.count("error: no such row") == (how == "refused")


@pytest.mark.parametrize("message", ["[/gloo/pair.cc:537] Read error [::1]:2: Connection reset by peer", "Broken pipe"])
def test_a_connection_that_is_gone_is_one_sentence(message: str) -> None:
    with pytest.raises(ProcessLostError, match=r"go on from the last checkpoint by --ckpt_path last"), with_others():
        raise RuntimeError(message)


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), with_others():
        raise RuntimeError("CUDA out of memory")
