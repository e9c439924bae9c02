"""A vision model of transformers without its head, which computes one vector per image.

Shapes: ``n`` images, ``C`` channels, ``H`` by ``W`` pixels, ``T`` vectors of an image, ``D`` features.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.text.language_model import Pooling

PREPROCESSOR = "preprocessor_config.json"
WHITE = 255
"""The largest pixel value of uint8 images."""


@dataclass(frozen=True)
class VisionReader:
    """Compute one vector of each image, with values from 0 to 1, by a vision model.

    Args:
        input_shape: channels, height and width of the images.
        mean: mean of each channel, which the model's preprocessor subtracts.
        deviation: standard deviation of each channel, by which the preprocessor divides.
        n_patches: number of output vectors that belong to patches, which come last; 0 if the output is maps
            ``(n, D, H, W)``.
        interpolates: whether learnt positions are interpolated to images of this size.
        pooling: how the vectors are combined into one.
        normalise: scale the vector to unit length.
    """

    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    n_patches: int
    interpolates: bool
    pooling: Pooling = "mean"
    normalise: bool = False

    def example(self) -> Tensor:
        """Return one black image."""
        return torch.zeros(1, *self.input_shape)

    def check(self, body: Any, x: Tensor) -> None:
        """Reject images of another shape than ``(n, C, H, W)``, and integers.

        Raises:
            ValueError: when shape or type differ; the message names those of the data.
        """
        if tuple(x.shape[1:]) != self.input_shape or not x.is_floating_point():
            raise ValueError(
                f"Transformer takes images of shape {self.input_shape} with real values from 0 to 1, but the data has "
                f"{tuple(x.shape[1:])} of {x.dtype}: give the source image_size {self.input_shape[-1]} and "
                f"{self.input_shape[0]} channels, or set --model.network.image_size"
            )

    def run(self, body: Any, x: Tensor, n_prompts: int = 0) -> Any:
        """Return the model's output for images ``(n, C, H, W)``."""
        mean, deviation = (x.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.deviation))
        pixels = ((x - mean) / deviation).to(next(body.parameters()).dtype)
        more = {"interpolate_pos_encoding": True} if self.interpolates else {}
        return body(pixel_values=pixels, **more)

    def pool(self, output: Any, x: Tensor) -> Tensor:
        """Return one vector ``(n, D)`` of each image from the model's output."""
        if self.pooling == "pooler":
            features: Tensor = output.pooler_output.flatten(1)
        elif self.pooling == "first":
            features = output.last_hidden_state[:, 0]
        elif self.n_patches:
            features = output.last_hidden_state[:, -self.n_patches :].mean(1)
        else:
            features = output.last_hidden_state.mean((2, 3))
        return F.normalize(features, dim=-1) if self.normalise else features


def reads_images(body: Any) -> bool:
    """Return whether a model of transformers processes images, according to the name of its main input."""
    return bool(body.main_input_name == "pixel_values")


def read_images_of(
    body: Any, folder: Path, pooling: Pooling, normalise: bool, image_size: int | None, who: str
) -> VisionReader:
    """Return a reader for a vision model, with the pixel scale of its preprocessor.

    Args:
        body: the model.
        folder: folder with the model's ``preprocessor_config.json``.
        pooling: how the vectors are combined into one.
        normalise: scale the vector to unit length.
        image_size: height and width of the images. Default: the output size of the preprocessor.
        who: name of the caller, for error messages.

    Raises:
        ValueError: when there is no preprocessor, or the model does not support such images or this pooling.
    """
    how, config = _read_preprocessor(folder), body.config
    height, width = (image_size, image_size) if image_size is not None else _image_size(how, config, folder)
    n_channels = int(getattr(config, "num_channels", 3))
    mean, deviation = _scale(how, n_channels)
    learnt = _pair(getattr(config, "image_size", None))
    takes_other = "interpolate_pos_encoding" in inspect.signature(body.forward).parameters
    interpolates = takes_other and learnt is not None and learnt != (height, width)
    shape = (n_channels, height, width)
    blank = VisionReader(shape, mean, deviation, 0, interpolates)
    output = _try(body, blank, who)
    hidden = output.last_hidden_state
    if pooling == "last" or (pooling == "pooler" and getattr(output, "pooler_output", None) is None):
        raise ValueError(f"a model of the type {config.model_type} has no pooling {pooling}: set pooling mean or first")
    n_vectors = hidden.shape[1] if hidden.dim() == 3 else 0
    side = getattr(config, "patch_size", None)
    n_patches = (height // side) * (width // side) if isinstance(side, int) and n_vectors else n_vectors
    if n_patches > n_vectors:  # patches were merged inside the model, and there is no class token
        n_patches = n_vectors
    if pooling == "first" and n_patches == n_vectors:
        raise ValueError(
            f"a model of the type {config.model_type} has no first vector of the whole image: set "
            "--model.network.pooling mean"
        )
    return VisionReader(shape, mean, deviation, n_patches, interpolates, pooling, normalise)


def _try(body: nn.Module, reader: VisionReader, who: str) -> Any:
    was_training = body.training
    body.eval()
    try:
        with torch.no_grad():
            return reader.run(body, torch.zeros(1, *reader.input_shape))
    except Exception as error:  # each model raises its own type for unsupported sizes
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{who}'s model cannot take images of shape {reader.input_shape} ({reason}): set "
            "--model.network.image_size to what it was trained on"
        ) from error
    finally:
        body.train(was_training)


def _read_preprocessor(folder: Path) -> dict[str, Any]:
    file = folder / PREPROCESSOR
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} has no {PREPROCESSOR} that can be read ({error}), which says how images are scaled: save the "
            "model's image processor there, by its save_pretrained"
        ) from error
    return dict(content)


def _scale(how: dict[str, Any], n_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Convert the preprocessor's mean and deviation, for values from 0 to 255, to values from 0 to 1."""
    factor = WHITE * float(how.get("rescale_factor", 1 / WHITE)) if how.get("do_rescale", True) else float(WHITE)
    given: list[Any] = [how.get("image_mean"), how.get("image_std")]
    if not how.get("do_normalize", True) or not all(given):
        given = [0.0, 1.0]
    means, deviations = ([float(v) for v in (g if isinstance(g, (list, tuple)) else [g])] for g in given)
    if len(means) != n_channels:  # the preprocessor's images have other channels
        means, deviations = ([sum(v) / len(v)] * n_channels for v in (means, deviations))
    return tuple(m / factor for m in means), tuple(d / factor for d in deviations)


def _image_size(how: dict[str, Any], config: Any, folder: Path) -> tuple[int, int]:
    crop = how.get("crop_size") if how.get("do_center_crop") else None
    size = _pair(crop) or _pair(how.get("size")) or _pair(getattr(config, "image_size", None))
    if size is None:
        raise ValueError(
            f"neither config nor preprocessor in {folder} says how large images are: set --model.network.image_size"
        )
    return size


def _pair(size: Any) -> tuple[int, int] | None:
    if isinstance(size, dict):
        if "height" in size and "width" in size:
            return int(size["height"]), int(size["width"])
        return _pair(size.get("shortest_edge"))
    if isinstance(size, (list, tuple)) and len(size) == 2:
        return int(size[0]), int(size[1])
    return (size, size) if isinstance(size, int) else None
