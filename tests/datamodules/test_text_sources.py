"""The laws of all sources of texts: a new one is a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import CLINC150, FDUMTL, SemEval2017, SEntFiN, Texts
from datamodules.examples import ExampleDataModule
from lifelong.data.stream import build_stream
from lifelong.text import HashedWords, TextEncoding, TextSource
from tests.datamodules.text_files import all_of_them

pytestmark = pytest.mark.filterwarnings("ignore:.* here, the official one has:UserWarning")

SOURCES: dict[str, Callable[..., TextSource]] = {
    "Texts": partial(Texts, domain_column="shop"),
    "SEntFiN": SEntFiN,
    "SEntFiN, two classes": partial(SEntFiN, neutral=False),
    "SemEval2017": SemEval2017,
    "SemEval2017 by year": partial(SemEval2017, by="year", neutral=False),
    "FDUMTL": FDUMTL,
    "CLINC150": CLINC150,
    "CLINC150, new intents": partial(CLINC150, holdout="classes"),
}


class Numbered(TextEncoding):
    """Each text a number of its own, equal for copies."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.numbers: dict[str, int] = {}

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        self.calls.append(list(texts))
        return torch.tensor([[self.numbers.setdefault(text, len(self.numbers))] for text in texts])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    all_of_them(tmp_path)
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path))
    return tmp_path


def made(name: str, root: Path, encoding: TextEncoding) -> TextSource:
    where: dict[str, Any] = {"path": str(root / "reviews.csv")} if name == "Texts" else {}
    return SOURCES[name](encoding=encoding, **where)


@pytest.mark.parametrize("name", SOURCES)
def test_domains_are_whole_and_named_differently(name: str, root: Path) -> None:
    domains = made(name, root, HashedWords()).text_domains()
    assert len({domain.name for domain in domains}) == len(domains) > 0
    for domain in domains:
        assert np.unique(domain.y).tolist() == list(range(len(domain.class_names)))
        assert domain.in_test is None or domain.in_test.shape == domain.y.shape
        assert all(text == " ".join(text.split()) for text in domain.texts)


@pytest.mark.parametrize("name", SOURCES)
def test_all_texts_are_encoded_in_one_go_and_the_same_each_time(name: str, root: Path) -> None:
    encoding = Numbered()
    source = made(name, root, encoding)
    first, second = source.domains(), source.domains()
    assert encoding.calls[0] == encoding.calls[1]
    assert len(encoding.calls) == 2
    assert all(torch.equal(one.x, other.x) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("name", SOURCES)
def test_no_text_is_in_two_parts(name: str, root: Path) -> None:
    domains = made(name, root, Numbered()).domains()
    stream = build_stream(domains, split=(0.2, 0.3), split_seed=0, hold_out_examples=True)
    train = [pool for experience in stream.experiences for pool in experience.pools]
    parts = [
        {int(pool.x[i, 0]) for pool in pools for members in pool.members for i in members}
        for pools in (train, stream.val, stream.test)
    ]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))


@pytest.mark.parametrize("name", [name for name in SOURCES if "CLINC" not in name])
def test_sentiments_are_the_same_classes_in_the_same_order(name: str, root: Path) -> None:
    classes = {tuple(domain.class_names) for domain in made(name, root, HashedWords()).text_domains()}
    assert len(classes) == 1
    assert classes <= {("negative", "neutral", "positive"), ("negative", "positive"), ("a", "b")}


def test_sources_of_sentiment_make_one_stream_of_domains(root: Path) -> None:
    names = ("SEntFiN, two classes", "SemEval2017 by year", "FDUMTL")
    sources = [made(name, root, HashedWords(max_length=4)) for name in names]
    data = ExampleDataModule([*sources], scenario="domain", batch_size=4, split=(0.2, 0.2))
    assert len(data.stream.domains) == 1 + 4 + 16
    assert data.stream.n_classes == 2
