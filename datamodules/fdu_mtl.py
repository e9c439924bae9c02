"""FDU-MTL: positive and negative reviews of 16 kinds of products and films.

Shapes: ``M`` reviews.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from datamodules._files import check_counts
from datamodules._sentiment import sentiments
from datamodules._texts import chosen, first_of_each, read_files
from lifelong.text import TextDomain, TextEncoding, TextSource

log = logging.getLogger(__name__)

ORIGIN = "https://github.com/ccsasuke/man/tree/master/data/fdu-mtl"
FOLDER = "fdu-mtl"
FILES = {
    "books": "books",
    "electronics": "electronics",
    "dvd": "dvd",
    "kitchen": "kitchen_housewares",
    "apparel": "apparel",
    "camera": "camera_photo",
    "health": "health_personal_care",
    "music": "music",
    "toys": "toys_games",
    "video": "video",
    "baby": "baby",
    "magazines": "magazines",
    "software": "software",
    "sports": "sports_outdoors",
    "imdb": "imdb",
    "mr": "MR",
}
"""Domains in the order of the paper, with their files."""
OFFICIAL = "25380 training and 6400 test reviews"
SIGNS = ("0", "1")
"""Labels for negative and positive in the files."""


class FDUMTL(TextSource):
    """Read reviews by their sentiment, a domain for each kind of product: books, films and 14 others.

    The official test part is complete. Training reviews that are empty, duplicates, or copies of test reviews of any
    domain are left out (the training file of ``magazines`` contains 169 of its 400 test reviews).

    Args:
        encoding: how reviews are encoded for a network.
        root: folder with ``fdu-mtl/`` or its content: ``fdu-mtl.tar.xz``, or the archive's folder ``data``. Default:
            ``$LIFELONG_DATA``, else ``data``.
        domains: domains in the order of the stream. Default: all 16, in the order of the paper.

    Raises:
        ValueError: when the files are missing or damaged, or there is no such domain.

    Reference:
        Liu, Qiu & Huang, "Adversarial Multi-task Learning for Text Classification", ACL 2017.

    Example:
        >>> from lifelong.text import HashedWords
        >>> FDUMTL(encoding=HashedWords(), domains=["imdb", "mr"]).classes
        ('negative', 'positive')
    """

    def __init__(self, *, encoding: TextEncoding, root: str | None = None, domains: list[str] | None = None) -> None:
        super().__init__(encoding)
        self.root, self.chosen = root, chosen("FDUMTL", "domains", domains, list(FILES))
        self.classes = sentiments(neutral=False)

    def text_domains(self) -> list[TextDomain]:
        """Read the chosen domains."""
        reviews = read_reviews(self.root)
        return [self._domain(name, reviews[name, "train"], reviews[name, "test"]) for name in self.chosen]

    def _domain(self, name: str, train: Sequence[tuple[str, int]], test: Sequence[tuple[str, int]]) -> TextDomain:
        in_test = np.repeat([False, True], [len(train), len(test)])
        y = np.array([label for _, label in (*train, *test)])
        return TextDomain(name, [text for text, _ in (*train, *test)], y, self.classes, in_test=in_test)


def read_reviews(root: str | None) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """Read texts and labels of all domains and parts, so that a domain does not depend on the choice of others."""
    parts = {(name, part): f"data/fdu-mtl/{FILES[name]}.task.{part}" for name in FILES for part in ("train", "test")}
    files = read_files(root, FOLDER, list(parts.values()), ORIGIN)
    rows = [(key, *review) for key, file in parts.items() for review in _reviews(file, files[file])]
    n_test = sum(part == "test" for (_, part), _, _ in rows)
    check_counts("FDU-MTL", f"{len(rows) - n_test} training and {n_test} test reviews", OFFICIAL)
    filled = [review for review in rows if review[1]]
    kept = first_of_each([text for _, text, _ in filled], np.array([part == "test" for (_, part), _, _ in filled]))
    log.info(
        "FDU-MTL: of %d reviews %d are empty and %d copies, and left out",
        len(rows), len(rows) - len(filled), len(filled) - len(kept),
    )  # fmt: skip
    reviews: dict[tuple[str, str], list[tuple[str, int]]] = {key: [] for key in parts}
    for number in kept:
        key, text, label = filled[number]
        reviews[key].append((text, label))
    return reviews


def _reviews(file: str, lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        label, tab, text = line.partition("\t")
        if label not in SIGNS or not tab:
            raise ValueError(
                f"{file}, line {number} is {line[:80]!r}: expected 0 or 1, a tab, and a text; get the file anew"
            )
        yield " ".join(text.split()), SIGNS.index(label)
