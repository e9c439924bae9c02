"""``python -m lifelong predict --query …``: predict a user's photos or texts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from lifelong.cli.class_help import ALL, HELP
from lifelong.cli.command import Command
from lifelong.cli.given import Columns, Query, read_query, shown_text, tell_left_out
from lifelong.cli.loaded import device_of, fit_support, kind_of, unused
from lifelong.data.reader import Kind
from lifelong.run.answers import SHOWN, Answers
from lifelong.run.fitted import Fitted
from lifelong.run.last import last_checkpoint
from lifelong.run.load import load
from lifelong.run.run import Run
from lifelong.utilities.files import write_whole
from lifelong.vision.progress import progress

OPTIONS = ("query", "support")
"""Options with which ``predict`` reads a user's inputs instead of the test tasks of the stream."""
NAME = "answers.csv"
ENTRY, FAR, KNOWN = "answered by", "distance", "known"


@dataclass(frozen=True)
class Asked:
    """Predict your own photos or texts.

    Without ``--query`` and ``--support``, the test tasks of the stream are predicted, from its data, with the options
    of ``fit --help``.

    Args:
        ckpt_path: a run folder, a checkpoint, or ``last``: the newest run below runs/; or a folder of
            ``save_pretrained``, or a file of ``adapt``.
        query: a photo, a folder of photos or a table: the inputs to predict. All photos below the folder are read; a
            table contains texts or paths of photos.
        support: photos in class folders, or a labelled table: the support set. Leave it out for a model that was
            trained on labelled examples.
        out: the file of predictions, or a folder for it. Default: ``answers.csv`` in the run folder or, for a
            checkpoint outside a run folder, in the current folder. An existing file is never replaced.
        text_column: column of the texts, in tables of texts.
        file_column: column of the photos' paths. They are relative to the table's folder.
        label_column: column of the classes, in support tables.
        charset: character encoding of tables.
        device: ``auto``, ``cpu``, ``cuda``, ….
        trust: import every class that the run's config names.
    """

    ckpt_path: str
    query: str
    support: str | None = None
    out: str | None = None
    text_column: str = "text"
    file_column: str = "file"
    label_column: str = "label"
    charset: str = "utf-8"
    device: str = "auto"
    trust: bool = False


COMMAND = Command("predict", Asked, takes="")


def is_asked(args: Sequence[str]) -> bool:
    """Return whether a command line of ``predict`` is about a user's own inputs.

    Example:
        >>> is_asked(["--query=posts.csv"]), is_asked(["--ckpt_path", "last"])
        (True, False)
    """
    names = {arg.partition("=")[0] for arg in args}
    return bool(names & {*(f"--{name}" for name in OPTIONS), *HELP, *ALL})


def predict(args: Sequence[str]) -> None:
    """Predict the inputs of a command line, write the predictions to a file, and print the first ones.

    Args:
        args: the command line after ``predict``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when something cannot be read or does not fit the model.
    """
    asked = COMMAND.parse(args)
    device = device_of(asked.device)
    torch.manual_seed(0)  # a learner that draws random heads always draws the same ones
    path = asked.ckpt_path
    if path == "last":
        print(f"--ckpt_path last is {(path := last_checkpoint())}")
    run = load(path, trust=asked.trust, way_out="give --trust if you trust its author")
    model, kind = run.model, kind_of(run.model)
    columns = Columns(asked.text_column, asked.file_column, asked.label_column, asked.charset)
    target = _target(asked.out, run)
    query = read_query(asked.query, kind, columns)
    fitted = fit_support(model.to(device), asked.support, kind, columns)
    taken = [name for name in query.columns if name in (*_added(fitted), ENTRY, KNOWN, FAR)]
    if taken:
        raise ValueError(f"{asked.query} has a column {taken[0]!r}, which the answers have as well: rename it")
    _answer(fitted, query, target, kind)


def _target(out: str | None, run: Run) -> Path:
    """Return the path of the file to write; an existing file is refused, so that no work is lost."""
    if out is None:
        is_run = (run.folder / "config.yaml").is_file()
        return unused((run.folder if is_run else Path()) / NAME)
    path = Path(out).expanduser()
    if path.is_dir() or path.suffix.lower() != ".csv":
        return unused(path / NAME)
    if path.exists():
        raise ValueError(f"--out {path} is there already, and is not replaced: name another file, or a folder")
    return path


