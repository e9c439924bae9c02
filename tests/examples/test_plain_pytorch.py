"""The loop of plain PyTorch is short, and learns what ``fit`` learns."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path

import pytest
import torch

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from examples import plain_pytorch
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from strategies import EWC, Replay


def test_the_loop_has_at_most_thirty_lines() -> None:
    assert len([line for line in inspect.getsource(plain_pytorch.train).splitlines() if line.strip()]) <= 30


@pytest.mark.filterwarnings("ignore")
def test_the_loop_equals_fit_with_sgd(tmp_path: Path) -> None:
    learners, matrices = [], []
    for is_plain in (True, False):
        lifelong.seed_everything(0, verbose=False)
        source = Glyphs(styles=["strokes", "textures"], n_classes=24, n_examples=10, image_size=8)
        data = EpisodicDataModule([source], n_way=3, n_shot=2, n_query=2, steps_per_experience=5, n_eval_tasks=4)
        learner = ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8))
        strategies = [EWC(strength=5.0, n_fisher_tasks=4), Replay()]
        if is_plain:
            chain = lifelong.Chain(strategies)
            plain_pytorch.train(learner, data, chain, lr=0.1)
            matrices.append(plain_pytorch.evaluate(learner, data, chain))
        else:
            optimizer = partial(torch.optim.SGD, lr=0.1, fused=False, foreach=False)
            quiet = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
            run = lifelong.fit(learner, data, strategies=strategies, optimizer=optimizer, run=tmp_path / "run", **quiet)
            matrices.append(run.matrix[-1].tolist())
        learners.append(learner)
    plain, fitted = (dict(learner.named_parameters()) for learner in learners)
    for name, parameter in plain.items():
        torch.testing.assert_close(parameter, fitted[name], rtol=1e-6, atol=1e-7, msg=name)
    assert matrices[0] == pytest.approx(matrices[1], abs=1e-6)


@pytest.mark.slow
def test_the_script_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(Path(plain_pytorch.__file__).read_text(), "plain_pytorch.py", "exec"), {"__name__": "__main__"})
    assert "silhouettes" in capsys.readouterr().out
