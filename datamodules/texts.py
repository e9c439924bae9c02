"""Your own labelled texts, from files.

Shapes: ``M`` texts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules._texts import first_of_each
from lifelong.text import Table, TextDomain, TextEncoding, TextSource, read_table
from lifelong.text.table import SUFFIXES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Text:
    """Store one row, with its location for messages."""

    text: str
    label: str
    domain: str
    table: Table
    number: int
    in_test: bool

    @property
    def where(self) -> str:
        return self.table.where(self.number)


class Texts(TextSource):
    """Read labelled texts from CSV, TSV, JSON or Parquet files: each file is a domain, or each value of a column.

    Of texts that occur more than once in a domain only one is kept (the one for test, or the first), so that no copy of
    a test text is trained on.

    Args:
        encoding: how texts are encoded for a network.
        path: a file, several files, or a folder: ``.csv`` and ``.tsv`` with a header, ``.json`` (a list of objects),
            ``.jsonl`` or ``.ndjson`` (one object per line), ``.parquet`` (extra ``hf``).
        text_column: column of the texts.
        label_column: column of the classes.
        domain_column: column of the domains, which are in order of first occurrence. Default: each file is a domain
            with the name of the file.
        classes: labels of every domain, in the order of the ways. Default: the labels that occur, sorted; those of all
            domains if a label occurs in more than one, otherwise each domain's own.
        test_path: as ``path``, for the test texts; if files are domains, their names must match. Default: the stream
            draws test texts.
        holdout: what few-shot streams hold out. ``examples`` tests the same classes on held-out texts; ``classes``
            tests held-out classes, using the texts of ``test_path`` as well.
        charset: character encoding of the files.

    Raises:
        ValueError: when a file is missing or damaged, a column or label does not match the settings, or a text is empty
            (the message gives file and line).

    Example:
        >>> from lifelong.text import HashedWords
        >>> Texts(encoding=HashedWords(), path="reviews", domain_column="shop").label_column
        'label'
    """

    def __init__(
        self,
        *,
        encoding: TextEncoding,
        path: str | list[str],
        text_column: str = "text",
        label_column: str = "label",
        domain_column: str | None = None,
        classes: list[str] | None = None,
        test_path: str | list[str] | None = None,
        holdout: Literal["classes", "examples"] = "examples",
        charset: str = "utf-8",
    ) -> None:
        super().__init__(encoding)
        if classes is not None and len(set(classes)) < max(len(classes), 2):
            raise ValueError(f"classes is {classes}: give two different labels or more, or null for all that occur")
        self.path, self.test_path, self.charset = path, test_path, charset
        self.text_column, self.label_column, self.domain_column = text_column, label_column, domain_column
        self.classes, self.holdout = classes, holdout

    def text_domains(self) -> list[TextDomain]:
        """Read one domain per file or value of the column, in order."""
        files = _files(self.path, "path")
        tests = [] if self.test_path is None else _files(self.test_path, "test_path")
        texts = [text for file in files for text in self._texts(file, file.stem, False)]
        for file in tests:
            texts += self._texts(file, files[0].stem if len(files) == 1 else file.stem, True)
        domains: dict[str, list[_Text]] = {text.domain: [] for text in texts if not text.in_test}
        for text in texts:
            if text.domain not in domains:
                raise ValueError(f"{text.where} is of the domain {text.domain!r}, but {_only(self.path, domains)}")
            domains[text.domain].append(text)
        domains = {name: _without_copies(name, some) for name, some in domains.items()}
        classes = self._classes(domains)
        return [self._domain(name, some, classes[name]) for name, some in domains.items()]

    def _texts(self, file: Path, name: str, in_test: bool) -> list[_Text]:
        table = read_table(file, self.charset)
        texts = table.column(self.text_column, "text_column")
        labels = table.column(self.label_column, "label_column")
        domains = [name] * len(texts)
        if self.domain_column is not None:
            domains = table.column(self.domain_column, "domain_column")
        rows = zip(texts, labels, domains, strict=True)
        return [
            _Text(text, label.strip(), domain.strip(), table, number, in_test)
            for number, (text, label, domain) in enumerate(rows)
        ]

    def _classes(self, domains: dict[str, list[_Text]]) -> dict[str, list[str]]:
        """Return the labels of each domain, in order."""
        if self.classes is not None:
            return dict.fromkeys(domains, self.classes)
        by_domain = {name: sorted({text.label for text in texts}) for name, texts in domains.items()}
        union = sorted({label for labels in by_domain.values() for label in labels})
        return by_domain if len(union) == sum(map(len, by_domain.values())) else dict.fromkeys(domains, union)

    def _domain(self, name: str, texts: Sequence[_Text], classes: Sequence[str]) -> TextDomain:
        place = {label: number for number, label in enumerate(classes)}
        for text in texts:
            if text.label not in place:
                raise ValueError(
                    f"{text.where} has the label {text.label!r}, but expected are {', '.join(map(repr, classes))}: "
                    "correct it, or add it to classes"
                )
        return TextDomain(
            name,
            [text.text for text in texts],
            np.array([place[text.label] for text in texts]),
            classes,
            holdout=self.holdout,
            in_test=None if self.test_path is None else np.array([text.in_test for text in texts]),
        )


def _files(path: str | list[str], option: str) -> list[Path]:
    """Return the files at the given paths, those of a folder in alphabetical order."""
    files: list[Path] = []
    for given in [path] if isinstance(path, str) else path:
        place = Path(given).expanduser()
        inside = sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES) if place.is_dir() else [place]
        if not inside:
            raise ValueError(
                f"the folder {place} has no file that ends in {', '.join(SUFFIXES)}: set {option} to another"
            )
        files += inside
    if not files:
        raise ValueError(f"{option} names no file: give one, several, or a folder of them")
    return files


def _only(path: str | list[str], domains: dict[str, list[_Text]]) -> str:
    return f"{path} has only {', '.join(map(repr, domains))}: what is tested must be learnt too; name it as there"


def _without_copies(name: str, texts: Sequence[_Text]) -> list[_Text]:
    kept = first_of_each([text.text for text in texts], np.array([text.in_test for text in texts]))
    if len(kept) < len(texts):
        log.warning("%s: %d of %d texts are copies of others and left out", name, len(texts) - len(kept), len(texts))
    return [texts[number] for number in kept]
