"""Images as the features of a frozen network, computed once and kept on disk.

Shapes: ``M`` images of ``C`` channels, ``H`` rows and ``W`` columns, ``D`` features.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.data.images import fit_floats
from lifelong.data.pool import as_input
from lifelong.utilities.cache import cache_folder
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded
from lifelong.vision.feature_store import FeatureStore
from lifelong.vision.network_digest import network_digest
from lifelong.vision.progress import progress

Item = TypeVar("Item")
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
KEPT_AT_ONCE = 512
"""Images whose features are written together: what an interruption costs at most."""
KEPT_AFTER = 60.0
"""Seconds after which fewer are written, where a network is slow."""
VERSION = 1
"""Of how images are resized; features of another one are computed anew."""
LARGEST_DIFFERENCE = 0.05
"""Relative difference of an image's features alone and beside another one: rounding, also of half precision."""


class FrozenEncoder(Recorded):
    """Compute the features of images by a network that never changes: every learner then costs what an MLP costs.

    Images are scaled to values from 0 to 1 and resized (bicubic, antialiased, whatever their proportions) to the
    network's ``input_shape``; grey ones become colour ones, or the other way round. The network, in evaluation mode,
    does the rest: its ``features`` where it has them, else its output, ``(n, D)``.

    Each image is encoded once and kept in a folder of the cache (``LIFELONG_CACHE``, else ``~/.cache/lifelong``) that
    is named by the network's weights and settings; the key of an image is its content. An encoding that was
    interrupted goes on where it was, at most 512 images back. What is read is compared with its checksum, and computed
    anew, with a warning, where it is damaged. A second process with the same network waits for the first.

    Args:
        network: any module of images, such as :class:`lifelong.networks.EfficientNetLite` or
            :class:`lifelong.networks.Timm`; it brings its own normalisation, and weights that are the same whenever it
            is made, not drawn anew.
        image_size: height and width in pixels that images are resized to, for a network without an ``input_shape``;
            None keeps them as they are.
        batch_size: images encoded together.
        device: where; None takes an accelerator where there is one.
        precision: as of Lightning's Trainer.

    Raises:
        ValueError: when the network cannot take the images, or the features of an image depend on those beside it.

    Example:
        >>> import os, tempfile
        >>> from unittest.mock import patch
        >>> with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"LIFELONG_CACHE": folder}):
        ...     FrozenEncoder(network=nn.Flatten(), image_size=2).encode(torch.ones(2, 1, 4, 4)).tolist()
        [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        image_size: int | None = None,
        batch_size: int = 64,
        device: str | None = None,
        precision: Precision = "32-true",
    ) -> None:
        check_number("FrozenEncoder's image_size", image_size, least=1, whole=True, hint=" pixels, or null")
        check_number("FrozenEncoder's batch_size", batch_size, least=1, whole=True, hint=" of images")
        shape: tuple[int, int, int] | None = getattr(network, "input_shape", None)
        if shape is not None and image_size not in (None, shape[-1]):
            raise ValueError(
                f"FrozenEncoder has image_size {image_size}, but {type(network).__name__} takes images of {shape}: "
                "leave image_size out, and give the size to the network"
            )
        self.network, self.image_size, self.batch_size = network, image_size, batch_size
        self.device, self.precision = device, precision

    def encode(self, x: Tensor) -> Tensor:
        """Encode images ``(M, C, H, W)``, uint8 or from 0 to 1, as ``(M, D)``, from the cache as far as it has them.

        What comes back is a memory map where all of it lies together in the cache.
        """
        shape = self._shape(x)
        keys = _image_keys(x)
        with evaluating(self.network), torch.inference_mode():
            store = self._store(shape)
            places = store.find(keys)
            if (places < 0).any():
                with store.locked():
                    places = self._complete(store, x, keys, shape)
        return store.read(places)

    def _shape(self, x: Tensor) -> tuple[int, int, int]:
        """Return the shape that images are brought to."""
        if x.dim() != 4 or not (x.dtype == torch.uint8 or x.is_floating_point()):
            raise ValueError(
                f"FrozenEncoder takes images (number, channels, height, width) as uint8 or floats, but the data has "
                f"{tuple(x.shape)} of {x.dtype}: give it a source of images"
            )
        size = (self.image_size, self.image_size) if self.image_size else (x.shape[2], x.shape[3])
        shape: tuple[int, int, int] = getattr(self.network, "input_shape", (x.shape[1], *size))
        if x.shape[1] != shape[0] and {x.shape[1], shape[0]} != {1, 3}:
            raise ValueError(
                f"{type(self.network).__name__} takes images of {shape[0]} channels, but the data has {x.shape[1]}: "
                "only grey and colour can be made of each other; give the network in_channels"
            )
        return shape

    def _store(self, shape: tuple[int, int, int]) -> FeatureStore:
        settings = (VERSION, network_digest(self.network), shape, self.precision)
        name = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        n_features = getattr(self.network, "n_features", None)
        if not isinstance(n_features, int):
            with self._ready() as features:
                n_features = features(torch.zeros(1, *shape)).shape[1]
        return FeatureStore(cache_folder() / f"features-{type(self.network).__name__}-{name}", n_features)

    def _complete(
        self, store: FeatureStore, x: Tensor, keys: Sequence[bytes], shape: tuple[int, int, int]
    ) -> np.ndarray:
        """Compute the rows that are missing, and return the places of all."""
        places = store.find(keys)  # another process may have computed them meanwhile
        if store.damaged:
            n_damaged = len(store.damaged)
            warnings.warn(f"{n_damaged} features in {store.folder} are damaged: they are computed anew", stacklevel=4)
        first: dict[bytes, int] = {}
        for number in np.flatnonzero(places < 0).tolist():
            first.setdefault(keys[number], number)
        if first:
            self._compute(store, x, first, shape)
        return store.find(keys)

    def _compute(self, store: FeatureStore, x: Tensor, first: dict[bytes, int], shape: tuple[int, int, int]) -> None:
        """Compute the features of some images, given by key and number, and keep them some at a time."""
        with self._ready() as features, progress(len(first), "encoding images") as advance:
            _check_alone(features, shape, type(self.network).__name__)
            waiting: dict[bytes, Tensor] = {}
            began = time.monotonic()
            for batch in _batches(list(first.items()), self.batch_size):
                rows = features(_images(x, [number for _, number in batch], shape, self._device()))
                waiting |= {key: row for (key, _), row in zip(batch, rows.cpu(), strict=True)}
                if len(waiting) + self.batch_size > KEPT_AT_ONCE or time.monotonic() - began > KEPT_AFTER:
                    store.keep(list(waiting), torch.stack(list(waiting.values())).numpy())
                    waiting, began = {}, time.monotonic()
                advance(len(batch))
            if waiting:
                store.keep(list(waiting), torch.stack(list(waiting.values())).numpy())

    def _device(self) -> torch.device:
        return torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @contextmanager
    def _ready(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """Put the network onto the device for the block; yields what computes features of images of its shape."""
        device = self._device()
        before = next((tensor.device for tensor in self.network.state_dict().values()), device)
        compute = getattr(self.network, "features", self.network)
        dtype = torch.bfloat16 if self.precision == "bf16-mixed" else torch.float16
        half = nullcontext() if self.precision == "32-true" else torch.autocast(device.type, dtype)

        def features(x: Tensor) -> Tensor:
            with half:
                found: Tensor = compute(x.to(device))
            if found.dim() != 2:
                raise ValueError(
                    f"{type(self.network).__name__} computes features of shape {tuple(found.shape[1:])}, one vector "
                    "per image was expected: put it into lifelong.networks.Backbone, which pools them"
                )
            return found.float()

        self.network.to(device)
        try:
            yield features
        finally:
            self.network.to(before)


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _images(x: Tensor, chosen: Sequence[int], shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return some images as the network takes them."""
    # index_select takes whole rows at a tenth of the time that x[index] needs for bytes.
    images = as_input(x.index_select(0, torch.tensor(chosen, device=x.device)).to(device))
    if x.dtype != torch.uint8 and not (images.amin() >= 0 and images.amax() <= 1):
        raise ValueError(
            f"FrozenEncoder takes images with values from 0 to 1, but the data has {images.amin():g} to "
            f"{images.amax():g}: leave their normalisation to the network"
        )
    return fit_floats(images, shape, "bicubic").clamp(0, 1)  # a cubic overshoots


def _image_keys(x: Tensor) -> list[bytes]:
    """Return 16 bytes of each image's content; images of another shape or type are others."""
    kind = f"{x.dtype}:{tuple(x.shape[1:])}".encode()
    keys = []
    for chunk in torch.split(x, KEPT_AT_ONCE):
        rows = chunk.detach().cpu().contiguous().flatten(1).view(torch.uint8).numpy()  # numpy has no bfloat16
        keys += [hashlib.blake2b(row, digest_size=16, key=kind).digest() for row in rows]
    return keys


def _check_alone(features: Callable[[Tensor], Tensor], shape: tuple[int, int, int], name: str) -> None:
    """Refuse a network in which the features of an image depend on the images beside it, or on chance."""
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    alone, beside = features(noise[None])[0], features(torch.stack((noise, torch.zeros(shape))))[0]
    if not (beside - alone).norm() <= LARGEST_DIFFERENCE * alone.norm():
        raise ValueError(
            f"{name} computes other features of an image alone than beside another one (batch statistics, or chance), "
            "so they cannot be kept: give it group or layer norms (norm: group), or running statistics"
        )
