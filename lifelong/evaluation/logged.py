"""Sending tables and figures to any of Lightning's loggers, as far as the logger supports them.

Weights & Biases receives both by Lightning's own methods, TensorBoard figures and text, MLflow files, Comet both, and
the ``CSVLogger`` files in its folder. Any other logger receives scalars only.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger

from lifelong.utilities.csv_table import csv_table
from lifelong.utilities.markdown import markdown_table


def log_picture(logger: Logger, name: str, picture: Path, step: int | None = None) -> None:
    """Send a figure to a logger.

    Args:
        logger: a logger of a Trainer, on the first process.
        name: name of the figure.
        picture: path of a PNG file.
        step: number of the optimizer step.
    """
    if isinstance(logger, CSVLogger):
        target = Path(logger.log_dir)
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, target / f"{_file_name(name)}{picture.suffix}")
    elif _has(logger, "log_image"):
        logger.log_image(name, [str(picture)], step)  # type: ignore[attr-defined]
    elif _has(experiment := _experiment(logger), "add_image"):  # TensorBoard; its add_figure would import pyplot
        experiment.add_image(name, _pixels(picture), step, dataformats="HWC")
    elif _has(logger, "run_id") and _has(experiment, "log_artifact"):  # MLflow
        experiment.log_artifact(_run_id(logger), str(picture))
    elif _has(experiment, "log_image"):  # Comet
        experiment.log_image(str(picture), name=name, step=step)


def log_table(
    logger: Logger, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int | None = None
) -> None:
    """Send a table to a logger.

    Args:
        logger: a logger of a Trainer, on the first process.
        name: name of the table.
        columns: names of the columns.
        rows: rows with one value for each column.
        step: number of the optimizer step.
    """
    if isinstance(logger, CSVLogger):
        target = Path(logger.log_dir)
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{_file_name(name)}.csv").write_text(csv_table(columns, rows), encoding="utf-8", newline="")
    elif _has(logger, "log_table"):
        logger.log_table(name, columns=list(columns), data=[list(row) for row in rows], step=step)  # type: ignore[attr-defined]
    elif _has(experiment := _experiment(logger), "add_text"):  # TensorBoard
        experiment.add_text(name, as_markdown(columns, rows), step)
    elif _has(logger, "run_id") and _has(experiment, "log_text"):  # MLflow
        experiment.log_text(_run_id(logger), csv_table(columns, rows), f"{_file_name(name)}.csv")
    elif _has(experiment, "log_table"):  # Comet
        experiment.log_table(f"{_file_name(name)}.csv", [list(row) for row in rows], headers=list(columns))


def as_markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Format a table as Markdown, with four significant digits.

    Example:
        >>> print(as_markdown(["after", "a|b"], [[1, 0.123456]]))
        | after | a\\|b |
        | --- | --- |
        | 1 | 0.1235 |
    """
    shown = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row] for row in rows]
    return markdown_table(columns, shown)


def _experiment(logger: Logger) -> Any:
    return getattr(logger, "experiment", None)


def _run_id(logger: Logger) -> Any:
    return logger.run_id  # type: ignore[attr-defined]


def _has(made: Any, name: str) -> bool:
    return callable(getattr(made, name, None)) or (name == "run_id" and hasattr(made, name))


def _file_name(name: str) -> str:
    return name.replace(" ", "_")


def _pixels(picture: Path) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))
