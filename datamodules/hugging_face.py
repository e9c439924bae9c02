"""Data sets of the Hugging Face library ``datasets``: images or texts, from files or from the hub.

Shapes: ``M`` examples, ``C`` channels, ``S`` pixels a side, ``*X`` one input.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from datamodules._files import cached_images, check_image_size, in_turn
from lifelong.data.domain import Domain
from lifelong.data.reader import Reader
from lifelong.data.source import Source
from lifelong.text import TextEncoding, TextReader
from lifelong.utilities.extras import imported
from lifelong.utilities.quiet import is_quiet
from lifelong.utilities.ranges import check_number
from lifelong.vision import ImageReader
from lifelong.vision.decoding import square_pixels

log = logging.getLogger(__name__)

READERS = {".arrow": "arrow", ".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
"""Readers of single files by suffix."""
SAVED = ("dataset_dict.json", "state.json")
"""Files by which a folder written by ``save_to_disk`` is recognised."""


class HuggingFace(Source):
    """Read a data set of the library ``datasets`` (extra ``hf``): one domain, or one for each value of a column.

    A domain has the classes that occur in it, sorted by name (by index if the data set defines class names). In the
    ``domain`` scenario every domain must have examples of every class.

    Args:
        path: a folder written by ``save_to_disk``; a file (parquet, arrow, csv, json, jsonl); a folder of such files or
            of images; or a name on the hub, from which it is downloaded.
        name: configuration, for data sets with several.
        train_split: split for training and validation.
        test_split: split for the test part if examples are held out. If None, the stream draws the test part.
        image_column: column of the images or their paths.
        text_column: column of the texts; set either this or ``image_column``.
        label_column: column of the classes: class labels, strings or numbers.
        domain_column: column of the domains. Default: a single domain.
        image_size: height and width in pixels; other images are cropped to a centred square and resampled.
        channels: 1 for grey, 3 for colour.
        encoding: how texts are encoded for a network, such as ``lifelong.text.Tokens``; for texts only.
        holdout: what few-shot streams hold out. ``examples`` tests the same classes on held-out examples; ``classes``
            tests held-out classes, from both splits.
        cache_bytes: maximum bytes of decoded images in memory; if a domain has more, they stay on disk and are read
            when drawn.

    Raises:
        ValueError: when the settings are inconsistent, or the extra, the data set, a split or a column is missing.

    Reference:
        Lhoest et al., "Datasets: A Community Library for Natural Language Processing", EMNLP 2021.

    Example:
        >>> HuggingFace(path="mnist", image_column="image", image_size=28, channels=1).test_split
        'test'
    """

    def __init__(
        self,
        *,
        path: str,
        name: str | None = None,
        train_split: str = "train",
        test_split: str | None = "test",
        image_column: str | None = None,
        text_column: str | None = None,
        label_column: str = "label",
        domain_column: str | None = None,
        image_size: int = 28,
        channels: Literal[1, 3] = 3,
        encoding: TextEncoding | None = None,
        holdout: Literal["classes", "examples"] = "examples",
        cache_bytes: int = 1 << 30,
    ) -> None:
        if (image_column is None) == (text_column is None):
            raise ValueError("HuggingFace needs to know what the inputs are: give image_column or text_column, and one")
        if (text_column is None) != (encoding is None):
            raise ValueError(
                f"texts need an encoding and images have none, but {path} has text_column {text_column} and encoding "
                f"{type(encoding).__name__ if encoding else None}: give one of lifelong.text, such as Tokens, or leave "
                "it out"
            )
        check_image_size("HuggingFace", image_size)
        check_number("HuggingFace's cache_bytes", cache_bytes, least=0, whole=True)
        self.path, self.name, self.train_split, self.test_split = path, name, train_split, test_split
        self.image_column, self.text_column = image_column, text_column
        self.label_column, self.domain_column = label_column, domain_column
        self.image_size, self.channels = image_size, channels
        self.encoding, self.holdout, self.cache_bytes = encoding, holdout, cache_bytes

    def domains(self) -> list[Domain]:
        """Load one domain, or one per value of the column, in the order of the values."""
        table, in_test, fingerprint = self._load()
        labels, classes = self._categories(table, self.label_column)
        places, titles = np.zeros(len(table), dtype=np.int64), [Path(self.path).name]
        if self.domain_column is not None:
            places, titles = self._categories(table, self.domain_column)
        encoded, domains = self._encoded(table), []
        for place in np.unique(places):
            rows, title = np.flatnonzero(places == place), titles[place]
            present = np.unique(labels[rows])
            domains.append(
                Domain(
                    title,
                    self._images(table, rows, title, fingerprint) if encoded is None else encoded[rows],
                    np.searchsorted(present, labels[rows]),
                    [classes[number] for number in present],
                    holdout=self.holdout,
                    in_test=None if in_test is None else in_test[rows],
                )
            )
        _warn_of_mixed_classes(domains)
        return domains

    def reader(self) -> Reader:
        """Return the reader that reads an image file, or encodes a text, as in the data set."""
        if self.encoding is not None:
            return TextReader(self.encoding)
        return ImageReader(image_size=self.image_size, channels=self.channels)

    # -- loading --------------------------------------------------------------------------------------------------

    def _load(self) -> tuple[Any, np.ndarray | None, str]:
        """Load all rows, a mask of the test split's rows, and the fingerprint of the data set."""
        datasets = imported("datasets", "datamodules.HuggingFace", extra="hf")
        try:
            with _with_bars_as_the_run(datasets):
                loaded = self._read(datasets)
        except (OSError, ValueError) as error:  # absent, damaged, offline, or of no known format
            raise ValueError(
                f"the data set {self.path!r} could not be loaded ({_first_line(error)}): give path a folder of "
                "save_to_disk, a file, a folder of files, or a name on the hub"
            ) from error
        splits = loaded if isinstance(loaded, dict) else {self.train_split: loaded}
        asked = [self.train_split] if self.test_split is None else [self.train_split, self.test_split]
        for option, split in zip(("train_split", "test_split"), asked, strict=False):
            if split not in splits:
                raise ValueError(
                    f"{self.path!r} has no split {split!r}: set {option} to one of {', '.join(splits)}"
                    + (", or to null to have examples held out" if option == "test_split" else "")
                )
        parts = [splits[split] for split in asked]
        in_test = None
        if self.test_split is not None:
            in_test = np.repeat([False, True], [len(part) for part in parts])
        fingerprint = " ".join(str(part._fingerprint) for part in parts)
        return datasets.concatenate_datasets(parts), in_test, fingerprint

    def _read(self, datasets: Any) -> Any:
        path = Path(self.path).expanduser()
        if any((path / file).is_file() for file in SAVED):
            if self.name is not None:
                raise ValueError(f"what save_to_disk has written has no configuration {self.name!r}: set name to null")
            return datasets.load_from_disk(str(path))
        if path.is_file():
            if path.suffix not in READERS:
                raise ValueError(f"a file that ends in {path.suffix} is none of {', '.join(READERS)}")
            return datasets.load_dataset(READERS[path.suffix], self.name, data_files=str(path))
        return datasets.load_dataset(str(path) if path.is_dir() else self.path, self.name)

    def _check_column(self, table: Any, column: str) -> None:
        if column not in table.column_names:
            raise ValueError(
                f"{self.path!r} has no column {column!r}: choose from {', '.join(table.column_names)} (image_column, "
                "text_column, label_column, domain_column)"
            )

    def _categories(self, table: Any, column: str) -> tuple[np.ndarray, list[str]]:
        """Return the index of each row's value, ``(M,)``, and the values as names."""
        self._check_column(table, column)
        values, names = list(table[column]), getattr(table.features[column], "names", None)
        if any(value is None or (value == -1 and names is not None) for value in values):
            raise ValueError(
                f"the column {column!r} of {self.path!r} has rows without a value (null, or -1 for a class): leave "
                "their split out (train_split, test_split), or fill them"
            )
        if names is not None:
            return np.asarray(values, dtype=np.int64), list(names)
        unique, numbers = np.unique(np.asarray(values), return_inverse=True)
        return numbers, [str(value) for value in unique.tolist()]

    # -- inputs ---------------------------------------------------------------------------------------------------

    def _encoded(self, table: Any) -> Tensor | None:
        """Encode all texts as ``(M, *X)`` in one call, as an encoding may be slow to start."""
        if self.text_column is None or self.encoding is None:
            return None
        self._check_column(table, self.text_column)
        texts = list(table[self.text_column])
        for row, text in enumerate(texts):
            if text is None or not str(text).strip():
                raise ValueError(f"row {row} of {self.path!r} has no text in {self.text_column!r}: leave it out")
        return self.encoding.encode([str(text) for text in texts])

    def _images(self, table: Any, rows: np.ndarray, title: str, fingerprint: str) -> Tensor:
        settings = (fingerprint, self.image_column, self.domain_column, title, self.image_size, self.channels)
        shape = (len(rows), self.channels, self.image_size, self.image_size)
        return cached_images(
            re.sub(r"\W+", "-", title),
            settings,
            [],
            shape,
            in_turn(self._decoder(table, rows), f"decoding {title}"),
            memory_map=int(np.prod(shape)) > self.cache_bytes,
        )

    def _decoder(self, table: Any, rows: np.ndarray) -> Callable[[int], np.ndarray]:
        """Return a function that decodes the image of one of the rows as uint8 ``(C, S, S)``."""
        column, image_type = self.image_column, imported("datasets", "datamodules.HuggingFace", extra="hf").Image
        assert column is not None
        self._check_column(table, column)
        images = table.select_columns([column])
        if not isinstance(table.features[column], image_type):
            images = self._as_images(images, column)

        def decode(place: int) -> np.ndarray:
            row = int(rows[place])
            try:
                return square_pixels(images[row][column], self.image_size, self.channels)
            except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken images
                raise ValueError(
                    f"image {row} in the column {column!r} of {self.path!r} cannot be decoded ({_first_line(error)}): "
                    "leave it out"
                ) from error

        return decode

    def _as_images(self, images: Any, column: str) -> Any:
        datasets = imported("datasets", "datamodules.HuggingFace", extra="hf")
        if getattr(images.features[column], "dtype", None) == "large_string":  # no path for datasets 4.0
            images = images.cast_column(column, datasets.Value("string"))
        try:
            return images.cast_column(column, datasets.Image())
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ValueError(
                f"the column {column!r} of {self.path!r} holds no images, but {images.features[column]}: choose "
                "another image_column, or text_column"
            ) from error


@contextmanager
def _with_bars_as_the_run(datasets: Any) -> Iterator[None]:
    """Show no progress bars of ``datasets`` while the block runs in a quiet run."""
    hides = is_quiet() and not datasets.utils.are_progress_bars_disabled()
    if hides:
        datasets.utils.disable_progress_bars()
    try:
        yield
    finally:
        if hides:
            datasets.utils.enable_progress_bars()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _warn_of_mixed_classes(domains: Sequence[Domain]) -> None:
    first = domains[0]
    for other in domains[1:]:
        shared = set(first.class_names) & set(other.class_names)
        if shared and len(first.class_names) == len(other.class_names) > len(shared):
            log.warning(
                "%s and %s have as many classes but not the same ones (%s, and %s): the domain scenario takes them for "
                "the same in this order",
                first.name,
                other.name,
                ", ".join(first.class_names),
                ", ".join(other.class_names),
            )
            return
