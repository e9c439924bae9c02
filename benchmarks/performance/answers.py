"""Predictions on a folder of photos by a model that has learnt new classes, compared with a hand-written loop.

The loop decodes photos in the same way, runs the same network, and compares embeddings with class means. Both run
alternately on blocks of photos. The photos are noise of 640 × 480 pixels in JPEG files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.performance.suite import Row, Say, Settings, now, ratios, spread
from datamodules import EpisodicDataModule, ImageFolder
from lifelong.learners import ProtoNet
from lifelong.networks import Conv4
from lifelong.run.fitted import AT_ONCE, Fitted
from lifelong.run.model import Model
from lifelong.training.stream_module import StreamModule
from lifelong.vision.decoding import decode_images

SIZE, N_WAY, N_SHOT, N_BLOCKS, BLOCK = 64, 5, 5, 8, 125


def measure(settings: Settings, say: Say) -> Iterator[Row]:
    """Measure photos per second."""
    n_blocks, block = (1, 10) if settings.quick else (N_BLOCKS, BLOCK)
    if not settings.wants("ProtoNet"):
        return
    with tempfile.TemporaryDirectory() as folder:
        files = write_photos(Path(folder), n_blocks * block)
        n_way, n_shot = (2, 2) if settings.quick else (N_WAY, N_SHOT)
        support = {str(n): files[n * n_shot : (n + 1) * n_shot] for n in range(n_way)}
        model = make_model(Path(folder)).to(settings.device)
        fitted = model.adapt(support)
        network, means = model.module.learner.network, class_means(model, support)
        fitted.predict(files[:2])
        ours: list[float] = []
        by_hand: list[float] = []
        for number in range(n_blocks):
            say(f"photos, {number + 1}")
            part = files[number * block : (number + 1) * block]
            for turn in (0, 1) if number % 2 == 0 else (1, 0):
                since = now(settings.device)
                if turn == 0:
                    ask(fitted, part)
                else:
                    bare(network, means, part, settings.device)
                (ours if turn == 0 else by_hand).append(now(settings.device) - since)
    yield {
        "setup": f"ProtoNet, Conv4, {SIZE} pixels",
        "photos": n_blocks * block,
        "ours": spread([block / seconds for seconds in ours]),
        "bare": spread([block / seconds for seconds in by_hand]),
        "share": ratios(by_hand, ours),
    }


def ask(fitted: Fitted, files: list[Path]) -> Tensor:
    """Return probabilities ``(M, N)`` computed by the model."""
    return fitted.predict(files).probabilities


def bare(network: nn.Module, means: Tensor, files: list[Path], device: torch.device) -> Tensor:
    """Return probabilities ``(M, N)`` computed by a hand-written script."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(files), AT_ONCE):
            images = decode_images(files[start : start + AT_ONCE], SIZE, 3).to(device).float() / 255
            parts.append((-torch.cdist(network(images), means).square()).softmax(1).cpu())
    return torch.cat(parts)


def class_means(model: Model, support: dict[str, list[Path]]) -> Tensor:
    """Return the means ``(N, D)`` of the support photos' embeddings."""
    network, device = model.module.learner.network, model.module.learner.device
    with torch.inference_mode():
        parts = [network(decode_images(files, SIZE, 3).to(device).float() / 255).mean(0) for files in support.values()]
    return torch.stack(parts)


def make_model(folder: Path) -> Model:
    """Make an untrained model of photos; its speed does not depend on training."""
    torch.manual_seed(0)
    learner = ProtoNet(Conv4(n_filters=32, norm="group", in_channels=3, image_size=SIZE))
    source = ImageFolder(root=str(folder / "taught"), image_size=SIZE, holdout="classes")
    data = EpisodicDataModule([source], n_way=2, n_shot=1, n_query=1, split=(3, 3))
    module = StreamModule(learner)
    data.load()
    learner.prepare(data.n_classes, data.example(torch.device("cpu")))
    module.note_stream(data)
    module.eval()
    return Model(module)


def write_photos(folder: Path, n: int) -> list[Path]:
    """Write photos of noise, and a small image folder from which a stream can be made."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(n):
        small = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(small).resize((640, 480)).save(path, quality=90)
        files.append(path)
    for kind in range(9):
        site = folder / "taught" / "site" / str(kind)
        site.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(site / f"{number}.png")
    return files
