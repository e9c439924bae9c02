"""The data of learn2learn's tasksets as domains of a stream.

Shapes: ``M`` examples, ``*X`` one input.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.splits import SPLITS
from lifelong.utilities.learn2learn import import_learn2learn
from lifelong.utilities.ranges import check_number


class Learn2LearnTasks(Source):
    """Read the examples and classes of learn2learn's tasksets; Lifelong draws the tasks from them.

    Task transforms (ways, shots, rotations) are ignored. Transforms of the data set are applied once, on loading, and
    all examples are kept in memory.

    Args:
        tasksets: a name in ``learn2learn.vision.benchmarks`` (``mini-imagenet``, …), which learn2learn downloads;
            or its tasksets or ``MetaDataset`` for training, validation and test, whose classes become the fixed splits;
            or a single one, which the stream splits.
        root: folder for the files of a benchmark.
        name: name of the domain. Default: name of the benchmark.
        holdout: what few-shot streams hold out of a single taskset: whole ``classes`` or ``examples`` of the same
            classes.
        seed: seed of the split that learn2learn draws for some benchmarks (Omniglot); not the run's seed.

    Raises:
        ValueError: when a benchmark is given by name and learn2learn is missing or does not know it, the number of
            tasksets is neither one nor three, or examples are not tensors of the same shape.

    Example:
        >>> class Four:
        ...     labels, labels_to_indices = ["a", "b"], {"a": [0, 1], "b": [2, 3]}
        ...     def __getitem__(self, i):
        ...         return torch.full((3,), float(i)), "ab"[i // 2]
        >>> domain = Learn2LearnTasks(Four(), name="four").domains()[0]
        >>> domain.name, domain.x.shape, domain.y.tolist(), domain.class_names
        ('four', torch.Size([4, 3]), [0, 0, 1, 1], ['a', 'b'])
    """

    def __init__(
        self,
        tasksets: Any,
        *,
        root: str = "data",
        name: str | None = None,
        holdout: Literal["classes", "examples"] = "classes",
        seed: int = 0,
    ) -> None:
        check_number("Learn2LearnTasks' seed", seed, least=0, whole=True)
        self.tasksets = tasksets
        self.root = root
        self.name = name or (tasksets if isinstance(tasksets, str) else "learn2learn")
        self.holdout = holdout
        self.seed = seed

    def domains(self) -> list[Domain]:
        """Load one domain, with fixed splits if there are three tasksets."""
        tasksets = self._benchmark(self.tasksets) if isinstance(self.tasksets, str) else self.tasksets
        parts = [_data(t) for t in (tasksets if isinstance(tasksets, Sequence) else [tasksets])]
        if len(parts) not in (1, len(SPLITS)):
            raise ValueError(
                f"{self.name} has {len(parts)} tasksets: give one, or three for training, validation and test"
            )
        single = len(parts) == 1
        classes = [(split, part, label) for split, part in zip(SPLITS, parts, strict=False) for label in part.labels]
        rows = [part.labels_to_indices[label] for _, part, label in classes]
        x = [self._example(part, i) for (_, part, _), row in zip(classes, rows, strict=True) for i in row]
        return [
            Domain(
                self.name,
                self._stack(x),
                np.repeat(np.arange(len(classes)), [len(row) for row in rows]),
                [str(label) if single else f"{split} {label}" for split, _, label in classes],
                holdout=self.holdout if single else "classes",
                splits=None if single else [split for split, _, _ in classes],
            )
        ]

    def _benchmark(self, name: str) -> Sequence[Any]:
        benchmarks = import_learn2learn().vision.benchmarks
        if name not in (known := list(benchmarks.list_tasksets())):
            raise ValueError(f"learn2learn has no benchmark {name!r}: choose from {', '.join(known)}")
        with _seeded(self.seed):
            return tuple(benchmarks.get_tasksets(name, root=self.root))

    def _example(self, part: Any, index: int) -> Tensor:
        x = part[index][0]
        if not isinstance(x, (Tensor, np.ndarray)):
            raise ValueError(
                f"the examples of {self.name} are of type {type(x).__name__}: give its data set a transform to tensors"
            )
        return torch.as_tensor(x)

    def _stack(self, examples: Sequence[Tensor]) -> Tensor:
        if len(shapes := {tuple(x.shape) for x in examples}) != 1:
            raise ValueError(
                f"the examples of {self.name} have {len(shapes)} different shapes: give it a transform to one"
            )
        return torch.stack(list(examples))


def _data(taskset: Any) -> Any:
    """Return the ``MetaDataset`` of a taskset, or the ``MetaDataset`` itself."""
    inner = taskset if hasattr(taskset, "labels_to_indices") else getattr(taskset, "dataset", None)
    if not hasattr(inner, "labels_to_indices"):
        raise ValueError(f"{type(taskset).__name__} is no taskset: give a learn2learn Taskset or MetaDataset")
    return inner


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Python's global random state within the context, and restore it afterwards."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
