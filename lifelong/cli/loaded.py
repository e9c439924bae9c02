"""What commands share that take a trained model: loading it, its device, and its adaptation."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import torch

from lifelong.cli.given import Columns, read_support
from lifelong.data.reader import Kind
from lifelong.run.fitted import Fitted
from lifelong.run.last import last_checkpoint
from lifelong.run.load import load
from lifelong.run.model import Model
from lifelong.run.run import Run


def load_run(path: str, trust: bool) -> Run:
    """Load a run; ``last`` is the newest one below ``runs``."""
    if path == "last":
        print(f"last is {(path := last_checkpoint())}")
    return load(path, trust=trust, way_out="give --trust if you trust its author")


def kind_of(model: Model) -> Kind:
    """Return what a model reads: images or texts.

    Raises:
        ValueError: when it accepts only tensors.
    """
    if (kind := model.reads) is None:
        model.inputs("", "the query")  # raises the error that says why
        raise AssertionError
    return kind


def device_of(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is an accelerator if there is one.

    Raises:
        ValueError: when the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"--device {name} is not at hand: give auto, cpu or one that this machine has") from error


def fit_support(model: Model, support: str | None, kind: Kind, columns: Columns) -> Fitted:
    """Return the predictor, adapted to a support set if one is given."""
    if support is None:
        return model.knowing()
    return model.adapt(read_support(support, kind, columns) if model.needs_support else {})


def new_file(out: str | None, run: Run, name: str) -> Path:
    """Return the path of the file to write; an existing file is refused, so that no work is lost.

    Args:
        out: a file or a folder. Default: the run folder or, for a checkpoint outside a run folder, the current folder.
        run: the run.
        name: file name in a folder.

    Raises:
        ValueError: when the file exists already.
    """
    if out is None:
        return unused((run.folder if (run.folder / "config.yaml").is_file() else Path()) / name)
    path = Path(out).expanduser()
    if path.is_dir():
        return unused(path / name)
    if path.exists():
        raise ValueError(f"--out {path} is there already, and is not replaced: name another file, or a folder")
    return path


def unused(path: Path) -> Path:
    """Return a path, with a number appended if the file exists already."""
    numbered = (path if n == 1 else path.with_name(f"{path.stem}_{n}{path.suffix}") for n in count(1))
    return next(candidate for candidate in numbered if not candidate.exists())
