"""Contenders of Lifelong: a plain loop over tensors, and Avalanche; requires torch, and Avalanche for its rows.

``python benchmarks/speed_contenders.py CONTENDER IDX_ROOT STEPS RESULT.json`` writes the number of examples of the
stream and the CPU seconds of their training steps, for all experiences but the first. Avalanche's progress bar and log
have their default settings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

BATCH, WIDTH, N_EXPERIENCES, N_KEPT = 128, 400, 5, 1000
Measured = tuple[int, float]
"""Examples and CPU seconds."""


def network() -> nn.Module:
    """Build the perceptron of 2 x 400 ReLU units."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10)
    )


def experiences(root: Path) -> list[tuple[Tensor, Tensor]]:
    """Load images ``(n, 1, 28, 28)`` in 0 … 1 and labels, two digits at a time, from ``root/MNIST/raw``."""
    raw = root / "MNIST" / "raw"
    images = np.fromfile(raw / "train-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(raw / "train-labels-idx1-ubyte", np.uint8, offset=8)
    x, y = torch.from_numpy(images).reshape(-1, 1, 28, 28).float() / 255, torch.from_numpy(labels).long()
    return [(x[y // 2 == pair], y[y // 2 == pair]) for pair in range(N_EXPERIENCES)]


def plain(root: Path, steps: int, fused: bool | None = None) -> Measured:
    """Train with a hand-written loop over tensors, with Adam's default or fused step."""
    model, examples, seconds = network(), 0, 0.0
    optimizer = torch.optim.Adam(model.parameters(), fused=fused)
    for number, (x, y) in enumerate(experiences(root)):
        step, since = 0, time.process_time()
        while step < steps:
            for batch in torch.randperm(len(x)).split(BATCH)[: steps - step]:
                loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step, examples = step + 1, examples + (len(batch) if number else 0)
        seconds += time.process_time() - since if number else 0.0
    return examples, seconds


def plain_fused(root: Path, steps: int) -> Measured:
    """Train with the same loop, with one fused optimizer step for all parameters."""
    return plain(root, steps, fused=True)


def avalanche(strategy: str, source: str) -> Callable[[Path, int], Measured]:
    """Train a strategy of Avalanche with its default evaluator, over ``SplitMNIST`` or over tensors in memory."""

    def run(root: Path, steps: int) -> Measured:
        _let_torchvision_import()
        from avalanche import training
        from avalanche.core import SupervisedPlugin

        class Clock(SupervisedPlugin):
            examples, seconds, since = 0, 0.0, 0.0

            def before_training_epoch(self, strategy: Any, **_: Any) -> None:
                self.since = time.process_time()

            def after_training_epoch(self, strategy: Any, **_: Any) -> None:
                if strategy.clock.train_exp_counter:
                    self.seconds += time.process_time() - self.since
                    self.examples += len(strategy.experience.dataset)

        settings: dict[str, Any] = {"EWC": {"ewc_lambda": 1000.0}, "Replay": {"mem_size": N_KEPT}}.get(strategy, {})
        stream, model, clock = _stream(source, root), network(), Clock()
        learner = getattr(training, strategy)(
            model=model,
            optimizer=torch.optim.Adam(model.parameters()),
            criterion=nn.CrossEntropyLoss(),
            train_mb_size=BATCH,
            train_epochs=max(round(steps * BATCH / len(stream[0].dataset)), 1),
            plugins=[clock],
            **settings,
        )
        for experience in stream:
            learner.train(experience, num_workers=0)
        return clock.examples, clock.seconds

    return run


def _stream(source: str, root: Path) -> Sequence[Any]:
    from avalanche.benchmarks import tensors_benchmark
    from avalanche.benchmarks.classic import SplitMNIST

    if source == "dataset":
        order = list(range(10))
        return SplitMNIST(N_EXPERIENCES, dataset_root=root, fixed_class_order=order).train_stream  # type: ignore[no-any-return]
    tensors, labels = experiences(root), [0] * N_EXPERIENCES
    return tensors_benchmark(tensors, tensors, task_labels=labels).train_stream  # type: ignore[no-any-return]


def _let_torchvision_import() -> None:
    # With a CPU build of torch, torchvision's wheel finds no operators, but needs two of them on import.
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        global _LIBRARY
        _LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            _LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


STRATEGIES = ("Naive", "EWC", "Replay")
CONTENDERS: dict[str, Callable[[Path, int], Measured]] = {"plain": plain, "plain-fused": plain_fused} | {
    f"avalanche-{strategy}-{source}": avalanche(strategy, source)
    for strategy in STRATEGIES
    for source in ("dataset", "tensors")
}


def main() -> None:
    """Measure one contender."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("root", type=Path, help="folder with MNIST/raw/*-ubyte, not packed")
    parser.add_argument("steps", type=int, help="optimizer steps of each experience (Avalanche: the nearest epochs)")
    parser.add_argument("result", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    examples, seconds = CONTENDERS[arguments.contender](arguments.root, arguments.steps)
    arguments.result.write_text(json.dumps({"examples": examples, "seconds": seconds}), encoding="utf-8")


if __name__ == "__main__":
    main()
