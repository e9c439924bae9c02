"""Chains of kills: a run is repeatedly killed and resumed, and finally compared with an uninterrupted run."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.reliability.process import Ended, Kill, run, run_processes

GLYPHS = "{{class_path: datamodules.Glyphs, init_args: {{n_classes: 24, n_examples: 20, image_size: 8, styles: {}}}}}"
OLD, NEW = GLYPHS.format("[strokes, textures]"), GLYPHS.format("[silhouettes]")
QUIET = ["--trainer.logger=false", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
MLP = ["--model.network=lifelong.networks.MLP", "--model.network.n_inputs=64", "--model.network.hidden=[16]"]
TASKS = ["--data=EpisodicDataModule", "--data.n_way=3", "--data.n_shot=2", "--data.n_query=3", "--data.n_eval_tasks=5"]
EXAMPLES = ["--data=ExampleDataModule", "--data.batch_size=16", "--data.n_eval_examples=20"]
STEPS = ["--data.steps_per_experience=8", "--checkpoint.every_n_steps=2", "--trainer.log_every_n_steps=2"]


@dataclass(frozen=True)
class Chain:
    """Describe a run that is repeatedly killed.

    Args:
        name: name of the row.
        options: options of learner, data and strategies.
        extends: extend a finished run of two experiences by a third, and kill only the extension.
        n_processes: number of processes that train together and are killed together.
    """

    name: str
    options: Sequence[str] = field(repr=False)
    extends: bool = False
    n_processes: int = 1

    def run(self, name: str, folder: Path, kill: Kill | None = None) -> Ended:
        """Return the options that start or resume the run of this name."""
        return (run if self.n_processes == 1 else run_processes)(self.command(name), folder, kill)

    def command(self, name: str) -> list[str]:
        """Return the command line of a run of this name."""
        if self.extends:
            return ["extend", f"runs/{name}", f"--data.sources+={NEW}", "--trainer.enable_progress_bar=false"]
        return [*self.fit(name, [OLD, NEW]), "--run.resume=auto"]

    def fit(self, name: str, sources: Sequence[str]) -> list[str]:
        """Return the command line that starts it."""
        processes = [f"--trainer.devices={self.n_processes}", "--trainer.strategy=ddp"] if self.n_processes > 1 else []
        named = [*processes, f"--run.name={name}", f"--data.sources=[{', '.join(sources)}]"]
        return ["fit", *self.options, *STEPS, *QUIET, *named]


def few_shot(learner: str, strategies: str, *more: str, extends: bool = False, note: str = "") -> Chain:
    """Return a chain with a few-shot learner."""
    n_outputs = 3 if learner in ("MAML", "ANIL", "MetaSGD") else 8
    model = [f"--model={learner}", *MLP, f"--model.network.n_outputs={n_outputs}"]
    name = f"{learner} × {strategies or 'nothing'}{note}"
    return Chain(name, [*model, *TASKS, f"--strategies=[{strategies}]", *more], extends)


def classes(strategies: str, *more: str, extends: bool = False, note: str = "", learner: str = "Classifier") -> Chain:
    """Return a chain with a classifier of labelled examples."""
    model = [f"--model={learner}", *MLP, "--model.network.n_outputs=72"]
    name = f"{learner} × {strategies or 'nothing'}{note}"
    return Chain(name, [*model, *EXAMPLES, f"--strategies=[{strategies}]", *more], extends)


BUDGET = "--strategies.budget.examples=300"
SMALL = "--strategies.budget.examples=80"
ACCUMULATES = "--trainer.accumulate_grad_batches=2"
BF16 = "--trainer.precision=bf16-mixed"
CHAINS = (
    few_shot("ProtoNet", ""),
    few_shot("ProtoNet", "Replay", BUDGET),
    few_shot("ProtoNet", "EWC", "--strategies.n_fisher_tasks=4"),
    few_shot("ProtoNet", "AdapterBank", "--strategies.n_signature_tasks=4"),
    few_shot("ProtoNet", "SI"),
    few_shot("ProtoNet", "WeightAveraging"),
    few_shot("ProtoNet", "Replay", BUDGET, ACCUMULATES, note=", accumulating 2"),
    few_shot("ProtoNet", "EWC", "--strategies.n_fisher_tasks=4", BF16, note=", bf16"),
    few_shot("ProtoNet", "Replay", BUDGET, extends=True, note=", extended"),
    few_shot("MAML", ""),
    few_shot("MAML", "EWC", "--strategies.n_fisher_tasks=4"),
    few_shot("MAML", "AdapterBank", "--strategies.n_signature_tasks=4", extends=True, note=", extended"),
    few_shot("MAML", "MAS", "--strategies.n_tasks=4", ACCUMULATES, note=", accumulating 2"),
    few_shot("ANIL", "AGEM", BUDGET),
    few_shot("MetaSGD", "GEM", BUDGET),
    few_shot("SimpleShot", "LwF"),
    classes("Replay", SMALL, "--strategies.policy=reservoir"),
    classes("Replay", SMALL, "--strategies.policy=herding", extends=True, note=", extended"),
    classes("DER", SMALL),
    classes("DER", SMALL, "--strategies.beta=0.5", BF16, note=" (++), bf16"),
    classes("DER", SMALL, extends=True, note=", extended"),
    classes("ERACE", SMALL),
    classes("ICaRL", SMALL, "--model.loss=sigmoid"),
    classes("ICaRL", SMALL, "--model.loss=sigmoid", extends=True, note=", extended"),
    classes("GDumb", SMALL, "--strategies.n_steps=5"),
    classes("LwF", ACCUMULATES, note=", accumulating 2"),
    classes("EWC", "--strategies.n_fisher_tasks=20", extends=True, note=", extended"),
    classes("SI", "--data.scenario=task", note=", task scenario"),
    classes("AdapterBank", extends=True, note=", extended"),
    classes("EASE"),
    classes("TUNA"),
    classes("PackNet", "--data.scenario=task", note=", task scenario"),
    classes("", "--data.passes=2", "--data.steps_per_experience=null", note=", passes"),
    classes("", learner="NearestClassMean"),
    classes("", learner="StreamingLDA"),
    replace(few_shot("ProtoNet", "Replay", BUDGET, note=", 2 processes"), n_processes=2),
    replace(classes("DER", SMALL, note=", 2 processes"), n_processes=2),
)


def measure(chain: Chain, folder: Path, n_kills: int, seed: int) -> dict[str, Any]:
    """Kill and resume a run, compare it with the uninterrupted one, and return the row.

    Args:
        chain: the run.
        folder: an empty folder.
        n_kills: number of kills, half of them at random times and half at chosen moments.
        seed: random seed of the kills.
    """
    rng = random.Random(f"{seed} {chain.name}")
    if chain.extends:
        for name in ("whole", "killed"):
            started = run(chain.fit(name, [OLD]), folder)
            assert started.code == 0, (folder / "log").read_text()[-2000:]
    whole = chain.run("whole", folder)
    assert whole.code == 0, (folder / "log").read_text()[-2000:]
    kills: list[str] = []
    for number in range(4 * n_kills):
        if len(kills) == n_kills:
            break
        kill = _next_kill(rng, number, whole.seconds, whole.calls)
        ended = chain.run("killed", folder, kill)
        if ended.killed:
            kills.append(str(kill))
        elif ended.code:
            break
        else:  # the run ended before the kill: start a new one
            _start_anew(chain, folder)
    last = chain.run("killed", folder)
    problems = [f"exit code {last.code}"] if last.code else differences(folder / "runs/whole", folder / "runs/killed")
    return {"name": chain.name, "kills": kills, "differences": problems, "seconds": round(whole.seconds, 2)}


def _next_kill(rng: random.Random, number: int, seconds: float, calls: dict[str, int]) -> Kill:
    if number % 2 == 0 or not calls:
        return Kill(seconds=rng.uniform(0, seconds))
    moment = rng.choice([moment for moment, n_calls in calls.items() if n_calls])
    return Kill(moment=moment, call=rng.randint(1, max(1, calls[moment] // 2)), after=rng.random() < 0.5)


def _start_anew(chain: Chain, folder: Path) -> None:
    shutil.rmtree(folder / "runs/killed")
    if chain.extends:
        run(chain.fit("killed", [OLD]), folder)


def differences(whole: Path, killed: Path) -> list[str]:
    """Return the names of the differences between two run folders: state, results, and rows of ``metrics.csv``."""
    states = [torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in (whole, killed)]
    for state in states:
        for callback in state["callbacks"].values():
            callback.pop("seconds", None)
    keys = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step", "epoch", "lifelong")
    found = [d for key in keys for d in _differ(states[0].get(key), states[1].get(key), key)]
    results = [json.loads((folder / "results.json").read_text()) for folder in (whole, killed)]
    for key in ("matrix", "half_width", "averages", "metrics", "untrained", "measures", "finished"):
        found += _differ(results[0][key], results[1][key], key)
    tables = [(folder / "metrics.csv").read_text().splitlines() for folder in (whole, killed)]
    return found + ([] if tables[0] == tables[1] else ["metrics.csv"])


def _differ(a: Any, b: Any, name: str) -> list[str]:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.dtype == b.dtype and torch.equal(a.nan_to_num(7e7), b.nan_to_num(7e7))
        return [] if same else [name]
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for key in {**a, **b} for d in _differ(a.get(key), b.get(key), f"{name}/{key}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [d for place, (x, y) in enumerate(zip(a, b, strict=True)) for d in _differ(x, y, f"{name}/{place}")]
    return [] if a == b else [name]
