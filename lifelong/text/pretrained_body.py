"""A model of transformers without its head, loaded from a folder: a text or image model, according to its config."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from lifelong.utilities.extras import imported


def load_body(folder: Path, who: str, *, pooler: bool = False) -> nn.Module:
    """Load the model in a folder, in single precision and without dropout; of image-text models, the image tower.

    Args:
        folder: a folder written by ``save_pretrained``.
        who: name of the caller, for error messages.
        pooler: keep the final layer of some models that is applied to the first vector.

    Raises:
        ValueError: when it cannot be loaded.
    """
    transformers = imported("transformers", who, "text")
    transformers.utils.logging.disable_progress_bar()
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        _without_dropout(config)
        # Of encoder-decoder models, only the encoder is used.
        kind = transformers.AutoModelForTextEncoding if config.is_encoder_decoder else transformers.AutoModel
        # Only eager attention has second derivatives. Weights of a pooler or another head are not used here.
        how = {"config": config, "attn_implementation": "eager", "output_loading_info": True}
        with only_errors("transformers"):
            body, report = kind.from_pretrained(folder, trust_remote_code=False, **how)
    except Exception as error:  # safetensors raises its own type for damaged files
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the model in {folder} could not be loaded ({first}): give model a folder of save_pretrained"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing and (pooler or not all("pooler" in name for name in missing)):
        first = next((name for name in missing if "pooler" not in name), missing[0])
        raise ValueError(
            f"the weights in {folder} lack {first}, and {len(missing)} of the model's in all: give model a folder "
            "of save_pretrained" + (", or set pooling mean or first" if "pooler" in first else "")
        )
    if hasattr(config, "vision_config") and hasattr(body, "vision_model"):
        body = body.vision_model
    unused = getattr(body, "pooler", None)
    if not pooler and unused is not None and any(True for _ in unused.parameters()):
        body.pooler = None
    return body.float()  # type: ignore[no-any-return]  # newer versions keep the file's dtype: half is too coarse


def _without_dropout(config: Any) -> None:
    for part in (config, getattr(config, "vision_config", None)):
        for name, value in ({} if part is None else part.to_dict()).items():
            if "drop" in name and isinstance(value, float):
                setattr(part, name, 0.0)


@contextmanager
def only_errors(name: str) -> Iterator[None]:
    """Show only the errors of a package's log within the block."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
