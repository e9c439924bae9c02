from __future__ import annotations

import logging
from pathlib import Path

import pytest

from datamodules import FDUMTL
from datamodules.fdu_mtl import FILES
from lifelong.text import HashedWords
from tests.datamodules.text_files import pack, review_files, unpack

pytestmark = pytest.mark.filterwarnings("ignore:.* here, the official one has:UserWarning")

BOOKS, MR = "data/fdu-mtl/books.task.train", "data/fdu-mtl/MR.task.train"


def test_domains_come_in_the_order_asked_for(tmp_path: Path) -> None:
    pack(tmp_path / "fdu-mtl/fdu-mtl.tar.xz", review_files())
    assert [domain.name for domain in FDUMTL(encoding=HashedWords(), root=str(tmp_path)).text_domains()] == list(FILES)
    mr, books = FDUMTL(encoding=HashedWords(), root=str(tmp_path), domains=["mr", "books"]).text_domains()
    assert (mr.name, mr.texts[0], books.texts[10]) == ("mr", "MR train number 0 .", "books test number 0 .")
    assert books.in_test is not None
    assert books.in_test.tolist() == [False] * 10 + [True] * 4
    assert books.y.tolist() == [0, 1] * 7
    for asked in ([], ["food"], ["mr", "mr"]):
        with pytest.raises(ValueError, match=r"FDUMTL has domains \[.*: give different ones of books, electronics"):
            FDUMTL(encoding=HashedWords(), domains=asked)


def test_empty_reviews_and_copies_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    new = "1\tnew one\n1\t \n0\tnew one\n0\tbooks test number 1 . \n0\tMR test number 1 .\n"
    unpack(tmp_path, review_files() | {BOOKS: new})
    with caplog.at_level(logging.INFO):
        (books,) = FDUMTL(encoding=HashedWords(), root=str(tmp_path), domains=["books"]).text_domains()
    assert (books.texts[0], books.y[0], len(books.texts)) == ("new one", 1, 1 + 4)
    assert "of 219 reviews 1 are empty and 3 copies" in caplog.text


def test_single_lines_in_the_encoding_of_windows_are_read(tmp_path: Path) -> None:
    unpack(tmp_path, review_files() | {MR: "1\tvoilà — déjà\n".encode() + "0\tun café – froid…\x0b\n".encode("cp1252")})
    (mr,) = FDUMTL(encoding=HashedWords(), root=str(tmp_path), domains=["mr"]).text_domains()
    assert mr.texts[:2] == ["voilà — déjà", "un café – froid…"]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    unpack(tmp_path, review_files() | {MR: "1\tgood\n2\tfair\n"})
    with pytest.raises(ValueError, match=r"MR.task.train, line 2 is '2\\tfair': expected 0 or 1, a tab, and a text"):
        FDUMTL(encoding=HashedWords(), root=str(tmp_path)).text_domains()


def test_other_counts_than_the_official_ones_are_told(tmp_path: Path) -> None:
    pack(tmp_path / "fdu-mtl/fdu-mtl.tar.xz", review_files())
    with pytest.warns(
        UserWarning, match="FDU-MTL has 160 training and 64 test reviews here, the official one has 25380"
    ):
        FDUMTL(encoding=HashedWords(), root=str(tmp_path)).text_domains()


@pytest.mark.real_data
@pytest.mark.filterwarnings("error")
def test_the_real_archive_has_its_counts(real_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    if not (real_data / "fdu-mtl").is_dir():
        pytest.skip(f"no FDU-MTL under {real_data}: set LIFELONG_DATA")
    with caplog.at_level(logging.INFO):
        domains = FDUMTL(encoding=HashedWords(), root=str(real_data)).text_domains()
    assert "of 31780 reviews 1 are empty and 1815 copies" in caplog.text
    in_test = [domain.in_test for domain in domains if domain.in_test is not None]
    assert [int(some.sum()) for some in in_test] == [400] * 16
    assert [int((~some).sum()) for some in in_test] == [
        1582, 1562, 1552, 1577, 1565, 1359, 1516, 1577, 1585, 1185, 1459, 1019, 1302, 1524, 1600, 1600,
    ]  # fmt: skip
    labels = dict(zip(domains[-1].texts, domains[-1].y, strict=True))
    assert labels["it's refreshing to see a romance this smart ."] == domains[-1].class_names.index("positive")
    assert labels["let's cut to the consumer-advice bottom line : stay home ."] == 0
