"""CLINC150: what people ask an assistant for, by intent.

Shapes: ``M`` queries.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules._files import data_root, fetch
from datamodules._texts import chosen, first_of_each
from lifelong.text import TextDomain, TextEncoding, TextSource

URL = "https://raw.githubusercontent.com/clinc/oos-eval/master/data/"
FOLDER, FILES = "clinc150", ("data_full.json", "domains.json")
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

    The official test part is kept whole; copies of requests, and of those of the test part, are left out of the rest.

    Args:
        encoding: what a network sees of a request.
        root: folder that holds ``clinc150/``, or ``data_full.json`` and ``domains.json`` themselves; None is
            ``$LIFELONG_DATA``, else ``data``. Without any file both are downloaded.
        domains: those to take, in the order of the stream; None takes all ten.
        holdout: in few-shot streams ``examples`` tests the same intents on the official test part; ``classes`` tests
            intents not trained on, on requests of all parts.

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
        """Read the chosen domains, their intents in the order of ``domains.json``."""
        folder = self._locate()
        requests, intents = (_read(folder / file) for file in FILES)
        try:
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
        for file in FILES:
            fetch(URL + file, root / FOLDER / file)
        return root / FOLDER

    def _domain(self, name: str, intents: list[str], requests: dict[str, list[tuple[str, str]]]) -> TextDomain:
        place = {intent: number for number, intent in enumerate(intents)}
        rows = [
            (" ".join(text.split()), place[intent], part == "test")
            for part in ("train", "val", "test")
            for text, intent in requests[part]
            if intent in place
        ]
        in_test = np.array([test for _, _, test in rows])
        kept = first_of_each([text for text, _, _ in rows], in_test)
        y = np.array([label for _, label, _ in rows])[kept]
        texts = [rows[number][0] for number in kept]
        return TextDomain(name, texts, y, intents, holdout=self.holdout, in_test=in_test[kept])


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): remove it to download it again") from error
