"""Read the inputs of ``predict``: photos in folders, and tables of texts or of file paths."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifelong.data.reader import Kind
from lifelong.text.table import SUFFIXES as TABLES
from lifelong.text.table import Table, read_table
from lifelong.vision.decoding import SUFFIXES as PHOTOS

LONGEST_SHOWN = 200
"""Number of characters of a path that are shown in an error message."""


@dataclass(frozen=True)
class Columns:
    """Name the columns of tables, and their character encoding.

    Args:
        text: column of the texts.
        file: column of the photos' paths, relative to the table's folder.
        label: column of the classes.
        charset: character encoding of tables.
    """

    text: str = "text"
    file: str = "file"
    label: str = "label"
    charset: str = "utf-8"


@dataclass(frozen=True)
class Query:
    """Hold the queries.

    Args:
        items: paths of files, or texts.
        columns: names of the input columns.
        rows: values of the input columns, for each query.
        left_out: files that are not photos.
    """

    items: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Mapping[str, str]]
    left_out: Sequence[Path] = ()


def read_support(given: str, kind: Kind, columns: Columns) -> dict[str, list[str]]:
    """Return the examples of each class, from class folders or a labelled table.

    Args:
        given: path of a folder or a table.
        kind: what the model reads: images or texts.
        columns: columns of a table.

    Raises:
        ValueError: when the path is neither, a class is empty, or a file has the wrong format.
    """
    path = _existing(given, "--support")
    if path.is_dir() and kind == "images":
        return _class_folders(path)
    table, items = _table(path, kind, columns, "--support", "a folder with a folder of photos for each class")
    support: dict[str, list[str]] = {}
    for item, label in zip(items, table.column(columns.label, "--label_column"), strict=True):
        support.setdefault(label.strip(), []).append(item)
    return {label: support[label] for label in sorted(support)}


def read_query(given: str, kind: Kind, columns: Columns) -> Query:
    """Return the queries: all photos below a folder, one photo, or the rows of a table.

    Args:
        given: path of a folder, a table or a photo.
        kind: what the model reads: images or texts.
        columns: columns of a table.

    Raises:
        ValueError: when the path is none of these, or is empty.
    """
    path = _existing(given, "--query")
    if kind == "images" and (path.is_dir() or path.suffix.lower() in PHOTOS):
        left_out: list[Path] = []
        files = list(_photos(path, left_out)) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{path} has no photo: expected files that end in {', '.join(PHOTOS)}")
        return Query([str(f) for f in files], ["file"], [{"file": shown_text(f)} for f in files], left_out)
    table, items = _table(path, kind, columns, "--query", "a folder of photos, or a photo")
    return Query(items, list(dict.fromkeys(key for row in table.rows for key in row)), table.rows)


def _existing(given: str, option: str) -> Path:
    if not given.strip():
        raise ValueError(f"{option} is empty: give the path of a folder or a file")
    path, given = Path(given).expanduser(), given[:LONGEST_SHOWN]
    try:
        is_there = path.exists()
    except OSError as error:  # a circular link, or a name that is too long
        raise ValueError(f"{option} {given} cannot be read ({error.strerror}): name another") from error
    if not is_there:
        raise ValueError(f"{option} {given} is not there: give the path of a folder or a file")
    if not path.is_dir() and not path.is_file():  # opening a pipe would wait for its writer
        raise ValueError(f"{option} {given} is neither a folder nor a file: give the path of one")
    return path


def _table(path: Path, kind: Kind, columns: Columns, option: str, other: str) -> tuple[Table, list[str]]:
    """Return a table, and the texts or file paths in it."""
    if path.is_dir() or path.suffix.lower() not in TABLES:
        found = "is a folder" if path.is_dir() else "is no table"
        expected = f"{other}, or a table" if kind == "images" else "a table"
        raise ValueError(f"{option} {path} {found}, and the model reads {kind}: give {expected} ({', '.join(TABLES)})")
    table = read_table(path, columns.charset)
    if kind == "texts":
        return table, table.column(columns.text, "--text_column")
    files = []
    for number, name in enumerate(table.column(columns.file, "--file_column")):
        file = path.parent / name
        if not _is_file(file):
            raise ValueError(
                f"{table.where(number)}: there is no photo {file}: paths go from the table's folder; correct it, or "
                "leave it out"
            )
        files.append(str(file))
    return table, files


def _class_folders(root: Path) -> dict[str, list[str]]:
    folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    loose = [entry for entry in sorted(root.iterdir()) if entry.suffix.lower() in PHOTOS and not entry.is_dir()]
    if loose:
        raise ValueError(f"{shown_text(loose[0])} is in no class folder: move it into {root}/<class>/, or remove it")
    if not folders:
        raise ValueError(f"--support {root} has no class folder: expected {root}/<class>/<photo>.jpg")
    left_out: list[Path] = []
    support = {folder.name: [str(file) for file in _photos(folder, left_out)] for folder in folders}
    for name, files in support.items():
        if not files:
            raise ValueError(
                f"the class folder {root / name} has no photo: expected files that end in {', '.join(PHOTOS)}; add "
                "some, or remove the folder"
            )
    tell_left_out(left_out)
    return support


def tell_left_out(left_out: Sequence[Path]) -> None:
    """Print which files were left out because they are not photos, in one line.

    Args:
        left_out: paths of the files.
    """
    if left_out:
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        print(f"left out, as they are no photos: {shown_text(left_out[0])}{more}")


def _photos(folder: Path, left_out: list[Path], inside: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield the photos below a folder in alphabetical order, without hidden files and folders."""
    inside = (*inside, folder.resolve())
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        is_named = entry.suffix.lower() in PHOTOS
        if is_named and not _is_file(entry):
            raise ValueError(f"{shown_text(entry)} is named as an image and is no file: rename or remove it")
        if is_named:
            yield entry
        elif entry.is_dir():
            if entry.resolve() in inside:
                raise ValueError(f"{shown_text(entry)} is a link to a folder that it lies in: remove it")
            yield from _photos(entry, left_out, inside)
        else:
            left_out.append(entry)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a circular link, on some systems
        return False


def shown_text(path: str | Path) -> str:
    """Return a path as valid UTF-8 text; other bytes are escaped.

    Example:
        >>> print(shown_text(os.fsdecode(bytes([0x63, 0x61, 0x66, 0xE9]))))
        caf\\xe9
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")
