"""Overhead of Lifelong over bare computations: whole training steps, and the steps and experiences of strategies.

A whole step is one of ``python -m lifelong fit`` on a terminal: data, transfer, hooks, logging, progress bar,
checkpoints, ``metrics.csv``. The bare step computes the same losses, backward pass and optimizer step on batches
gathered before, alternately in the same process. Strategies are measured on drawn glyphs, in a Trainer without loggers:
their steps in the second of two experiences, in which they use the first, compared with steps without a strategy.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L

import strategies
from benchmarks.performance.clocks import ADAM, SILENT, StrategyClock, lightning_alone
from benchmarks.performance.suite import ROOT, Row, Say, Settings, ratios, spread
from benchmarks.split_mnist_speed import run_on_terminal
from datamodules import EpisodicDataModule, ExampleDataModule, Glyphs
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners import MAML, Classifier
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.strategy import Strategy
from lifelong.training.stream_module import StreamModule
from strategies import Budget

GLYPHS = "[{class_path: Glyphs, init_args: {n_classes: 40, styles: [strokes, textures]}}]"
CASES: dict[str, list[str]] = {
    "Classifier, MLP": [
        *("--model=Classifier", "--model.network=MLP", "--model.network.n_inputs=784"),
        *("--model.network.hidden=[256, 256]", "--model.network.n_outputs=80"),
        *("--data=datamodules.ExampleDataModule", f"--data.sources={GLYPHS}"),
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
"""Learners whose steps take about 1, 5 and 20 ms on one core, as flags of ``fit``."""
ALONE = "Lightning alone, MLP"
"""The classifier's network in a plain LightningModule, to measure Lightning's own overhead."""
MEMORY: dict[str, Any] = {"budget": Budget(examples=200)}
MAKERS: dict[str, Callable[[], Strategy]] = {
    "AGEM": lambda: strategies.AGEM(**MEMORY),
    "AdapterBank": strategies.AdapterBank,
    "DER": lambda: strategies.DER(**MEMORY),
    "EASE": strategies.EASE,
    "ERACE": lambda: strategies.ERACE(**MEMORY),
    "EWC": strategies.EWC,
    "GDumb": lambda: strategies.GDumb(**MEMORY, n_steps=100, batch_size=32),
    "GEM": lambda: strategies.GEM(**MEMORY),
    "ICaRL": lambda: strategies.ICaRL(budget=Budget(per_class=5)),
    "LwF": strategies.LwF,
    "MAS": strategies.MAS,
    "OSF": strategies.OSF,
    "PackNet": strategies.PackNet,
    "Replay": lambda: strategies.Replay(**MEMORY),
    "SI": strategies.SI,
    "TUNA": strategies.TUNA,
    "WeightAveraging": strategies.WeightAveraging,
}
"""Every strategy but PromptPool: with a memory of 200 examples if it has one, else with its defaults."""


def measure(settings: Settings, say: Say) -> Iterator[Row]:
    """Measure a row for each learner's step, then one for each strategy and type of stream."""
    for name, flags in CASES.items():
        if settings.wants(name) and (not settings.quick or name == "MAML, MLP"):
            say(name)
            yield {"setup": f"step, {name}", "name": name} | step_cost(flags, settings)
    if settings.wants(ALONE):
        say(ALONE)
        yield {"setup": f"step, {ALONE}", "name": ALONE} | added(lightning_alone(settings, *blocks_of(settings)))
    for name, kind in strategy_cases():
        if settings.wants(name):
            say(f"{name} ({kind})")
            setup = f"strategy, {name}, {kind}"
            yield {"setup": setup, "name": name, "kind": kind} | strategy_cost(name, kind, settings)


