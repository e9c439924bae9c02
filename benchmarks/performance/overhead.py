"""What Lifelong costs beside the maths: a whole training step, and every strategy's steps and experiences.

A whole step is one of ``python -m lifelong fit`` on a terminal: drawing, transfer, hooks, logging, bar, checkpoints,
``metrics.csv``. Its bare maths is the same losses, backward and optimizer on batches gathered before, by turns in the
same process. Strategies are measured in a Trainer without loggers, on drawn glyphs: their steps in the second of two
experiences, where they have something to remember, beside the same without strategy; a step alone is what its hooks
add, ends and begins are on top.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from matplotlib.figure import Figure
from rich.table import Table

import strategies
from benchmarks.performance.against import lightning_alone
from benchmarks.performance.clock import await_device
from benchmarks.performance.suite import Rows, Settings, spread, words
from benchmarks.split_mnist_speed import run_on_terminal
from datamodules import Glyphs
from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners import MAML, Classifier
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.strategy import Strategy

HERE = Path(__file__).parents[2]
AT_MOST, AT_SECONDS = 0.10, 0.005
"""The share that a whole step may add to bare maths of so many seconds or more."""
GLYPHS = "[{class_path: Glyphs, init_args: {n_classes: 40, styles: [strokes, textures]}}]"
CASES: dict[str, list[str]] = {
    "Classifier, MLP": [
        "--model=Classifier",
        *("--model.network=MLP", "--model.network.n_inputs=784", "--model.network.hidden=[256, 256]"),
        *("--model.network.n_outputs=80", "--data=datamodules.examples.ExampleDataModule", f"--data.sources={GLYPHS}"),
        *("--data.batch_size=64", "--data.n_eval_examples=64"),
    ],
    "MAML, MLP": [
        *("--model=MAML", "--model.n_inner_steps=2", f"--data.sources={GLYPHS}"),
        *("--model.network=MLP", "--model.network.n_inputs=784", "--model.network.hidden=[64]"),
        *("--model.network.n_outputs=5", "--data.tasks_per_batch=4", "--data.n_eval_tasks=8"),
    ],
    "ProtoNet, Conv4": [
        *("--model=ProtoNet", "--model.network=Conv4", "--model.network.n_filters=8", f"--data.sources={GLYPHS}"),
        *("--data.tasks_per_batch=2", "--data.n_eval_tasks=4"),
    ],
}
"""Learners whose steps take about 1, 5 and 20 ms on a core, as flags of ``fit``."""

ALONE = "Lightning alone, MLP"
"""The network of the first of these in a module of Lightning's and nothing else: what Lightning takes of the rest."""

MAKERS: dict[str, Callable[[], Strategy]] = {
    "AGEM": lambda: strategies.AGEM(budget_examples=200),
    "AdapterBank": lambda: strategies.AdapterBank(),
    "DER": lambda: strategies.DER(budget_examples=200),
    "ERACE": lambda: strategies.ERACE(budget_examples=200),
    "EWC": lambda: strategies.EWC(),
    "GDumb": lambda: strategies.GDumb(budget_examples=200, n_steps=100, batch_size=32),
    "GEM": lambda: strategies.GEM(budget_examples=200),
    "ICaRL": lambda: strategies.ICaRL(budget_per_class=5),
    "LwF": lambda: strategies.LwF(),
    "MAS": lambda: strategies.MAS(),
    "PackNet": lambda: strategies.PackNet(),
    "Replay": lambda: strategies.Replay(budget_examples=200),
    "SI": lambda: strategies.SI(),
    "WeightAveraging": lambda: strategies.WeightAveraging(),
}
"""Every strategy: a memory of 200 examples where it has one, else as it is."""
NONE = "no strategy"
KINDS = ("few-shot", "class", "task")
"""MAML on few-shot tasks; a classifier on classes, or on tasks where a strategy refuses those."""