def _answer(fitted: Fitted, query: Query, target: Path, kind: Kind) -> None:
    """Write one row per query as soon as it is predicted, and print the first ones."""
    first: list[Answers] = []
    unreadable: dict[int, str] = {}

    def write(part: Path) -> None:
        places = iter(range(len(query.items)))
        with (
            part.open("w", newline="", encoding="utf-8") as file,
            progress(len(query.items), f"answering {kind}") as told,
        ):
            writer = csv.writer(file)
            for answers in fitted.in_batches(query.items, unreadable):
                if not first:
                    first.append(answers)
                    writer.writerow([*query.columns, *_added(fitted), *_notes(answers)])
                writer.writerows(_rows(query, answers, places, unreadable))
                told(len(answers))
            empty = [""] * _n_added(first[0])
            writer.writerows([*_row(query, place), *empty] for place in places)  # the last queries are unreadable

    try:
        write_whole(target, write)
    except OSError as error:
        raise ValueError(
            f"the answers cannot be written to {target} ({error.strerror}): choose another place by --out"
        ) from error
    _show(query, first[0], unreadable)
    tell_left_out(query.left_out)
    if unreadable:
        n, n_all = len(unreadable), len(query.items)
        print(f"{n} of {n_all} cannot be read, and have a row without an answer: {next(iter(unreadable.values()))}")
    print(f"written: {target} ({len(query.items) - len(unreadable)} answers)")


def _added(fitted: Fitted) -> list[str]:
    return ["answer", *(f"probability of {name}" for name in fitted.classes)]


def _n_added(answers: Answers) -> int:
    """Return the number of output columns: the prediction, the probabilities and the notes."""
    return 1 + len(answers.classes) + len(_notes(answers))


def _notes(answers: Answers) -> dict[str, Sequence[str]]:
    """Return the notes on each prediction, by column."""
    notes: dict[str, Sequence[str]] = {} if answers.entries is None else {ENTRY: answers.entries}
    if answers.far is None or answers.known is None:
        return notes
    return notes | {
        KNOWN: ["yes" if knows else "no" for knows in answers.known],
        FAR: [f"{distance:.3f}" for distance in answers.far.tolist()],
    }


def _rows(query: Query, answers: Answers, places: Iterator[int], unreadable: Mapping[int, str]) -> Iterator[list[Any]]:
    """Yield one row per prediction, and an empty one for each unreadable query before it."""
    notes = list(_notes(answers).values())
    for number, (label, values) in enumerate(zip(answers.labels, answers.probabilities.tolist(), strict=True)):
        while (place := next(places)) in unreadable:
            yield [*_row(query, place), *[""] * _n_added(answers)]
        beside = [column[number] for column in notes]
        yield [*_row(query, place), label, *(f"{value:.6f}" for value in values), *beside]


def _row(query: Query, place: int) -> list[str]:
    """Return the input columns of a query's row."""
    return [query.rows[place].get(column, "") for column in query.columns]


def _show(query: Query, answers: Answers, unreadable: Mapping[int, str]) -> None:
    table = RichTable(box=None, padding=(0, 2, 0, 0))
    table.add_column("query", no_wrap=True, overflow="ellipsis", max_width=60)
    table.add_column("answer")
    table.add_column("probability", justify="right")
    notes = {name: column for name, column in _notes(answers).items() if name != FAR}
    for name in notes:
        table.add_column(name)
    asked = (item for place, item in enumerate(query.items) if place not in unreadable)
    beginning = zip(asked, answers.labels[:SHOWN], answers.probabilities, strict=False)
    for place, (item, label, values) in enumerate(beginning):
        texts = (item, label, *(column[place] for column in notes.values()))
        shown = [escape(" ".join(shown_text(text).split())) for text in texts]
        table.add_row(*shown[:2], f"{values.max():.3f}", *shown[2:])
    Console().print(table)
