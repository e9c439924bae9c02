from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import SEntFiN, sentfin
from lifelong.text import HashedWords
from tests.datamodules.https_server import Server, digest_of
from tests.datamodules.text_files import headlines

pytestmark = pytest.mark.filterwarnings("ignore:SEntFiN has .* here, the official one has:UserWarning")


def test_headlines_of_one_entity_are_taken_once(tmp_path: Path) -> None:
    headlines(tmp_path)
    (domain,) = SEntFiN(encoding=HashedWords(), root=str(tmp_path)).text_domains()
    assert domain.texts[:2] == ["Item 0, negative", "Item 1, neutral"]
    assert domain.texts[-1] == "Macy's up"
    assert (len(domain.texts), np.bincount(domain.y).tolist(), domain.y[-1]) == (19, [6, 6, 7], 2)
    (binary,) = SEntFiN(encoding=HashedWords(), root=str(tmp_path / "sentfin"), neutral=False).text_domains()
    assert (binary.class_names, np.bincount(binary.y).tolist()) == (("negative", "positive"), [6, 7])


def test_a_missing_file_is_downloaded_and_a_damaged_one_named(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    headlines(tmp_path / "mirror")
    server.files["f.csv"] = (tmp_path / "mirror/sentfin/SEntFiN.csv").read_bytes()
    monkeypatch.setattr(sentfin, "URL", server.url + "f.csv")
    monkeypatch.setattr(sentfin, "DIGEST", digest_of(server.files["f.csv"]))
    source = SEntFiN(encoding=HashedWords(), root=str(tmp_path))
    assert len(source.text_domains()[0].texts) == 19
    file = tmp_path / "sentfin/SEntFiN.csv"
    file.write_text("S No.,Title,Decisions,Words\n1,Up,{},1\n")
    with pytest.raises(ValueError, match=r"SEntFiN\.csv, line 2 has no sentiment \(\{\}\): remove the file"):
        source.text_domains()


def test_other_counts_than_the_official_ones_are_told(tmp_path: Path) -> None:
    headlines(tmp_path)
    with pytest.warns(UserWarning, match="SEntFiN has 21 headlines here, the official one has 10753 headlines"):
        SEntFiN(encoding=HashedWords(), root=str(tmp_path)).text_domains()


@pytest.mark.real_data
@pytest.mark.filterwarnings("error")
def test_the_real_file_has_its_counts(real_data: Path) -> None:
    if not (real_data / "sentfin/SEntFiN.csv").is_file():
        pytest.skip(f"no SEntFiN under {real_data}: set LIFELONG_DATA")
    assert digest_of((real_data / "sentfin/SEntFiN.csv").read_bytes()) == sentfin.DIGEST
    (domain,) = SEntFiN(encoding=HashedWords(), root=str(real_data)).text_domains()
    # Of 7,906 headlines with one entity (2,376, 2,693 and 2,837) 52 are copies.
    assert np.bincount(domain.y).tolist() == [2365, 2660, 2829]
    assert "Mid-cap funds can deliver more, stay put: Experts" in domain.texts