def measure(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """A row for each learner's step, then one for each strategy and kind of stream."""
    wanted = [name for name in CASES if settings.wants(name) and (not settings.quick or name == "MAML, MLP")]
    for name in wanted:
        tell(name)
        yield _about("step", name) | step_cost(CASES[name], settings)
    if settings.wants(ALONE):
        tell(ALONE)
        yield _about("step", ALONE) | added(lightning_alone(settings.device, *blocks_of(settings)))
    domains = Kept(Glyphs(n_classes=40, styles=["strokes", "textures"]).domains())
    for name, kind in strategy_cases():
        if settings.wants(name):
            tell(f"{name} ({kind})")
            yield _about("strategy", name, kind) | strategy_cost(name, kind, domains, settings)


def _about(part: str, name: str, kind: str = "") -> dict[str, Any]:
    return {"setup": ", ".join(filter(None, (part, name, kind))), "part": part, "name": name, "kind": kind}


def step_cost(flags: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Seconds of whole and bare steps in one ``fit``, and the share that the whole ones add.

    Raises:
        ValueError: when ``fit`` fails; its last words are in the message.
    """
    block, blocks = blocks_of(settings)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        callback = "benchmarks.performance.against.Against"
        command = [
            *(sys.executable, "-m", "lifelong", "fit", *flags, "--strategies=[]", "--data.split=[0.2, 0.2]"),
            f"--data.steps_per_experience={block * blocks + 1}",
            f"--trainer.callbacks+={{class_path: {callback}, init_args: {{path: {result}, n_steps: {block}}}}}",
            f"--trainer.accelerator={'gpu' if settings.device.type == 'cuda' else 'cpu'}",
            *("--trainer.max_epochs=1", "--trainer.num_sanity_val_steps=0", "--trainer.logger=false"),
            f"--run.root={folder}",
        ]
        if settings.device.index is not None:
            command.append(f"--trainer.devices=[{settings.device.index}]")
        code, output = run_on_terminal(command, os.environ | {"PYTHONPATH": str(HERE), "COLUMNS": "120"})
        if code or not result.is_file():
            raise ValueError(f"fit failed with exit code {code}: {output[-2000:]}\n{' '.join(command)}")
        found = json.loads(result.read_text(encoding="utf-8"))
    return added(found)


def blocks_of(settings: Settings) -> tuple[int, int]:
    """Steps of a block, and blocks."""
    return (10, 4) if settings.quick else (40, 22)


def added(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Whole and bare steps, and what the whole ones add: seconds and share.

    Example:
        >>> added({"whole": [3.0], "bare": [2.0]})["share"]["median"]
        0.5
    """
    pairs = list(zip(found["whole"], found["bare"], strict=True))
    extra, share = [whole - bare for whole, bare in pairs], [whole / bare - 1 for whole, bare in pairs]
    return {name: spread(found[name]) for name in ("whole", "bare")} | {"added": spread(extra), "share": spread(share)}


def strategy_cases() -> list[tuple[str, str]]:
    """Names of strategies, each with few-shot tasks, and with labelled examples, where it is made for them."""
    cases = []
    for name, make in MAKERS.items():
        streams = make().streams
        examples = next((kind for kind in KINDS[1:] if kind in streams), None)
        cases += [(name, kind) for kind in ("few-shot", examples) if kind in streams]
    return [(name, str(kind)) for name, kind in cases]


def strategy_cost(name: str, kind: str, source: Source, settings: Settings) -> dict[str, Any]:
    """Seconds of a step without and with a strategy, by turns, and of its begin and end of an experience."""
    found: dict[str, list[float]] = {"without": [], "with": [], "begin": [], "end": []}
    n_steps = 10 if settings.quick else 100
    for _ in range(1 if settings.quick else 5):
        sigmoid = name == "ICaRL"  # its answers are learnt by a loss of its own
        found["without"].append(clocked(kind, source, [], n_steps, settings, sigmoid=sigmoid).step)
        clock = clocked(kind, source, [MAKERS[name]()], n_steps, settings, sigmoid=sigmoid)
        found["with"].append(clock.step)
        found["begin"].append(statistics.fmean(clock.begins))
        found["end"].append(statistics.fmean(clock.ends))
    ratio = [with_it / without for with_it, without in zip(found["with"], found["without"], strict=True)]
    return {key: spread(values) for key, values in found.items()} | {"ratio": spread(ratio)}


class StepClock(L.Callback):
    """Times the steps of the second experience, and what strategies do at the begin and the end of each."""

    def __init__(self) -> None:
        self.step, self.begins, self.ends = 0.0, [0.0][:0], [0.0][:0]
        self._since = 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the clock around the chain's hooks."""
        assert isinstance(pl_module, Learner)
        chain: Any = pl_module.strategies
        chain.begin = self._timed(chain.begin, self.begins)
        chain.end = self._timed(chain.end, self.ends)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """From the second step to the last one."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        last = data.steps_per_experience - 1
        if trainer.current_epoch == 1 and batch_idx in (1, last):
            await_device(pl_module.device)
            now = time.perf_counter()
            self.step, self._since = (now - self._since) / (last - 1), now

    @staticmethod
    def _timed(hook: Callable[..., None], seconds: list[float]) -> Callable[..., None]:
        def call(learner: Learner, visit: Any) -> None:
            await_device(learner.device)
            since = time.perf_counter()
            hook(learner, visit)
            await_device(learner.device)
            seconds.append(time.perf_counter() - since)

        return call


class Kept(Source):
    """Domains that were loaded once."""

    def __init__(self, found: list[Domain]) -> None:
        self.found = found

    def domains(self) -> list[Domain]:
        """What was given."""
        return self.found


def clocked(
    kind: str, source: Source, used: list[Strategy], n_steps: int, settings: Settings, *, sigmoid: bool
) -> StepClock:
    """Learn two experiences in a Trainer; the clock knows how long that took."""
    L.seed_everything(0, verbose=False)
    data: StreamDataModule
    learner: Learner
    if kind == "few-shot":
        learner = MAML(MLP(n_inputs=784, hidden=[64], n_outputs=5), n_inner_steps=2)
        data = EpisodicDataModule([source], tasks_per_batch=8, steps_per_experience=n_steps, split=(0.2, 0.2))
    else:
        network = MLP(n_inputs=784, hidden=[256, 256], n_outputs=80)
        learner = Classifier(network, loss="sigmoid" if sigmoid else "softmax")
        scenario: Any = kind
        data = ExampleDataModule([source], scenario=scenario, batch_size=64, steps_per_experience=n_steps)
    learner.use(used)
    clock = StepClock()
    trainer = L.Trainer(
        max_epochs=-1,
        accelerator="gpu" if settings.device.type == "cuda" else "cpu",
        devices=1 if settings.device.index is None else [settings.device.index],
        callbacks=[clock],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        inference_mode=False,
        use_distributed_sampler=False,
    )
    trainer.fit(learner, datamodule=data)
    return clock


def tables(rows: Rows) -> list[Table]:
    """Whole against bare steps, and the strategies."""
    steps = Table(title="a whole training step against its bare maths: median (smallest … largest)")
    for column in ("learner", "bare", "whole", "added", "share", f"at most {AT_MOST:.0%}"):
        steps.add_column(column, justify="left" if column == "learner" else "right")
    for row in (row for row in rows if row["part"] == "step"):
        met = "" if row["bare"]["median"] < AT_SECONDS else "met" if row["share"]["median"] <= AT_MOST else "missed"
        cells = [words(scaled(row[key], 1000), 2, " ms") for key in ("bare", "whole", "added")]
        steps.add_row(row["name"], *cells, words(scaled(row["share"], 100), 1, " %"), met)
    costs = Table(title="strategies: a step of the second experience, and begin and end of an experience on top")
    for column in ("strategy", "stream", "step", "times no strategy's", "begin", "end"):
        costs.add_column(column, justify="left" if column in ("strategy", "stream") else "right")
    for row in (row for row in rows if row["part"] == "strategy"):
        seconds = [f"{row[key]['median']:.3f} s" for key in ("begin", "end")]
        step = f"{1000 * row['with']['median']:.2f} ms"
        costs.add_row(row["name"], row["kind"], step, words(row["ratio"]), *seconds)
    return [table for table in (steps, costs) if table.rows]


def plot(rows: Rows) -> Figure | None:
    """The strategies' steps, as times a step without: medians, and from the smallest to the largest."""
    found = [row for row in rows if row["part"] == "strategy"]
    if not found:
        return None
    figure = Figure(figsize=(8, 1 + 0.3 * len(found)), layout="constrained")
    axes = figure.subplots()
    names = [f"{row['name']} ({row['kind']})" for row in found]
    ratios = [row["ratio"] for row in found]
    ranges = [[r["median"] - r["low"] for r in ratios], [r["high"] - r["median"] for r in ratios]]
    axes.barh(names, [r["median"] for r in ratios], xerr=ranges, color="tab:blue", ecolor="tab:gray", capsize=2)
    axes.invert_yaxis()
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlabel("seconds of a step, as times those without a strategy")
    return figure


def scaled(found: dict[str, float], factor: float) -> dict[str, float]:
    """A spread in other units.

    Example:
        >>> scaled({"median": 0.5}, 100)
        {'median': 50.0}
    """
    return {key: value * factor for key, value in found.items()}
