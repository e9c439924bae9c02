"""Changes of photos: neutral where nothing is asked for, within their bounds otherwise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lifelong.vision import PhotoAugmentation

HALF = torch.full((1, 7), 0.5)


def numbers(**places: float) -> Tensor:
    """The middle of everything, but for some of: size, left, top, flip, brightness, contrast, saturation."""
    found = HALF.clone()
    for name, value in places.items():
        found[0, ["size", "left", "top", "flip", "brightness", "contrast", "saturation"].index(name)] = value
    return found


def photo(size: int = 8) -> Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_nothing_asked_for_is_nothing_changed() -> None:
    x = torch.rand(5, 3, 8, 8)
    assert PhotoAugmentation(crop=1, flip=False, colour=0)(x, torch.rand(5, 7)) is x


def test_the_middle_of_all_colours_is_the_photo() -> None:
    assert torch.allclose(PhotoAugmentation(crop=1, flip=False, colour=1)(photo(), HALF), photo(), atol=1e-6)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)])
def test_a_crop_is_the_square_that_its_numbers_say(left: float, top: float) -> None:
    columns = torch.arange(16.0).expand(1, 3, 16, 16) / 16
    crop = PhotoAugmentation(crop=0.5, flip=False, colour=0)
    place = numbers(size=1, left=left, top=top)  # a side of 8 of 16 pixels, of 16 pixels again: each shows half of one
    first = 8 * left
    expected = (first + torch.arange(16.0) / 2 - 0.25).clamp(0, 15) / 16
    assert torch.allclose(crop(columns, place)[0, 0, 3], expected, atol=1e-5)
    first = 8 * top
    expected = (first + torch.arange(16.0) / 2 - 0.25).clamp(0, 15) / 16
    assert torch.allclose(crop(columns.mT, place)[0, 0, :, 3], expected, atol=1e-5)


def test_the_smallest_number_crops_nothing() -> None:
    crop = PhotoAugmentation(crop=0.3, flip=False, colour=0)
    assert torch.allclose(crop(photo(), numbers(size=0, left=0.9)), photo(), atol=1e-5)


def test_half_of_the_photos_are_mirrored() -> None:
    flip = PhotoAugmentation(crop=1, colour=0)
    x = photo()
    assert torch.equal(flip(x, numbers(flip=0.4)), x.flip(-1))
    assert torch.equal(flip(x, numbers(flip=0.6)), x)


def test_each_colour_changes_what_it_is_named_for() -> None:
    recolour = PhotoAugmentation(crop=1, flip=False, colour=0.5)
    x = photo() / 2
    assert torch.allclose(recolour(x, numbers(brightness=1)), x * 1.5, atol=1e-6)
    flat = recolour(x, numbers(contrast=0))
    assert flat.std() < x.std()
    grey = PhotoAugmentation(crop=1, flip=False, colour=1)(x, numbers(saturation=0))
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-6)
    assert not torch.allclose(x[:, 0], x[:, 2], atol=1e-2)


@pytest.mark.parametrize("channels", [1, 3])
def test_photos_stay_from_0_to_1_and_are_changed_one_by_one(channels: int) -> None:
    x, drawn = torch.rand(6, channels, 9, 9), torch.rand(6, 7)
    found = PhotoAugmentation(crop=0.2, colour=1)(x, drawn)
    assert found.shape == x.shape
    assert 0 <= found.min() <= found.max() <= 1
    alone = torch.cat([PhotoAugmentation(crop=0.2, colour=1)(x[i : i + 1], drawn[i : i + 1]) for i in range(6)])
    assert torch.equal(alone, found)


@pytest.mark.parametrize(("name", "value"), [("crop", 0), ("crop", 1.1), ("colour", -0.1), ("colour", 2)])
def test_shares_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"PhotoAugmentation's {name} is {value}: it must be"):
        PhotoAugmentation(**{name: value})  # type: ignore[arg-type]
