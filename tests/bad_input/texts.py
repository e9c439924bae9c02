"""Tables of texts: CSV, TSV, JSON and JSON lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.bad_input.case import FEW_SHOT, MLP, QUIET, Case

BASE = (*MLP, "--model.network.n_inputs=8", *QUIET, *FEW_SHOT)
ROWS = [(f"text {number} of them", f"label {number % 4}") for number in range(40)]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
DEEP = "[" * 100_000 + "]" * 100_000


def _case(name: str, content: str | bytes | Callable[[], object] | None, *words: str, more: str = "") -> Case:
    file = name.split()[0]

    def write() -> None:
        if callable(content):
            content()
        elif content is not None:
            Path(file).write_bytes(content.encode() if isinstance(content, str) else content)

    encoding = "{class_path: lifelong.text.HashedWords, init_args: {max_length: 8}}"
    given = (
        f"--data.sources=[{{class_path: datamodules.Texts, init_args: {{path: {file}, encoding: {encoding}{more}}}}}]"
    )
    return Case(f"table {name}", (given,), (file, *words), write, base=BASE)


def _one(name: str, content: str, *words: str, more: str = "") -> Case:
    """A case whose sentence names something else than the file."""
    return replace(_case(name, content, more=more), words=words)


CASES = [
    _case("a.csv missing", None, "there is no file", ".jsonl"),
    _case("a.csv empty", "", "no rows"),
    _case("a.csv header alone", "text,label\n", "no rows"),
    _case("a.csv a folder", lambda: Path("a.csv").mkdir(), "no file that ends in", "set path"),
    _case("a.csv a pipe", lambda: os.mkfifo("a.csv"), "there is no file"),
    _case("a.csv no text column", CSV.replace("text,", "words,", 1), "no column 'text'", "text_column", "'words'"),
    _case("a.csv no label column", CSV.replace(",label", ",kind", 1), "no column 'label'", "label_column"),
    _case("a.csv semicolons", CSV.replace(",", ";"), "no column 'text'", "separated by ';'"),
    _case("a.csv two columns of a name", CSV.replace("text,label", "text,text", 1), "two columns 'text'"),
    _case("a.csv a field too many", CSV + "a,b,c\n", "line 42", "3 fields", "quotation marks"),
    _case("a.csv a field too few", CSV + "a\n", "line 42", "1 fields"),
    _case("a.csv an empty text", CSV + ",label 1\n", "line 42", "'text' is empty"),
    _case("a.csv an empty label", CSV + "more,\n", "line 42", "'label' is empty"),
    _case("a.csv an open quotation", CSV + '"more,label 1\n', "line 42", "quotation"),
    _case("a.csv latin-1", CSV.encode() + b"\xe9t\xe9,label 1\n", "line 42", "0xE9", "charset"),
    _case("a.csv utf-16", CSV.encode("utf-16"), "charset"),
    _case("a.csv an image", b"\x89PNG\r\n\x1a\n", "charset"),
    _case("a.csv zero bytes", bytes(1000), "no rows"),
    _one("b.csv one class", "text,label\na,b\n", "b (train)", "--data.n_way"),
    _case("a.txt another kind", "hello", "none of the files that can be read", ".csv"),
    _case("a.tsv commas", CSV, "no column 'text'", "text_column"),
    _case("a.json no list", '{"text": "a"}', "not a list of objects"),
    _case("a.json no JSON", "[{", "is not JSON", "correct it"),
    _case("a.json a list of texts", '["a"]', "entry 1", "not an object"),
    _case("a.json empty list", "[]", "no rows"),
    _case("a.json nested deeply", DEEP, "nested too deeply"),
    _case("a.json an empty file", "", "is not JSON"),
    _case("a.jsonl no JSON", '{"text": "a", "label": "b"}\nhello\n', "line 2", "is not JSON"),
    _case("a.jsonl a list", "[1, 2]\n", "line 1", "not an object"),
    _case("a.jsonl nested deeply", DEEP + "\n", "line 1", "nested too deeply"),
    _case("a.jsonl no label", '{"text": "a"}\n', "no column 'label'", "label_column"),
    _case("a.jsonl null", '{"text": null, "label": "a"}\n{"text": "b", "label": "a"}\n', "line 1", "is empty"),
    _case("c.csv unknown classes", CSV, "label 0", "classes", more=", classes: [a, b]"),
    _one("c.csv one class asked for", CSV, "classes", "two different labels", more=", classes: [a]"),
    _one("c.csv no such charset", CSV, "klingon", "cp1252", more=", charset: klingon"),
    _case("c.csv no domain column", CSV, "no column 'shop'", "domain_column", more=", domain_column: shop"),
    _one("c.csv no test file", CSV, "there is no file nowhere.csv", more=", test_path: nowhere.csv"),
]
