"""Strategies with a memory over two processes: the weights and the memory of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.command_line import QUIET, TINY, run_apart

pytestmark = pytest.mark.slow

DRAWN = """
import numpy as np
import torch
from lifelong.data.domain import Domain
from lifelong.data.source import Source

class Drawn(Source):
    def domains(self):
        rng = np.random.default_rng(0)
        y = np.repeat(np.arange(4), 12)
        return [
            Domain(f"drawn {d}", torch.from_numpy(rng.random((48, 6)) + y[:, None] + d).float(), y, list("abcd"),
                   holdout="examples")
            for d in range(3)
        ]
"""
EXAMPLES = [
    "--model=lifelong.learners.Classifier",
    "--model.network=lifelong.networks.MLP",
    "--model.network.n_inputs=6",
    "--model.network.hidden=[8]",
    "--model.network.n_outputs=12",
    "--data=datamodules.examples.ExampleDataModule",
    "--data.sources=[drawn.Drawn]",
    "--data.split=[0.2, 0.2]",
    "--data.batch_size=5",  # an odd number: the ranks have 3 and 2
    "--data.steps_per_experience=6",
    *QUIET,
]
SGD = ["--model.outer.optimizer=torch.optim.SGD", "--model.outer.optimizer.lr=0.05"]


def strategy(name: str, **settings: Any) -> str:
    return f"{{class_path: strategies.{name}, init_args: {{{', '.join(f'{k}: {v}' for k, v in settings.items())}}}}}"


CASES = {
    "on examples": (
        EXAMPLES,
        [
            strategy("AGEM", budget_examples=24, n_reference=3),
            strategy("DER", beta=0.5, budget_examples=20),
            strategy("ERACE", budget_examples=20, n_replay=1),
            strategy("Replay", budget_examples=24, policy="herding"),
        ],
    ),
    "on tasks": (TINY, [strategy("GEM", budget_examples=100)]),
}


def states(folder: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """The weights, and what the memories of labelled examples hold."""
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    kept = [value["rows"] for value in state.values() if isinstance(value, dict) and "rows" in value]
    return {k: v for k, v in state.items() if isinstance(v, torch.Tensor)}, kept


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_and_keep_what_one_does(tmp_path: Path, case: str) -> None:
    (tmp_path / "drawn.py").write_text(DRAWN)
    options, strategies = CASES[case]
    options = [*options, *SGD, f"--strategies=[{', '.join(strategies)}]"]
    run_apart("fit", *options, "--run.name=one", cwd=tmp_path)
    run_apart("fit", *options, "--run.name=two", "--trainer.devices=2", "--trainer.strategy=ddp", cwd=tmp_path)
    (one, kept_by_one), (two, kept_by_two) = (states(tmp_path / f"runs/{name}") for name in ("one", "two"))
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    assert len(kept_by_one) == (4 if case == "on examples" else 0)
    torch.testing.assert_close(kept_by_one, kept_by_two, rtol=1e-4, atol=1e-5, equal_nan=True)
