"""Images of the library datasets, made here: nothing is downloaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import HuggingFace
from datamodules.episodic import EpisodicDataModule
from tests.datamodules.hugging_face_data import needs_extra, saved_images
from tests.toys import fit, make_learner

pytestmark = pytest.mark.usefixtures("hugging_face_cache")


@needs_extra
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_decoded_once_and_kept(channels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"path": saved_images(tmp_path / "images"), "image_column": "image", "label_column": "kind"}
    made = partial(HuggingFace, image_size=4, channels=channels, **settings)  # type: ignore[arg-type]
    (domain,) = made().domains()
    assert (domain.x.shape, domain.x.dtype) == ((15, channels, 4, 4), torch.uint8)
    assert domain.x[:, 0, 2, 2].tolist() == [*range(0, 120, 10), 0, 10, 20]
    assert domain.class_names == ["c", "b", "a"]
    decoded: list[int] = []
    monkeypatch.setattr("datamodules.hugging_face.square_pixels", lambda *_: decoded.append(1))
    assert torch.equal(made().domains()[0].x, domain.x)
    assert not decoded


@needs_extra
def test_years_are_domains_in_their_order(tmp_path: Path) -> None:
    settings = {"path": saved_images(tmp_path / "images"), "image_column": "image", "label_column": "kind"}
    made = HuggingFace(domain_column="year", channels=1, image_size=4, cache_bytes=0, **settings)  # type: ignore[arg-type]
    old, new = made.domains()
    assert (old.name, new.name) == ("999", "2010")
    assert new.x[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 0, 10, 20]
    assert old.x[:, 0, 0, 0].tolist() == [60, 70, 80, 90, 100, 110]
    assert old.in_test is not None
    assert not old.in_test.any()


@needs_extra
def test_a_folder_of_images_is_read_with_its_splits_and_classes(tmp_path: Path) -> None:
    for split, n in (("train", 3), ("test", 1)):
        for shade, kind in enumerate(("cat", "dog")):
            (tmp_path / "pets" / split / kind).mkdir(parents=True)
            for number in range(n):
                image = Image.fromarray(np.full((4, 4), 100 * shade + number, dtype=np.uint8))
                image.save(tmp_path / "pets" / split / kind / f"{number}.png")
    (domain,) = HuggingFace(path=str(tmp_path / "pets"), image_column="image", image_size=4, channels=1).domains()
    assert domain.class_names == ["cat", "dog"]
    assert domain.in_test is not None
    found = list(zip(domain.in_test.tolist(), domain.y.tolist(), domain.x[:, 0, 0, 0].tolist(), strict=True))
    shades = {False: [(0, 0), (0, 1), (0, 2), (1, 100), (1, 101), (1, 102)], True: [(0, 0), (1, 100)]}
    assert sorted(found) == [(test, *some) for test in (False, True) for some in shades[test]]


@needs_extra
def test_domains_of_similar_names_keep_their_own_images(tmp_path: Path) -> None:
    from datasets import Dataset

    images = [Image.fromarray(np.full((4, 4), shade, dtype=np.uint8)) for shade in (10, 20)]
    rows = {"image": images, "label": [0, 0], "site": ["north/east", "north east"]}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "sites")
    made = HuggingFace(
        path=str(tmp_path / "sites"), image_column="image", domain_column="site", test_split=None, image_size=4
    )
    found = {domain.name: int(domain.x[0, 0, 0, 0]) for domain in made.domains()}
    assert found == {"north east": 20, "north/east": 10}


@needs_extra
def test_paths_to_images_are_opened(tmp_path: Path) -> None:
    from datasets import Dataset

    rows: dict[str, list[Any]] = {"file": [], "label": []}
    for number in range(4):
        rows["file"].append(str(tmp_path / f"{number}.png"))
        rows["label"].append("ab"[number % 2])
        Image.fromarray(np.full((5, 5), 50 * number, dtype=np.uint8)).save(rows["file"][-1])
    Dataset.from_dict(rows).to_csv(tmp_path / "files.csv")
    made = partial(HuggingFace, path=str(tmp_path / "files.csv"), test_split=None, image_size=5, channels=1)
    (domain,) = made(image_column="file").domains()
    assert domain.x[:, 0, 0, 0].tolist() == [0, 50, 100, 150]
    Path(rows["file"][2]).write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"image 2 in the column 'file' of .* cannot be decoded \(.*leave it out"):
        made(image_column="file", image_size=4).domains()


@needs_extra
def test_few_shot_tasks_are_drawn_from_images(tmp_path: Path) -> None:
    made = HuggingFace(
        path=saved_images(tmp_path / "images", n=24),
        image_column="image",
        label_column="kind",
        test_split=None,
        channels=1,
        image_size=16,
    )
    settings: dict[str, Any] = {"n_shot": 1, "n_query": 1, "steps_per_experience": 2, "n_eval_tasks": 4}
    data = EpisodicDataModule([made], n_way=2, split=(0.25, 0.25), **settings)
    assert np.isfinite(fit(make_learner("ProtoNet", "image"), data).matrix()).all()
