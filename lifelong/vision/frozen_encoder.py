"""Images as the features of a frozen network, computed once and stored on disk.

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
"""Number of images whose features are written together, and the most that an interruption loses."""
KEPT_AFTER = 60.0
"""Seconds after which features are written even if there are fewer, for slow networks."""
VERSION = 1
"""Version of the resizing; features of another version are computed again."""
LARGEST_DIFFERENCE = 0.05
"""Largest relative difference, due to rounding (also half precision), of an image's features alone and in batches."""


class FrozenEncoder(Recorded):
    """Compute the features of images by a frozen network, so that every learner costs as little as with an MLP.

    Images are scaled to values from 0 to 1, resized (bicubic, antialiased, without keeping proportions) to the
    network's ``input_shape``, and converted to its number of channels (grey or colour). The network, in evaluation
    mode, then computes ``features`` if it has this method, else its output, as ``(n, D)``.

    Each image is encoded once and stored in a folder of the cache (``LIFELONG_CACHE``, else ``~/.cache/lifelong``). The
    folder name depends on the network's weights and settings; the key of an image is its content. An interrupted
    encoding resumes and loses at most 512 images. Features are verified by a checksum when they are read; damaged ones
    are computed again, with a warning. A second process with the same network waits for the first.

    Args:
        network: any image network, such as :class:`lifelong.networks.EfficientNetLite` or
            :class:`lifelong.networks.Timm`. It must include its normalisation, and its weights must be the same every
            time it is created, not drawn at random.
        image_size: height and width in pixels to which images are resized, for a network without an ``input_shape``. If
            None, their size is unchanged.
        batch_size: number of images encoded together.
        device: device of the network. Default: an accelerator if there is one.
        precision: as in Lightning's Trainer.

    Raises:
        ValueError: when the network cannot process the images, or the features of an image depend on others in the
            batch.

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
        """Encode images ``(M, C, H, W)``, uint8 or from 0 to 1, as ``(M, D)``, using cached features where available.

        The result is a memory map if its rows are contiguous in the cache.
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
        """Return the shape to which images are converted."""
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
        """Compute missing rows, and return the indices of all rows."""
        places = store.find(keys)  # another process may have computed them in the meantime
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
        """Compute the features of some images, given by key and index, and store them in batches."""
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
        """Move the network to the device within the block; yields a function that computes features."""
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
    """Return some images in the form that the network receives."""
    # For bytes, index_select takes a tenth of the time of x[index].
    images = as_input(x.index_select(0, torch.tensor(chosen, device=x.device)).to(device))
    if x.dtype != torch.uint8 and not (images.amin() >= 0 and images.amax() <= 1):
        raise ValueError(
            f"FrozenEncoder takes images with values from 0 to 1, but the data has {images.amin():g} to "
            f"{images.amax():g}: leave their normalisation to the network"
        )
    return fit_floats(images, shape, "bicubic").clamp(0, 1)  # bicubic interpolation overshoots


def _image_keys(x: Tensor) -> list[bytes]:
    """Return a 16-byte hash of each image's content, shape and type."""
    kind = f"{x.dtype}:{tuple(x.shape[1:])}".encode()
    keys = []
    for chunk in torch.split(x, KEPT_AT_ONCE):
        rows = chunk.detach().cpu().contiguous().flatten(1).view(torch.uint8).numpy()  # numpy has no bfloat16
        keys += [hashlib.blake2b(row, digest_size=16, key=kind).digest() for row in rows]
    return keys


def _check_alone(features: Callable[[Tensor], Tensor], shape: tuple[int, int, int], name: str) -> None:
    """Reject a network in which the features of an image depend on the rest of the batch, or are random."""
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    alone, beside = features(noise[None])[0], features(torch.stack((noise, torch.zeros(shape))))[0]
    if not (beside - alone).norm() <= LARGEST_DIFFERENCE * alone.norm():
        raise ValueError(
            f"{name} computes other features of an image alone than beside another one (batch statistics, or chance), "
            "so they cannot be kept: give it group or layer norms (norm: group), or running statistics"
        )
