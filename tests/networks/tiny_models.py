"""Vision models of two layers with random weights, and their preprocessors, written where a test wants them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lifelong.data.domain import Domain
from tests.toys import FewClasses

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 8,
}
CONVOLUTIONS: dict[str, Any] = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
KINDS: dict[str, dict[str, Any]] = {
    "vit": SIZES,
    "dinov2": {**SIZES, "mlp_ratio": 2},
    "dinov2_with_registers": {**SIZES, "mlp_ratio": 2},
    "clip_vision_model": SIZES,
    "siglip_vision_model": SIZES,
    "deit": SIZES,
    "convnext": {**CONVOLUTIONS, "image_size": 32},
    "resnet": {**CONVOLUTIONS, "embedding_size": 8, "layer_type": "basic"},
    "swin": {
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "image_size": 16,
        "patch_size": 4,
        "window_size": 2,
    },
}
MEAN, DEVIATION = (0.5, 0.25, 0.75), (0.5, 0.25, 0.125)


def save_vision_model(folder: Path, kind: str = "vit", size: int = 16, seed: int = 0, **settings: Any) -> str:
    """A model whose features differ from image to image, with the preprocessor of images of a size."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(seed)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **(KINDS[kind] | settings)))
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            parameter.data.normal_(0, 0.3)
    model.save_pretrained(folder)
    save_preprocessor(folder, size={"height": size, "width": size})
    return str(folder)


def save_preprocessor(folder: Path, **settings: Any) -> None:
    how: dict[str, Any] = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    how |= {"image_mean": MEAN, "image_std": DEVIATION}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(how | settings), encoding="utf-8")


class Images(FewClasses):
    """The toy's classes as colours of small images."""

    def domains(self) -> list[Domain]:
        return [
            replace(d, x=d.x[:, :3, None, None].sigmoid().expand(-1, 3, 16, 16).contiguous()) for d in super().domains()
        ]
