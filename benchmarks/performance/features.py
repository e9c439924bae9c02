"""Image features of a frozen network: cost of the first call compared with a bare loop, and of the second call.

The bare loop is hand-written: resize, network, batch by batch. Both run alternately on images of noise, and each block
is new to the encoder. The second call is one call for the images of all blocks, in a new encoder.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.performance.suite import Row, Say, Settings, now, ratios, spread
from lifelong.networks import EfficientNetLite
from lifelong.vision import FrozenEncoder

BATCH, N_BLOCKS, N_IMAGES = 64, 20, 500
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "EfficientNet-Lite0, 64 pixels": lambda: EfficientNetLite(pretrained=False, image_size=64),
    "EfficientNet-Lite0, 128 pixels": lambda: EfficientNetLite(pretrained=False, image_size=128),
}


def measure(settings: Settings, say: Say) -> Iterator[Row]:
    """Measure images per second, for each network."""
    n_blocks, n_images = (1, 130) if settings.quick else (N_BLOCKS, N_IMAGES)
    for name, make in NETWORKS.items():
        if not settings.wants(name):
            continue
        torch.manual_seed(0)
        network = make().to(settings.device).eval()
        x = torch.randint(0, 256, (n_blocks * n_images, 3, 32, 32), dtype=torch.uint8)
        with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"LIFELONG_CACHE": folder}):
            _encode(network, x[:BATCH].flip(0, 1, 2, 3), settings.device)  # warms up both
            bare(network, x[:BATCH], settings.device)
            first: list[float] = []
            by_hand: list[float] = []
            for number, block in enumerate(x.split(n_images)):  # type: ignore[no-untyped-call]
                say(f"{name}, {number + 1}")
                turns = [(first, _encode), (by_hand, bare)]
                for times, run in turns[:: 1 if number % 2 == 0 else -1]:
                    since = now(settings.device)
                    run(network, block, settings.device)
                    times.append(now(settings.device) - since)
            since = time.perf_counter()
            _encode(network, x, settings.device)
            second = time.perf_counter() - since
        yield {
            "setup": name,
            "images": len(x),
            "first": spread([n_images / seconds for seconds in first]),
            "bare": spread([n_images / seconds for seconds in by_hand]),
            "share": ratios(by_hand, first),
            "seconds": [sum(first), second],
        }


def bare(network: nn.Module, x: Tensor, device: torch.device) -> Tensor:
    """Compute features ``(M, D)`` as in a hand-written script."""
    parts = []
    with torch.inference_mode():
        for batch in x.split(BATCH):  # type: ignore[no-untyped-call]
            images = batch.to(device).float() / 255
            images = F.interpolate(images, network.input_shape[1:], mode="bicubic", antialias=True)  # type: ignore[index]
            parts.append(network(images.clamp(0, 1)).cpu())
    return torch.cat(parts)


def _encode(network: nn.Module, x: Tensor, device: torch.device) -> Tensor:
    return FrozenEncoder(network=network, batch_size=BATCH, device=str(device)).encode(x)
