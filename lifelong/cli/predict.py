"""``python -m lifelong predict --query …``: answers about a person's own photos or texts."""

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
"""Options by which ``predict`` answers a person's own inputs, and not the test tasks of the stream."""
NAME = "answers.csv"
ENTRY, FAR, KNOWN = "answered by", "distance", "known"


@dataclass(frozen=True)
class Asked:
    """Answer about photos or texts of your own.

    Without ``--query`` and ``--support`` it answers the test tasks of the stream, from its data, and takes the
    options that ``fit --help`` lists.

    Args:
        ckpt_path: a run folder, a checkpoint, or ``last``: the newest run below runs/; a folder of a model alone, or a
            file that ``adapt`` wrote.
        query: photos or texts to answer about: a photo, a folder (all photos below it), or a table of texts or of
            files of photos.
        support: photos in class folders, or a labelled table: what is learnt from; left out for a model that was
            trained on labelled examples.
        out: the file of answers, or the folder for it; in the run folder without it, or in the current one for a
            checkpoint elsewhere, as ``answers.csv``; a file that is there is never replaced.
        text_column: of tables of texts.
        file_column: of tables of photos: their paths, from the table's folder.
        label_column: of support tables: the classes.
        charset: the character encoding of tables.
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
    """Tell whether a command line of ``predict`` asks about a person's own inputs.

    Example:
        >>> is_asked(["--query=posts.csv"]), is_asked(["--ckpt_path", "last"])
        (True, False)
    """
    names = {arg.partition("=")[0] for arg in args}
    return bool(names & {*(f"--{name}" for name in OPTIONS), *HELP, *ALL})


def predict(args: Sequence[str]) -> None:
    """Answer what a command line asks about, write the answers, and show how they begin.

    Args:
        args: what follows ``predict``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when something cannot be read, or does not fit the model.
    """
    asked = COMMAND.parse(args)
    device = device_of(asked.device)
    torch.manual_seed(0)  # a learner that draws a head draws the same one each time
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
    """Return the file that is written: one that is not there yet, so that nobody's work is lost."""
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
    """Write a row for each query as soon as it is answered, and show the first ones."""
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
            writer.writerows([*_row(query, place), *empty] for place in places)  # the last ones, which cannot be read

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
    """Return how many columns an answer fills: itself, the probabilities, and the notes beside it."""
    return 1 + len(answers.classes) + len(_notes(answers))


def _notes(answers: Answers) -> dict[str, Sequence[str]]:
    """Return what is said of each answer beside it, by column."""
    notes: dict[str, Sequence[str]] = {} if answers.entries is None else {ENTRY: answers.entries}
    if answers.far is None or answers.known is None:
        return notes
    return notes | {
        KNOWN: ["yes" if knows else "no" for knows in answers.known],
        FAR: [f"{distance:.3f}" for distance in answers.far.tolist()],
    }


def _rows(query: Query, answers: Answers, places: Iterator[int], unreadable: Mapping[int, str]) -> Iterator[list[Any]]:
    """Yield a row for each answer, and one without an answer for what cannot be read before it."""
    notes = list(_notes(answers).values())
    for number, (label, values) in enumerate(zip(answers.labels, answers.probabilities.tolist(), strict=True)):
        while (place := next(places)) in unreadable:
            yield [*_row(query, place), *[""] * _n_added(answers)]
        beside = [column[number] for column in notes]
        yield [*_row(query, place), label, *(f"{value:.6f}" for value in values), *beside]


def _row(query: Query, place: int) -> list[str]:
    """Return what a query's row begins with: what was given."""
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
