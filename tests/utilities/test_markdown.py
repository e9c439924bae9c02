"""Tables in Markdown have as many cells as they were given."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from lifelong.utilities.markdown import markdown_table, plain, without_bars_outside_code

ROOT = Path(__file__).parents[2]


def test_a_bar_in_a_cell_begins_no_other() -> None:
    lines = markdown_table(["a|b", "c"], [["x", "y|z"], ["", "1"]]).splitlines()
    assert [len(re.split(r"(?<!\\)\|", line)) for line in lines] == [4] * 4
    assert lines[2] == r"| x | y\|z |"


def test_an_interval_is_no_formula_and_a_name_no_markup() -> None:
    assert plain("+0.1 [-0.6, +0.7]") == "+0.1 [-0.6, +0.7]"  # where \[ begins a formula
    assert plain("<0.001") == "<0.001"  # python-markdown would show the backslash of \<
    assert plain("<b>`a`*b*_c_|\\") == r"&lt;b\>\`a\`\*b\*\_c\_\|\\"
    assert plain("[a](b) [a][b]\nc") == r"[a]\(b) [a]\[b] c"


def test_bars_in_code_stay_as_they_are_for_the_site() -> None:
    assert without_bars_outside_code("a|b `c|d` |") == r"a\|b `c|d` \|"
    lines = markdown_table(["a", "b"], [["`|`", "|"]], right=[False, True], escape=without_bars_outside_code)
    assert lines.splitlines() == ["| a | b |", "|:---|---:|", r"| `|` | \| |"]


def test_tables_have_one_writer() -> None:
    folders = ("lifelong", "benchmarks", "docs", "strategies")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    rule = re.compile(r"^\|\s?:?---", re.MULTILINE)
    writers = [f for f in files if any(rule.search(line) for line in _code_of(f))]
    assert writers == []


def _code_of(file: Path) -> list[str]:
    """The strings of a module that are no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [str(node.value) for node in strings if id(node) not in docs]
