"""``python -m lifelong export RUN …``: export a model by ONNX or ``torch.export``."""

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
    """Export a model as a program that predicts without this library, with its class names and preprocessing.

    Args:
        run: a run folder, a checkpoint, a file of ``adapt``, or ``last``: the newest run below runs/.
        support: photos in class folders, or a labelled table: the support set of a few-shot model.
        format: onnx, or torch: a program of torch.export. Its file ends in .pt2.
        out: the file, or a folder for it. Default: ``model.onnx`` or ``model.pt2`` in the run folder or, for a
            checkpoint outside a run folder, in the current folder. An existing file is never replaced.
        text_column: column of the texts, in tables of texts.
        file_column: column of the photos' paths. They are relative to the table's folder.
        label_column: column of the classes, in tables.
        charset: character encoding of tables.
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
    """Export a model, after adapting it to a support set if one is given.

    Args:
        args: the command line after ``export``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when something cannot be read, or the model cannot be exported.
    """
    asked = COMMAND.parse(args)
    suffix = FORMATS[asked.format]
    if asked.out is not None and not Path(asked.out).is_dir() and Path(asked.out).suffix != suffix:
        raise ValueError(f"--out {asked.out} does not end in {suffix}, as a file of --format {asked.format} does")
    torch.manual_seed(0)  # a learner that draws random heads always draws the same ones
    run = load_run(asked.run, asked.trust)
    target = new_file(asked.out, run, f"model{suffix}")
    columns = Columns(asked.text_column, asked.file_column, asked.label_column, asked.charset)
    fitted = fit_support(run.model, asked.support, kind_of(run.model) if asked.support else "images", columns)
    fitted.export(target)
    print(
        f"written: {target} ({bytes_text(target.stat().st_size)}, {len(fitted.classes)} classes) and {target}.json, "
        "which says how inputs are prepared"
    )
