"""Photos are decoded as a person sees them, on all cores, in the order of the files."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lifelong.vision import decoding
from lifelong.vision.decoding import SUFFIXES, decode_images

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **settings: object) -> Path:
    image.save(path, **settings)
    return path


def pixels_of(file: Path, channels: int = 3) -> np.ndarray:
    (pixels,) = decode_images([file], 8, channels).numpy()
    return pixels


def test_photos_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    files = [saved(tmp_path / f"{i}.png", Image.new("RGB", (4 + i, 9), (i, 0, 255 - i))) for i in range(40)]
    x = decode_images(files[::-1], image_size=4, channels=3)
    assert (x.dtype, tuple(x.shape)) == (torch.uint8, (40, 3, 4, 4))
    assert x[:, 0, 0, 0].tolist() == list(range(39, -1, -1))


def test_no_photos_are_none(tmp_path: Path) -> None:
    assert decode_images([], image_size=4, channels=1).shape == (0, 1, 4, 4)


def test_all_cores_decode_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [saved(tmp_path / f"{i}.png", Image.new("L", (4, 4))) for i in range(2)]
    both = threading.Barrier(2, timeout=20)  # one thread alone would wait here in vain
    monkeypatch.setattr(decoding, "n_cores", lambda: 2)
    monkeypatch.setattr(decoding, "decode_image", lambda *_: both.wait() * 0)
    decode_images(files, 4, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_may_have_been_held_in_any_way(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS, -1),
        7: np.rot90(PIXELS.transpose(1, 0, 2), 2),
        8: np.rot90(PIXELS),
    }[orientation]
    file = saved(tmp_path / "0.png", Image.fromarray(PIXELS), exif=exif)
    assert np.array_equal(pixels_of(file), upright.transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_format_is_read(tmp_path: Path, suffix: str) -> None:
    smooth = np.linspace(20, 220, 64).reshape(8, 8).astype(np.uint8)
    file = saved(tmp_path / f"0{suffix}", Image.fromarray(smooth).convert("RGB"))
    assert np.abs(pixels_of(file) - smooth.astype(float)).max() < 25  # of what compression loses


def test_the_first_of_several_frames_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    file = saved(tmp_path / "0.gif", frames[0], save_all=True, append_images=frames[1:])
    assert pixels_of(file)[:, 0, 0].tolist() == [255, 0, 0]


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    clear.paste((10, 20, 30, 255), (0, 0, 4, 8))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.paste(0, (0, 0, 4, 8))
    files = [
        saved(tmp_path / "rgba.png", clear),
        saved(tmp_path / "palette.png", palette, transparency=1),
        saved(tmp_path / "key.png", Image.fromarray(np.full((8, 8, 3), 30, np.uint8)), transparency=(30, 30, 30)),
        saved(tmp_path / "la.png", clear.convert("LA")),
    ]
    x = decode_images(files, 8, 3)
    assert x[:, :, 0, 7].unique().tolist() == [255]
    assert x[:2, :, 0, 0].tolist() == [[10, 20, 30]] * 2


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("0.png", np.array([[0, 65535], [32768, 257]], np.uint16)),
        ("0.tif", np.array([[0, 65535], [32768, 257]], np.uint16)),
        ("0.tif", np.array([[0, 1], [0.5, 1 / 255]], np.float32)),
        ("0.tif", np.array([[0, 255], [128, 1]], np.int32)),
    ],
)
def test_grey_of_16_bits_is_scaled_and_not_cut_off(tmp_path: Path, name: str, values: np.ndarray) -> None:
    file = saved(tmp_path / name, Image.fromarray(values))
    (found,) = decode_images([file], 2, 1).numpy()
    assert np.abs(found[0].astype(int) - [[0, 255], [128, 1]]).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB"])
def test_colours_of_every_mode_are_kept(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    file = saved(tmp_path / f"0.{suffix}", Image.new("RGB", (8, 8), "white").convert(mode))
    assert pixels_of(file).min() >= 250
    assert pixels_of(file, channels=1).shape == (1, 8, 8)


def test_a_large_jpeg_is_as_if_decoded_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[0:1:480j, 0:1:640j]
    smooth = np.stack([255 * y, 255 * x, 127 * (y + x)], axis=2).astype(np.uint8)
    file = saved(tmp_path / "0.jpg", Image.fromarray(smooth), quality=95)
    quick = decode_images([file], 32, 3).int()
    monkeypatch.setattr(decoding, "FINER", 1000)
    assert (quick - decode_images([file], 32, 3).int()).abs().max() <= 4


def test_the_first_broken_photo_is_named(tmp_path: Path) -> None:
    files = [saved(tmp_path / f"{i}.png", Image.new("RGB", (8, 8))) for i in range(20)]
    for number in (7, 12):
        files[number].write_text("no photo")
    with pytest.raises(ValueError, match=r"the image .*7.png cannot be decoded .*: replace or remove it"):
        decode_images(files, 8, 3)


def test_other_formats_are_not_opened_whatever_their_name(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match=r"cannot be decoded .*cannot identify"):
        decode_images([tmp_path / "photo.jpg"], 8, 3)
