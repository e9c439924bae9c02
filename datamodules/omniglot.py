"""Omniglot: handwritten characters of 50 alphabets, the standard few-shot benchmark.

Shapes: ``M`` images, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datamodules._archives import open_zip, read_entry
from datamodules._download import Download, fetch
from datamodules._files import cached_images, check_counts, check_image_size, data_root, in_turn
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.utilities.ranges import check_number
from lifelong.vision import ImageReader
from lifelong.vision.decoding import resized

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python/"
HASHES = {
    "background": "md5:68d2efa1b9178cc56df9314c21c6e718",
    "evaluation": "md5:6b91aef0f799c5bb55b94e3f2daec811",
}
"""MD5 hashes of the published archives, from torchvision 0.28; SHA-256 was not computed for want of a copy."""
LARGEST_ARCHIVE, LARGEST_DRAWING = 1 << 25, 1 << 20
"""Limits in bytes of a downloaded archive (the larger has 9 million) and of an unpacked drawing (at most 522)."""
CHARACTERS = {"background": 964, "evaluation": 659}
"""Characters in the official archives; each was drawn by 20 people."""
GROUP_SEED = 0
"""Seed that breaks ties between alphabets of the same size when groups are formed, the same in every run."""
DAMAGE = (OSError, SyntaxError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
"""Errors that Pillow and zipfile raise for missing or wrong bytes, or for an encrypted archive."""


class Omniglot(Source):
    """Read 1,623 characters of 50 alphabets, 20 drawings each; a class is a character, ink is bright.

    Args:
        root: folder with ``omniglot/`` or the archives themselves. Default: ``$LIFELONG_DATA``, else ``data``. Both
            archives and unpacked folders can be read; missing ones are downloaded.
        experiences: what an experience contains: an alphabet, a group of alphabets, or all characters.
        n_groups: number of groups, balanced by number of characters.
        subset: the official part: ``background`` (30 alphabets), ``evaluation`` (20), or both.
        rotations: rotations by 90°. ``classes`` makes each of the four a separate class (Santoro et al. 2016), in the
            same split; ``augment`` draws a rotation for each class of each task.
        image_size: height and width in pixels.

    Raises:
        ValueError: when the data cannot be found or read, or there are more groups than alphabets.

    Reference:
        Lake, Salakhutdinov, Tenenbaum 2015, Human-level concept learning through probabilistic program induction.

    Example:
        >>> Omniglot(experiences="groups", n_groups=5, rotations="classes").image_size
        28
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        experiences: Literal["alphabets", "groups", "all"] = "groups",
        n_groups: int = 10,
        subset: Literal["background", "evaluation", "both"] = "both",
        rotations: Literal["none", "classes", "augment"] = "none",
        image_size: int = 28,
    ) -> None:
        check_image_size("Omniglot", image_size)
        check_number("Omniglot's n_groups", n_groups, least=1, whole=True)
        self.root = root
        self.experiences = experiences
        self.n_groups = n_groups
        self.subset = subset
        self.rotations = rotations
        self.image_size = image_size

    def domains(self) -> list[Domain]:
        """Load one domain per alphabet, per group, or one in total; alphabets are in alphabetical order within each."""
        sets = ["background", "evaluation"] if self.subset == "both" else [self.subset]
        parts = [_read(_locate(data_root(self.root), name), self.image_size) for name in sets]
        for name, (drawn, _) in zip(sets, parts, strict=True):
            _check_counts(name, drawn)
        names = np.concatenate([drawn for drawn, _ in parts])
        images = torch.cat([x for _, x in parts])
        return [self._domain(name, alphabets, names, images) for name, alphabets in self._plan(names).items()]

    def reader(self) -> ImageReader:
        """Return the reader that reads a drawing, dark on light, as in the data set."""
        return ImageReader(image_size=self.image_size, channels=1, inverted=True)

    def _plan(self, names: np.ndarray) -> dict[str, list[str]]:
        """Return the alphabets of each domain, from the class name of each drawing."""
        sizes: dict[str, int] = {}
        for name in np.unique(names).tolist():
            sizes[_alphabet(name)] = sizes.get(_alphabet(name), 0) + 1
        match self.experiences:
            case "alphabets":
                return {_title(alphabet): [alphabet] for alphabet in sizes}
            case "groups":
                return {f"group {i:02d}": group for i, group in enumerate(balanced_groups(sizes, self.n_groups), 1)}
            case "all":
                return {"Omniglot": list(sizes)}
        raise ValueError(f"experiences is {self.experiences!r}: it must be 'alphabets', 'groups' or 'all'")

    def _domain(self, name: str, alphabets: Sequence[str], names: np.ndarray, images: Tensor) -> Domain:
        classes, inverse = np.unique(names, return_inverse=True)
        chosen = np.array([_alphabet(c) in alphabets for c in classes.tolist()])
        drawings = np.flatnonzero(chosen[inverse])
        classes, y = classes[chosen], (np.cumsum(chosen) - 1)[inverse[drawings]]
        x = images[torch.from_numpy(drawings)]
        match self.rotations:
            case "none":
                return Domain(name, x, y, classes.tolist())
            case "classes":
                return Domain(name, rotated(x), _rotated_labels(y), _rotated_names(classes.tolist()), siblings=4)
            case "augment":
                return Domain(name, rotated(x), _rotated_labels(y), _rotated_names(classes.tolist()), n_variants=4)
        raise ValueError(f"rotations is {self.rotations!r}: it must be 'none', 'classes' or 'augment'")


