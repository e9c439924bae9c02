"""Tiny data sets of texts in the formats of the real ones."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from datamodules.clinc150 import DOMAINS
from datamodules.fdu_mtl import FILES as REVIEWS
from datamodules.semeval2017 import FILES as TWEETS


def pack(archive: Path, files: Mapping[str, str | bytes]) -> None:
    """An archive of files."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:xz") as file:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))


def unpack(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """The same files in a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def headlines(root: Path) -> None:
    """Six headlines of each sentiment, and two of several entities or twice there."""
    names = ["negative", "neutral", "positive"]
    rows = [f"{i},\"Item {i}, {names[i % 3]}\",\"{{'Item {i}': '{names[i % 3]}'}}\",3" for i in range(18)]
    rows += ["18,Gold up; Silver down,\"{'Gold': 'positive', 'Silver': 'negative'}\",4"]
    rows += ["19,Macy's  up,{'Macy's': 'positive'},2", "20,Macy's up,{'Macy's': 'neutral'},2"]
    (root / "sentfin").mkdir(parents=True, exist_ok=True)
    (root / "sentfin/SEntFiN.csv").write_text("\r\n".join(["S No.,Title,Decisions,Words", *rows]), newline="")


def tweet_files() -> dict[str, str]:
    """Six tweets of each sentiment in every file."""
    names, files, number = ["negative", "neutral", "positive"], {}, 0
    for year, some in TWEETS.items():
        for file in some:
            folder = "test" if year == 2017 else "train"
            lines = [f"{number + i}\t{names[i % 3]}\ttweet {number + i} of {year}\t\n" for i in range(18)]
            files[f"dataset/{folder}/{file}"] = "".join(lines)
            number += 18
    return files


def review_files() -> dict[str, str]:
    """Ten reviews for training and four for test of every domain."""
    return {
        f"data/fdu-mtl/{file}.task.{part}": "".join(f"{i % 2}\t{file} {part}  number {i} . \n" for i in range(n))
        for file in REVIEWS.values()
        for part, n in (("train", 10), ("test", 4), ("unlabel", 2))
    }


def requests(root: Path) -> None:
    """Two intents of every domain, with four requests for training, two for validation and two for test."""
    intents = {domain: [f"{domain} {i}" for i in range(2)] for domain in DOMAINS}
    parts = {
        part: [[f"{part} {intent} {i}", intent] for some in intents.values() for intent in some for i in range(n)]
        for part, n in (("train", 4), ("val", 2), ("test", 2))
    }
    (root / "clinc150").mkdir(parents=True, exist_ok=True)
    out_of_scope = {f"oos_{part}": [["what else", "oos"]] for part in parts}
    (root / "clinc150/data_full.json").write_text(json.dumps(parts | out_of_scope))
    (root / "clinc150/domains.json").write_text(json.dumps(intents))


def all_of_them(root: Path) -> None:
    """Every data set, where its source looks for it."""
    headlines(root)
    requests(root)
    pack(root / "semeval2017-task4a/semeval2017-task4a.tar.xz", tweet_files())
    pack(root / "fdu-mtl/fdu-mtl.tar.xz", review_files())
    (root / "reviews.csv").write_text(
        "text,label,shop\n" + "".join(f"text {i},{'ab'[i % 2]},{i % 3}\n" for i in range(30))
    )
