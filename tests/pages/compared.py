"""Comparisons of methods that were never trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lifelong.evaluation.compared import NamedRun, Procedure
from lifelong.evaluation.comparison import Comparison, compare_methods
from lifelong.evaluation.results import Results
from tests.pages.drawn import drawn, in_one_row

BYTES = {"none": 0, "Replay": 1_500_000, "EWC": 40_000, "joint": 0}


def run(name: str, n: int = 4, seed: int = 0, better: float = 0.0, **setting: object) -> NamedRun:
    """A run whose scores are so much better than those of others with its seed."""
    results = drawn(n, seed)
    config = {"seed": seed, "strategies": [] if name == "none" else [{"class_path": f"strategies.{name}"}]}
    kept = replace(
        results.setting,
        strategies=() if name == "none" else (name,),
        strategy_bytes={name: BYTES.get(name, 10)},
        wall_seconds=100.0 + len(name),
        finished=True,
        config=config,
    )
    rows = [np.clip(row + better, 0, 1) for row in results.rows["score"]]
    return NamedRun(f"{name}-{seed}", Results(replace(kept, **setting), {"score": rows}, results.untrained))  # type: ignore[arg-type]


def compared(*, n: int = 4, apart: bool = False) -> Comparison:
    """Four methods, joint training among them; with one more that is evaluated on another part where asked."""
    joint = run("joint", n, better=0.09)
    groups = {
        "none": [run("none", n), run("none", n, 1)],
        "Replay": [run("Replay", n, better=0.05), run("Replay", n, 1, better=0.06)],
        "EWC": [run("EWC", n, better=0.02)],
        "joint": [NamedRun("joint-0", in_one_row(joint.results, joint=True, experiences=("joint",)))],
    }
    if apart:
        groups["</script>"] = [run("other", n, better=-0.2, part="val")]
    return compare_methods(groups, procedure=Procedure(n_resamples=99))


def compared_sizes(n_methods: int = 9) -> Comparison:
    """Methods with long names, which take more and more."""
    groups = {
        f"Replay, n_examples={100 * n}, lr=0.0{n}": [
            run("Replay", better=0.01 * n, strategy_bytes={"Replay": 30_000 * 3**n}, wall_seconds=60.0 * n)
        ]
        for n in range(1, n_methods + 1)
    }
    return compare_methods(groups, procedure=Procedure(n_resamples=99))
