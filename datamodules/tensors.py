"""Existing tensors or arrays, in memory or in one file.

Shapes: ``M`` examples, ``*X`` one input.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from datamodules._arrays import read_npz
from lifelong.data.checked import check_inputs
from lifelong.data.domain import Domain
from lifelong.data.source import Source

log = logging.getLogger(__name__)

MOST_CLASSES = 1_000_000
"""Upper limit of class indices; larger ones indicate example numbers or a damaged file."""
KEYS = ("x", "y", "domain", "in_test", "class_names")
"""Keys that are read from a file."""


class Tensors(Source):
    """Read labelled examples from tensors or arrays, or from a file that holds them: one domain, or several.

    A domain has the classes that occur in it, ordered by index. In the ``domain`` scenario every domain must have
    examples of every class.

    Args:
        path: a file written by ``torch.save`` (``.pt``, a dictionary of tensors and lists, loaded without executing
            code) or ``numpy.savez`` (``.npz``), with the keys ``x`` and ``y`` and optionally ``domain``, ``in_test``
            and ``class_names``. Arguments take precedence over the file.
        x: ``(M, *X)`` inputs: uint8 (divided by 255 when drawn), finite floats of any precision (converted to single
            precision when drawn), or other integers (tokens, left unchanged).
        y: ``(M,)`` class indices from 0, below a million.
        domain: ``(M,)`` domain of each example: integers, which are sorted, or strings, in the order of their first
            examples. Default: a single domain.
        in_test: ``(M,)`` booleans: the examples of the test part if examples are held out. Default: the stream draws
            them.
        class_names: one name per class index. Default: numbers.
        name: name of the domain, followed by the value of ``domain``. Default: name of the file, or ``tensors``.
        holdout: what few-shot streams hold out. ``examples`` tests the same classes on held-out examples; ``classes``
            tests held-out classes.

    Raises:
        ValueError: when there are no inputs or labels, they do not fit together, or the file cannot be read.

    Example:
        >>> source = Tensors(x=torch.rand(6, 2), y=[0, 1, 2, 0, 1, 2], domain=["b", "b", "b", "a", "a", "a"])
        >>> [(domain.name, domain.x.shape) for domain in source.domains()]
        [('b', torch.Size([3, 2])), ('a', torch.Size([3, 2]))]
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        x: Tensor | np.ndarray | None = None,
        y: Tensor | np.ndarray | Sequence[int] | None = None,
        domain: Tensor | np.ndarray | Sequence[int] | Sequence[str] | None = None,
        in_test: Tensor | np.ndarray | Sequence[bool] | None = None,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        holdout: Literal["classes", "examples"] = "examples",
    ) -> None:
        if path is None and (x is None or y is None):
            raise ValueError("Tensors needs inputs and labels: give x and y, or the path of a file that has them")
        self.path, self.name, self.holdout = path, name, holdout
        self.given = {"x": x, "y": y, "domain": domain, "in_test": in_test, "class_names": class_names}

    def domains(self) -> list[Domain]:
        """Load one domain, or one for each value of ``domain``."""
        content = {} if self.path is None else _read(Path(self.path).expanduser())
        content |= {key: value for key, value in self.given.items() if value is not None}
        title = self.name or ("tensors" if self.path is None else Path(self.path).stem)
        columns = _checked(content, "Tensors" if self.path is None else str(self.path))
        whole = Domain(title, columns.x, columns.y, columns.class_names, holdout=self.holdout, in_test=columns.in_test)
        if columns.domain is None:
            return [_own_classes(whole, np.ones(len(columns.y), dtype=bool), title)]
        return [_own_classes(whole, columns.domain == value, str(value), title) for value in _in_order(columns.domain)]


@dataclass(frozen=True)
class _Columns:
    """Store the columns of a file in the data types of a domain."""

    x: Tensor
    y: np.ndarray
    domain: np.ndarray | None
    in_test: np.ndarray | None
    class_names: Sequence[str]


def _own_classes(whole: Domain, chosen: np.ndarray, value: str, title: str | None = None) -> Domain:
    """Return the chosen examples as a domain with the classes that occur among them."""
    present = np.unique(whole.y[chosen])
    y = np.where(chosen, np.searchsorted(present, whole.y), -1)
    name = f"{title} {value}" if title is not None and value.lstrip("-").isdigit() else value
    return whole.part(y, name, [whole.class_names[index] for index in present])


