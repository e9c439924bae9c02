from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import CLINC150, clinc150
from lifelong.text import HashedWords
from tests.datamodules.https_server import Server, digest_of
from tests.datamodules.text_files import requests

pytestmark = pytest.mark.filterwarnings("ignore:CLINC150 has .* here, the official one has:UserWarning")


def test_intents_of_a_domain_are_its_classes(tmp_path: Path) -> None:
    requests(tmp_path)
    work, home = CLINC150(encoding=HashedWords(), root=str(tmp_path), domains=["work", "home"]).text_domains()
    assert (work.name, work.class_names, home.name) == ("work", ["work 0", "work 1"], "home")
    assert work.texts[:5] == [*(f"train work 0 {i}" for i in range(4)), "train work 1 0"]
    assert work.in_test is not None
    assert (work.in_test.sum(), len(work.texts), np.bincount(work.y).tolist()) == (4, 16, [8, 8])
    assert all(text.startswith("test") == test for text, test in zip(work.texts, work.in_test, strict=True))
    for asked in ([], ["food"], ["work", "work"]):
        with pytest.raises(ValueError, match=r"CLINC150 has domains \[.*: give different ones of banking, credit"):
            CLINC150(encoding=HashedWords(), domains=asked)


def test_copies_are_left_out(tmp_path: Path) -> None:
    requests(tmp_path)
    path = tmp_path / "clinc150/data_full.json"
    found = json.loads(path.read_text())
    found["train"] += [["test work 1 0", "work 0"], ["train work 0 0", "work 0"]]
    path.write_text(json.dumps(found))
    (work,) = CLINC150(encoding=HashedWords(), root=str(tmp_path / "clinc150"), domains=["work"]).text_domains()
    assert (len(work.texts), np.bincount(work.y).tolist()) == (16, [8, 8])


def test_missing_files_are_downloaded_and_damaged_ones_named(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    requests(tmp_path / "mirror")
    server.files = {name: (tmp_path / "mirror/clinc150" / name).read_bytes() for name in clinc150.FILES}
    monkeypatch.setattr(clinc150, "URL", server.url)
    monkeypatch.setattr(clinc150, "HASHES", tuple(map(digest_of, server.files.values())))
    source = CLINC150(encoding=HashedWords(), root=str(tmp_path))
    assert len(source.text_domains()) == 10
    (tmp_path / "clinc150/domains.json").write_text('{"banking": []}')
    with pytest.raises(ValueError, match=r"are not those of CLINC150 \(.*: remove both to download them again"):
        source.text_domains()
    (tmp_path / "clinc150/domains.json").write_text("{")
    with pytest.raises(ValueError, match=r"domains\.json cannot be read \(.*\): remove it to download it again"):
        source.text_domains()


def test_other_counts_than_the_official_ones_are_told(tmp_path: Path) -> None:
    requests(tmp_path)
    with pytest.warns(
        UserWarning, match="CLINC150 has 80, 40 and 40 requests of 20 intents here, the official one has 15000"
    ):
        CLINC150(encoding=HashedWords(), root=str(tmp_path)).text_domains()


@pytest.mark.real_data
@pytest.mark.filterwarnings("error")
def test_the_real_files_have_their_counts(real_data: Path) -> None:
    if not (real_data / "clinc150/data_full.json").is_file():
        pytest.skip(f"no CLINC150 under {real_data}: set LIFELONG_DATA")
    assert tuple(digest_of((real_data / "clinc150" / name).read_bytes()) for name in clinc150.FILES) == clinc150.HASHES
    domains = CLINC150(encoding=HashedWords(), root=str(real_data)).text_domains()
    assert [len(domain.class_names) for domain in domains] == [15] * 10
    tests = [int(domain.in_test.sum()) for domain in domains if domain.in_test is not None]
    assert tests == [450] * 10
    assert sum(len(domain.texts) for domain in domains) == 18_000 + 4_500 - 4  # copies
