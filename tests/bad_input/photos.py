"""Folders of photos as they come from phones, downloads and other programs, and settings of photos."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bad_input.case import FEW_SHOT, MLP, QUIET, Case
from tests.bad_input.images import cut, folder

BASE = (*MLP, "--model.network.n_inputs=192", *QUIET, *FEW_SHOT)
PHOTO = Path("d/a/x/9.jpg")
HTML = "<!DOCTYPE html><html><body>404 Not Found</body></html>"


def _case(name: str, make: Callable[[], object] | None, words: tuple[str, ...], *options: str, **init: object) -> Case:
    settings = ", ".join(f"{key}: {value}" for key, value in ({"root": "d", "image_size": 8} | init).items())
    given = f"--data.sources=[{{class_path: ImageFolder, init_args: {{{settings}}}}}]"
    return Case(f"photos {name}", (given, *options), words, make, base=BASE)


def _written(path: str | Path, content: bytes | str) -> Callable[[], None]:
    def write() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.encode() if isinstance(content, str) else content)

    return folder(write)


def _moved(old: str, new: str) -> Callable[[], None]:
    def move() -> None:
        Path(new).parent.mkdir(parents=True, exist_ok=True)
        Path(old).rename(new)

    return folder(move)


def _encoded(kind: str, suffix: str, n_bytes: int | None = None) -> Callable[[], None]:
    """A photo of noise in some format, and no more than its first bytes."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return _written(f"d/a/x/9{suffix}", buffer.getvalue()[:n_bytes])


def _classes(*sizes: int) -> Callable[[], None]:
    """One site whose classes have so many photos."""

    def write() -> None:
        for label, size in enumerate(sizes):
            for i in range(size):
                path = Path(f"d/a/c{label}/{i}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8), (label, i, 0)).save(path)

    return write


def _augmentation(name: str, value: str, word: str) -> Case:
    given = f"--data.augmentation={{class_path: lifelong.vision.PhotoAugmentation, init_args: {{{name}: {value}}}}}"
    return _case(f"augmentation {name} {value}", folder(), (name, word), given)


def _option(name: str, value: str, *words: str) -> Case:
    return _case(f"{name} {value}", folder(), (name, value, *words), f"--data.{name}={value}")


LAYOUT = [
    _case("without sites", _moved("d/a/x", "d/x"), ("d/x has photos and no class folder", "d/home/x")),
    _case(
        "straight in the root", lambda: (Path("d").mkdir(), Path("d/1.jpg").touch()), ("d has no experience folder",)
    ),
    _case("a level too deep", _moved("d/a/x", "d/a/w/x"), ("the class d/a/w has no image, but the folder x",)),
    _case("iPhone's alone", _written("d/a/w/1.HEIC", b"ftypheic"), ("d/a/w", "1 .heic, which are not read", ".jpg")),
    _case("films alone", _written("d/a/w/1.mov", b"ftyp"), ("d/a/w", "1 .mov, which are not read")),
    _case("raw alone", _written("d/a/w/1.CR2", b"II*\0"), ("d/a/w", "1 .cr2, which are not read")),
    _case("drawn in vectors", _written("d/a/w/1.svg", "<svg/>"), ("d/a/w", "1 .svg, which are not read")),
    _case("hidden alone", _written("d/a/w/.1.jpg", b""), ("the class d/a/w has no image", "remove the folder")),
    _case("packed alone", _written("d/a/w/photos.zip", b"PK"), ("d/a/w", "1 .zip, which are not read")),
]
FILES = [
    _case("a page that was not found", _written(PHOTO, HTML), (str(PHOTO), "cannot be decoded", "replace or remove")),
    _case("a document", _written(PHOTO, b"%PDF-1.7\n"), (str(PHOTO), "cannot be decoded", "replace or remove")),
    _case("HEIC under another name", _written(PHOTO, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), (str(PHOTO), "replace")),
    _case("zeros", _written(PHOTO, bytes(5000)), (str(PHOTO), "cannot be decoded")),
    _case("an empty one", _written(PHOTO, b""), (str(PHOTO), "cannot be decoded")),
    *(
        _case(f"a {kind} that is cut", _encoded(kind, suffix, 120), (f"d/a/x/9{suffix}", "replace or remove"))
        for kind, suffix in (("JPEG", ".jpeg"), ("PNG", ".png"), ("WEBP", ".webp"), ("TIFF", ".tiff"))
    ),
    _case("a BMP that is cut", _encoded("BMP", ".bmp", 60), ("d/a/x/9.bmp", "replace or remove")),
    _case("a GIF that is cut", _encoded("GIF", ".gif", 30), ("d/a/x/9.gif", "replace or remove")),
    _case("the last one cut", folder(lambda: cut(Path("d/b/z/7.png"), 40)), ("d/b/z/7.png", "replace or remove")),
]
SIZES = [
    _case("two of a class", _classes(8, 2, 8), ("class 'c1' of a", "2-way 1-shot", "small_classes leave_out")),
    _case(
        "too few classes left",
        _classes(8, 2, 2),
        ("a (train) has 1 classes", "--data.n_way to at most 1"),
        "--data.small_classes=leave_out",
    ),
    _case("no class left", _classes(2, 2, 2), ("a (train) is empty", "--data.split"), "--data.small_classes=leave_out"),
    _case("all held out", folder(), ("class 'x' of a (train) has 0 examples",), "--data.split=[0.5, 0.5]"),
    _case(
        "more queries than are held out",
        folder(),
        ("class 'x' of a (val) has 2 examples", "9 queries", "--data.eval_n_query"),
        *("--data.eval_support=train", "--data.eval_n_query=9"),
    ),
    _case(
        "more shots than are trained on",
        folder(),
        ("class 'x' of a (val) has 4 training examples", "9-shot", "--data.eval_n_shot"),
        *("--data.eval_support=train", "--data.eval_n_shot=9"),
    ),
]
SETTINGS = [
    *(
        _case(f"image_size {size}", folder(), ("image_size", str(size)), image_size=size)
        for size in (0, -8, 1e6, "big")
    ),
    *(_case(f"channels {n}", folder(), ("channels", str(n)), channels=n) for n in (0, 2, 4)),
    _case("holdout photos", folder(), ("holdout", "photos"), holdout="photos"),
    _case("a number as root", folder(), ("root", "5"), root=5),
    _case("no root", folder(), ("root",), root="null"),
    _option("small_classes", "drop", "leave_out"),
    _option("small_classes", "true", "leave_out"),
    _option("eval_support", "training", "held_out"),
    _option("eval_support", "test", "held_out"),
    _option("eval_n_query", "0", "at least 1"),
    _augmentation("crop", "0", "above 0"),
    _augmentation("crop", "1.5", "at most 1"),
    _augmentation("colour", "-0.1", "at least 0"),
    _augmentation("colour", "nan", "must be a number"),
    _augmentation("flip", "often", "often"),
    _augmentation("blur", "1", "blur"),
    _case("augmentation by a network", folder(), ("augmentation",), "--data.augmentation=torch.nn.Flatten"),
    _case("augmentation by no class", folder(), ("augmentation", "Nowhere"), "--data.augmentation=Nowhere"),
    Case(
        "augmentation of numbers",
        ("--data.sources=[Sinusoids]", "--data.augmentation=lifelong.vision.PhotoAugmentation"),
        ("--data.augmentation changes images", "(1,)", "leave it out"),
        base=(*MLP, "--model.network.n_inputs=1", *QUIET, *FEW_SHOT, "--data.n_way=1"),
    ),
]
CASES = [*LAYOUT, *FILES, *SIZES, *SETTINGS]
