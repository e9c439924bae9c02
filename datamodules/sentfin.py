"""SEntFiN: sentiment of headlines of financial news.

Shapes: ``M`` headlines.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from datamodules._download import Download, fetch
from datamodules._files import check_counts, data_root
from datamodules._sentiment import sentiments
from datamodules._texts import first_of_each
from lifelong.text import Table, TextDomain, TextEncoding, TextSource, read_table

URL = "https://raw.githubusercontent.com/pyRis/SEntFiN/84c747fcacea2f7bd96248b084dfa0d81fb4a181/SEntFiN.csv"
DIGEST = "sha256:570af7ba58f724f3fcc414dd5ba80da5b1a3b342134d76c6ebdf53a32c54a92f"
FOLDER, FILE = "sentfin", "SEntFiN.csv"
LARGEST = 1 << 22
"""Limit in bytes of the download; the file has 1.1 million."""
N_HEADLINES = 10_753
DECISION = re.compile(r"(?:^\{|, )['\"](.*?)['\"]: ['\"](positive|negative|neutral)['\"]")
"""An entity and its sentiment; the column is not a valid Python literal if a name has an apostrophe."""


class SEntFiN(TextSource):
    """Read news headlines that name one company, index or commodity, by their sentiment for it: one domain.

    Headlines with several entities are left out, since each entity has a sentiment; duplicates are left out too.

    Args:
        encoding: how headlines are encoded for a network.
        root: folder with ``sentfin/`` or ``SEntFiN.csv`` itself. Default: ``$LIFELONG_DATA``, else ``data``. A missing
            file is downloaded.
        neutral: use three classes: negative, neutral and positive. If False, neutral headlines are left out.

    Raises:
        ValueError: when the file is damaged or cannot be downloaded.

    Reference:
        Sinha, Kedas, Kumar & Malo, "SEntFiN 1.0: Entity-aware sentiment analysis for financial news", JASIST 2022.

    Example:
        >>> from lifelong.text import HashedWords
        >>> SEntFiN(encoding=HashedWords(), neutral=False).classes
        ('negative', 'positive')
    """

    def __init__(self, *, encoding: TextEncoding, root: str | None = None, neutral: bool = True) -> None:
        super().__init__(encoding)
        self.root, self.classes = root, sentiments(neutral=neutral)

    def text_domains(self) -> list[TextDomain]:
        """Read all headlines into one domain."""
        table = read_table(self._locate())
        headlines = _headlines(table)
        check_counts("SEntFiN", f"{len(table.rows)} headlines", f"{N_HEADLINES} headlines")
        kept = [headlines[number] for number in first_of_each([text for text, _ in headlines])]
        rows = [(text, self.classes.index(label)) for text, label in kept if label in self.classes]
        return [TextDomain("SEntFiN", [text for text, _ in rows], np.array([y for _, y in rows]), self.classes)]

    def _locate(self) -> Path:
        root = data_root(self.root)
        for path in (root / FOLDER / FILE, root / FILE):
            if path.is_file():
                return path
        fetch(Download((URL,), DIGEST, LARGEST), root / FOLDER / FILE)
        return root / FOLDER / FILE


def _headlines(table: Table) -> list[tuple[str, str]]:
    """Return headlines with a single entity, and their sentiment."""
    headlines = []
    columns = [table.column(name, "the columns of SEntFiN.csv") for name in ("Title", "Decisions")]
    for number, (title, decisions) in enumerate(zip(*columns, strict=True)):
        labels = [label for _, label in DECISION.findall(decisions)]
        if not labels:
            raise ValueError(f"{table.where(number)} has no sentiment ({decisions}): remove the file to get it anew")
        if len(labels) == 1:
            headlines.append((" ".join(title.split()), labels[0]))
    return headlines
