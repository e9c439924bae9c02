"""Answers for a person's own texts: a file of them, and a file of labelled ones to learn from.

Shapes: ``B`` tasks, ``S`` support and ``Q`` query examples, ``N`` classes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from rich.console import Console
from rich.table import Table as RichTable
from torch import Tensor
from torch.utils.data import DataLoader

from lifelong.data.episode import Episode
from lifelong.data.loaders import Drawn
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.run.folder import RunFolder
from lifelong.text.encoding import TextEncoding
from lifelong.text.source import TextSource
from lifelong.text.table import Table, read_table

AT_ONCE = 256
"""Texts answered together."""
SHOWN = 8
"""Answers that are printed; the file has all."""


@dataclass(frozen=True)
class Texts:
    """Name the texts that ``predict`` answers, in place of the test tasks.

    Args:
        query: a file of texts: CSV, TSV, JSON, JSON lines or Parquet.
        support: a file of labelled texts to learn from; None where nothing is learnt from a support set.
        text_column: where the texts are, in both files.
        label_column: where the labels are.
        charset: the character encoding of the files.
    """

    query: str | None = None
    support: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    charset: str = "utf-8"


class DrawnTexts(Drawn):
    """Texts to be answered, with the support set that they are answered from.

    Args:
        support_x: ``(S, *X)``.
        support_y: ``(S,)``.
        query_x: ``(Q, *X)``.
        n_way: ``N``.
        alone: each text is a task of its own, as labelled examples are.
    """

    def __init__(self, support_x: Tensor, support_y: Tensor, query_x: Tensor, n_way: int, alone: bool) -> None:
        self.support, self.query_x, self.n_way, self.alone = (support_x, support_y), query_x, n_way, alone

    def gather(self, device: torch.device) -> Episode:
        """Return one task; or as many as texts, without a support set."""
        query_x = (self.query_x[:, None] if self.alone else self.query_x[None]).to(device)
        support_x, support_y = (part.to(device) for part in self.support)
        if self.alone:
            support_x, support_y = query_x[:, :0], torch.zeros(len(query_x), 0, dtype=torch.int64, device=device)
        else:
            support_x, support_y = support_x[None], support_y[None]
        query_y = torch.zeros(query_x.shape[:2], dtype=torch.int64, device=device)
        weight = torch.ones(len(query_x), device=device)
        classes = torch.arange(self.n_way, device=device).repeat(len(query_x), 1)
        return Episode(support_x, support_y, query_x, query_y, weight, self.n_way, classes)


class TextsToAnswer:
    """Read a person's own texts, encoded as those that the learner was trained on, in parts for ``predict``.

    Args:
        texts: the files.
        data: what the learner was trained on.

    Raises:
        ValueError: when a file cannot be read, a label is none of the classes, or the data had no texts.
    """

    def __init__(self, texts: Texts, data: StreamDataModule) -> None:
        self.unit = data.unit
        assert texts.query is not None
        encoding = find_encoding(data.sources)
        self.table = read_table(Path(texts.query), texts.charset)
        self.texts = self.table.column(texts.text_column, "--texts.text_column")
        self.query_x = encoding.encode(self.texts)
        self.class_names = _names(data)
        self.support_x, self.support_y = self.query_x[:0], torch.zeros(0, dtype=torch.int64)
        if texts.support is not None:
            self._read_support(texts, encoding, fixed=data.fixed_ways)
        elif data.unit == "tasks":
            raise ValueError("the learner learns from a support set: give --texts.support a file of labelled texts")

    def _read_support(self, texts: Texts, encoding: TextEncoding, *, fixed: bool) -> None:
        if self.unit == "examples":
            raise ValueError(
                "the learner was trained on labelled examples and learns nothing from a support set: leave "
                "--texts.support out, or choose the checkpoint of a few-shot learner"
            )
        table = read_table(Path(str(texts.support)), texts.charset)
        labels = table.column(texts.label_column, "--texts.label_column")
        if not fixed:
            self.class_names = sorted(set(labels))
        self.support_y = torch.tensor(_ways(labels, self.class_names, table))
        self.support_x = encoding.encode(table.column(texts.text_column, "--texts.text_column"))

    def loader(self) -> DataLoader[Any]:
        """Return some texts at a time, each time with the whole support set."""
        n_way, alone = len(self.class_names), self.unit == "examples"
        parts = self.query_x.split(AT_ONCE)  # type: ignore[no-untyped-call]
        drawn: Any = [DrawnTexts(self.support_x, self.support_y, part, n_way, alone) for part in parts]
        return DataLoader(drawn, batch_size=None, collate_fn=_gather)


class AnswerWriter(L.Callback):
    """Writes ``answers.csv``: what the file of texts has, and for each text the likeliest label and all probabilities.

    It writes into the Trainer's ``default_root_dir``, the run folder.

    Args:
        data: the texts.
    """

    def __init__(self, data: TextsToAnswer) -> None:
        self.data = data
        self._parts: list[Tensor] = []

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the answers of some texts."""
        self._parts.append(outputs.flatten(0, 1).cpu())

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file whole, and show how it begins."""
        data = self.data
        probabilities = torch.cat(self._parts).numpy()
        labels = [data.class_names[place] for place in probabilities.argmax(1)]
        path = RunFolder(trainer.default_root_dir).write(
            "answers.csv", lambda part: _write(part, data, labels, probabilities)
        )
        _show(data, labels, probabilities)
        print(f"written: {path} ({len(labels)} answers)")


def _gather(texts: Any) -> Episode:
    return texts.gather(torch.device("cpu"))  # type: ignore[no-any-return]


def find_encoding(sources: Iterable[Source]) -> TextEncoding:
    """Return the encoding of the first source of texts, also inside another source.

    Raises:
        ValueError: when there is none.
    """
    for source in sources:
        inner: Any = source
        while isinstance(inner, Source):
            encoding = getattr(inner, "encoding", None)
            if isinstance(inner, TextSource) or isinstance(encoding, TextEncoding):
                return inner.encoding  # type: ignore[no-any-return, attr-defined]
            inner = getattr(inner, "source", None)
    raise ValueError("the learner was not trained on texts, so it cannot answer any: leave --texts.query out")


def _names(data: StreamDataModule) -> list[str]:
    """The names of the stream's classes in the order of their numbers."""
    pools = [pool for experience in data.stream.experiences for pool in experience.pools]
    names = {int(n): name for pool in pools for n, name in zip(pool.numbers, pool.names, strict=True)}
    return [names[number] for number in sorted(names)]


