from __future__ import annotations

import csv
import importlib
import json
import sys
from pathlib import Path

import pytest

from lifelong.text import read_table

A, B, C = '{"text": "a, b", "label": "1"}', '{"text": "two\\nlines", "label": 2}', '{"text": "end", "label": 3}'


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.csv", 'text,label\n"a, b",1\n\n"two\nlines",2\nend,3\n', [2, 4, 6]),
        ("a.csv", '\ufefftext,label\r\n"a, b",1\r\n"two\nlines",2\r\nend,3', [2, 3, 5]),
        ("a.TSV", 'text\tlabel\na, b\t1\n"two\nlines"\t2\nend\t3\n', [2, 3, 5]),
        ("a.json", f"[{A},\n{B}, {C}]", [1, 2, 3]),
        ("a.jsonl", f"{A}\n\n{B}\n{C}", [1, 3, 4]),
    ],
)
def test_every_kind_of_file_has_its_rows_and_where_they_begin(
    name: str, content: str, lines: list[int], tmp_path: Path
) -> None:
    table = read_table(written(tmp_path, name, content))
    assert table.column("text", "text_column") == ["a, b", "two\nlines", "end"]
    assert table.column("label", "label_column") == ["1", "2", "3"]
    assert table.lines == lines
    assert table.where(0) == f"{tmp_path / name}, {'entry' if name == 'a.json' else 'line'} {lines[0]}"


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow not installed: pip install -e '.[hf]'")
    parquet = importlib.import_module("pyarrow.parquet")
    rows = {"text": ["good", "bad"], "label": [1, 0], "note": [None, "x"]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert list(table.rows) == [{"text": "good", "label": "1", "note": ""}, {"text": "bad", "label": "0", "note": "x"}]
    with pytest.raises(ValueError, match=r"a\.parquet, row 1: 'note' is empty"):
        table.column("note", "text_column")
    with pytest.raises(ValueError, match=r"b\.parquet cannot be read as Parquet \([^\n]*\): save it again$"):
        read_table(written(tmp_path, "b.parquet", "text"))


def test_without_pyarrow_a_sentence_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r"a Parquet file needs the package pyarrow.parquet .*'\.\[hf\]'$"):
        read_table(written(tmp_path, "a.parquet", ""))


def test_values_of_json_become_texts(tmp_path: Path) -> None:
    values = ["a", 1, 1.5, True, None, ["b"]]
    path = written(tmp_path, "a.json", json.dumps([{"x": value} for value in values]))
    assert [row["x"] for row in read_table(path).rows] == ["a", "1", "1.5", "true", "", '["b"]']


def test_texts_longer_than_the_limit_of_csv_are_read(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = written(tmp_path, "a.csv", f"text\n{'a' * (limit + 1)}\n")
    assert len(read_table(path).column("text", "text_column")[0]) == limit + 1
    assert csv.field_size_limit() == limit


def test_another_character_encoding_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text\nplain\nà café\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"is not utf-8: line 3 has the byte 0xE0 at place 1: set charset to"):
        read_table(path)
    assert read_table(path, "cp1252").column("text", "text_column") == ["plain", "à café"]
    with pytest.raises(ValueError, match=r"no character encoding 'klingon': set charset to utf-8, cp1252 or latin-1"):
        read_table(path, "klingon")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "text", r"a\.txt is none of the files that can be read: \.csv, \.tsv, \.json"),
        ("a.csv", "", "a.csv has no rows"),
        ("a.csv", "text,label\n", "a.csv has no rows"),
        ("a.json", "[]", "a.json has no rows"),
        ("a.csv", "text,label\na,b\nc\n", r"line 3 has 1 fields, but the header has 2 \(text, label\): fill it"),
        ("a.csv", "text,label\na,b,c\n", r"line 2 has 3 fields, but the header has 2"),
        ("a.csv", 'text,label\na,b\n"open,c\n', r"line 3 cannot be read \(unexpected end of data\): .* are doubled$"),
        ("a.csv", "text,text\na,b\n", "has two columns 'text': name them differently"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', r"a\.jsonl, line 2 is not JSON \(Expecting value at place"),
        ("a.jsonl", '{"text": "a"}\n["a"]', "line 2 is not an object with the columns as names"),
        ("a.json", '[{"text": "a"},\n{"text": }]', r"a\.json, line 2 is not JSON \(Expecting value at place 10\)"),
        ("a.json", '{"text": "a"}', "is not a list of objects, one for each text"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_place(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_table(written(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_column_or_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*absent\.csv: expected one that ends in \.csv"):
        read_table(tmp_path / "absent.csv")
    table = read_table(written(tmp_path, "a.jsonl", '{"text": "a", "label": "b"}\n{"text": "  "}\n'))
    with pytest.raises(ValueError, match=r"has no column 'body': set text_column to one of 'text', 'label'$"):
        table.column("body", "text_column")
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: 'text' is empty: fill it, or leave the line out"):
        table.column("text", "text_column")
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: 'label' is empty"):
        table.column("label", "label_column")
    other = read_table(written(tmp_path, "b.csv", "text;label\na;b\n"))
    with pytest.raises(ValueError, match=r"one of 'text;label', or save it with commas: .* separated by ';'$"):
        other.column("text", "text_column")
