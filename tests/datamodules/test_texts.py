from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import Texts
from lifelong.text import HashedWords, TextDomain

Rows = Sequence[tuple[str, str]]
GOOD, BAD = ("fine work", "good"), ("poor work", "bad")


def write(path: Path, rows: Sequence[Sequence[str]], header: str = "text,label") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]), encoding="utf-8")
    return str(path)


def domains(**settings: Any) -> list[TextDomain]:
    return Texts(encoding=HashedWords(), **settings).text_domains()


def test_a_file_is_a_domain_of_its_name(tmp_path: Path) -> None:
    (domain,) = domains(path=write(tmp_path / "books.csv", [GOOD, BAD]))
    assert (domain.name, domain.texts, domain.class_names) == ("books", ["fine work", "poor work"], ["bad", "good"])
    assert domain.y.tolist() == [1, 0]
    assert (domain.in_test, domain.holdout) == (None, "examples")


def test_the_files_of_a_folder_are_domains_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "in/music.csv", [GOOD, BAD])
    write(tmp_path / "in/books.csv", [BAD, GOOD])
    (tmp_path / "in/notes.txt").write_text("none of them")
    assert [domain.name for domain in domains(path=str(tmp_path / "in"))] == ["books", "music"]
    chosen = [str(tmp_path / "in" / name) for name in ("music.csv", "books.csv")]
    assert [domain.name for domain in domains(path=chosen)] == ["music", "books"]


def test_the_values_of_a_column_are_domains_as_they_occur(tmp_path: Path) -> None:
    rows = [("a", "x", "south"), ("b", "y", "north"), ("c", "y", "south"), ("d", "x", "north")]
    south, north = domains(path=write(tmp_path / "a.csv", rows, "text,label,shop"), domain_column="shop")
    assert (south.name, south.texts, north.name, north.texts) == ("south", ["a", "c"], "north", ["b", "d"])


def test_other_columns_and_kinds_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "a", "stars": 1}\n{"body": "b", "stars": 5}\n')
    (tmp_path / "b.json").write_text(json.dumps([{"body": "c", "stars": 5}, {"body": "d", "stars": 1}]))
    one, two = domains(path=str(tmp_path), text_column="body", label_column="stars", classes=["5", "1"])
    assert (one.y.tolist(), two.y.tolist(), two.class_names) == ([1, 0], [0, 1], ["5", "1"])


def test_parquet_files_are_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow not installed: pip install -e '.[hf]'")
    table = pyarrow.table({"text": ["a", "b"], "label": [0, 1]})
    importlib.import_module("pyarrow.parquet").write_table(table, tmp_path / "a.parquet")
    (domain,) = domains(path=str(tmp_path))
    assert (domain.texts, domain.y.tolist()) == (["a", "b"], [0, 1])


def test_texts_for_test_belong_to_the_domain_of_their_name(tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.csv", [GOOD, BAD]), write(tmp_path / "test.csv", [("new", "good")])
    (domain,) = domains(path=train, test_path=test)
    assert domain.in_test is not None
    assert (domain.name, domain.texts[2], domain.in_test.tolist()) == ("train", "new", [False, False, True])
    for shop in ("north", "south"):
        write(tmp_path / "in" / f"{shop}.csv", [GOOD, BAD])
        write(tmp_path / "held" / f"{shop}.csv", [(f"new {shop}", "bad")])
    north, south = domains(path=str(tmp_path / "in"), test_path=str(tmp_path / "held"))
    assert (north.texts[2], south.texts[2]) == ("new north", "new south")
    with pytest.raises(ValueError, match=r"test\.csv, line 2 is of the domain 'test', but .* only 'north', 'south'"):
        domains(path=str(tmp_path / "in"), test_path=test)


def test_of_the_copies_of_a_text_the_one_for_test_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write(tmp_path / "train.csv", [GOOD, BAD, GOOD, ("new", "bad")])
    (domain,) = domains(path=train, test_path=write(tmp_path / "test.csv", [BAD]))
    assert domain.in_test is not None
    assert (domain.texts, domain.in_test.tolist()) == (["fine work", "new", "poor work"], [False, False, True])
    assert "train: 2 of 5 texts are copies of others and left out" in caplog.text


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("ab", "cd", [["a", "b"], ["c", "d"]]),
        ("ab", "ba", [["a", "b"], ["a", "b"]]),
        ("ab", "bc", [["a", "b", "c"], ["a", "b", "c"]]),
    ],
)
def test_classes_are_shared_where_a_label_is(first: str, second: str, expected: list[str], tmp_path: Path) -> None:
    for name, labels in (("1", first), ("2", second)):
        write(tmp_path / f"{name}.csv", [(f"text {label}", label) for label in labels])
    found = domains(path=str(tmp_path))
    assert [domain.class_names for domain in found] == expected
    assert [[d.class_names[y] for y in d.y] for d in found] == [list(first), list(second)]


def test_an_encoding_of_old_files_and_the_holdout_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_bytes("text,label\ncafé,a\nthé,b\n".encode("cp1252"))
    (domain,) = domains(path=str(tmp_path / "old.csv"), charset="cp1252", holdout="classes")
    assert (domain.texts, domain.holdout) == (["café", "thé"], "classes")


def test_what_is_wrong_is_one_sentence_with_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [GOOD, BAD, ("so so", "mixed")])
    with pytest.raises(
        ValueError, match=r"a\.csv, line 4 has the label 'mixed', but expected are 'bad', 'good': .*add"
    ):
        domains(path=path, classes=["bad", "good"])
    for column in ("text_column", "label_column", "domain_column"):
        with pytest.raises(ValueError, match=rf"no column 'body': set {column} to one of 'text', 'label'"):
            domains(**({"path": path} | {column: "body"}))
    with pytest.raises(ValueError, match=r"there is no file .*absent\.csv"):
        domains(path=str(tmp_path / "absent.csv"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"the folder .*empty has no file that ends in .*: set path to another"):
        domains(path=str(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"test_path names no file"):
        domains(path=path, test_path=[])
    for classes in (["a"], ["a", "a"]):
        with pytest.raises(ValueError, match=r"give two different labels or more, or null"):
            Texts(encoding=HashedWords(), path=path, classes=classes)


def test_the_encoding_sees_the_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [GOOD, BAD])
    (domain,) = Texts(encoding=HashedWords(max_length=3), path=path).domains()
    assert domain.x.shape == (2, 3)
    assert np.array_equal(domain.y, [1, 0])