def _ways(labels: Sequence[str], classes: Sequence[str], table: Table) -> list[int]:
    for number, label in enumerate(labels):
        if label not in classes:
            raise ValueError(
                f"{table.where(number)}: the label {label!r} is none of {', '.join(classes)}: rename it, or "
                "leave it out"
            )
    if missing := [name for name in classes if name not in labels]:
        raise ValueError(f"{table.path} has no example of {', '.join(missing)}: add one of each class at least")
    return [classes.index(label) for label in labels]


def _write(path: Path, data: Any, labels: Sequence[str], probabilities: np.ndarray) -> None:
    columns = list(dict.fromkeys(key for row in data.table.rows for key in row))
    added = ["answer", *(f"probability of {name}" for name in data.class_names)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, *added])
        for row, label, p in zip(data.table.rows, labels, probabilities, strict=True):
            writer.writerow([*(row.get(c, "") for c in columns), label, *(f"{value:.6f}" for value in p)])


def _show(data: Any, labels: Sequence[str], probabilities: np.ndarray) -> None:
    table = RichTable(box=None, padding=(0, 2, 0, 0))
    table.add_column("text", no_wrap=True, overflow="ellipsis", max_width=60)
    table.add_column("answer")
    table.add_column("probability", justify="right")
    for text, label, p in zip(data.texts[:SHOWN], labels, probabilities, strict=False):
        table.add_row(" ".join(text.split()).replace("[", "\\["), label, f"{p.max():.3f}")
    Console().print(table)
