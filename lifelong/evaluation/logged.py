"""Showing tables and pictures in any logger of Lightning, by what it can do.

Weights & Biases takes both by Lightning's own methods, TensorBoard pictures and text, MLflow files, Comet both, and a
``CSVLogger`` files beside its own. A logger that has none of these shows the scalars alone.
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
    """Show a picture.

    Args:
        logger: of a Trainer, on its first process.
        name: of the picture.
        picture: a PNG file.
        step: of the optimizer.
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
    """Show a table.

    Args:
        logger: of a Trainer, on its first process.
        name: of the table.
        columns: their names.
        rows: a value for each column.
        step: of the optimizer.
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
    """Write a table as Markdown, with numbers of four significant digits.

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
