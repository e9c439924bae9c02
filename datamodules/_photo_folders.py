"""Listing of the photos in ``root/<site>/<class>/<photo>``, with warnings about files that are not read."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from lifelong.vision.decoding import SUFFIXES

log = logging.getLogger(__name__)

LAYOUT = "<site>/<class>/<photo>.jpg"
NO_PHOTOS = (".txt", ".md", ".json", ".xml", ".csv", ".yaml", ".yml", ".ini", ".db", ".html", "")
"""Suffixes of files that are ignored without a warning."""


def list_photos(root: Path) -> dict[Path, dict[str, list[Path]]]:
    """Return the photos of each class of each site, with sites, classes and photos sorted by name.

    Hidden files and folders are ignored. Other images or videos that are not read are reported in one line, and so are
    copies of the same photo.

    Args:
        root: folder of the sites.

    Raises:
        ValueError: when the folders do not have the layout above.
    """
    if not root.is_dir():
        raise ValueError(
            f"the image folder {root} does not exist: set root to the folder that holds the experience folders"
        )
    if not (sites := _folders(root)):
        raise ValueError(f"{root} has no experience folder: expected {root}/{LAYOUT}")
    found = {site: _classes(site) for site in sites}
    _tell_unread(root, sites)
    for site, classes in found.items():
        _tell_copies(site, [photo for photos in classes.values() for photo in photos])
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ValueError(f"the folder {folder} cannot be read ({error}): make it readable, or move it away") from error


def _folders(parent: Path) -> list[Path]:
    return [path for path in _entries(parent) if path.is_dir()]


def _has_suffix(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes


def _classes(site: Path) -> dict[str, list[Path]]:
    """Return the photos of each class."""
    if folders := _folders(site):
        return {folder.name: _photos(folder) for folder in folders}
    if any(_has_suffix(path, SUFFIXES) for path in _entries(site)):
        raise ValueError(
            f"the experience {site} has photos and no class folder: expected {site}/<class>/<photo>.jpg; where "
            f"{site.name} is a class itself, put it and the other classes into a folder of their site, such as "
            f"{site.parent / 'home' / site.name}"
        )
    raise ValueError(
        f"the experience {site} has no class folder: expected {site}/<class>/<photo>.jpg; add its classes or remove "
        "the folder"
    )


def _photos(folder: Path) -> list[Path]:
    entries = _entries(folder)
    photos = [path for path in entries if _has_suffix(path, SUFFIXES)]
    if others := [path for path in photos if not path.is_file()]:  # reading a pipe would block
        raise ValueError(f"{others[0]} is named as an image and is no file: rename or remove it")
    if not photos:
        raise ValueError(
            f"the class {folder} has no image{_instead(entries)}: expected files that end in {', '.join(SUFFIXES)}; "
            f"add some or remove the folder"
        )
    return photos


def _instead(entries: Sequence[Path]) -> str:
    """Describe what a class folder contains instead of photos."""
    if files := _kinds(path for path in entries if _is_unread(path)):
        return f", but {files}, which are not read"
    if folders := [path.name for path in entries if path.is_dir()]:
        return f", but the folder {folders[0]}, and folders of a class are not read"
    return ""


def _is_unread(path: Path) -> bool:
    return path.is_file() and not _has_suffix(path, (*SUFFIXES, *NO_PHOTOS))


def _kinds(paths: Iterable[Path]) -> str:
    counts = Counter(path.suffix.lower() for path in paths)
    return ", ".join(f"{n} {suffix}" for suffix, n in sorted(counts.items()))


def _tell_unread(root: Path, sites: Sequence[Path]) -> None:
    """Report in one line files that are not read: other formats, and photos outside a class folder."""
    classes = [folder for site in sites for folder in _folders(site)]
    inside = [path for folder in classes for path in _entries(folder)]
    deeper = [path for path in inside if path.is_dir()]
    beside = [path for folder in (root, *sites) for path in _entries(folder)]
    outside = [path for path in beside if path.is_file() and _has_suffix(path, SUFFIXES)]
    unread = [path for path in (*inside, *beside) if _is_unread(path)]
    told = [
        f"{_kinds(unread)} (first {unread[0]}; save photos as .jpg)" if unread else "",
        f"{len(outside)} photos outside a class folder (first {outside[0]})" if outside else "",
        f"{len(deeper)} folders inside a class (first {deeper[0]})" if deeper else "",
    ]
    if any(told):
        log.warning("not read: %s", "; ".join(filter(None, told)))


def _tell_copies(site: Path, photos: Sequence[Path]) -> None:
    """Report byte-identical copies of photos in one line, as one may be in training and another in test data."""
    sizes, same = defaultdict(list), defaultdict(list)
    for photo in photos:
        sizes[photo.stat().st_size].append(photo)
    for photo in (photo for alike in sizes.values() if len(alike) > 1 for photo in alike):
        same[hashlib.blake2b(photo.read_bytes()).digest()].append(photo.relative_to(site))
    copies = [alike for alike in same.values() if len(alike) > 1]
    if copies:
        log.warning(
            "%s has %d photos that are copies of others (%s is one of %s): one may be trained on and its copy asked "
            "about, so remove them",
            site.name,
            sum(len(alike) - 1 for alike in copies),
            copies[0][1],
            copies[0][0],
        )
