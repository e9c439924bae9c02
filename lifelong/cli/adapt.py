"""``python -m lifelong adapt RUN --support …``: learn a user's classes, and save them with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lifelong.cli.command import Command
from lifelong.cli.given import Columns
from lifelong.cli.loaded import fit_support, kind_of, load_run, new_file
from lifelong.utilities.amounts import bytes_text

NAME = "adapted.model"


@dataclass(frozen=True)
class Adapt:
    """Adapt a model to a few examples of each class, and save a file that predicts these classes on its own.

    Args:
        run: a run folder, a checkpoint, or ``last``: the newest run below runs/.
        support: photos in class folders, or a labelled table: the support set.
        out: the file, or a folder for it. Default: ``adapted.model`` in the run folder or, for a checkpoint outside a
            run folder, in the current folder. An existing file is never replaced.
        text_column: column of the texts, in tables of texts.
        file_column: column of the photos' paths. They are relative to the table's folder.
        label_column: column of the classes, in tables.
        charset: character encoding of tables.
        trust: import every class that the run's config names.
    """

    run: str
    support: str
    out: str | None = None
    text_column: str = "text"
    file_column: str = "file"
    label_column: str = "label"
    charset: str = "utf-8"
    trust: bool = False


COMMAND = Command("adapt", Adapt)


def adapt(args: Sequence[str]) -> None:
    """Adapt a model to a support set, and save it.

    Args:
        args: the command line after ``adapt``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when something cannot be read or does not fit the model.
    """
    asked = COMMAND.parse(args)
    torch.manual_seed(0)  # a learner that draws random heads always draws the same ones
    run = load_run(asked.run, asked.trust)
    target = new_file(asked.out, run, NAME)
    columns = Columns(asked.text_column, asked.file_column, asked.label_column, asked.charset)
    fitted = fit_support(run.model, asked.support, kind_of(run.model), columns)
    fitted.save(target)
    print(
        f"written: {target} ({bytes_text(target.stat().st_size)}, {len(fitted.classes)} classes: "
        f"{', '.join(fitted.classes)})\nask it with: python -m lifelong predict --ckpt_path {target} --query …"
    )