def balanced_groups(sizes: dict[str, int], n_groups: int) -> list[list[str]]:
    """Split alphabets into groups of nearly equal size, adding the largest remaining alphabet to the smallest group.

    Args:
        sizes: number of characters of each alphabet.
        n_groups: number of groups.

    Raises:
        ValueError: when a group would be empty.

    Example:
        >>> balanced_groups({"Greek": 24, "Hebrew": 22, "Latin": 26, "N_Ko": 33}, 2)
        [['Hebrew', 'N_Ko'], ['Greek', 'Latin']]
    """
    if not 1 <= n_groups <= len(sizes):
        raise ValueError(f"n_groups is {n_groups}: {len(sizes)} alphabets make between 1 and {len(sizes)} groups")
    shuffled = np.random.Generator(np.random.Philox(GROUP_SEED)).permutation(sorted(sizes)).tolist()
    groups: list[list[str]] = [[] for _ in range(n_groups)]
    for alphabet in sorted(shuffled, key=lambda a: -sizes[a]):
        min(groups, key=lambda g: sum(sizes[a] for a in g)).append(alphabet)
    return [sorted(group) for group in groups]


def rotated(x: Tensor) -> Tensor:
    """Turn images ``(M, 1, H, W)`` counter-clockwise by 0°, then all by 90°, 180° and 270°: ``(4M, 1, H, W)``."""
    return torch.cat([torch.rot90(x, turns, (2, 3)) for turns in range(4)])


def _rotated_labels(y: np.ndarray) -> np.ndarray:
    return np.concatenate([4 * y + turns for turns in range(4)])


def _rotated_names(names: Sequence[str]) -> list[str]:
    return [f"{name} {degrees}°" for name in names for degrees in (0, 90, 180, 270)]


def _alphabet(name: str) -> str:
    return name.split("/")[0]


def _title(alphabet: str) -> str:
    return alphabet.replace("_", " ")


def _locate(root: Path, subset: str) -> Path:
    """Return the archive or unpacked folder of one set, downloading it if neither exists."""
    name = f"images_{subset}"
    for folder in (root / "omniglot", root):
        if (folder / f"{name}.zip").is_file():
            return folder / f"{name}.zip"
        if (folder / name).is_dir():
            return folder / name
    target = root / "omniglot" / f"{name}.zip"
    fetch(Download((f"{URL}{name}.zip",), HASHES[subset], LARGEST_ARCHIVE), target)
    return target


def _read(place: Path, image_size: int) -> tuple[np.ndarray, Tensor]:
    """Read the class name ``alphabet/character`` of each drawing, and the drawings ``(M, 1, H, W)``."""
    drawings = _list(place)
    if not drawings:
        raise ValueError(
            f"{place} has no drawing: expected <alphabet>/<character>/<drawing>.png; remove it to download it again"
        )
    files = [place] if place.is_file() else [place / d for d in drawings]
    read = _reader(place)

    def decode(i: int) -> np.ndarray:
        try:
            return _ink(read(drawings[i]), image_size)
        except DAMAGE as error:
            raise ValueError(
                f"the drawing {drawings[i]} in {place} is damaged ({error}): remove {place} to download it again"
            ) from error

    shape = (len(drawings), 1, image_size, image_size)
    x = cached_images("omniglot", (place.name, image_size), files, shape, in_turn(decode, "decoding omniglot"))
    return np.array(["/".join(PurePosixPath(d).parts[-3:-1]) for d in drawings]), x


def _list(place: Path) -> list[str]:
    """List the names of the drawings, sorted by alphabet, character and drawing."""
    if place.is_dir():
        names = [p.relative_to(place).as_posix() for p in place.glob("*/*/*.png")]
    else:
        names = [n for n in open_zip(place).namelist() if n.endswith(".png")]
    visible = [n for n in names if len(parts := PurePosixPath(n).parts) >= 3 and not parts[-1].startswith(".")]
    return sorted(visible, key=lambda n: PurePosixPath(n).parts[-3:])


def _reader(place: Path) -> Callable[[str], bytes]:
    if place.is_dir():
        return lambda name: (place / name).read_bytes()
    archive = open_zip(place)
    return lambda name: read_entry(archive, name, LARGEST_DRAWING)


def _ink(png: bytes, image_size: int) -> np.ndarray:
    """Decode a drawing as uint8 ``(1, H, W)`` where ink is 255 and paper 0."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        # 1-bit images are resampled as grey images, because thin lines could otherwise vanish.
        return 255 - np.asarray(resized(image.convert("L"), image_size))[None]


def _check_counts(subset: str, names: np.ndarray) -> None:
    classes, drawings = np.unique(names, return_counts=True)
    official = f"{CHARACTERS[subset]} characters of 20 drawings"
    each = "20" if (drawings == 20).all() else f"{drawings.min()} to {drawings.max()}"
    check_counts(f"the {subset} set of Omniglot", f"{len(classes)} characters of {each} drawings", official)
