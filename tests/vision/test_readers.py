"""Readers give what the domains of a source have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

from datamodules import Encoded, Glyphs, ImageFolder, Permuted, SplitClasses
from lifelong.vision import EncodedReader, FrozenEncoder, ImageReader


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    for number in range(8):
        image = Image.new("RGB", (40, 30), (10 * number, 90, 200))
        ImageDraw.Draw(image).ellipse((5, 5, 15 + 2 * number, 25), fill=(250, 20, 20 * number))
        file = tmp_path / "photos" / "shapes" / f"kind {number % 2}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)
    return tmp_path / "photos"


def test_a_reader_gives_what_the_domain_has(photos: Path) -> None:
    source = ImageFolder(root=str(photos), image_size=12)
    (domain,) = source.domains()
    files = [str(file) for file in sorted(photos.rglob("*.jpg"))]
    assert torch.equal(source.reader().read(files), domain.x)
    assert source.reader().read(files[:1]).dtype == torch.uint8
    assert isinstance(SplitClasses(source, n_domains=2).reader(), ImageReader)
    assert Permuted(source).reader() is None


def test_an_encoded_source_encodes_what_is_read(photos: Path) -> None:
    source = Encoded(ImageFolder(root=str(photos), image_size=12), encoder=FrozenEncoder(network=nn.Flatten()))
    (domain,) = source.domains()
    reader = source.reader()
    assert isinstance(reader, EncodedReader)
    files = [str(file) for file in sorted(photos.rglob("*.jpg"))]
    assert torch.equal(reader.read(files), torch.as_tensor(domain.x))
    assert Encoded(Permuted(Glyphs()), encoder=FrozenEncoder(network=nn.Flatten())).reader() is None


def test_dark_ink_is_bright_where_it_was_learnt_so(tmp_path: Path) -> None:
    Image.new("L", (9, 9), 255).save(tmp_path / "paper.png")
    reader = ImageReader(image_size=4, channels=1, inverted=True)
    assert reader.read([str(tmp_path / "paper.png")]).unique().tolist() == [0]
