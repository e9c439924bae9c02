"""A model and its card in a folder, in the format of the Hugging Face Hub (extra ``hub``)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lifelong.utilities.checkpoint_file import write_checkpoint
from lifelong.utilities.extras import imported
from lifelong.utilities.files import write_whole

WHO = "a model on the hub"
ALONE = "model.ckpt"
"""File name of a saved model's checkpoint."""
CARD = "README.md"


def save(content: dict[str, Any], card: str, folder: Path) -> None:
    """Write a model's checkpoint and card to a folder.

    Args:
        content: content of the checkpoint.
        card: text of the model card.
        folder: a new or empty folder, or one with a saved model, which is replaced.

    Raises:
        ValueError: when the folder contains other files.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: give a folder for the model")
    held = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if others := sorted(held - {ALONE, CARD}) or (sorted(held) if held and ALONE not in held else []):
        raise ValueError(f"{folder} holds other files ({others[0]}): give an empty folder, or a new one")
    write_checkpoint(content, folder / ALONE)
    write_whole(folder / CARD, lambda part: part.write_text(card, encoding="utf-8"))


def push(content: dict[str, Any], card: str, repo_id: str, *, private: bool | None, token: str | None) -> str:
    """Upload a model to a repository of the Hub, create the repository if needed, and return its address."""
    hub: Any = imported("huggingface_hub", WHO, "hub")
    api = hub.HfApi(token=token)
    repo = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    with tempfile.TemporaryDirectory() as folder:
        save(content, card, Path(folder))
        return str(api.upload_folder(repo_id=repo, folder_path=folder, commit_message="A model of Lifelong"))


def fetch(name: str, *, revision: str | None, token: str | None) -> Path:
    """Return the folder of a saved model: a local folder, or one downloaded from the Hub.

    Raises:
        ValueError: when the model does not exist.
    """
    if Path(name).expanduser().exists():
        return Path(name).expanduser()
    hub: Any = imported("huggingface_hub", WHO, "hub")
    try:
        file = hub.hf_hub_download(name, ALONE, revision=revision, token=token)
    except Exception as error:  # errors of the network, of names and of access rights
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{name} is no folder, and no model of that name could be fetched from the hub ({first}): give the path of "
            "a folder, or a name such as owner/model"
        ) from error
    return Path(file)
