"""Tiny trained models of photos, of texts and of labelled examples, for the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lifelong
from datamodules import EpisodicDataModule, ExampleDataModule, ImageFolder
from lifelong.learners import Classifier, ProtoNet
from lifelong.networks import MLP, Conv4, WithHead
from lifelong.run.model import Model
from lifelong.text import HashedWords
from tests.drawn_photos import FRUIT, write_photos
from tests.text.words import Words

QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
SHAPE: dict[str, Any] = {"n_way": 3, "n_shot": 2, "n_query": 2, "split": (3, 3), "n_eval_tasks": 2}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make a model by its kind, once: ``images``, ``texts`` or ``labelled``."""
    where = tmp_path_factory.mktemp("serve")
    made: dict[str, Model] = {}

    def model(kind: str) -> Model:
        if kind not in made:
            with pytest.MonkeyPatch.context() as patch:  # for the making alone: other tests of the session follow
                patch.delenv("LIFELONG_RUN_FOLDER", raising=False)
                patch.setenv("LIFELONG_CACHE", str(where / "cache"))
                patch.chdir(where)
                lifelong.seed_everything(0, verbose=False)
                made[kind] = lifelong.fit(*MAKERS[kind](), run=str(where / kind), **QUIET).model
        return made[kind]

    return model


def of_images() -> tuple[Any, Any]:
    write_photos_once()
    data = EpisodicDataModule(
        [ImageFolder(root="photos", image_size=16, holdout="classes")], **SHAPE, steps_per_experience=20
    )
    return ProtoNet(Conv4(n_filters=8, norm="group", in_channels=3, image_size=16)), data


def of_labelled() -> tuple[Any, Any]:
    write_photos_once()
    data = ExampleDataModule(
        [ImageFolder(root="photos", image_size=16, holdout="examples")], batch_size=8, steps_per_experience=5
    )
    return Classifier(MLP(n_inputs=768, hidden=[8], n_outputs=len(FRUIT))), data


def of_texts() -> tuple[Any, Any]:
    data = EpisodicDataModule(
        [Words(encoding=HashedWords(n_buckets=512, max_length=8))],
        n_way=2,
        n_shot=2,
        n_query=3,
        split=(2, 2),
        eval_n_shot=1,
        eval_n_query=1,
        n_eval_tasks=2,
        steps_per_experience=5,
    )
    bag = torch.nn.EmbeddingBag(num_embeddings=512, embedding_dim=8, padding_idx=0)
    return ProtoNet(WithHead(bag, n_features=8, n_outputs=4)), data


def write_photos_once() -> None:
    if not Path("photos").exists():
        write_photos(Path("photos/fruit"), list(FRUIT), range(6))


MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {"images": of_images, "labelled": of_labelled, "texts": of_texts}
