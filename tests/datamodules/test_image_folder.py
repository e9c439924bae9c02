from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import ImageFolder
from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.learners import Classifier
from lifelong.networks import MLP
from tests.toys import fit, module_of


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def _pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two experiences of two classes of three images each; pixels are numbered in the order of the paths."""
    names = [f"{e}/{c}/{i}.png" for e in ("farm", "zoo") for c in ("cat", "emu") for i in range(3)]
    for number, name in enumerate(names):
        _save(tmp_path / "images" / name, _pixels(number))
    return tmp_path / "images"


def test_folders_become_domains_classes_and_images_in_order(root):
    for name in (".hidden/x/0.png", "farm/.hidden/0.png", "farm/cat/.0.png"):
        _save(root / name, _pixels(99))
    (root / "farm" / "cat" / "notes.txt").write_text("no image")
    (root / "README.md").write_text("no folder")
    farm, zoo = ImageFolder(root=str(root), image_size=8).domains()
    for offset, domain, name in ((0, farm, "farm"), (6, zoo, "zoo")):
        assert (domain.name, list(domain.class_names), domain.holdout) == (name, ["cat", "emu"], "examples")
        assert domain.y.tolist() == [0, 0, 0, 1, 1, 1]
        expected = np.stack([_pixels(offset + i).transpose(2, 0, 1) for i in range(6)])
        assert np.array_equal(domain.x.numpy(), expected)


def test_grey_images_are_the_luma_of_colour(root):
    (farm, _) = ImageFolder(root=str(root), image_size=8, channels=1, holdout="classes").domains()
    assert farm.holdout == "classes"
    expected = _pixels(0) @ np.array([0.299, 0.587, 0.114])
    assert farm.x.shape == (6, 1, 8, 8)
    assert np.abs(farm.x[0, 0].numpy() - expected).max() <= 1


def test_the_centre_square_is_kept(tmp_path):
    wide = np.zeros((10, 30, 3))
    wide[:, 10:20] = 200
    _save(tmp_path / "e" / "c" / "wide.png", wide)
    _save(tmp_path / "e" / "c" / "tall.JPG", wide.transpose(1, 0, 2))
    (domain,) = ImageFolder(root=str(tmp_path), image_size=5).domains()
    assert domain.x.shape == (2, 3, 5, 5)
    assert (domain.x.int() - 200).abs().max() < 40  # resampling and JPEG blur the edge, but no side is black


def test_upright_images_are_read_as_the_camera_was_held(tmp_path):
    (tmp_path / "e" / "c").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90° clockwise when shown
    Image.fromarray(_pixels(0).astype(np.uint8)).save(tmp_path / "e" / "c" / "0.png", exif=exif)
    (domain,) = ImageFolder(root=str(tmp_path), image_size=8).domains()
    assert np.array_equal(domain.x[0].numpy(), np.rot90(_pixels(0), -1).transpose(2, 0, 1))


def test_a_memory_map_holds_the_same_pixels(root):
    for large, small in zip(
        ImageFolder(root=str(root), image_size=8, cache_bytes=0).domains(),
        ImageFolder(root=str(root), image_size=8, cache_bytes=6 * 3 * 8 * 8).domains(),
        strict=True,
    ):
        assert torch.equal(large.x, small.x)
        assert torch.equal(large.x[torch.tensor([4, 1])], small.x[torch.tensor([4, 1])])


@pytest.mark.parametrize(("cache_bytes", "mode"), [(6 * 3 * 8 * 8 - 1, "c"), (6 * 3 * 8 * 8, None)])
def test_only_what_exceeds_cache_bytes_is_mapped(root, monkeypatch, cache_bytes, mode):
    modes = []
    load = np.load
    monkeypatch.setattr(
        np, "load", lambda path, mmap_mode, **how: modes.append(mmap_mode) or load(path, mmap_mode, **how)
    )
    ImageFolder(root=str(root), image_size=8, cache_bytes=cache_bytes).domains()
    assert set(modes) == {mode}


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_decoded_images_are_reused_until_a_file_changes(root, tmp_path, monkeypatch, cache_bytes):
    source = ImageFolder(root=str(root), image_size=8, cache_bytes=cache_bytes)
    first = source.domains()
    with monkeypatch.context() as patch:
        patch.setattr("datamodules.image_folder.decode_into", lambda *_: pytest.fail("decoded again"))
        assert all(torch.equal(a.x, b.x) for a, b in zip(first, source.domains(), strict=True))
    _save(root / "farm" / "emu" / "0.png", np.full((8, 8, 3), 9))
    changed = source.domains()[0].x
    assert changed[3].unique().tolist() == [9]
    assert torch.equal(changed[:3], first[0].x[:3])


def test_each_size_has_its_own_cache(root, monkeypatch):
    sources = [ImageFolder(root=str(root), image_size=size) for size in (8, 4)]
    assert [s.domains()[0].x.shape[-1] for s in sources] == [8, 4]
    monkeypatch.setattr("datamodules.image_folder.decode_into", lambda *_: pytest.fail("decoded again"))
    assert [s.domains()[0].x.shape[-1] for s in sources] == [8, 4]


@pytest.mark.parametrize("content", [np.zeros((5, 3, 8, 8), np.uint8), np.zeros((6, 3, 8, 8), np.float32)])
def test_a_cache_file_of_other_content_is_rebuilt(root, tmp_path, content):
    source = ImageFolder(root=str(root), image_size=8)
    first = source.domains()
    for cached in (tmp_path / "cache").iterdir():
        np.save(cached, content)
        cached.write_bytes((data := cached.read_bytes()) + zlib.crc32(data).to_bytes(4, "little"))
    with pytest.warns(
        UserWarning, match=r"damaged \(it has .* of shape .*, but uint8 of shape \(6, 3, 8, 8\) was written\)"
    ):
        again = source.domains()
    assert all(torch.equal(a.x, b.x) for a, b in zip(first, again, strict=True))


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"image folder .*nowhere does not exist: set root"):
        ImageFolder(root=str(tmp_path / "nowhere")).domains()


def test_a_root_without_experiences_is_named(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"has no experience folder: expected .*/<experience>/<class>/<image>.png"):
        ImageFolder(root=str(tmp_path)).domains()


def test_an_empty_experience_is_named_before_anything_is_decoded(root, tmp_path):
    (root / "sea").mkdir()
    with pytest.raises(ValueError, match=r"the experience .*sea has no class folder"):
        ImageFolder(root=str(root)).domains()
    assert not (tmp_path / "cache").exists()


def test_a_class_without_images_is_named(root):
    (root / "zoo" / "owl").mkdir()
    (root / "zoo" / "owl" / "owl.svg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"the class .*owl has no image: expected files that end in .jpg, .jpeg, .png"):
        ImageFolder(root=str(root)).domains()


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_an_unreadable_image_is_named(root, tmp_path, damage):
    file = root / "zoo" / "cat" / "1.png"
    file.write_bytes({"text": b"no image", "truncated": file.read_bytes()[:100], "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"the image .*zoo.cat.1.png cannot be decoded .*: replace or remove it"):
        ImageFolder(root=str(root)).domains()
    assert [p.name.split("-")[0] for p in (tmp_path / "cache").iterdir()] == ["farm"]


def test_a_cache_folder_that_cannot_be_written_is_named(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"decoded images cannot be kept in .*file .*LIFELONG_CACHE"):
        ImageFolder(root=str(root)).domains()


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
@pytest.mark.parametrize("scenario", ["class", "domain", "task"])
def test_photos_are_learnt_as_labelled_examples(root, scenario, cache_bytes):
    source = ImageFolder(root=str(root), image_size=8, cache_bytes=cache_bytes, holdout="classes")
    data = ExampleDataModule([source], scenario=scenario, batch_size=2, passes=60, split=(1, 1))
    assert data.stream.domains == ("farm", "zoo")
    assert data.n_classes == (2 if scenario == "domain" else 4)
    for part in (data.stream.val, data.stream.test):
        assert [[len(members) for members in pool.members] for pool in part] == [[1, 1], [1, 1]]
    learner = Classifier(MLP(n_inputs=3 * 8 * 8, hidden=[32], n_outputs=4))
    matrix = fit(module_of(learner, optimizer=partial(torch.optim.Adam, lr=0.003)), data).matrix()
    assert matrix.shape == (2, 2, 2)
    drawn = data.draw(data.stream.experiences[1], "train", range(2)).gather(torch.device("cpu"))
    scores = TaskRunner().scores(learner, learner.meta_parameters(), drawn)
    assert scores.tolist() == [1, 1]  # what was trained on last is known
