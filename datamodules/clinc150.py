"""CLINC150: requests to an assistant, classified by intent.

Shapes: ``M`` queries.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules._download import Download, fetch
from datamodules._files import check_counts, data_root
from datamodules._texts import chosen, first_of_each
from lifelong.text import TextDomain, TextEncoding, TextSource

URL = "https://raw.githubusercontent.com/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/"
FOLDER, FILES = "clinc150", ("data_full.json", "domains.json")
HASHES = (
    "sha256:36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
    "sha256:b947b579d3b8e74b06f93b01083d8efaff2888b43a3e362533bd88a6e1211b3a",
)
LARGEST = 1 << 23
"""Limit in bytes of a downloaded file; the requests have 2.5 million."""
PARTS = ("train", "val", "test")
OFFICIAL = "15000, 3000 and 4500 requests of 150 intents"
DOMAINS = (
    "banking",
    "credit_cards",
    "kitchen_and_dining",
    "home",
    "auto_and_commute",
    "travel",
    "utility",
    "work",
    "small_talk",
    "meta",
)


class CLINC150(TextSource):
    """Read requests to an assistant by intent: ten domains of 15 intents, without those that are out of scope.

    The official test part is complete. Training requests that are duplicates, or copies of test requests, are left out.

    Args:
        encoding: how requests are encoded for a network.
        root: folder with ``clinc150/``, or with ``data_full.json`` and ``domains.json`` themselves. Default:
            ``$LIFELONG_DATA``, else ``data``. If there is no file, both are downloaded.
        domains: domains in the order of the stream. Default: all ten.
        holdout: what few-shot streams hold out. ``examples`` tests the same intents on the official test part;
            ``classes`` tests held-out intents, on requests of all parts.

    Raises:
        ValueError: when a file is missing, damaged or cannot be downloaded, or there is no such domain.

    Reference:
        Larson et al., "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction", EMNLP 2019.

    Example:
        >>> from lifelong.text import HashedWords
        >>> CLINC150(encoding=HashedWords(), domains=["travel", "work"]).chosen
        ['travel', 'work']
    """

    def __init__(
        self,
        *,
        encoding: TextEncoding,
        root: str | None = None,
        domains: list[str] | None = None,
        holdout: Literal["classes", "examples"] = "examples",
    ) -> None:
        super().__init__(encoding)
        self.root, self.chosen, self.holdout = root, chosen("CLINC150", "domains", domains, DOMAINS), holdout

    def text_domains(self) -> list[TextDomain]:
        """Read the chosen domains, with intents in the order of ``domains.json``."""
        folder = self._locate()
        requests, intents = (_read(folder / file) for file in FILES)
        try:
            check_counts("CLINC150", _counts(requests), OFFICIAL)
            return [self._domain(name, intents[name], requests) for name in self.chosen]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{folder / FILES[0]} and {FILES[1]} are not those of CLINC150 ({error!r}): remove both to download "
                "them again"
            ) from error

    def _locate(self) -> Path:
        root = data_root(self.root)
        for folder in (root / FOLDER, root):
            if (folder / FILES[0]).is_file():
                return folder
        for file, digest in zip(FILES, HASHES, strict=True):
            fetch(Download((URL + file,), digest, LARGEST), root / FOLDER / file)
        return root / FOLDER

    def _domain(self, name: str, intents: list[str], requests: dict[str, list[tuple[str, str]]]) -> TextDomain:
        place = {intent: number for number, intent in enumerate(intents)}
        rows = [
            (" ".join(text.split()), place[intent], part == "test")
            for part in PARTS
            for text, intent in requests[part]
            if intent in place
        ]
        in_test = np.array([test for _, _, test in rows])
        kept = first_of_each([text for text, _, _ in rows], in_test)
        y = np.array([label for _, label, _ in rows])[kept]
        texts = [rows[number][0] for number in kept]
        return TextDomain(name, texts, y, intents, holdout=self.holdout, in_test=in_test[kept])


def _counts(requests: dict[str, list[tuple[str, str]]]) -> str:
    train, val, test = (len(requests[part]) for part in PARTS)
    n_intents = len({intent for part in PARTS for _, intent in requests[part]})
    return f"{train}, {val} and {test} requests of {n_intents} intents"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}): remove it to download it again") from error
