"""``python -m lifelong export RUN …``: a model as a program of its own, ONNX or ``torch.export``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from lifelong.cli.command import Command
from lifelong.cli.given import Columns
from lifelong.cli.loaded import fit_support, kind_of, load_run, new_file
from lifelong.run.exported import FORMATS
from lifelong.utilities.amounts import bytes_text


@dataclass(frozen=True)
class Export:
    """Write a model as a program that answers without this library, with its class names and preprocessing beside it.

    Args:
        run: a run folder, a checkpoint, a file of ``adapt``, or ``last``: the newest run below runs/.
        support: photos in class folders, or a labelled table: what a few-shot model learns from.
        format: torch writes a program of torch.export; its file ends in .pt2.
        out: the file, or the folder for it; in the run folder without it, or in the current one for a checkpoint
            elsewhere, as ``model.onnx`` or ``model.pt2``; a file that is there is never replaced.
        text_column: of tables of texts.
        file_column: of tables of photos: their paths, from the table's folder.
        label_column: of tables: the classes.
        charset: the character encoding of tables.
        trust: import every class that the run's config names.
    """

    run: str
    support: str | None = None
    format: Literal["onnx", "torch"] = "onnx"
    out: str | None = None
    text_column: str = "text"
    file_column: str = "file"
    label_column: str = "label"
    charset: str = "utf-8"
    trust: bool = False


COMMAND = Command("export", Export)


def export(args: Sequence[str]) -> None:
    """Export a model, adapted to a support set where one is given.

    Args:
        args: what follows ``export``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when something cannot be read, or the model cannot be exported.
    """
    asked = COMMAND.parse(args)
    suffix = FORMATS[asked.format]
    if asked.out is not None and not Path(asked.out).is_dir() and Path(asked.out).suffix != suffix:
        raise ValueError(f"--out {asked.out} does not end in {suffix}, as a file of --format {asked.format} does")
    torch.manual_seed(0)  # a learner that draws a head draws the same one each time
    run = load_run(asked.run, asked.trust)
    target = new_file(asked.out, run, f"model{suffix}")
    columns = Columns(asked.text_column, asked.file_column, asked.label_column, asked.charset)
    fitted = fit_support(run.model, asked.support, kind_of(run.model) if asked.support else "images", columns)
    fitted.export(target)
    print(
        f"written: {target} ({bytes_text(target.stat().st_size)}, {len(fitted.classes)} classes) and {target}.json, "
        "which says how inputs are prepared"
    )
