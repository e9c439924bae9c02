"""Results of runs that nobody trained, for comparisons: scores by hand, with the config of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.evaluation.compared import NamedRun
from lifelong.evaluation.estimate import Array
from lifelong.evaluation.results import Results
from lifelong.evaluation.setting import Setting

DOMAINS = ("Latin", "Greek")


def config_of(
    seed: int = 0, strategy: str | None = "EWC", joint: bool = False, lr: float = 0.1, **init: Any
) -> dict[str, Any]:
    """What ``results.json`` keeps of a command line."""
    strategies = [] if strategy is None else [{"class_path": f"strategies.{strategy}", "init_args": init}]
    return {
        "seed": seed,
        "model": {"class_path": "lifelong.learners.MAML", "init_args": {"inner_lr": 0.4, "transform": None}},
        "data": {
            "class_path": "datamodules.EpisodicDataModule",
            "init_args": {"joint": joint, "n_query": 5, "split_seed": 0},
        },
        "strategies": strategies,
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": lr, "betas": [0.9, 0.999]}},
        "trainer": {"logger": {"class_path": "WandB", "init_args": {"name": f"run {seed}"}}, "default_root_dir": None},
    }


def make_run(
    *rows: Sequence[Sequence[float]], name: str = "run", config: dict[str, Any] | None = None, **setting: Any
) -> NamedRun:
    """A run with these scores: rows of domains of units; two rows of ones where there are none."""
    config = config_of() if config is None else config
    rows = rows or ([[1, 1, 1, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 1, 1]])
    joint = bool(config and config["data"]["init_args"]["joint"])
    names = [path["class_path"].split(".")[-1] for path in config.get("strategies", [])]
    described = Setting(
        DOMAINS[: len(rows[0])],
        ("all",) if joint else DOMAINS[: len(rows[0])],
        score="accuracy",
        percent=True,
        part="test",
        evaluation="4 test tasks a domain, 5-way 1-shot",
        n_eval_units=tuple(len(of_domain) for of_domain in rows[0]),
        joint=joint,
        learner="MAML",
        strategies=tuple(names),
        strategy_bytes=dict.fromkeys(names, 1500),
        split_hash="abc",
        finished=True,
        wall_seconds=90.0,
        config=config,
    )
    return NamedRun(
        name, Results(replace(described, **setting), {"score": [np.array(row, dtype=float) for row in rows]})
    )


def two_rows(last: Sequence[Sequence[float]]) -> list[Array]:
    """Rows of a stream of two domains, of which the last is given."""
    return [np.ones_like(np.array(last, dtype=float)), np.array(last, dtype=float)]


def saved(folder: Path, run: NamedRun) -> str:
    """Write a run into the folder of its name."""
    (folder / run.name).mkdir(parents=True)
    run.results.save(folder / run.name)
    return str(folder / run.name)
