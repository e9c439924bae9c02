"""``python -m lifelong adapt RUN --support …``: a file that answers on its own about classes of a person's own."""

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
    """Learn classes from a few examples of each, and write a file that answers about them on its own.

    Args:
        run: a run folder, a checkpoint, or ``last``: the newest run below runs/.
        support: photos in class folders, or a labelled table: what is learnt from.
        out: the file, or the folder for it; in the run folder without it, or in the current one for a checkpoint
            elsewhere, as ``adapted.model``; a file that is there is never replaced.
        text_column: of tables of texts.
        file_column: of tables of photos: their paths, from the table's folder.
        label_column: of tables: the classes.
        charset: the character encoding of tables.
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
    """Adapt a model to a support set and write it.

    Args:
        args: what follows ``adapt``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when something cannot be read, or does not fit the model.
    """
    asked = COMMAND.parse(args)
    torch.manual_seed(0)  # a learner that draws a head draws the same one each time
    run = load_run(asked.run, asked.trust)
    target = new_file(asked.out, run, NAME)
    columns = Columns(asked.text_column, asked.file_column, asked.label_column, asked.charset)
    fitted = fit_support(run.model, asked.support, kind_of(run.model), columns)
    fitted.save(target)
    print(
        f"written: {target} ({bytes_text(target.stat().st_size)}, {len(fitted.classes)} classes: "
        f"{', '.join(fitted.classes)})\nask it with: python -m lifelong predict --ckpt_path {target} --query …"
    )