def _in_order(domain: np.ndarray) -> list[Any]:
    values, first = np.unique(domain, return_index=True)
    order = np.argsort(first) if domain.dtype.kind == "U" else np.arange(len(values))
    return list(values[order].tolist())


# -- checking -----------------------------------------------------------------------------------------------------


def _checked(content: dict[str, Any], where: str) -> _Columns:
    for key in ("x", "y"):
        if key not in content:
            raise ValueError(f"{where} has no {key!r}, but {', '.join(content) or 'nothing'}: add it")
    x, y = _inputs(content["x"], where), _column(content, "y", "iu", "whole numbers", where)
    assert y is not None
    domain = _column(content, "domain", "iuU", "whole numbers or strings", where)
    in_test = _column(content, "in_test", "b", "booleans", where)
    for key, column in (("y", y), ("domain", domain), ("in_test", in_test)):
        if column is not None and column.shape != (len(x),):
            raise ValueError(f"{where} has {len(x)} inputs x and {key} of shape {column.shape}: give one for each")
    if len(y) == 0 or y.min() < 0:
        raise ValueError(f"{where} has {'no example' if len(y) == 0 else f'the class {y.min()}'}: count y from 0")
    if int(y.max()) >= MOST_CLASSES:
        raise ValueError(
            f"{where} has the class {int(y.max())} in y, example {int(y.argmax())}: class indices count from 0 and are "
            f"below {MOST_CLASSES}; number the classes by numpy.unique(y, return_inverse=True)"
        )
    return _Columns(x, y.astype(np.int64), domain, in_test, _class_names(content, int(y.max()) + 1, where))


def _class_names(content: dict[str, Any], n_classes: int, where: str) -> list[str]:
    if (names := content.get("class_names")) is None:
        return [str(number) for number in range(n_classes)]
    if isinstance(names, str) or np.ndim(names) != 1:
        raise ValueError(f"{where} has class_names that are no list: give one name for each class index")
    if len(names) < n_classes:
        raise ValueError(f"{where} has {len(names)} class_names and the class {n_classes - 1} in y: name all classes")
    return [str(name) for name in names]


def _inputs(value: Any, where: str) -> Tensor:
    try:
        x = torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError) as error:  # strings, dates, rows of different lengths
        kind = getattr(value, "dtype", type(value).__name__)
        raise ValueError(
            f"{where} has x of type {kind}, which is no array of numbers: give inputs (M, …), floats or whole numbers"
        ) from error
    if x.dim() == 0 or x.dtype == torch.bool or x.is_complex():
        raise ValueError(
            f"{where} has x of shape {tuple(x.shape)} and type {x.dtype}: give inputs (M, …), floats or whole numbers"
        )
    x = check_inputs(x, where, "inputs x").cpu()
    return x if x.is_floating_point() or x.dtype == torch.uint8 else x.long()


def _column(content: dict[str, Any], key: str, kinds: str, words: str, where: str) -> np.ndarray | None:
    if (value := content.get(key)) is None:
        return None
    column = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if column.dtype.kind not in kinds:
        raise ValueError(f"{where} has {key} of type {column.dtype}: give {words}")
    return column


# -- reading ------------------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any]:
    """Read the known keys of a file."""
    if not path.is_file():
        raise ValueError(f"the file {path} is not there: set path to one that torch.save or numpy.savez has written")
    if path.suffix not in (".pt", ".npz"):
        raise ValueError(
            f"{path} ends in neither .pt (of torch.save) nor .npz (of numpy.savez): set path to one that does"
        )
    try:
        content = read_npz(path) if path.suffix == ".npz" else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is damaged, or holds objects other than tensors and lists, which could run code when they are "
            "loaded: save a dictionary of tensors by torch.save"
        ) from error
    except Exception as error:  # numpy and torch raise various errors for foreign files
        reason = f"{type(error).__name__}: {error}".strip().partition("\n")[0][:200]
        raise ValueError(
            f"{path} is damaged, or no file of torch.save or numpy.savez ({reason}): save tensors or arrays anew, and "
            "no other objects"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}: save a dictionary with the keys x and y")
    if unknown := [str(key) for key in content if key not in KEYS]:
        log.warning("%s: %s left alone; the keys that are read are %s", path, ", ".join(unknown), ", ".join(KEYS))
    return {key: content[key] for key in KEYS if key in content}
