"""A user's inputs to a model: image files, texts or tensors, converted for its network.

Shapes: ``M`` items, ``*X`` one input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.data.checked import check_inputs
from lifelong.data.images import fit_images
from lifelong.data.pool import as_input
from lifelong.data.reader import Kind, Reader
from lifelong.training.description import without_device
from lifelong.training.making import make, missing_parts
from lifelong.utilities.trust import Limits
from lifelong.vision.readers import EncodedReader

Items: TypeAlias = "str | Path | Tensor | np.ndarray | Sequence[str | Path | Tensor | np.ndarray]"
"""Image files, texts or tensors: one, several, or a tensor ``(M, *X)``."""


class Inputs:
    """Read a user's items in the same way as the examples of the stream that the model was taught.

    Args:
        taught: the checkpoint's record, with ``reader`` (how the reader is created; None if there is none) and
            ``example`` (shape and type of two inputs).
        limits: context manager that limits what the reader's description may import.

    Raises:
        ValueError: when the reader cannot be created.
    """

    def __init__(self, taught: Mapping[str, Any], limits: Limits) -> None:
        example = taught["example"]
        self.shape: tuple[int, ...] = tuple(example["shape"][1:])
        """Shape of one input."""
        self._is_real = getattr(torch, example["dtype"]).is_floating_point
        self._record = taught.get("reader")
        self._reader, self._missing = _make_reader(taught.get("reader"), limits)

    @property
    def kind(self) -> Kind | None:
        """Return what is read: images or texts. None if only tensors are accepted."""
        return None if self._reader is None else self._reader.kind

    @property
    def encoder(self) -> nn.Module | None:
        """Return the frozen network that encodes images. None if there is none."""
        return self._reader.encoder.network if isinstance(self._reader, EncodedReader) else None

    def probe(self, n: int) -> Tensor:
        """Return random inputs ``(n, *X)`` of an exported program: images, if the network follows a frozen encoder.

        Args:
            n: number of inputs. They are noise; tokens are zeros.
        """
        shape = self._reader.image_shape if isinstance(self._reader, EncodedReader) else self.shape
        noise = torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))
        return noise if self._is_real else torch.zeros(n, *shape, dtype=torch.int64)

    def describe(self) -> dict[str, Any]:
        """Return how an item is converted to an input: its kind, the steps in words, and how the reader is created."""
        if self._reader is None:
            return {"kind": "tensors", "steps": [], "reader": None}
        return {"kind": self._reader.kind, "steps": self._reader.steps(), "reader": self._record}

    def __call__(self, items: Items, what: str) -> Tensor:
        """Return items as network inputs ``(M, *X)``.

        Args:
            items: one item or several.
            what: name of the items in error messages.

        Raises:
            ValueError: when there is no item, or an item cannot be read or has another shape than the training data.
        """
        listed = self.listed(items)
        tensors = _as_tensors(listed)
        x = self._read(listed, what) if tensors is None else tensors
        if not len(x):
            raise ValueError(f"{what} has nothing in it: give at least one")
        return self._fitted(x, what)

    def listed(self, items: Items) -> Any:
        """Return items as a sequence that has a length and can be sliced; a single item becomes a list."""
        if isinstance(items, (str, Path)):
            return [items]
        if isinstance(items, np.ndarray) and items.dtype.kind not in "USO":
            items = torch.from_numpy(items)
        is_single = isinstance(items, Tensor) and items.dim() == len(self.shape)
        return items[None] if is_single else items  # type: ignore[call-overload]

    def _read(self, items: Sequence[str | Path], what: str) -> Tensor:
        if not items:
            raise ValueError(f"{what} has nothing in it: give at least one")
        if self._reader is None:
            raise ValueError(f"{what} cannot be read: {self._missing}, so give tensors of shape {self.shape}")
        if self._reader.kind == "texts" and (paths := [item for item in items if isinstance(item, Path)]):
            raise ValueError(f"{what} has the path {paths[0]}, and the model reads texts: give the texts themselves")
        if self._reader.kind == "images":
            for item in items:
                if not Path(item).is_file():  # opening a pipe would wait for its writer
                    found = "is no file" if Path(item).exists() else "is not there"
                    raise ValueError(f"the image {item} {found}: give the path of an image")
        return self._reader.read([str(item) for item in items])

    def _fitted(self, x: Tensor, what: str) -> Tensor:
        shape = tuple(x.shape[1:])
        are_images = all(len(s) == 3 and s[0] in (1, 3) for s in (shape, self.shape))
        if shape != self.shape and not are_images:
            raise ValueError(f"{what} has inputs of shape {shape}, and the model was taught {self.shape}: give such")
        x = check_inputs(x, what)
        x = as_input(x if shape == self.shape else fit_images(x, self.shape))  # bytes stay bytes, as in the stream
        if x.is_floating_point() != self._is_real:
            taught, given = ("real numbers", x.dtype) if self._is_real else ("tokens (whole numbers)", x.dtype)
            raise ValueError(f"{what} has inputs of {given}, and the model was taught {taught}: give such")
        return x


def _as_tensors(items: Any) -> Tensor | None:
    """Return tensors or arrays as one tensor ``(M, *X)``. None if the items are files or texts."""
    if isinstance(items, Tensor):
        return items
    given = [torch.from_numpy(item) if isinstance(item, np.ndarray) else item for item in items]
    if not any(isinstance(item, Tensor) for item in given):
        return None
    shapes = {tuple(item.shape) if isinstance(item, Tensor) else type(item).__name__ for item in given}
    if len(shapes) > 1:
        raise ValueError(f"items of different kinds are given together ({', '.join(map(str, shapes))}): give one kind")
    return torch.stack(given)


def _make_reader(content: Mapping[str, Any] | None, limits: Limits) -> tuple[Reader | None, str]:
    """Return the reader, or None and the reason why there is none."""
    if content is None:
        return None, "the model was taught inputs that no file stands for"
    if missing := missing_parts(content, "reader"):
        return None, f"{missing[0]} could not be recorded when the model was trained"
    with limits():
        try:
            reader: Reader = make(Reader, "reader", {"reader": without_device(content)}, "reader")
        except ValueError as error:
            raise ValueError(str(error).replace("give it as load(…, reader=…)", "give what it needs")) from error
    return reader, ""