def step_cost(flags: Sequence[str], settings: Settings) -> Row:
    """Measure whole and bare steps in one ``fit``.

    Raises:
        ValueError: when ``fit`` fails; the message contains the end of its output.
    """
    block, blocks = blocks_of(settings)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        clock = (
            f"{{class_path: benchmarks.performance.clocks.Against, init_args: {{path: {result}, n_steps: {block}}}}}"
        )
        command = [
            *(sys.executable, "-m", "lifelong", "fit", *flags, "--strategies=[]", "--data.split=[0.2, 0.2]"),
            *(f"--data.steps_per_experience={block * blocks + 1}", f"--trainer.callbacks+={clock}"),
            *(f"--trainer.{name}={value}" for name, value in settings.trainer.items()),
            *("--trainer.max_epochs=1", "--trainer.num_sanity_val_steps=0", "--trainer.logger=false"),
            f"--run.root={folder}",
        ]
        code, output = run_on_terminal(command, os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"})
        if code or not result.is_file():
            raise ValueError(f"fit failed with exit code {code}: {output[-2000:]}\n{' '.join(command)}")
        return added(json.loads(result.read_text(encoding="utf-8")))


def blocks_of(settings: Settings) -> tuple[int, int]:
    """Return the number of steps per block, and of blocks."""
    return (10, 4) if settings.quick else (40, 22)


def added(times: Mapping[str, Sequence[float]]) -> Row:
    """Return whole and bare steps, and the overhead: in seconds and relative.

    Example:
        >>> added({"whole": [3.0], "bare": [2.0]})["share"][0]
        0.5
    """
    pairs = list(zip(times["whole"], times["bare"], strict=True))
    extra, share = [whole - bare for whole, bare in pairs], [whole / bare - 1 for whole, bare in pairs]
    return {name: spread(times[name]) for name in ("whole", "bare")} | {"added": spread(extra), "share": spread(share)}


def strategy_cases() -> list[tuple[str, str]]:
    """Return each strategy with few-shot tasks, and with labelled examples of classes, else of tasks, if supported."""
    cases = []
    for name, make in MAKERS.items():
        streams = make().streams
        examples = next((kind for kind in ("class", "task") if kind in streams), None)
        cases += [(name, kind) for kind in ("few-shot", examples) if kind is not None and kind in streams]
    return cases


def strategy_cost(name: str, kind: str, settings: Settings) -> Row:
    """Measure a step without and with a strategy, alternately, and its start and end of an experience."""
    times: dict[str, list[float]] = {"without": [], "with": [], "begin": [], "end": []}
    for _ in range(1 if settings.quick else 5):
        for which, used in (("without", []), ("with", [MAKERS[name]()])):
            clock = _train(kind, used, 10 if settings.quick else 100, settings, sigmoid=name == "ICaRL")
            times[which].append(clock.step)
            if used:
                for hook, seconds in clock.hooks.items():
                    times[hook] += seconds
    return {key: spread(seconds) for key, seconds in times.items()} | {"ratio": ratios(times["with"], times["without"])}


def _train(kind: str, used: list[Strategy], n_steps: int, settings: Settings, *, sigmoid: bool) -> StrategyClock:
    """Learn two experiences in a Trainer."""
    L.seed_everything(0, verbose=False)
    data: StreamDataModule
    learner: Learner
    source = Glyphs(n_classes=40, styles=["strokes", "textures"])
    if kind == "few-shot":
        learner = MAML(MLP(n_inputs=784, hidden=[64], n_outputs=5), n_inner_steps=2)
        data = EpisodicDataModule([source], tasks_per_batch=8, steps_per_experience=n_steps, split=(0.2, 0.2))
    else:
        network, scenario = MLP(n_inputs=784, hidden=[256, 256], n_outputs=80), dict[str, Any](scenario=kind)
        learner = Classifier(network, loss="sigmoid" if sigmoid else "softmax")
        data = ExampleDataModule([source], batch_size=64, steps_per_experience=n_steps, **scenario)
    clock, module = StrategyClock(), StreamModule(learner, used, optimizer=ADAM)
    more: dict[str, Any] = {"max_epochs": -1, "limit_val_batches": 0, "use_distributed_sampler": False}
    L.Trainer(**SILENT, **settings.trainer, **more, callbacks=[clock]).fit(module, datamodule=data)
    return clock
